"""The network is killed ten times under traffic: what it had acknowledged arrives, and nothing is shown twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import Consent, DevicePolicy
from rcs_sim.scenario.loader import load_device
from tests.support.killed_network import KilledNetwork, RawReceiver, RawSender, killed_network
from tests.support.lineage_script import LineageLab
from tests.support.real_phones import RealPhones, real_phones, until

pytestmark = pytest.mark.slow

_KILLS = 10
_MESSAGES = 200
_BURST = _MESSAGES // _KILLS
_WITHIN_S = 300.0  # ten times what it takes on a quiet machine
_ENDED = (MessageState.DELIVERED, MessageState.DISPLAYED, MessageState.FAILED)

# ------------------------------------------------------------------------------------------- clients that count answers


class _Killer:
    """Kills in the middle of what is under way, each time after another number of answers."""

    def __init__(self, network: KilledNetwork) -> None:
        self._network = network
        self._answers = 0
        self._next_at = _BURST - 5
        self._is_due = asyncio.Event()

    def acknowledged(self) -> None:
        self._answers += 1
        if self._network.kills < _KILLS and self._answers >= self._next_at:
            self._network.kill()
            self._next_at = self._answers + _BURST - 5 + self._network.kills % 5
            self._is_due.set()

    async def run(self) -> None:
        for _ in range(_KILLS):
            await self._is_due.wait()
            self._is_due.clear()
            await self._network.start()


class _Pair:
    """A sender of red and a receiver of blue; *number* counts through mode and presence."""

    def __init__(self, network: KilledNetwork, killer: _Killer, number: int) -> None:
        red, blue = (network.document["carriers"][name] for name in ("red", "blue"))
        by_session, self.is_there = number > 1, number % 2 == 0
        self.name = f"{'session' if by_session else 'pager'}, {'present' if self.is_there else 'absent'}"
        ours, theirs = f"+1212555010{number}", f"+1312555010{number}"
        self.receiver = RawReceiver(network, LineageLab(blue, theirs, ours))
        self.sender = RawSender(
            network,
            LineageLab(red, ours, theirs),
            [f"m{number}-{message}" for message in range(_MESSAGES // 4)],
            by_session=by_session,
            acknowledged=killer.acknowledged,
        )

    @property
    def has_all(self) -> bool:
        return set(self.sender.acknowledged) <= set(self.receiver.arrived)

    @property
    def repeated(self) -> dict[str, int]:
        """What arrived more often than it was sent."""
        sent = self.sender.acknowledged
        return {one: count for one, count in Counter(self.receiver.arrived).items() if count > sent[one]}


async def test_what_raw_clients_got_a_2xx_for_arrives_over_ten_kills(tmp_path: Path) -> None:
    """In pager mode and in sessions, to somebody who is there and to somebody who registers at the end only."""
    async with killed_network(tmp_path, bulk=8, bulk_service="rcs", blue_bulk=8) as network, asyncio.timeout(_WITHIN_S):
        killer = _Killer(network)
        pairs = [_Pair(network, killer, number) for number in range(4)]
        async with asyncio.TaskGroup() as receiving:
            tasks = [receiving.create_task(one.receiver.run(), name=one.name) for one in pairs if one.is_there]
            async with asyncio.TaskGroup() as sending:
                sending.create_task(killer.run(), name="killer")
                for one in pairs:
                    sending.create_task(one.sender.run(), name=one.name)
            tasks += [receiving.create_task(one.receiver.run(), name=one.name) for one in pairs if not one.is_there]
            for one in pairs:
                await one.receiver.until(lambda one=one: one.has_all)
            for task in tasks:
                task.cancel()
        assert network.kills == _KILLS
        assert sum(len(one.sender.acknowledged) for one in pairs) == _MESSAGES
        assert sum(sum(one.sender.acknowledged.values()) for one in pairs) > _MESSAGES, "the kills hit nothing"
        for one in pairs:
            assert one.has_all, one.name
            assert one.is_there or not one.repeated, (one.name, one.repeated)


# ------------------------------------------------------------------------------------------------------ emulated phones


def _device(*, by_session: bool) -> DevicePolicy:
    """It has nothing but RCS: no SMS hides what is lost."""
    device = load_device("ios" if by_session else "android")
    fallback = replace(device.fallback, revokes=False, consent=Consent.NEVER, consent_when_rcs_down=Consent.NEVER)
    session = device.session if by_session else replace(device.session, supported=False)
    return replace(device, fallback=fallback, session=session)


@pytest.mark.parametrize("by_session", [False, True], ids=["pager", "session"])
async def test_phones_repair_what_ten_kills_interrupt_and_show_nothing_twice(
    tmp_path: Path, *, by_session: bool
) -> None:
    async with killed_network(tmp_path) as network, real_phones() as phones, asyncio.timeout(_WITHIN_S):
        alice, bob = await _two(phones, network.document["carriers"], _device(by_session=by_session))
        sent: list[SentMessage] = []
        for kill in range(_KILLS):
            await until(phones, lambda: alice.is_registered and bob.is_registered, _WITHIN_S)
            sent += _write(alice, bob, kill)
            await _taken(phones, sent, kill % 7)
            await network.restart()
        await until(phones, lambda: all(one.state in _ENDED for one in sent), _WITHIN_S)
        assert len(sent) == _MESSAGES
        assert not [f"{one!r} {one.history}" for one in sent if one.state is MessageState.FAILED]
        assert {one.transport for one in sent} == {MessageTransport.RCS}
        shown = Counter(one.text for phone in (alice, bob) for chat in phone.chats for one in chat.messages)
        assert set(shown.values()) == {2}, "once at the sender, once at the receiver"
        assert bool(phones.messages("INVITE")) is by_session
        if by_session:
            _check_ends(phones)


async def _two(phones: RealPhones, carriers: Mapping[str, Any], device: DevicePolicy) -> tuple[Phone, Phone]:
    alice = await phones.add("alice", carriers["red"], "+12025550101", device)
    bob = await phones.add("bob", carriers["blue"], "+12025550152", device)
    assert alice.is_registered, phones.ladder()
    assert bob.is_registered, phones.ladder()
    return alice, bob


def _write(alice: Phone, bob: Phone, burst: int) -> list[SentMessage]:
    """Both write to each other."""
    pairs = ((alice, bob), (bob, alice))
    return [
        writer.chat(reader).send(f"{writer.name} {burst}.{number}")
        for number in range(_BURST // 2)
        for writer, reader in pairs
    ]


async def _taken(phones: RealPhones, sent: list[SentMessage], count: int) -> None:
    """Waits until the network has taken more than *count* of the last burst, and all before it: a phone tries once more
    with a message whose connection fails (digest §8.6), so one that a second kill catches fails, and says so."""
    taken = (MessageState.SENT, MessageState.DELIVERED, MessageState.DISPLAYED)
    earlier, last = sent[:-_BURST], sent[-_BURST:]

    def is_over() -> bool:
        are_taken = all(one.state in taken for one in earlier) and sum(one.state in taken for one in last) > count
        return are_taken or any(one.state is MessageState.FAILED for one in sent)

    await until(phones, is_over, _WITHIN_S)
    assert not [f"{one!r} {one.history}" for one in sent if one.state is MessageState.FAILED], phones.ladder()


def _check_ends(phones: RealPhones) -> None:
    """Each session that ended says why."""
    states = [one for one in phones.sink.records if one.kind is RecordKind.STATE and one.summary.startswith("session")]
    ended = [one for one in states if "ended" in one.summary]
    assert len(ended) >= _KILLS, states
    assert all(one.details.get("reason") for one in ended)
