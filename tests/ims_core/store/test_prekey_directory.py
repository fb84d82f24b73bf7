"""Records of the legacy scheme's directory survive the store."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.store.key_directory import AnsweredClaim
from ims_core.store.prekey_directory import ANSWERED_PREKEY_CLAIMS, PREKEYS, StoredPrekeys
from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordType

_PREKEYS = StoredPrekeys(
    msisdn="12025550101",
    identity_key=b"\x00\xff",
    signed_prekey=b"p",
    signature=b"s",
    one_time=(b"one", b"two"),
    served=(b"zero",),
)
_ANSWER = AnsweredClaim(origin="kds", request_id="id", target_msisdn="1", body=b"{}", until=1.5)


@pytest.mark.parametrize(
    ("kind", "record", "key"), [(PREKEYS, _PREKEYS, "12025550101"), (ANSWERED_PREKEY_CLAIMS, _ANSWER, "kds id")]
)
def test_a_record_survives_the_store_under_its_key(kind: RecordType[Any], record: Any, key: str) -> None:
    codec = RecordCodec(kind)
    assert codec.decode(codec.encode(record)) == record
    assert kind.key(record) == key


def test_one_time_keys_are_not_shown() -> None:
    assert "two" not in repr(_PREKEYS)
