"""Records of the autoconfiguration server in every kind of store."""

from __future__ import annotations

from ims_core.store.configuration import CONFIGURATIONS, ConfigurationRecord, StoredToken
from ims_core.store.memory import MemoryStore
from ims_core.store.record_codec import RecordCodec

_RECORD = ConfigurationRecord("+12025550101", 3, "ab" * 32, (StoredToken("cd" * 32, 1e9 + 0.5, "imei"),), -3, 3600)


def test_a_record_survives_its_way_through_json() -> None:
    codec = RecordCodec(CONFIGURATIONS)
    assert codec.decode(codec.encode(_RECORD)) == _RECORD
    assert codec.decode(b'{"msisdn":"+1"}') == ConfigurationRecord("+1")


async def test_a_record_is_kept_by_its_number() -> None:
    table = MemoryStore().table(CONFIGURATIONS)
    await table.put(ConfigurationRecord("+12025550101"))
    await table.put(_RECORD)
    assert await table.load_all() == [_RECORD]
    await table.delete("+12025550101")
    assert await table.load_all() == []
