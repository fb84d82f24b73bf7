from __future__ import annotations

import pytest

from ims_core.store.bindings import (
    ACCESS_FLOWS,
    BINDINGS,
    FLOW_TOKEN_KEYS,
    FlowTokenKey,
    StoredAccess,
    StoredBinding,
    binding_record_key,
)
from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordType

BINDING = StoredBinding(
    "sip:a@home",
    "urn:uuid:1 1",
    "a@home",
    "sip:a@192.0.2.1",
    ";+g.3gpp.smsip",
    ("<sip:t@p;lr;ob>",),
    "call",
    7,
    1.5,
    3601.5,
    "urn:uuid:1",
    1,
    500,
    True,
    ("reg-rcs",),
)
ACCESS = StoredAccess("tok", "id", "UDP", "192.0.2.1", 5060, "sip:a@192.0.2.1", ("sip:a@home",), "<sip:s>", 9.0)
KEY = FlowTokenKey("red.pcscf", b"secret-octets")


@pytest.mark.parametrize(("table", "record"), [(BINDINGS, BINDING), (ACCESS_FLOWS, ACCESS), (FLOW_TOKEN_KEYS, KEY)])
def test_a_record_survives_the_store(table: RecordType[object], record: object) -> None:
    codec = RecordCodec(table)
    assert codec.decode(codec.encode(record)) == record


def test_records_have_keys_of_their_own() -> None:
    assert BINDINGS.key(BINDING) == binding_record_key("sip:a@home", "urn:uuid:1 1")
    assert (ACCESS_FLOWS.key(ACCESS), FLOW_TOKEN_KEYS.key(KEY)) == ("id", "red.pcscf")


def test_the_signing_key_is_not_shown() -> None:
    assert "secret" not in repr(KEY)
