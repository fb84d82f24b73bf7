"""What the trace says of faults."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.phone import Phone

__all__ = ["acts", "is_registered", "marks"]


def marks(records: Iterable[TraceRecord], word: str) -> list[str]:
    """The events of a word in order: begins, acts, ends; acts in a row count once."""
    found = [one.summary.removeprefix(f"{word} ") for one in _records(records, word)]
    return [event for index, event in enumerate(found) if index == 0 or event != found[index - 1]]


def acts(records: Iterable[TraceRecord], word: str) -> list[TraceRecord]:
    """Each time that it acted."""
    return [one for one in _records(records, word) if one.summary == f"{word} acts"]


def _records(records: Iterable[TraceRecord], word: str) -> list[TraceRecord]:
    return [one for one in records if one.kind is RecordKind.FAULT and one.details.get("fault") == word]


def is_registered(phone: Phone) -> bool:
    """Asked anew each time: a type checker takes an attribute for what it was before."""
    return phone.is_registered
