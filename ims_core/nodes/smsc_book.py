"""What a service centre knows: stored messages, queues, connections, counters; and the actions it has decided on."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TypeAlias, TypeVar

from ims_core.cx import Sh
from ims_core.nodes.deadlines import Deadlines
from ims_core.nodes.smsc_actions import Action, Forget, Note, Persist, SmscConfig
from ims_core.nodes.smsc_links import LinkTable
from ims_core.nodes.smsc_queue import Destination, DestinationKind, DestinationQueue, StoredMessage
from ims_core.store.short_messages import ShortMessage, short_message_key
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsSubmit

__all__ = ["MessageBook", "SmscTimer"]

_REMEMBERED = 10_000  # transfers and texts by which a repetition is recognised

K = TypeVar("K")
V = TypeVar("V")


class SmscTimer(Enum):
    BIND = auto()  # of a link that has not said who it is
    ANSWER = auto()  # of a FORWARD, by its reference
    RETRY = auto()  # of a destination
    EXPIRY = auto()  # of a message, by its number


TimerKey: TypeAlias = tuple[SmscTimer, int | Destination]


class MessageBook:
    """State that accepting, delivering and answering share. *smsc_of* gives the element name of the service centre that
    serves a number, None for nobody's number."""

    __slots__ = (
        "_last_number",
        "_stamped",
        "_submitted",
        "_taken",
        "config",
        "deadlines",
        "links",
        "out",
        "queued",
        "queues",
        "sh",
        "smsc_of",
        "storing",
    )

    def __init__(self, config: SmscConfig, sh: Sh, smsc_of: Callable[[str], str | None]) -> None:
        self.config = config
        self.sh = sh
        self.smsc_of = smsc_of
        self.links = LinkTable(config, sh)
        self.out: list[Action] = []
        self.deadlines: Deadlines[TimerKey] = Deadlines()
        self.queues: dict[Destination, DestinationQueue] = {}
        self.queued: dict[int, DestinationQueue] = {}  # by message number
        self.storing: dict[int, StoredMessage] = {}  # handed to the store, not safe yet
        self._taken: dict[str, bytes] = {}  # identifier of a transfer -> its time stamp
        self._stamped: dict[tuple[str, str, bytes], int] = {}
        self._submitted: dict[tuple[str, str, int, bytes], None] = {}
        self._last_number = 0

    # --- messages ----------------------------------------------------------------------------------------------------

    @property
    def stored_count(self) -> int:
        return len(self.queued) + len(self.storing)

    def store(self, message: StoredMessage) -> None:
        self.storing[message.record.number] = message
        self.out.append(Persist(message.record))

    def add(self, message: StoredMessage) -> DestinationQueue:
        """A safe message goes to the end of its queue."""
        record = message.record
        if record.identifier:
            _remember(self._taken, record.identifier, record.submitted_at)
        if isinstance(message.tpdu, SmsSubmit):
            _remember(self._submitted, _submission_key(record.originator, record.destination, message.tpdu), None)
        self._last_number = max(self._last_number, record.number)
        destination = Destination.of(record)
        queue = self.queues.get(destination)
        if queue is None:
            queue = self.queues[destination] = DestinationQueue(destination)
        queue.messages.append(message)
        self.queued[record.number] = queue
        self.deadlines.set((SmscTimer.EXPIRY, record.number), record.expires_at)
        return queue

    def forget(self, record: ShortMessage) -> None:
        self.queued.pop(record.number, None)
        self.deadlines.remove((SmscTimer.EXPIRY, record.number))
        self.out.append(Forget(short_message_key(record.number)))

    def time_stamp_of(self, identifier: str) -> Timestamp | None:
        """Of a transfer that was taken before; None if it is new, or too old to be remembered."""
        octets = self._taken.get(identifier)
        return None if octets is None else Timestamp(octets)

    def was_submitted(self, originator: str, destination: str, submit: SmsSubmit) -> bool:
        """Whether it was taken before, also if it has been delivered since."""
        return _submission_key(originator, destination, submit) in self._submitted

    def peer_of(self, destination: Destination) -> str | None:
        """The other service centre that serves it; None if this one does."""
        if destination.kind is DestinationKind.SERVICE_CENTRE:
            return destination.name
        smsc = self.smsc_of(destination.name) if destination.kind is DestinationKind.NUMBER else None
        return None if smsc is None or smsc == self.config.name else smsc

    # --- counters ----------------------------------------------------------------------------------------------------

    def next_number(self, now: float) -> int:
        """Microseconds since the epoch: no number comes twice, not even after a restart."""
        self._last_number = max(self._last_number + 1, int(now * 1_000_000))
        return self._last_number

    def stamp(self, now: float) -> Timestamp:
        return Timestamp.at(now, self.config.zone_quarters)

    def distinct_stamp(self, originator: str, destination: str, submit: SmsSubmit, now: float) -> Timestamp:
        """TP-SCTS. Equal messages to one receiver get different ones, at least a second apart: receivers take the same
        content with the same time stamp for a repetition (choice)."""
        key = (originator, destination, submit.user_data.encode(submit.data_coding))
        moment = max(int(now), self._stamped.get(key, 0) + 1)
        _remember(self._stamped, key, moment)
        return self.stamp(moment)

    # --- outputs -----------------------------------------------------------------------------------------------------

    def note(self, summary: str, **details: str) -> None:
        self.out.append(Note(summary, details))

    def drain(self) -> list[Action]:
        out, self.out = self.out, []
        return out


def _submission_key(originator: str, destination: str, submit: SmsSubmit) -> tuple[str, str, int, bytes]:
    return originator, destination, submit.message_reference, submit.user_data.encode(submit.data_coding)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    """Bounded: the oldest is forgotten."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]
