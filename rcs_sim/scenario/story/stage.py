"""A story on stage: the simulation, its phones by name, its messages by name, and what was recorded so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ims_core.errors import SimulatorError
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.transport.clock import Clock
from rcs_sim.client.chat import Chat
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.story.fallback_policies import ClientFallbackName, with_client_policy
from rcs_sim.scenario.story.reading import Story
from rcs_sim.scenario.story.scenario_file import PhoneEntry

__all__ = ["ELEMENT", "Said", "Stage", "StoryTrace"]

ELEMENT = "scenario"  # source of the records that say where in the story it is
_POLL_S = 0.05  # between two looks at what is waited for, when nothing is recorded; on the simulation's clock
_LONGEST_POLL_S = 5.0
_POLL_GROWTH = 1.2
_SETTLE_S = 1.0  # after the phones are on, before the first step


class StoryTrace(ListSink):
    """The records of a run. *bell*, if there is one, rings with the next."""

    __slots__ = ("bell",)

    def __init__(self) -> None:
        super().__init__()
        self.bell: asyncio.Future[None] | None = None

    def write(self, record: TraceRecord) -> None:
        super().write(record)
        if self.bell is not None and not self.bell.done():
            self.bell.set_result(None)


@dataclass(frozen=True, slots=True)
class Said:
    """A message that the story sent. *to* is a phone or a number; *step* an index; *at* on the simulation's clock, with
    which the clock of its sender's phone need not agree."""

    name: str
    sender: str
    to: str
    message: SentMessage
    step: int
    at: float


class Stage:
    """What the steps of a story act on. *base* is the folder for relative paths."""

    def __init__(self, sim: Simulation, sink: StoryTrace, story: Story) -> None:
        self.sim = sim
        self.sink = sink
        self.story = story
        self.said: dict[str, Said] = {}
        self.base: Path = story.path.parent

    @property
    def clock(self) -> Clock:
        return self.sim.clock

    @property
    def records(self) -> list[TraceRecord]:
        return list(self.sink.records)

    # --- phones ------------------------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """The phones come, in the order of the file."""
        for name, entry in self.story.file.phones.items():
            device = with_client_policy(load_device(entry.device), self.client_fallback(entry))
            await self.sim.add_phone(
                name,
                device,
                entry.carrier,
                msisdn=entry.msisdn,
                reads_after_s=entry.reads_after_s,
                accepts_after_s=entry.accepts_after_s,
                is_on=entry.is_on,
            )
        await asyncio.sleep(_SETTLE_S)

    def client_fallback(self, entry: PhoneEntry) -> ClientFallbackName | None:
        """The client policy of a phone."""
        return entry.client_fallback or self.story.file.policy.client_fallback

    def phone(self, name: str) -> Phone:
        """Raises SimulatorError that lists the phones."""
        try:
            return self.sim.phones[name]
        except KeyError:
            raise SimulatorError(f"there is no phone {name!r}; there are: {', '.join(self.sim.phones)}") from None

    def number(self, name: str) -> str:
        """What the user dials to reach *name*: the number of a phone, or *name* itself."""
        return self.sim.numbers.get(name, name)

    def chat(self, phone: str, peer: str) -> Chat:
        return self.phone(phone).chat(self.number(peer))

    def phones_of(self, address: str) -> list[str]:
        """Every phone with the number of *address*: all its devices."""
        number = self.number(address)
        return [name for name, own in self.sim.numbers.items() if own == number and name in self.sim.phones]

    # --- messages ----------------------------------------------------------------------------------------------------

    def say(self, name: str | None, sender: str, to: str, message: SentMessage, step: int) -> None:
        """Remembers *message*."""
        name = name or f"(step {step + 1})"
        self.said[name] = Said(name, sender, to, message, step, self.clock.now())

    def message(self, name: str) -> Said:
        """Raises SimulatorError that lists the messages."""
        try:
            return self.said[name]
        except KeyError:
            known = ", ".join(self.said) or "none"
            raise SimulatorError(f"there is no message {name!r}; sent so far: {known}") from None

    def as_seen_by(self, phone: str, said: Said) -> SentMessage | ReceivedMessage | None:
        """The message as *phone* has it; None if it does not."""
        if said.sender == phone:
            return said.message
        peer = self.number(said.sender) if self.number(said.sender) != self.number(phone) else self.number(said.to)
        chat = self.chat(phone, peer)
        ids = dict.fromkeys((said.message.wire_id, said.message.id))
        return next((found for each in ids if (found := chat.find(each)) is not None), None)

    # --- time and trace ----------------------------------------------------------------------------------------------

    async def until(self, is_met: Callable[[], bool], deadline: float) -> bool:
        """Waits until *is_met*, or until *deadline* on the simulation's clock; whether it is. Looks whenever something
        is recorded, and now and then."""
        pause_s = _POLL_S
        while not is_met():
            left_s = deadline - self.clock.now()
            if left_s <= 0:
                return False
            pause_s = _POLL_S if await self._recorded(min(pause_s, left_s)) else pause_s * _POLL_GROWTH
            pause_s = min(pause_s, _LONGEST_POLL_S)
        return True

    async def _recorded(self, within_s: float) -> bool:
        """Waits for a record; False if there is none in time."""
        bell = self.sink.bell = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await bell
        except TimeoutError:
            return False
        finally:
            self.sink.bell = None
        return True

    def mark(self, summary: str, **details: object) -> None:
        """A record that says where in the story it is."""
        self.sim.trace.record(
            at=self.clock.now(),
            kind=RecordKind.STATE,
            source=ELEMENT,
            summary=summary,
            details={"machine": "scenario", **details},
        )
