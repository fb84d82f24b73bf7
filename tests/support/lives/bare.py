"""Texts in clear under a lock: which of them nobody was deceived about (docs/decisions.md)."""

from __future__ import annotations

from itertools import islice

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.client.inbox import BARE_UNDER_LOCK
from tests.support.lives.life import Bare, Life, user_of
from tests.support.lives.plan import NUMBERS

__all__ = ["is_honest"]

_LOCKS = ("encrypted", "locked out")  # what a phone notes when a conversation gets its mark


def is_honest(life: Life, bare: Bare) -> bool:
    """Whether its octets had left before anybody had a lock, or its writer's phone has no way to know of one and the
    reader was told."""
    is_told = any(_tells(each, bare) for each in islice(life.sink.records, bare.number))
    return is_told and (_cannot_know(life, bare) or _left_before(life, bare))


def _tells(record: TraceRecord, bare: Bare) -> bool:
    is_about = record.source == bare.phone and record.details.get("peer") == bare.peer
    is_tombstone = record.kind is RecordKind.SHOWN and record.details.get("what") == Shown.TOMBSTONE
    return is_about and is_tombstone and record.details.get("text") == BARE_UNDER_LOCK


def _cannot_know(life: Life, bare: Bare) -> bool:
    """It has not the scheme of the lock: no focus to ask about MLS, or nothing at all that tells of the older one."""
    writer = life.writers.get(bare.text)
    if writer is None:
        return False
    profile = writer.config.policy.e2ee
    return profile is None or not (profile.legacy_allowed if bare.scheme == "legacy" else profile.mls_allowed)


def _left_before(life: Life, bare: Bare) -> bool:
    octets = bare.text[:40].encode()
    records = list(islice(life.sink.records, bare.number))
    left = next((each.number for each in records if each.kind is RecordKind.MESSAGE and octets in each.raw), 0)
    return not any(_locks(each, bare) for each in records if each.number < left)


def _locks(record: TraceRecord, bare: Bare) -> bool:
    """Whether a phone of either user notes a lock with the other."""
    if record.kind is not RecordKind.STATE or record.details.get("state") not in _LOCKS:
        return False
    own, other = NUMBERS.get(user_of(record.source)), record.details.get("peer")
    return {own, other} == {NUMBERS[user_of(bare.phone)], bare.peer}
