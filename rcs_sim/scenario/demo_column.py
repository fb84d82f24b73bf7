"""One column of the demo: the same conversation, carried in one way, in a network of its own.

The iOS-like phone opens a chat session for its first text; what follows goes in it, among it a text that would be too
long for pager mode. In the columns that fail the network fails while that one is on its way; with encryption the
other carrier's directory of keys is down before, so that the first text finds no key to be sealed with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from ims_core.trace import ListSink, TraceRecord
from rcs_sim.client.display import ShownEvent
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.documents import DemoRow, DemoVerdict
from rcs_sim.scenario.message_outcome import MessageOutcome, observe
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_rules import Violation
from rcs_sim.scenario.simulation import Simulation

__all__ = ["COLUMNS", "LEGACY", "DemoColumn", "PlayedColumn", "play_column"]

_SETTLE_S = 240.0  # a message that is neither shown nor given up by then counts as lost
_READ_AFTER_S = 1.0
_PAUSE_S = 2.0  # between an answer and the next message
_REPAIR_S = 600.0  # after the network is back: until the phones have found out, at the latest
_REPAIR_GUARD_S = 15.0  # reconnectGuardTimer of the carrier profiles (10 s), and a little
_FAILS_AFTER_S = 0.02  # the message has left the phone and has not come to the relay
_FAILING = ("red.pcscf", "red.msrp_relay")  # what red's phones use of RCS, by SIP and by MSRP
_PLAIN, _ENCRYPTING = "two-carriers-plain", "two-carriers"
_NUMBERS = {"alice": "+12025550101", "bob": "+12025550152"}
_PHONES = (("alice", "android", "red"), ("bob", "ios", "blue"))


@dataclass(frozen=True, slots=True)
class _Line:
    sender: str
    text: str


_STOPS = ("the old lighthouse", "the fish market", "the blue bridge", "the rope walk", "the customs house")
_WAY = "".join(
    f" {number}. From {first} it is {4 + number} minutes along the water to {then}, where you keep left at the"
    " second gate and go down the stone steps behind the boat sheds until you see the next sign on the wall."
    for number, (first, then) in enumerate(zip(_STOPS, (*_STOPS[1:], "the harbour"), strict=True), start=1)
)
_CONVERSATION = (
    _Line("alice", "Hi Bob, are we still on for tonight?"),
    _Line("bob", "Yes! Eight at the harbour."),
    _Line("alice", "Great, I will bring the maps." + _WAY),
    _Line("alice", "Still there?"),
    _Line("bob", "See you there 👍"),
)


@dataclass(frozen=True, slots=True)
class DemoColumn:
    """One way to have the conversation.

    name, title        for machines and for people
    network            where it takes place
    devices            of the two phones where they are not the usual ones
    uses_sms           the users choose SMS
    has_no_keys_for    so many messages (from the first) find blue's directory of keys down
    fails_during       while this message (from 0) is on its way red's RCS fails ...
    is_back_before     ... and it is back before this one
    """

    name: str
    title: str
    network: str = _PLAIN
    devices: Mapping[str, str] = field(default_factory=dict)
    uses_sms: bool = False
    has_no_keys_for: int = 0
    fails_during: int | None = None
    is_back_before: int | None = None


COLUMNS = (
    DemoColumn("sms", "SMS only", uses_sms=True),
    DemoColumn("rcs", "plain RCS"),
    DemoColumn("rcs-failing", "plain RCS, the network fails in the middle", fails_during=2, is_back_before=4),
    DemoColumn("mls", "encrypted RCS (MLS)", _ENCRYPTING),
    DemoColumn(
        "mls-failing",
        "encrypted RCS (MLS), no keys at first, then the network fails",
        _ENCRYPTING,
        has_no_keys_for=1,
        fails_during=2,
        is_back_before=4,
    ),
)
_OLD = "android-legacy"
LEGACY = DemoColumn("legacy", "encrypted RCS (legacy one-to-one scheme)", _ENCRYPTING, {"alice": _OLD, "bob": _OLD})


@dataclass(frozen=True, slots=True)
class PlayedColumn:
    """What came of it; *records* are those of the whole run, *keys* the lines of a key log if there was to be one."""

    column: DemoColumn
    rows: list[DemoRow]
    outcomes: list[MessageOutcome]
    records: list[TraceRecord]
    verdict: DemoVerdict
    keys: list[str] = field(default_factory=list, repr=False)

    @property
    def is_good(self) -> bool:
        """Nothing is lost without its sender's knowledge, nothing shown twice, and no phone says what is not so."""
        told = all(row.delivered or row.state == MessageState.FAILED.value for row in self.rows)
        return told and not any(row.duplicates for row in self.rows) and not self.verdict.violations


