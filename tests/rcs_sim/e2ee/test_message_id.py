"""Message ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.message_id import is_mx_message_id, mx_message_id, upper_uuid, uuid_of_mx_message_id


@given(st.binary(min_size=16, max_size=16))
def test_an_id_leads_back_to_its_uuid(uuid: bytes) -> None:
    message_id = mx_message_id(uuid)
    assert len(message_id) == 24
    assert is_mx_message_id(message_id)
    assert uuid_of_mx_message_id(message_id) == uuid


@given(st.text(max_size=40))
def test_other_texts_lead_nowhere(text: str) -> None:
    found = uuid_of_mx_message_id(text)
    assert found is None or mx_message_id(found) == text


def test_the_same_uuid_has_one_id_only() -> None:
    assert uuid_of_mx_message_id("MxAAAAAAAAAAAAAAAAAAAAAB") is None
    assert uuid_of_mx_message_id("Mx_AAAAAAAAAAAAAAAAAAAAA") is None


def test_the_check_looks_at_the_beginning_only() -> None:
    assert is_mx_message_id("Mx" + "?" * 40)
    assert not is_mx_message_id("Mx" + "a" * 21)
    assert not is_mx_message_id("C0FFEE00-1234-4ABC-8DEF-0123456789AB")


def test_a_uuid_is_written_in_capitals() -> None:
    assert upper_uuid(bytes.fromhex("c0ffee0012344abc8def0123456789ab")) == "C0FFEE00-1234-4ABC-8DEF-0123456789AB"


def test_other_lengths_are_a_fault_of_the_caller() -> None:
    with pytest.raises(LocalProtocolError):
        mx_message_id(b"short")
    with pytest.raises(LocalProtocolError):
        upper_uuid(b"")
