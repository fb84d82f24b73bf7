"""Every deployment that the four booleans can describe (RCC.16 digest §1.1, §14.14), over two carriers: the lock, texts
and receipts both ways, commits of both sides, and the lock again after either phone was reinstalled."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import LOCKED, engine_of, focus_fault, notes, rekey

_FLAGS = ("arbitrates_era", "requires_convergence_ack", "accepts_member_external_commit", "has_server_group_info")
_DEPLOYMENTS = [dict(zip(_FLAGS, values, strict=True)) for values in product((True, False), repeat=4)]


def _named(deployment: dict[str, bool]) -> str:
    return "".join("-+"[deployment[flag]] for flag in _FLAGS)


def _network(deployment: dict[str, bool]) -> NetworkFile:
    file = load_network("two-carriers")
    changes = {"mls": deployment}
    carriers = {name: entry.model_copy(update={"changes": changes}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


async def _say(phone: Phone, peer: str, text: str) -> None:
    message = await phone.chat(peer).send(text)
    await message.displayed(within_s=600)
    assert message.scheme is Scheme.MLS, text


@pytest.mark.parametrize(("ours", "theirs"), [("android", "ios"), ("ios", "android")])
@pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=_named)
def test_the_lock_is_set_kept_and_regained(deployment: dict[str, bool], ours: str, theirs: str) -> None:
    @scenario(_network(deployment))
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE, ours, reads_after_s=1.0)
        bob = await stage.phone("bob", BOB, theirs, reads_after_s=1.0)
        await asyncio.sleep(2)
        turns = [(alice, BOB), (bob, ALICE)]
        for phone, peer in turns:
            await _say(phone, peer, f"secret of {phone.name}")
        for phone, peer in turns:
            rekey(phone, peer)
            await asyncio.sleep(60)
            assert engine_of(alice, BOB).identifier == engine_of(bob, ALICE).identifier, notes(stage, phone)
        for wiped, own, other in ((bob, ALICE, alice), (alice, BOB, bob)):
            await wiped.wipe()
            await wiped.power_on()
            peer = BOB if other is alice else ALICE
            await _say(other, peer, f"secret for the new phone of {wiped.name}")
            await _say(wiped, own, f"secret of the new phone of {wiped.name}")
            assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
        assert texts(alice)[-1] == "secret for the new phone of alice"
        assert readable(stage, "secret") == []
        assert stage.errors() == []

    story()


@pytest.mark.parametrize(("requires", "device"), [(True, "android"), (False, "android"), (True, "ios"), (False, "ios")])
def test_messages_wait_for_convergence_where_the_deployment_asks_for_it_and_the_device_does(
    requires: bool, device: str
) -> None:
    """A focus that never says that everybody has the commit: 90 s at most (RCC.16 digest §5.9)."""

    @scenario(_network({"requires_convergence_ack": requires}))
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE, device)
        await stage.phone("bob", BOB, "ios")
        await asyncio.sleep(2)
        await (await alice.chat(BOB).send("first")).delivered(within_s=30)
        focus_fault(stage, holds_convergence=True)
        rekey(alice, BOB)
        await asyncio.sleep(2)
        began = stage.sim.clock.now()
        await (await alice.chat(BOB).send("after the commit")).delivered(within_s=120)
        waited_s = stage.sim.clock.now() - began
        assert waited_s > 80 if requires and device == "android" else waited_s < 5, waited_s

    story()


def test_sixteen_messages_wait_for_convergence_and_what_does_not_fit_fails_visibly() -> None:
    """Nothing of it is lost without a word, and the user can send it again (RCC.16 digest §5.9, §10.8)."""

    @scenario(_network({"requires_convergence_ack": True}))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.phone("alice", ALICE, "android"), await stage.phone("bob", BOB, "ios")
        await asyncio.sleep(2)
        burst = [alice.chat(BOB).send(f"before the lock {number}") for number in range(20)]
        for message in burst:  # the queue of a set-up is no gate of convergence
            await message.delivered(within_s=60)
        focus_fault(stage, holds_convergence=True)
        rekey(alice, BOB)
        await asyncio.sleep(2)
        waiting = [alice.chat(BOB).send(f"after the commit {number}") for number in range(18)]
        await asyncio.sleep(1)
        refused = [message for message in waiting if message.state is MessageState.FAILED]
        assert refused == waiting[16:]
        assert {message.reason for message in refused} == {FallbackReason.TOO_MANY_WAIT}
        assert {message.reason for message in waiting[:16]} == {FallbackReason.CONVERGING}
        for message in waiting[:16]:
            await message.delivered(within_s=120)
        for message in refused:
            message.send_again()
            await message.delivered(within_s=30)
        expected = [message.text for message in (*burst, *waiting)]
        assert texts(bob) == expected
        assert readable(stage, "before the lock") == readable(stage, "after the commit") == []

    story()
