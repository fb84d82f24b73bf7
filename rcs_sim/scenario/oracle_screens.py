"""What the phones of a trace showed to their users: texts, ticks, labels, locks, and what a user agreed to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.scenario.oracle_hops import digits_of

__all__ = ["Label", "Screens", "Showing", "Tick", "UserMessage", "WayOut"]

_LOCK = "encrypted"  # in a label
_TEXTS = (Shown.MESSAGE, Shown.CHANGE)
_TICKS = (Shown.SENT, Shown.DELIVERED, Shown.DISPLAYED, Shown.SENT_AS_SMS, Shown.FAILED)
_NEVER: list[int] = []
_EMPTY = ("wiped", "exchanged")  # a handset without anything on its screen goes on under that name


@dataclass(frozen=True, slots=True)
class Label:
    """Of a conversation from record *number* on."""

    number: int
    at: float
    label: str
    scheme: str

    @property
    def has_lock(self) -> bool:
        return bool(self.scheme) or _LOCK in self.label


@dataclass(frozen=True, slots=True)
class Tick:
    """Something that a phone showed about one message. *transport* and *label* are "" where the record does not say."""

    number: int
    at: float
    what: str
    transport: str
    scheme: str
    label: str
    reason: str

    @property
    def has_lock(self) -> bool | None:
        """None: it says nothing about it."""
        if self.scheme or self.label:
            return bool(self.scheme) or _LOCK in self.label
        return False if self.transport else None


@dataclass(frozen=True, slots=True)
class Showing:
    """A text of somebody else that appeared on *phone*."""

    phone: str
    peer: str  # as the phone names the sender
    text: str
    message_id: str
    conversation_id: str
    tick: Tick

    @property
    def number(self) -> int:
        return self.tick.number

    @property
    def at(self) -> float:
        return self.tick.at


@dataclass(frozen=True, slots=True)
class WayOut:
    """The end of the encryption of a conversation, as a phone knows it from record *number* on, or its user's consent
    to go on without."""

    number: int
    peer: str
    conversation_id: str
    message_id: str
    what: str

    @property
    def is_of_user(self) -> bool:
        """Whether the user agreed to it."""
        return self.what.startswith("the user")

    @property
    def key(self) -> str:
        """What it is about: one message, or a conversation, or whoever is at the other end."""
        return self.message_id or self.conversation_id or self.peer


@dataclass(slots=True, eq=False)
class UserMessage:
    """A text that a user sent. *phone* is the sender's, "" for one that no phone of this trace sent; *peer* is whom it
    went to. *ticks* are the sender's; *showings* are those on the phones of the receiver, in order. A reaction, an edit
    or a recall has its *kind*, and the id of its *target*."""

    name: str
    id: str
    phone: str
    peer: str
    text: str
    conversation_id: str
    number: int
    at: float
    kind: str = ""
    target: str = ""
    ticks: list[Tick] = field(default_factory=list)
    showings: list[Showing] = field(default_factory=list)

    @property
    def is_foreign(self) -> bool:
        """Whether nothing is known of its sender but the number."""
        return not self.phone

    @property
    def mark(self) -> str:
        """The last tick that the sender saw; "" while it waits."""
        return self.ticks[-1].what if self.ticks else ""


class Screens:
    """Everything that is shown, by phone. Fed with every record, in order."""

    __slots__ = (
        "_by_id",
        "_labels",
        "_numbers",
        "_phones",
        "_reached",
        "_ways_out",
        "_wiped_at",
        "_wipes",
        "sent",
        "showings",
    )

    def __init__(self) -> None:
        self.sent: list[UserMessage] = []
        self.showings: list[Showing] = []
        self._by_id: dict[str, UserMessage] = {}
        self._labels: dict[tuple[str, str], list[Label]] = defaultdict(list)
        self._ways_out: dict[tuple[str, str], list[WayOut]] = defaultdict(list)
        self._phones: dict[str, None] = {}
        self._numbers: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._reached: dict[str, float] = {}
        self._wipes: dict[str, list[int]] = defaultdict(list)
        self._wiped_at: dict[str, list[float]] = defaultdict(list)

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, record: TraceRecord) -> None:
        match record.kind:
            case RecordKind.MESSAGE:
                self._reached[record.target] = record.at
            case RecordKind.SHOWN:
                self._phones.setdefault(record.source)
                self._read_shown(record, record.details)
            case RecordKind.STATE:
                self._read_state(record, record.details)
            case _:
                pass

    def is_number_of(self, phone: str, digits: str, number: int) -> None:
        """In record *number* the network called *phone* by this number: it may have another SIM than before."""
        told = self._numbers[phone]
        if not told or told[-1][1] != digits:
            told.append((number, digits))

    def _read_shown(self, record: TraceRecord, details: Any) -> None:
        what, peer = _word(details, "what"), _word(details, "peer")
        if what in _TEXTS:
            if _word(details, "direction") == "out":
                self._sent(record, peer, details)
            else:
                self._came(record, peer, details)
        elif what in _TICKS:
            message = self._by_id.get(record.imdn_message_id or "")
            if message is not None and message.phone == record.source:
                message.ticks.append(_tick(record))
        elif what == Shown.LABEL:
            label = Label(record.number, record.at, _word(details, "label"), _word(details, "scheme"))
            self._labels[record.source, peer].append(label)
        elif what == Shown.TOMBSTONE and _tells_the_end(record, details):
            self._add_way_out(record, peer, "the phone showed that encryption ended")

    def _sent(self, record: TraceRecord, peer: str, details: Any) -> None:
        message_id = record.imdn_message_id or ""
        if message_id in self._by_id:
            return  # on another screen of the same user
        conversation_id = record.conversation_id or ""
        name = f"m{len(self.sent) + 1}"
        message = UserMessage(
            name, message_id, record.source, peer, _word(details, "text"), conversation_id, record.number, record.at
        )
        message.kind, message.target = _word(details, "kind"), _word(details, "target")
        if _tick(record).has_lock is not None:
            message.ticks.append(_tick(record))
        self.sent.append(message)
        if message_id:
            self._by_id[message_id] = message

    def _came(self, record: TraceRecord, peer: str, details: Any) -> None:
        ids = record.imdn_message_id or "", record.conversation_id or ""
        self.showings.append(Showing(record.source, peer, _word(details, "text"), *ids, _tick(record)))

    def _read_state(self, record: TraceRecord, details: Any) -> None:
        machine, state = _word(details, "machine"), _word(details, "state")
        if not machine:
            return
        self._phones.setdefault(record.source)
        if machine == "phone" and state in _EMPTY:
            self._wipes[record.source].append(record.number)
            self._wiped_at[record.source].append(record.at)
        elif machine == "consent" and state == "given":
            self._add_way_out(record, _word(details, "peer"), "the user agreed to go on without encryption")
        elif machine == "fallback" and _word(details, "reason") == FallbackReason.USER_CHOSE_SMS.value:
            self._add_way_out(record, "", "the user chose SMS for this message")

    def _add_way_out(self, record: TraceRecord, peer: str, what: str) -> None:
        is_of_one = what.startswith("the user")  # the end of an encryption is of all messages
        message_id = (record.imdn_message_id or "") if is_of_one else ""
        way = WayOut(record.number, peer, record.conversation_id or "", message_id, what)
        self._ways_out[record.source, way.key].append(way)

    # --- asking ------------------------------------------------------------------------------------------------------

    @property
    def phones(self) -> tuple[str, ...]:
        """Elements with a screen, in the order in which they appeared."""
        return tuple(self._phones)

    def number(self, phone: str, at: int) -> str:
        """Bare digits, at the time of record *at*; "" if the trace does not tell."""
        told = self._numbers.get(phone)
        if not told:
            return ""
        place = bisect_right(told, at, key=lambda each: each[0])
        return told[max(0, place - 1)][1]

    def has_number(self, phone: str) -> bool:
        """Whether the trace has told any number of it yet."""
        return phone in self._numbers

    def phones_of(self, peer: str, at: int) -> tuple[str, ...]:
        """Those with the number of *peer* at the time of record *at*."""
        digits = digits_of(peer)
        return tuple(phone for phone in self._phones if digits and self.number(phone, at) == digits)

    def last_reached(self, phone: str) -> float:
        """When octets came to *phone* for the last time; 0.0 if none did."""
        return self._reached.get(phone, 0.0)

    def labels(self, phone: str, peer: str) -> list[Label]:
        """Of one conversation, in order."""
        return self._labels.get((phone, peer), [])

    def conversations(self) -> Iterator[tuple[tuple[str, str], list[Label]]]:
        """Phone and peer, with the labels."""
        yield from self._labels.items()

    def label_at(self, phone: str, peer: str, number: int) -> Label | None:
        """The label in force before record *number*."""
        labels = self.labels(phone, peer)
        place = bisect_left(labels, number, key=lambda label: label.number)
        return labels[place - 1] if place else None

    def wipes_before(self, phone: str, number: int) -> int:
        """How often *phone* had been reset to its factory state, or exchanged for another handset, before
        record *number*: its screen was empty then."""
        return bisect_left(self._wipes.get(phone, _NEVER), number)

    def is_wiped_after(self, phone: str, number: int) -> bool:
        return any(each > number for each in self._wipes.get(phone, _NEVER)[-1:])

    def is_wiped_within(self, phone: str, at: float, seconds: float) -> bool:
        """Whether it was reset no later than *seconds* after *at*."""
        return any(at <= each <= at + seconds for each in self._wiped_at.get(phone, ()))

    def ways_out(self, message: UserMessage) -> Iterator[WayOut]:
        """Those that hold for the conversation of *message*, or for it alone."""
        for key in dict.fromkeys((message.id, message.conversation_id, message.peer)):
            yield from self._ways_out.get((message.phone, key), ())


def _tick(record: TraceRecord) -> Tick:
    details = record.details
    words = (_word(details, name) for name in ("what", "transport", "scheme", "label", "reason"))
    return Tick(record.number, record.at, *words)


def _word(details: Any, name: str) -> str:
    value = details.get(name) if isinstance(details, dict) else None
    return value if isinstance(value, str) else ""


def _tells_the_end(record: TraceRecord, details: Any) -> bool:
    return "encryption ended" in f"{_word(details, 'text')} {_word(details, 'reason')} {record.summary}".lower()
