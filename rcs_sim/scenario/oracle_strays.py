"""Where in the octets of a trace the texts of its messages stand, whatever those octets were meant to be."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_hops import Carried
from rcs_sim.scenario.oracle_index import TextFound, TextIndex
from rcs_sim.scenario.oracle_views import PACKED, View, views_of

__all__ = ["StrayText", "stray_texts"]

_STREAMS = ("HTTP", "MSRP")
_BEGINS = re.compile(rb"(?:MSRP \S|HTTP/1\.|[A-Z]{3,10} \S+ HTTP/1\.)")
_FOLDED = re.compile(rb"\r\n[ \t]")
_END_LINE = b"\r\n-------"  # of MSRP, with a transaction id that is new on each link
_TAIL_OCTETS = 4096  # of what came before in a stream
_Ends = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class StrayText:
    """*found* stands in *record*, whose contents are *contents*; *coding* is what had to be undone to see it."""

    record: TraceRecord
    contents: Sequence[Carried]
    found: TextFound
    coding: str

    @property
    def how(self) -> str:
        """The encoding, and what is around it."""
        whole = "" if self.found.piece == self.found.text else "a part of it as "
        within = f" in {self.coding}" if self.coding else ""
        return f"{whole}{self.found.encoding}{within}"


def stray_texts(records: Iterable[TraceRecord], contents: Iterable[Carried], index: TextIndex) -> Iterator[StrayText]:
    """Every text once for each record in which it stands."""
    by_record: dict[int, list[Carried]] = defaultdict(list)
    for carried in contents:
        by_record[carried.hop.number].append(carried)
    tails: dict[_Ends, bytes] = {}
    for record in records:
        if record.kind is not RecordKind.MESSAGE or not record.raw:
            continue
        here = by_record.get(record.number, ())
        seen: set[str] = set()
        for view in _views(_joined(record, tails), here):
            for found in index.find(view.octets):
                if found.text not in seen:
                    seen.add(found.text)
                    yield StrayText(record, here, found, view.coding)


def _joined(record: TraceRecord, tails: dict[_Ends, bytes]) -> bytes:
    """Its octets, behind those before them where it goes on with a message of a stream."""
    if record.protocol not in _STREAMS:
        return record.raw
    ends = record.source, record.target, record.source_address, record.target_address
    before, raw = tails.get(ends, b""), record.raw
    joined = raw if _BEGINS.match(raw) else before + raw
    tails[ends] = joined[-_TAIL_OCTETS:]
    return joined


def _parts(octets: bytes) -> Iterator[bytes]:
    """The lines of the head and the body: most of them stand in the next hop, too, and are undone once for both. What
    has folded lines is one part."""
    head, blank, body = octets.partition(b"\r\n\r\n")
    if not blank or _FOLDED.search(head):
        yield octets
        return
    yield from head.split(b"\r\n")
    yield body[:end] if (end := body.rfind(_END_LINE)) >= 0 else body


def _views(octets: bytes, contents: Sequence[Carried]) -> Iterator[View]:
    """The octets as they are, without line ends, and with codings undone; those of contents that do not stand in them
    as such."""
    yield View(octets, "")
    yield View(octets.translate(None, b"\r\n"), "lines")
    for part in _parts(octets):
        yield from views_of(part)
    for carried in contents:
        if carried.is_derived:
            yield View(carried.octets, "")
        if carried.is_derived or carried.octets.startswith(PACKED):
            yield from views_of(carried.octets)
