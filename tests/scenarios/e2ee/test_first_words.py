"""Who has no state of a conversation writes first, and his peer shows a lock: what may go in clear, and why (digest
RCC.16 §7.2; choice).

In every deployment somebody is asked before it: the focus, or where nobody arbitrates the peer's phones. In clear goes
what is answered with "nothing" or "ended", and what goes to a peer of whom nobody says that he encrypts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, focus_fault, new_owner, notes, pair_locked, reinstalled

_CARRIERS = {"alice": "red", "bob": "blue"}
_NUMBERS = {"alice": ALICE, "bob": BOB}
_OTHERS = {"alice": "bob", "bob": "alice"}


def _network(red: Mapping[str, object], blue: Mapping[str, object]) -> Callable[[], NetworkFile]:
    def make() -> NetworkFile:
        file = load_network("two-carriers")
        kept = {
            name: file.carriers[name].model_copy(update=dict(more)) for name, more in (("red", red), ("blue", blue))
        }
        return file.model_copy(update={"carriers": {**file.carriers, **kept}})

    return make


_DEPLOYED: Mapping[str, object] = {}
_STRICT: Mapping[str, object] = {"profile": "rcc16-strict"}
_NO_PULLS: Mapping[str, object] = {**_STRICT, "changes": {"mls": {"has_server_group_info": False}}}
_P2P: Mapping[str, object] = {"profile": "p2p"}
_DEPLOYMENTS = {
    "deployed": _network(_DEPLOYED, _DEPLOYED),
    "strict": _network(_STRICT, _STRICT),
    "no pulls": _network(_NO_PULLS, _NO_PULLS),
    "red only": _network(_STRICT, _P2P),
    "blue only": _network(_P2P, _STRICT),
    "peer to peer": _network(_P2P, _P2P),
}


def _key_services(stage: Stage, *carriers: str) -> None:
    """Those of *carriers* are down, the others are not."""
    for name, carrier in stage.sim.lab.carriers.items():
        assert carrier.key_service is not None
        carrier.key_service.server.fault = KdsFault(is_down=name in carriers)


# --- how somebody comes to have no state ------------------------------------------------------------------------------

_Loss = Callable[[Stage, str, Phone], Awaitable[Phone]]


async def _no_own_service(stage: Stage, who: str, phone: Phone) -> Phone:
    _key_services(stage, _CARRIERS[who])
    await reinstalled(phone)
    return phone


async def _no_service_of_the_peer(stage: Stage, who: str, phone: Phone) -> Phone:
    _key_services(stage, _CARRIERS[_OTHERS[who]])
    await reinstalled(phone)
    return phone


async def _no_service_at_all(stage: Stage, who: str, phone: Phone) -> Phone:
    _key_services(stage, "red", "blue")
    await reinstalled(phone)
    return phone


async def _another_device(stage: Stage, who: str, phone: Phone) -> Phone:
    _key_services(stage, _CARRIERS[who])
    return await stage.phone(f"{who}2", _NUMBERS[who])


async def _another_owner(stage: Stage, who: str, phone: Phone) -> Phone:
    _key_services(stage, _CARRIERS[who])
    return await new_owner(stage, phone, _NUMBERS[who], _CARRIERS[who])


_LOSSES: Mapping[str, _Loss] = {
    "own key service down": _no_own_service,
    "peer's key service down": _no_service_of_the_peer,
    "both key services down": _no_service_at_all,
    "another device": _another_device,
    "another owner": _another_owner,
}


def _play(net: Callable[[], NetworkFile], story: Callable[[Stage], Awaitable[None]]) -> None:
    scenario(net)(story)()


async def _writes_first(stage: Stage, who: str, loss: _Loss, trouble: Callable[[], None] = lambda: None) -> None:
    """Nothing goes in clear, the writer sees that, and when all is well again there is a lock."""
    alice, bob = await pair_locked(stage)
    phones = {"alice": alice, "bob": bob}
    peer, reader = _NUMBERS[_OTHERS[who]], phones[_OTHERS[who]]
    trouble()
    writer = await loss(stage, who, phones[who])
    message = writer.chat(peer).send("first words")
    await asyncio.sleep(400)
    assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.LOCKED_OUT), notes(stage, writer)
    _key_services(stage)
    for carrier in ("red", "blue"):
        if stage.sim.lab.carriers[carrier].profile.mls.arbitrates_era:
            focus_fault(stage, carrier)
    await asyncio.sleep(900)
    message.send_again()
    await message.delivered(within_s=300)
    assert (message.scheme, texts(reader)[-1]) == (Scheme.MLS, "first words")
    assert writer.chat(peer).label == reader.chat(_NUMBERS[who]).label == LOCKED
    assert readable(stage, "first words") == []


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("loss", _LOSSES)
@pytest.mark.parametrize("deployment", _DEPLOYMENTS)
def test_nothing_goes_in_clear_under_the_lock_of_the_peer(deployment: str, loss: str, who: str) -> None:
    _play(_DEPLOYMENTS[deployment], lambda stage: _writes_first(stage, who, _LOSSES[loss]))


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("deployment", ["no pulls", "peer to peer", "blue only"])
def test_nor_while_the_peer_is_off(deployment: str, who: str) -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await pair_locked(stage)
        writer, reader = (alice, bob) if who == "alice" else (bob, alice)
        await _no_own_service(stage, who, writer)
        await reader.power_off()
        message = writer.chat(_NUMBERS[_OTHERS[who]]).send("first words")
        await asyncio.sleep(400)
        await reader.power_on()
        await asyncio.sleep(400)
        assert message.state is MessageState.FAILED
        assert readable(stage, "first words") == []

    _play(_DEPLOYMENTS[deployment], story)


@pytest.mark.parametrize("reason", [None, *(each for each in ServerFailureReason)])
@pytest.mark.parametrize("deployment", ["deployed", "no pulls"])
def test_no_refusal_of_a_focus_and_no_silence_opens_the_way(
    deployment: str, reason: ServerFailureReason | None
) -> None:
    def trouble(stage: Stage) -> None:
        focus_fault(stage, refuses_with=reason, is_silent=reason is None)

    async def story(stage: Stage) -> None:
        await _writes_first(stage, "bob", _no_own_service, lambda: trouble(stage))

    _play(_DEPLOYMENTS[deployment], story)


# --- what may go in clear ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("down", [("own",), ("peer",), ("own", "peer")])
@pytest.mark.parametrize("deployment", _DEPLOYMENTS)
def test_where_there_never_was_a_lock_it_goes_in_clear(deployment: str, down: tuple[str, ...], who: str) -> None:
    """Whoever is asked says that there is nothing."""
    services = {"own": _CARRIERS[who], "peer": _CARRIERS[_OTHERS[who]]}

    async def story(stage: Stage) -> None:
        _key_services(stage, *(services[each] for each in down))
        alice, bob = await stage.alice_and_bob()
        writer = alice if who == "alice" else bob
        message = await writer.chat(_NUMBERS[_OTHERS[who]]).send("first words")
        await message.delivered(within_s=30)
        assert (message.scheme, writer.chat(_NUMBERS[_OTHERS[who]]).label) == (None, "RCS")

    _play(_DEPLOYMENTS[deployment], story)


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("deployment", _DEPLOYMENTS)
def test_where_the_peer_has_ended_it_it_goes_in_clear(deployment: str, who: str) -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await pair_locked(stage)
        writer, reader = (alice, bob) if who == "alice" else (bob, alice)
        reader.chat(_NUMBERS[who]).end_encryption()
        await asyncio.sleep(30)
        await _no_own_service(stage, who, writer)
        message = await writer.chat(_NUMBERS[_OTHERS[who]]).send("first words")
        await message.delivered(within_s=60)
        assert (message.scheme, reader.chat(_NUMBERS[who]).label) == (None, "RCS")

    _play(_DEPLOYMENTS[deployment], story)


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.parametrize("deployment", ["deployed", "no pulls", "peer to peer"])
def test_a_user_who_consents_goes_on_in_clear(deployment: str, who: str) -> None:
    """An explicit act; what he does not consent to fails."""

    async def story(stage: Stage) -> None:
        alice, bob = await pair_locked(stage)
        writer, peer = (alice, BOB) if who == "alice" else (bob, ALICE)
        await _no_own_service(stage, who, writer)
        refused = writer.chat(peer).send("not in clear")
        await asyncio.sleep(200)
        assert refused.state is MessageState.FAILED
        writer.chat(peer).end_encryption()
        message = await writer.chat(peer).send("then in clear")
        await message.delivered(within_s=60)
        assert message.scheme is None
        assert readable(stage, "not in clear") == []

    _play(_DEPLOYMENTS[deployment], story)