async def play_column(column: DemoColumn, *, seed: int, is_real: bool, keys: list[str] | None = None) -> PlayedColumn:
    """The conversation in one column, in a network of its own. *keys* takes the lines of a key log."""
    sink, key_log = ListSink(), None if keys is None else keys.append
    async with Simulation(
        network=column.network, seed=seed, is_real=is_real, sinks=[sink], key_log=key_log
    ) as simulation:
        outcomes = await _Scene(column, simulation, sink).play()
    return replace(_played(column, outcomes, list(sink.records)), keys=keys or [])


def _played(column: DemoColumn, outcomes: list[MessageOutcome], records: list[TraceRecord]) -> PlayedColumn:
    oracle = Oracle(records)
    rows = [outcome.row(column.name, oracle.readers(outcome.message)) for outcome in outcomes]
    verdict = DemoVerdict(violations=[_sentence(each) for each in oracle.violations()], operators=oracle.operators())
    return PlayedColumn(column, rows, outcomes, records, verdict)


def _sentence(violation: Violation) -> str:
    evidence = ", ".join(f"#{number}" for number in violation.evidence)
    return f"{violation.kind.value}: {violation.message.name} on {violation.phone}: {violation.why} ({evidence})"


class _Scene:
    """The conversation while it is played."""

    def __init__(self, column: DemoColumn, simulation: Simulation, sink: ListSink) -> None:
        self._column, self._simulation, self._sink = column, simulation, sink
        self._phones: dict[str, Phone] = {}

    async def play(self) -> list[MessageOutcome]:
        for name, device, carrier in _PHONES:
            self._phones[name] = await self._simulation.add_phone(
                name,
                device=self._column.devices.get(name, device),
                carrier=carrier,
                msisdn=_NUMBERS[name],
                reads_after_s=_READ_AFTER_S,
            )
        await asyncio.sleep(_PAUSE_S)
        outcomes: list[MessageOutcome] = []
        for index, line in enumerate(_CONVERSATION):
            await self._change_before(index, outcomes)
            failure = self._fail() if index == self._column.fails_during else None
            outcomes.append(await self._say(line, f"m{index + 1}"))
            if failure is not None:
                await failure
            await asyncio.sleep(_PAUSE_S)
        return outcomes

    async def _change_before(self, index: int, outcomes: list[MessageOutcome]) -> None:
        if self._column.has_no_keys_for and index == 0:
            await self._simulation.begin_fault("kds.down", carrier="blue")
        if self._column.has_no_keys_for and index == self._column.has_no_keys_for:
            await self._simulation.end_fault("kds.down")
        if index != self._column.is_back_before:
            return
        for element in _FAILING:
            await self._simulation.restore(element)
        await _until_registered(self._phones["alice"])
        for number, outcome in enumerate(outcomes):
            if outcome.message.state is MessageState.FAILED:
                outcomes[number] = await self._say_again(outcome)

    def _fail(self) -> asyncio.Task[None]:
        """The network fails in a moment."""

        async def fail() -> None:
            await asyncio.sleep(_FAILS_AFTER_S)
            for element in _FAILING:
                await self._simulation.cut(element)

        return asyncio.get_running_loop().create_task(fail())

    async def _say(self, line: _Line, name: str) -> MessageOutcome:
        receiver = next(other for other in self._phones if other != line.sender)
        sender, peer = self._phones[line.sender], _NUMBERS[receiver]

        async def send() -> SentMessage:
            if self._column.uses_sms:
                return await sender.send_sms(peer, line.text)
            return await sender.chat(peer).send(line.text)

        return await self._observe(name, line.text, sender, self._phones[receiver], send)

    async def _say_again(self, outcome: MessageOutcome) -> MessageOutcome:
        """The user saw "not delivered", and taps on it once more now that there is a network."""
        message = outcome.message

        async def send() -> SentMessage:
            message.send_again()
            return message

        ends = self._phones[outcome.sender], self._phones[outcome.receiver]
        return (await self._observe(outcome.id, outcome.text, *ends, send)).following(outcome)

    async def _observe(
        self, name: str, text: str, sender: Phone, receiver: Phone, send: Callable[[], Awaitable[SentMessage]]
    ) -> MessageOutcome:
        first = len(self._sink.records)
        return await observe(
            name,
            text,
            sender=sender,
            receiver=receiver,
            send=send,
            clock=self._simulation.clock,
            records=lambda: list(self._sink.records)[first:],
            within_s=_SETTLE_S,
        )


async def _until_registered(phone: Phone) -> None:
    """Waits for the phone to find out by itself that the network is back."""
    registered = asyncio.Event()

    def look(_: ShownEvent) -> None:
        if phone.is_registered:
            registered.set()

    phone.watchers.append(look)
    try:
        async with asyncio.timeout(_REPAIR_S):
            await registered.wait()
    except TimeoutError:
        pass  # the next rows show what came of it
    finally:
        phone.watchers.remove(look)
    await asyncio.sleep(_REPAIR_GUARD_S)
