"""What a trace tells of the calendar of encrypted conversations: certificates, key packages, leaves and refusals
(RCC.16 §5, §9.5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ims_core.trace import RecordKind, TraceRecord

__all__ = ["DAY_S", "Calendar", "Leaf", "Refusal", "Renewal", "read_calendar"]

DAY_S = 86_400.0
_CERTIFICATE, _KEY_PACKAGES = "/mls/v1/certificate", "/mls/v1/keypackages"
_OWN_LEAF = frozenset(("create", "epoch advance", "era advance", "external commit", "revive"))  # of what was accepted


@dataclass(frozen=True, slots=True)
class Renewal:
    """A key service gave *phone* a certificate until *not_after*, or took its key packages."""

    at: float
    phone: str
    what: str
    not_after: float | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """From *at* on the leaf of a phone in a conversation has the certificate that ends at *not_after*; None when the
    conversation is not encrypted any more."""

    at: float
    not_after: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The arbiter refused a message of *phone* because of a certificate."""

    at: float
    phone: str
    conversation: str
    reason: str


@dataclass(slots=True)
class Calendar:
    """All of it, from *begin* to *end* of the trace. *leaves* by conversation and phone."""

    begin: float = 0.0
    end: float = 0.0
    renewals: list[Renewal] = field(default_factory=list)
    refreshes: list[Renewal] = field(default_factory=list)
    leaves: dict[tuple[str, str], list[Leaf]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def day(self, at: float) -> float:
        """Days since the trace began."""
        return (at - self.begin) / DAY_S

    @property
    def phones(self) -> list[str]:
        """With a certificate, in the order of their first."""
        return list(dict.fromkeys(each.phone for each in self.renewals))

    def renewals_of(self, phone: str) -> list[Renewal]:
        return [each for each in self.renewals if each.phone == phone]

    def refreshes_of(self, phone: str) -> list[Renewal]:
        return [each for each in self.refreshes if each.phone == phone]


def read_calendar(records: Iterable[TraceRecord]) -> Calendar:
    """Reads a whole trace."""
    reader = _Reader()
    for record in records:
        reader.take(record)
    return reader.calendar


class _Reader:
    """Goes through a trace. A call of a phone is matched with what its key service noted of it by their order."""

    __slots__ = ("_asked", "_names", "_not_after", "_numbers", "calendar")

    def __init__(self) -> None:
        self.calendar = Calendar()
        self._asked: dict[tuple[str, str], list[str]] = {}  # phones that wait, by key service and call
        self._not_after: dict[str, float] = {}  # of the present certificate, by phone
        self._names: dict[str, str] = {}  # of conversations, by id
        self._numbers: dict[str, str] = {}  # phones by number, the first of each

    def take(self, record: TraceRecord) -> None:
        if not self.calendar.begin:
            self.calendar.begin = record.at
        self.calendar.end = max(self.calendar.end, record.at)
        if record.kind is RecordKind.MESSAGE:
            self._request(record)
        elif record.kind is RecordKind.STATE:
            self._state(record)

    def _request(self, record: TraceRecord) -> None:
        for call in (_CERTIFICATE, _KEY_PACKAGES):
            if record.raw.startswith(b"POST %s " % call.encode()):
                self._asked.setdefault((record.target, call), []).append(record.source)

    def _state(self, record: TraceRecord) -> None:
        call = record.details.get("call")
        if call in (_CERTIFICATE, _KEY_PACKAGES):
            self._served(record, str(call))
        elif record.details.get("machine") == "encryption" and record.conversation_id is not None:
            self._conversation(record, record.conversation_id, record.details)

    def _served(self, record: TraceRecord, call: str) -> None:
        waiting = self._asked.get((record.source, call))
        if not waiting:
            return
        phone, not_after = waiting.pop(0), record.details.get("not_after")
        self._numbers.setdefault(f"+{record.details.get('msisdn')}", phone)
        if call == _KEY_PACKAGES and "stored" in record.details:
            self.calendar.refreshes.append(Renewal(record.at, phone, record.summary))
        elif isinstance(not_after, int | float):
            self._not_after[phone] = float(not_after)
            self.calendar.renewals.append(Renewal(record.at, phone, record.summary, float(not_after)))

    def _conversation(self, record: TraceRecord, conversation: str, details: Mapping[str, object]) -> None:
        phone, state, reason = record.source, details.get("state"), str(details.get("reason", ""))
        peer = str(details.get("peer", "a peer"))
        name = self._names.setdefault(conversation, f"{phone} and {self._numbers.get(peer, peer)}")
        is_own = state == "accepted" and reason in _OWN_LEAF
        if is_own or (state == "control" and reason == "joined"):
            self._leaf(name, Leaf(record.at, self._not_after.get(phone), reason), phone)
        elif state == "ended" and (name, phone) in self.calendar.leaves:
            self._leaf(name, Leaf(record.at, None, "ended"), phone)
        elif state == "message refused" and "expired-credential" in reason:
            self.calendar.refusals.append(Refusal(record.at, phone, name, reason))

    def _leaf(self, name: str, leaf: Leaf, phone: str) -> None:
        self.calendar.leaves.setdefault((name, phone), []).append(leaf)
