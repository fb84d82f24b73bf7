"""Concatenated short messages: splitting of long content and reassembly of its parts (3GPP TS 23.040 §9.2.3.24.1)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.alphabet import ESCAPE, Alphabet, is_gsm7
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.timestamp import ValidityPeriod
from ims_core.wire.sms.tpdu import SmsDeliver, SmsSubmit
from ims_core.wire.sms.user_data import (
    MAX_USER_DATA_OCTETS,
    Concatenation,
    InformationElement,
    UserData,
    UserDataHeader,
    decode_content,
)

__all__ = [
    "DEFAULT_MAX_PARTS",
    "Abandoned",
    "Assembled",
    "Reassembler",
    "SplitContent",
    "TooManyParts",
    "split_octets",
    "split_text",
    "submits_for",
]

DEFAULT_MAX_PARTS = 10  # configuration name sms.max_parts (choice): longer text goes by another way


class TooManyParts(LocalProtocolError):
    """The content needs more parts than the caller allows."""


@dataclass(frozen=True, slots=True)
class SplitContent:
    """User data of each part in order, and the data coding that all share."""

    coding: DataCoding
    parts: tuple[UserData, ...]


def split_text(
    text: str,
    *,
    reference: int,
    wide_reference: bool = False,
    max_parts: int = DEFAULT_MAX_PARTS,
    elements: tuple[InformationElement, ...] = (),
    coding: DataCoding | None = None,
) -> SplitContent:
    """Parts of *text*, one without concatenation element if that holds it.

    Without *coding* the alphabet is GSM 7 bit if it has every character, else UCS-2 for the whole text. *elements*
    follow the concatenation element in each part. Neither an escape pair nor a surrogate pair straddles parts.
    Raises TooManyParts; LocalProtocolError if *coding* lacks a character.
    """
    coding = coding or (DataCoding.GSM7 if is_gsm7(text) else DataCoding.UCS2)
    content = UserData.of_text(text, coding).content
    return _split(content, coding, reference, wide_reference, max_parts, elements)


def split_octets(
    octets: bytes,
    *,
    reference: int,
    wide_reference: bool = False,
    max_parts: int = DEFAULT_MAX_PARTS,
    elements: tuple[InformationElement, ...] = (),
    coding: DataCoding = DataCoding.EIGHT_BIT,
) -> SplitContent:
    """Parts of 8-bit content. Raises TooManyParts."""
    return _split(octets, coding, reference, wide_reference, max_parts, elements)


def submits_for(
    split: SplitContent,
    destination: Address,
    *,
    message_reference: int,
    validity: ValidityPeriod | None = None,
    status_report: bool = False,
    reject_duplicates: bool = False,
) -> tuple[SmsSubmit, ...]:
    """One SMS-SUBMIT for each part; TP-MR counts up from *message_reference* modulo 256."""
    return tuple(
        SmsSubmit(
            message_reference=(message_reference + index) % 256,
            destination=destination,
            user_data=user_data,
            data_coding=split.coding,
            validity=validity,
            status_report_request=status_report,
            reject_duplicates=reject_duplicates,
        )
        for index, user_data in enumerate(split.parts)
    )


def _split(
    content: bytes,
    coding: DataCoding,
    reference: int,
    wide_reference: bool,
    max_parts: int,
    elements: tuple[InformationElement, ...],
) -> SplitContent:
    header = UserDataHeader.of(*elements) if elements else None
    if len(content) <= _capacity(header, coding):
        return SplitContent(coding, (UserData(content, header),))
    place = Concatenation(reference, 1, 1, wide_reference)
    capacity = _capacity(UserDataHeader.of(place.element(), *elements), coding)
    chunks = list(_chunks(content, capacity, coding.alphabet))
    if len(chunks) > min(max_parts, 255):
        raise TooManyParts(f"{len(chunks)} parts where {max_parts} are allowed", spec="TS 23.040 §9.2.3.24.1")
    return SplitContent(
        coding,
        tuple(
            UserData(
                chunk,
                UserDataHeader.of(Concatenation(reference, len(chunks), sequence, wide_reference).element(), *elements),
            )
            for sequence, chunk in enumerate(chunks, start=1)
        ),
    )


def _capacity(header: UserDataHeader | None, coding: DataCoding) -> int:
    """Septets or octets of content that fit one part behind *header*."""
    free = MAX_USER_DATA_OCTETS - (header.octet_count if header else 0)
    capacity = free * 8 // 7 if coding.counts_septets else free
    if capacity < 4:  # a surrogate pair is the longest thing that may not be split
        raise LocalProtocolError("the user data header leaves no room", spec="TS 23.040 §9.2.3.24")
    return capacity - capacity % 2 if coding.alphabet is Alphabet.UCS2 else capacity


def _chunks(content: bytes, capacity: int, alphabet: Alphabet) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        end = min(start + capacity, len(content))
        if end < len(content):
            end -= _straddling(content, start, end, alphabet)
        yield content[start:end]
        start = end


def _straddling(content: bytes, start: int, end: int, alphabet: Alphabet) -> int:
    """Octets before *end* that begin a character which ends behind it."""
    if alphabet is Alphabet.UCS2:
        return 2 if 0xD8 <= content[end - 2] <= 0xDB else 0
    if alphabet is not Alphabet.GSM7:
        return 0
    escapes = 0
    while end - 1 - escapes >= start and content[end - 1 - escapes] == ESCAPE:
        escapes += 1
    return escapes % 2


_RECENT_PARTS = 512  # parts of complete messages that are remembered: two messages of the greatest length


@dataclass(frozen=True, slots=True)
class Assembled:
    """A complete message: every part in order. A message that came in one piece is a tuple of one."""

    parts: tuple[SmsDeliver, ...]

    @property
    def text(self) -> str:
        """Neighbours of the same coding are joined before they are decoded: some peers do split a character."""
        out: list[str] = []
        joined, coding = b"", self.parts[0].data_coding
        for part in self.parts:
            if part.data_coding != coding:
                out.append(decode_content(joined, coding))
                joined, coding = b"", part.data_coding
            joined += part.user_data.content
        return "".join(out) + decode_content(joined, coding)

    @property
    def content(self) -> bytes:
        """Octets (or septet values) of all parts, for data messages."""
        return b"".join(part.user_data.content for part in self.parts)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An incomplete message whose time, or whose place, ran out: the parts that came, in order, of *total*."""

    parts: tuple[SmsDeliver, ...]
    total: int


