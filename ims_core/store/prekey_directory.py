"""What a key distribution server keeps of the legacy scheme (RCC.16 digest §14.12): one device's prekeys for each
number, and answers that a retry gets again."""

from __future__ import annotations

from dataclasses import dataclass, field

from ims_core.store.key_directory import AnsweredClaim, answered_claim_key
from ims_core.store.record_table import RecordType

__all__ = ["ANSWERED_PREKEY_CLAIMS", "PREKEYS", "StoredPrekeys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrekeys:
    """All of a number. *msisdn* is bare digits; *one_time* are those left, in the order in which they are served, and
    *served* the last ones that were, which are never taken in again."""

    msisdn: str
    identity_key: bytes
    signed_prekey: bytes
    signature: bytes
    one_time: tuple[bytes, ...] = field(default=(), repr=False)
    served: tuple[bytes, ...] = field(default=(), repr=False)


PREKEYS: RecordType[StoredPrekeys] = RecordType("prekeys", StoredPrekeys, lambda record: record.msisdn)
ANSWERED_PREKEY_CLAIMS: RecordType[AnsweredClaim] = RecordType(
    "answered_prekey_claims", AnsweredClaim, lambda record: answered_claim_key(record.origin, record.request_id)
)
