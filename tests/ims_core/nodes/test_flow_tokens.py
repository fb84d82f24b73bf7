from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.nodes.flow_tokens import FlowTable
from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.uri import SipUri, parse_uri
from tests.support.core_cases import StillFlow

KEY = b"k" * 32


def test_a_token_leads_back_to_its_connection_as_long_as_that_is_open() -> None:
    table, flow = FlowTable(KEY, b"run1"), StillFlow("192.0.2.1")
    key = table.key_of(flow)
    token = table.token_of(key)
    assert table.key_of_token(token) == key == table.key_of(flow)
    assert isinstance(key, int)
    assert table.connection(key) is flow
    flow.is_open = False
    assert table.connection(key) is None
    assert table.close(flow) == key
    assert table.close(flow) is None


def test_a_udp_address_survives_a_restart_and_a_connection_does_not() -> None:
    before, after = FlowTable(KEY, b"run1"), FlowTable(KEY, b"run2")
    udp = StillFlow("2001:db8::1", 5060, Transport.UDP)
    token = before.token_of(before.key_of(udp))
    assert after.key_of_token(token) == Address(Transport.UDP, "2001:db8::1", 5060)
    assert after.key_of_token(before.token_of(before.key_of(StillFlow("192.0.2.1")))) is None


def test_a_token_is_a_user_part() -> None:
    table = FlowTable(KEY, b"run1")
    uri = parse_uri(f"sip:{table.token_of(table.key_of(StillFlow('192.0.2.1')))}@127.0.0.1;lr")
    assert isinstance(uri, SipUri)


def test_a_token_of_another_key_means_nothing() -> None:
    table, other = FlowTable(KEY, b"run1"), FlowTable(b"x" * 32, b"run1")
    token = other.token_of(other.key_of(StillFlow("192.0.2.1", transport=Transport.UDP)))
    assert table.key_of_token(token) is None


@pytest.mark.parametrize("token", ["", "A", "orig", "=" * 8, "A" * 500, "é", "BwZq3kByGNEjA2hMvgAAAAAAAQ"])
def test_forged_tokens_mean_nothing(token: str) -> None:
    assert FlowTable(KEY, b"run1").key_of_token(token) is None


@given(st.text(max_size=60))
def test_any_text_is_safe_to_read(token: str) -> None:
    assert FlowTable(KEY, b"run1").key_of_token(token) is None
