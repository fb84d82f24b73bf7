"""Large message mode streams past every server unread: nothing of a focus is taken there (digest RCC.16 §14.1)."""

from __future__ import annotations

import asyncio

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.pager import date_time_of
from rcs_sim.client.phone import Phone
from rcs_sim.client.session_sender import ControlCarried, SessionOutcome
from rcs_sim.e2ee.server_message import AcceptedMessage, encode_server_message
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.wire.cpim import ANONYMOUS_URI, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED, engine_of, locked, pair_locked

_SERVER = "message/mls-rcs-server"


async def _in_large_mode(sender: Phone, peer: str, content_type: str, body: bytes) -> list[object]:
    """What the network said to a large message of the encryption plane, which no phone of ours sends."""
    messenger, said = sender._messenger, list[object]()
    sessions = messenger.sessions
    assert sessions is not None
    octets = compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=f"forged-{content_type}-{len(body)}",
        date_time=date_time_of(messenger.alarms.now()),
        body=body,
        content_type=content_type,
    )

    def settled(outcome: SessionOutcome) -> None:
        said.append(outcome.outcome)

    session = sessions._open(messenger.conversation(peer, ""), is_large=True, has_fewer_types=False, target=None)
    session.submit(ControlCarried(octets, settled))
    await asyncio.sleep(30)
    return said


def _refusal(message_id: str) -> bytes:
    imdn = Imdn(message_id, "", ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason="incorrect-era")
    return imdn.encode()


@pytest.mark.parametrize("content_type", [_SERVER, "message/mls-rcs-client", "message/mls-rcs", "message/mls-unheard"])
@scenario("two-carriers", is_read_by_others=False)
async def test_control_in_large_mode_is_refused_by_who_gets_it(stage: Stage, content_type: str) -> None:
    alice, bob = await pair_locked(stage)
    before = engine_of(bob, ALICE).identifier
    forged = encode_server_message(AcceptedMessage("anything", before))
    assert await _in_large_mode(alice, BOB, content_type, forged) == [415]
    assert engine_of(bob, ALICE).identifier == before
    assert bob.chat(ALICE).label == LOCKED
    shown = [one.summary for one in stage.sink.records if one.kind is RecordKind.ERROR and one.source == "bob"]
    assert any("large message mode" in summary for summary in shown)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_refusal_in_large_mode_is_not_the_one_of_a_focus(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    message = bob.chat(ALICE).send("mine")
    await message.delivered(within_s=30)
    octets = engine_of(bob, ALICE).exchange.find_sealed(message.id)
    assert await _in_large_mode(alice, BOB, "message/imdn+xml", _refusal(message.id)) == [415]
    assert message.state in (MessageState.DELIVERED, MessageState.DISPLAYED)
    assert engine_of(bob, ALICE).exchange.find_sealed(message.id) == octets is not None


@pytest.mark.parametrize("content_type", [_SERVER, "message/mls-rcs-client", "message/imdn+xml"])
@scenario("two-carriers", is_read_by_others=False)
async def test_nothing_of_that_kind_waits_in_the_store_for_who_is_away(stage: Stage, content_type: str) -> None:
    alice, bob = await locked(stage)
    before = engine_of(bob, ALICE).identifier
    await bob.power_off()
    body = _refusal("m") if content_type == "message/imdn+xml" else encode_server_message(AcceptedMessage("x", before))
    await _in_large_mode(alice, BOB, content_type, body + b"<!---->" * 400)
    await bob.power_on()
    await asyncio.sleep(60)
    forged = f"forged-{content_type}".encode()
    heard = [one for one in stage.sink.records if one.target == "bob" and forged in one.raw]
    assert heard == []
    message = await bob.chat(ALICE).send("still here")
    await message.delivered(within_s=60)


def _without_chat() -> NetworkFile:
    file = load_network("two-carriers")
    changed = {
        name: entry.model_copy(update={"changes": {"chat_auth": False}}) for name, entry in file.carriers.items()
    }
    return file.model_copy(update={"carriers": changed})


@scenario(_without_chat, is_read_by_others=False)
async def test_where_users_have_no_sessions_control_still_goes_in_one_and_never_in_large_mode(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    first = await alice.chat(BOB).send("a secret")
    await first.delivered(within_s=60)
    long = await bob.chat(ALICE).send("a long secret " * 200)
    await long.delivered(within_s=60)
    assert first.scheme is long.scheme is Scheme.MLS
    invites = [one.raw for one in stage.sink.records if one.source == "alice" and one.summary.startswith("INVITE ")]
    assert invites
    assert all(
        b"oma.cpm.session" in raw and b"oma.cpm.largemsg" not in raw.partition(b"\r\nContact")[0] for raw in invites
    )
    assert readable(stage, "secret") == []