class _Pending:
    __slots__ = ("deadline", "parts", "total")

    def __init__(self, total: int, deadline: float) -> None:
        self.total = total
        self.deadline = deadline
        self.parts: dict[int, SmsDeliver] = {}

    def in_order(self) -> tuple[SmsDeliver, ...]:
        return tuple(self.parts[sequence] for sequence in sorted(self.parts))


class Reassembler:
    """Joins the parts that one receiver gets, in any order, duplicates dropped (§9.2.3.24.1).

    A part waits at most *timeout_s*, counted from the first one of its message (choice: 24 h, the default validity);
    at most *max_pending* messages wait, the oldest gives way. Feed every SMS-DELIVER to `receive`: one that was part
    of a recent complete message (same originator, time stamp and content: the service centre repeats when an RP-ACK
    was lost) is dropped as well.
    """

    __slots__ = ("_max_pending", "_pending", "_recent", "_timeout_s")

    def __init__(self, *, timeout_s: float = 86400.0, max_pending: int = 64) -> None:
        self._timeout_s = timeout_s
        self._max_pending = max_pending
        self._pending: dict[Hashable, _Pending] = {}
        self._recent: dict[Hashable, None] = {}

    def receive(self, part: SmsDeliver, now: float) -> list[Assembled | Abandoned]:
        """What became complete, or was given up, by *part*."""
        out: list[Assembled | Abandoned] = list(self.handle_deadline(now))
        if _identity(part) in self._recent:
            return out
        place = part.user_data.header.concatenation if part.user_data.header else None
        if place is None or place.total == 1:
            return [*out, self._complete((part,))]
        key = (part.originator, place.reference, place.total, place.is_wide)
        pending = self._pending.get(key)
        known = pending.parts.get(place.sequence) if pending else None
        if known is not None and known.user_data != part.user_data:
            out.extend(self._abandon(key))  # the sender's reference counter came round: a new message
            pending = None
        if pending is None:
            out.extend(self._make_room())
            pending = self._pending[key] = _Pending(place.total, now + self._timeout_s)
        pending.parts.setdefault(place.sequence, part)
        if len(pending.parts) == pending.total:
            del self._pending[key]
            out.append(self._complete(pending.in_order()))
        return out

    def next_deadline(self) -> float | None:
        return next((pending.deadline for pending in self._pending.values()), None)

    def handle_deadline(self, now: float) -> list[Abandoned]:
        due = [key for key, pending in self._pending.items() if pending.deadline <= now]
        return [abandoned for key in due for abandoned in self._abandon(key)]

    def _complete(self, parts: tuple[SmsDeliver, ...]) -> Assembled:
        for part in parts:
            self._recent[_identity(part)] = None
        while len(self._recent) > _RECENT_PARTS:
            del self._recent[next(iter(self._recent))]
        return Assembled(parts)

    def _make_room(self) -> list[Abandoned]:
        return [] if len(self._pending) < self._max_pending else self._abandon(next(iter(self._pending)))

    def _abandon(self, key: Hashable) -> list[Abandoned]:
        pending = self._pending.pop(key)
        return [Abandoned(pending.in_order(), pending.total)]


def _identity(part: SmsDeliver) -> Hashable:
    return part.originator, part.timestamp, part.user_data
