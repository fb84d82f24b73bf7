"""The order of the records of a trace, and which of them are not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from ims_core.trace import TraceRecord

__all__ = ["in_order", "missing_numbers"]


def in_order(records: Iterable[TraceRecord]) -> list[TraceRecord]:
    """The records with ascending numbers. What stands there twice counts once; lines that changed places are put back;
    those of several files that were put together are counted anew."""
    kept = list(records)
    if _is_ascending(kept):
        return kept
    once = _without_repeats(kept)
    by_number = sorted(once, key=lambda record: record.number)
    if _is_ascending(by_number):
        return by_number
    return [replace(record, number=number) for number, record in enumerate(once, 1)]


def _is_ascending(records: Sequence[TraceRecord]) -> bool:
    return all(one.number < other.number for one, other in pairwise(records))


def _without_repeats(records: Iterable[TraceRecord]) -> list[TraceRecord]:
    seen: dict[tuple[int, float, str, bytes], list[TraceRecord]] = {}
    once = []
    for record in records:
        alike = seen.setdefault((record.number, record.at, record.source, record.raw), [])
        if record not in alike:
            alike.append(record)
            once.append(record)
    return once


def missing_numbers(records: Sequence[TraceRecord]) -> list[tuple[int, int]]:
    """First and last number of each run of records that are not there: a trace counts from 1, without a gap.
    *records* are in order."""
    numbers = [0, *(record.number for record in records if record.number > 0)]
    return [(one + 1, other - 1) for one, other in pairwise(numbers) if other - one > 1]
