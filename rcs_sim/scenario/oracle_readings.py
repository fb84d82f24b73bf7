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
from rcs_sim.scenario.oracle_keys import candidates_in, key_leaks
from rcs_sim.scenario.oracle_matching import match_showings
from rcs_sim.scenario.oracle_numbers import number_told, number_used
from rcs_sim.scenario.oracle_outsiders import OutsideMessage, outside_messages
from rcs_sim.scenario.oracle_parties import MsrpParties
from rcs_sim.scenario.oracle_rosters import GroupRosters
from rcs_sim.scenario.oracle_screens import Screens, UserMessage
from rcs_sim.scenario.oracle_seals import NO_CIPHER, is_no_cipher
from rcs_sim.scenario.oracle_secrets import SecretLeaks
from rcs_sim.scenario.oracle_strays import stray_texts
from rcs_sim.scenario.oracle_views import View, views_of

__all__ = ["Passage", "Readings", "Verdict", "judge"]

_SURE_OCTETS = 5  # of a form found in a content that belongs to the message; fewer stand in ciphertext by chance
_INVITE = b"INVITE "
_LONG_ID = 16  # characters of an identifier that is nothing else
_MAX_PLACES = 64  # at which so few octets are looked at
_REMARK = "the words of a field beside the content"
_NOBODYS = "its words stand there; whose they are is not clear"
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
    if _is_remarked(text, carried):
        return Verdict.READABLE, _REMARK
    octets = carried.octets
    for each in (each for each in carried.ids if len(each) >= _LONG_ID):  # it may have a short text in it
        octets = octets.replace(each.encode(), bytes(len(each.encode())))
    views = [View(octets, ""), *views_of(octets)]
    sealed = without_mls_head(octets) if is_on_mls_plane(carried.media_type) else octets
    short_views = views if sealed is octets else [View(sealed, ""), *views_of(sealed)]
    found = [
        _stands(pattern, view)
        for pattern in patterns_of(text)
        for view in (views if len(pattern.octets) >= _SURE_OCTETS else short_views)
    ]
    for verdict in (Verdict.READABLE, Verdict.UNDECIDED):
        how = next((how for each, how in found if each is verdict), None)
        if how is not None:
            return verdict, how
    if carried.text is not None and carried.text.strip():
        return Verdict.UNDECIDED, "another text stands there in clear"
    if carried.is_whole and is_no_cipher(carried.media_type, carried.octets):
        return Verdict.UNDECIDED, NO_CIPHER
    return Verdict.SEALED, carried.media_type


def _stands(pattern: TextPattern, view: View) -> tuple[Verdict, str]:
    """Whether one form of a text stands in *view*, and not by chance."""
    octets = view.octets
    place, length, doubt = octets.find(pattern.octets), len(pattern.octets), False
    for _ in range(_MAX_PLACES):
        if place < 0:
            break
        if length >= _SURE_OCTETS or is_legible(octets, place, length):
            return Verdict.READABLE, _way(pattern.encoding.value, view)
        doubt |= not view.coding and not looks_random(octets, place)
        place = octets.find(pattern.octets, place + 1)
    if doubt:
        return Verdict.UNDECIDED, f"{length} octets as {pattern.encoding} may stand there by chance"
    return Verdict.SEALED, ""


def _way(encoding: str, view: View) -> str:
    return f"{encoding} in {view.coding}" if view.coding else encoding


def _is_remarked(text: str, carried: Carried) -> bool:
    return any(same_text(text, remark) for remark in carried.remarks)


def _shows(text: str, carried: Carried) -> bool:
    seen = carried.text or ""
    if same_text(text, seen) or (text in seen and bool(text)):
        return True
    return not carried.is_whole and len(seen) >= min(_PART_CHARACTERS, len(text)) and seen in text


class Readings:
    """All passages of all messages of a trace. Linear in the octets of the trace. *repeats* are the records whose
    octets had crossed the same link before, such as retransmissions. *key_log* are the lines of the key log of the run,
    if there is one: their keys are looked for on the links."""

    __slots__ = (
        "_about",
        "_ids",
        "_inviters",
        "_of_text",
        "_parties",
        "_passages",
        "elements",
        "key_leaks",
        "messages",
        "outsiders",
        "repeats",
        "rosters",
        "screens",
        "secret_leaks",
    )

    def __init__(self, records: Sequence[TraceRecord], key_log: Iterable[str] = ()) -> None:
        self.screens = Screens()
        self._parties = MsrpParties()
        self._passages: dict[UserMessage, dict[int, Passage]] = defaultdict(dict)
        self._about: dict[UserMessage, list[Carried]] = defaultdict(list)
        self._inviters: dict[str, set[str]] = defaultdict(set)
        self.elements: set[str] = set()
        self.repeats: set[int] = set()
        contents = self._read(records)
        self.rosters = GroupRosters(contents)
        is_sealed = any(carried.epoch_authenticator for carried in contents)
        candidates = candidates_in(records) if is_sealed else []
        self.key_leaks = key_leaks(candidates, self.rosters.public_keys)
        self.secret_leaks = SecretLeaks(records, candidates, contents, key_log).leaks
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
        crossed: set[int] = set()
        for record in records:
            screens.read(record)
            if record.kind is RecordKind.MESSAGE:
                octets = hash((record.source, record.target, record.raw))
                if octets in crossed:
                    self.repeats.add(record.number)
                crossed.add(octets)
                self.elements |= {record.source, record.target}
                if record.conversation_id and record.raw.startswith(_INVITE):
                    self._inviters[record.conversation_id] |= {record.source, record.target}
            parties.read(record)
            told = number_told(record)
            if told is not None:
                screens.is_number_of(*told, record.number)
            elif (used := number_used(record)) is not None and not screens.has_number(used[0]):
                screens.is_number_of(*used, record.number)
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
                if _is_remarked(reported.text, carried):
                    self._add(reported, carried.hop, Verdict.READABLE, _REMARK, carried)

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
        contained: dict[str, list[str]] = defaultdict(list)
        for text in self._of_text:
            for found in index.find(text.encode("utf-8", "replace")):
                if found.text != text:
                    contained[found.piece].append(text)
        search = StraySearch(self._of_text, contained, self._ids, self.screens)
        for stray in stray_texts(records, contents, index):
            for message, is_certain in search.judge(stray.found, stray.record, stray.contents):
                verdict = Verdict.READABLE if is_certain else Verdict.UNDECIDED
                self._add(message, hop_of(stray.record), verdict, stray.how if is_certain else _NOBODYS)
