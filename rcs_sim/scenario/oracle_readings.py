"""Where the text of a message could be read: each hop that carried it, judged by its octets alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.e2ee.content_types import is_on_mls_plane
from rcs_sim.scenario.oracle_attribution import SmsCopies, StraySearch
from rcs_sim.scenario.oracle_contents import ContentReader
from rcs_sim.scenario.oracle_encodings import (
    TextEncoding,
    TextPattern,
    is_legible,
    looks_random,
    patterns_of,
    without_mls_head,
)
from rcs_sim.scenario.oracle_hops import Carried, Hop, hop_of, same_text
from rcs_sim.scenario.oracle_index import TextIndex
from rcs_sim.scenario.oracle_matching import match_showings
from rcs_sim.scenario.oracle_numbers import number_told
from rcs_sim.scenario.oracle_outsiders import OutsideMessage, outside_messages
from rcs_sim.scenario.oracle_parties import MsrpParties
from rcs_sim.scenario.oracle_screens import Screens, UserMessage
from rcs_sim.scenario.oracle_streams import unpacked

__all__ = ["Passage", "Readings", "Verdict", "judge"]

_SURE_OCTETS = 5  # of a form found in a content that belongs to the message; fewer stand in ciphertext by chance
_INVITE = b"INVITE "
_LONG_ID = 16  # characters of an identifier that is nothing else
_MAX_PLACES = 64  # at which so few octets are looked at
_PART_CHARACTERS = 8  # of a text of which only a part came; all of it if it is shorter


class Verdict(Enum):
    """What a hop let its two ends read of a text."""

    READABLE = "readable"
    SEALED = "sealed"
    UNDECIDED = "undecided"


_WORSE = (Verdict.SEALED, Verdict.UNDECIDED, Verdict.READABLE)


@dataclass(frozen=True, slots=True)
class Passage:
    """One hop of one message. *how* is the encoding of a readable text, or says what is not known."""

    hop: Hop
    verdict: Verdict
    how: str
    carried: Carried | None = None


def judge(text: str, carried: Carried) -> tuple[Verdict, str]:
    """Whether *text* can be read in a content that belongs to its message."""
    if carried.text is not None and _shows(text, carried):
        return Verdict.READABLE, TextEncoding.UTF_8.value if carried.short_message == "" else "SMS"
    octets = carried.octets
    for each in (each for each in carried.ids if len(each) >= _LONG_ID):  # it may have a short text in it
        octets = octets.replace(each.encode(), bytes(len(each.encode())))
    views = [each for each in (octets, unpacked(octets)) if each]
    short_views = [without_mls_head(each) for each in views] if is_on_mls_plane(carried.media_type) else views
    found = [
        _stands(pattern, octets)
        for pattern in patterns_of(text)
        for octets in (views if len(pattern.octets) >= _SURE_OCTETS else short_views)
    ]
    for verdict in (Verdict.READABLE, Verdict.UNDECIDED):
        how = next((how for each, how in found if each is verdict), None)
        if how is not None:
            return verdict, how
    if carried.text is not None and carried.text.strip():
        return Verdict.UNDECIDED, "another text stands there in clear"
    return Verdict.SEALED, carried.media_type


def _stands(pattern: TextPattern, octets: bytes) -> tuple[Verdict, str]:
    """Whether one form of a text stands in *octets*, and not by chance."""
    place, length, doubt = octets.find(pattern.octets), len(pattern.octets), False
    for _ in range(_MAX_PLACES):
        if place < 0:
            break
        if length >= _SURE_OCTETS or is_legible(octets, place, length):
            return Verdict.READABLE, pattern.encoding.value
        doubt |= not looks_random(octets, place)
        place = octets.find(pattern.octets, place + 1)
    if doubt:
        return Verdict.UNDECIDED, f"{length} octets as {pattern.encoding} may stand there by chance"
    return Verdict.SEALED, ""


def _shows(text: str, carried: Carried) -> bool:
    seen = carried.text or ""
    if same_text(text, seen) or (text in seen and bool(text)):
        return True
    return not carried.is_whole and len(seen) >= min(_PART_CHARACTERS, len(text)) and seen in text


class Readings:
    """All passages of all messages of a trace. Linear in the octets of the trace."""

    __slots__ = (
        "_about",
        "_ids",
        "_inviters",
        "_of_text",
        "_parties",
        "_passages",
        "elements",
        "messages",
        "outsiders",
        "screens",
    )

    def __init__(self, records: Sequence[TraceRecord]) -> None:
        self.screens = Screens()
        self._parties = MsrpParties()
        self._passages: dict[UserMessage, dict[int, Passage]] = defaultdict(dict)
        self._about: dict[UserMessage, list[Carried]] = defaultdict(list)
        self._inviters: dict[str, set[str]] = defaultdict(set)
        self.elements: set[str] = set()
        contents = self._read(records)
        matched = match_showings(self.screens, contents)
        self.messages, self._ids = matched.messages, matched.by_id
        self._of_text: dict[str, list[UserMessage]] = defaultdict(list)
        for message in self.messages:
            self._of_text[message.text].append(message)
        self._judge_contents(contents)
        self._search(records, contents)
        self.outsiders: tuple[OutsideMessage, ...] = self._outsiders(contents)

    def passages(self, message: UserMessage) -> Sequence[Passage]:
        """In the order of the trace, one for each record."""
        found = self._passages.get(message, {})
        return [found[number] for number in sorted(found)]

    def message_of(self, wire_id: str) -> UserMessage | None:
        """By the imdn.Message-ID of any of its copies."""
        return self._ids.get(wire_id)

    def _read(self, records: Iterable[TraceRecord]) -> list[Carried]:
        reader, screens, parties = ContentReader(), self.screens, self._parties
        contents: list[Carried] = []
        for record in records:
            screens.read(record)
            if record.kind is RecordKind.MESSAGE:
                self.elements |= {record.source, record.target}
                if record.conversation_id and record.raw.startswith(_INVITE):
                    self._inviters[record.conversation_id] |= {record.source, record.target}
            parties.read(record)
            told = number_told(record)
            if told is not None:
                screens.is_number_of(*told, record.number)
            contents += reader.read(record)
        contents += reader.rest()
        return contents

    def _outsiders(self, contents: Iterable[Carried]) -> tuple[OutsideMessage, ...]:
        known = {number for passages in self._passages.values() for number in passages}
        return outside_messages(contents, self._parties, known, frozenset(self.screens.phones))

    def ids_of(self, message: UserMessage) -> set[str]:
        """Every imdn.Message-ID under which a copy of it went."""
        seen = {each for carried in self._about.get(message, ()) if not carried.about for each in carried.ids}
        return {each for each in seen if self._ids.get(each) is message} | ({message.id} - {""})

    def inviters(self, message: UserMessage) -> set[str]:
        """The elements that know between whom the sessions of its conversation are: an INVITE went through them."""
        return self._inviters.get(message.conversation_id, set())

    def contents_about(self, message: UserMessage) -> Iterator[Carried]:
        """Its contents and its receipts, in the order of the trace."""
        yield from self._about.get(message, ())

    # --- what belongs to a message -----------------------------------------------------------------------------------

    def _judge_contents(self, contents: Iterable[Carried]) -> None:
        short_messages = SmsCopies(self.screens, self.messages)
        for carried in contents:
            if carried.short_message:
                for message in short_messages.messages_of(carried):
                    self._add(message, carried.hop, *judge(message.text, carried), carried)
                    self._about[message].append(carried)
            message_ids = dict.fromkeys(self._ids[each] for each in carried.ids if each in self._ids)
            for message in message_ids:
                self._add(message, carried.hop, *judge(message.text, carried), carried)
                self._about[message].append(carried)
            reported = self._ids.get(carried.about)
            if reported is not None:
                self._about[reported].append(carried)

    def _add(self, message: UserMessage, hop: Hop, verdict: Verdict, how: str, carried: Carried | None = None) -> None:
        """The worst that a record lets its ends read is what counts."""
        known = self._passages[message].get(hop.number)
        if known is None or _WORSE.index(verdict) > _WORSE.index(known.verdict):
            self._passages[message][hop.number] = Passage(
                hop, verdict, how, carried or (known.carried if known else None)
            )

    # --- what stands anywhere else -----------------------------------------------------------------------------------

    def _search(self, records: Iterable[TraceRecord], contents: Iterable[Carried]) -> None:
        """Distinctive texts in all octets of the trace, whatever they were meant to be."""
        index = TextIndex(self._of_text)
        containers = {
            text: [found.text for found in index.find(text.encode("utf-8", "replace")) if found.text != text]
            for text in self._of_text
        }
        contained: dict[str, list[str]] = defaultdict(list)
        for text, inner in containers.items():
            for each in inner:
                contained[each].append(text)
        by_record: dict[int, list[Carried]] = defaultdict(list)
        for carried in contents:
            by_record[carried.hop.number].append(carried)
        search = StraySearch(self._of_text, contained, self._ids, self.screens)
        for record in records:
            if record.kind is not RecordKind.MESSAGE:
                continue
            here = by_record.get(record.number, ())
            for octets in _views(record, here):
                for found in index.find(octets):
                    for message, is_certain in search.judge(found, record, here):
                        verdict = Verdict.READABLE if is_certain else Verdict.UNDECIDED
                        how = (
                            found.encoding.value if is_certain else "its words stand there; whose they are is not clear"
                        )
                        self._add(message, hop_of(record), verdict, how)


def _views(record: TraceRecord, contents: Sequence[Carried]) -> Iterator[bytes]:
    """The octets of a record as they are, without the line ends that base64 and quoted-printable put between, and
    those of contents that do not stand in it as such."""
    yield record.raw
    for carried in contents:
        packed = unpacked(carried.octets)
        if carried.is_derived:
            yield carried.octets
        if packed:
            yield packed
    if b"ase64" in record.raw:
        yield record.raw.replace(b"\r\n", b"")
    if b"=\r\n" in record.raw:
        yield record.raw.replace(b"=\r\n", b"")
