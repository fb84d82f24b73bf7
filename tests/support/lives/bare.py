"""Texts in clear under a lock: which of them nobody was deceived about (docs/decisions.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.client.inbox import BARE_UNDER_LOCK
from tests.support.lives.life import Bare, Life, user_of
from tests.support.lives.plan import NUMBERS

__all__ = ["is_honest"]

_LOCKS = ("encrypted", "locked out")  # what a phone notes when a conversation gets its mark
_ASKED_WITHIN_S = 700.0  # a phone asks again after 600 s, and waits up to 100 for the answer
_TRANSACTION = re.compile(rb"\AMSRP (\S+) SEND|^Call-ID: *(\S+)", re.MULTILINE)
_MLS = re.compile(rb"^Content-Type: *message/mls", re.MULTILINE)
_ANSWERS = (b"SIP/2.0 2", b"MSRP ")


def is_honest(life: Life, bare: Bare) -> bool:
    """Whether its octets had left before anybody had a lock, or its writer's phone has no way to know of one, or has
    asked in vain; and the reader was told."""
    is_told = any(_tells(each, bare) for each in islice(life.sink.records, bare.number))
    return is_told and (_cannot_know(life, bare) or _left_before(life, bare) or _asked_in_vain(life, bare))


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
    return not any(_locks(each, bare) for each in _before_it_left(life, bare))


def _before_it_left(life: Life, bare: Bare) -> list[TraceRecord]:
    octets = bare.text[:40].encode()
    records = list(islice(life.sink.records, bare.number))
    left = next((each.number for each in records if each.kind is RecordKind.MESSAGE and octets in each.raw), 0)
    return [each for each in records if each.number < left]


def _asked_in_vain(life: Life, bare: Bare) -> bool:
    """Its phone, which shows no lock, has asked who may hold the group, and nothing about MLS has reached it since: by
    what it has answered, for what a fault keeps from it stands in the trace, too."""
    records = _before_it_left(life, bare)
    phone = life.writers.get(bare.text)
    writer = "" if phone is None else phone.config.name
    asked = next((each for each in reversed(records) if _asks(each, writer, bare)), None)
    if asked is None or records[-1].at - asked.at > _ASKED_WITHIN_S:
        return False
    return not _has_taken_mls(writer, [each for each in records if each.number > asked.number])


def _asks(record: TraceRecord, writer: str, bare: Bare) -> bool:
    is_ours = record.kind is RecordKind.STATE and record.source == writer
    is_asking = record.details.get("state") == "focus asked"
    return is_ours and is_asking and record.details.get("peer") == NUMBERS[user_of(bare.phone)]


def _has_taken_mls(phone: str, records: Sequence[TraceRecord]) -> bool:
    octets = [each for each in records if each.kind is RecordKind.MESSAGE]
    sent = [each for each in octets if each.target == phone and _MLS.search(each.raw)]
    answers = [each for each in octets if each.source == phone and each.raw.startswith(_ANSWERS)]
    keys = [(each.number, _TRANSACTION.findall(each.raw)) for each in sent]
    return any(each.number > number and b"".join(*found) in each.raw for number, found in keys for each in answers)


def _locks(record: TraceRecord, bare: Bare) -> bool:
    """Whether a phone of either user notes a lock with the other."""
    if record.kind is not RecordKind.STATE or record.details.get("state") not in _LOCKS:
        return False
    own, other = NUMBERS.get(user_of(record.source)), record.details.get("peer")
    return {own, other} == {NUMBERS[user_of(bare.phone)], bare.peer}
