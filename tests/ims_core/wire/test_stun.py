from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.stun import MAGIC_COOKIE, binding_response, is_stun

_ID = bytes(range(12))


def _request(attributes: bytes = b"", *, kind: int = 1, transaction: bytes = MAGIC_COOKIE + _ID) -> bytes:
    return struct.pack("!HH", kind, len(attributes)) + transaction + attributes


def test_a_binding_request_learns_the_address_that_it_came_from() -> None:
    answer = binding_response(_request(), "192.0.2.1", 32853)
    assert answer is not None
    # the address of the sample response of RFC 5769 §2.2: 192.0.2.1, port 32853
    assert answer == bytes.fromhex("0101000c2112a442") + _ID + bytes.fromhex("002000080001a147e112a643")


def test_an_ipv6_address_is_hidden_under_cookie_and_transaction() -> None:
    transaction = bytes.fromhex("2112a442b7e7a701bc34d686fa87dfae")
    answer = binding_response(_request(transaction=transaction), "2001:db8:1234:5678:11:2233:4455:6677", 32853)
    assert answer is not None
    assert answer[20:] == bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")  # RFC 5769 §2.3


def test_a_client_without_the_magic_cookie_gets_a_plain_mapped_address() -> None:
    transaction = bytes(range(16))
    answer = binding_response(_request(transaction=transaction), "192.0.2.1", 5060)
    assert answer == bytes.fromhex("0101000c") + transaction + bytes.fromhex(
        "0001000800 0113c4c0000201".replace(" ", "")
    )


def test_an_attribute_that_has_to_be_understood_and_is_not_gets_420() -> None:
    answer = binding_response(_request(bytes.fromhex("7777000161000000")), "192.0.2.1", 1)
    assert answer is not None
    assert answer[:2] == b"\x01\x11"
    assert bytes.fromhex("00000414") in answer
    assert answer.endswith(bytes.fromhex("000a000277770000"))


def test_attributes_of_no_concern_are_passed_over() -> None:
    software = bytes.fromhex("802200056162636465000000")
    username = bytes.fromhex("0006000161000000")
    answer = binding_response(_request(software + username), "192.0.2.1", 1)
    assert answer is not None
    assert answer[:2] == b"\x01\x01"


def test_a_fingerprint_is_checked_and_answered_with_one() -> None:
    # the sample request of RFC 5769 §2.1 is one with FINGERPRINT, among attributes of ICE that are not known here
    sample = bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e740024"
        "00046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70c"
        "bfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
    )
    answer = binding_response(sample, "192.0.2.1", 1)
    assert answer is not None
    assert answer[-8:-4] == bytes.fromhex("80280004")
    assert binding_response(sample[:-1] + b"\0", "192.0.2.1", 1) is None


@pytest.mark.parametrize("kind", [0x0011, 0x0101, 0x0111, 0x0003], ids=["indication", "success", "error", "allocate"])
def test_what_is_no_binding_request_is_not_answered(kind: int) -> None:
    assert binding_response(_request(kind=kind), "192.0.2.1", 1) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 4,
        b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        _request()[:-1],
        _request() + b"\0",
        _request(b"\0\x06\0\x09abcd"),
    ],
    ids=["nothing", "blanks", "sip", "cut", "longer than said", "attribute too long"],
)
def test_other_octets_are_not_answered(octets: bytes) -> None:
    assert binding_response(octets, "192.0.2.1", 1) is None


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda body: _request(body[: len(body) // 4 * 4])))
def test_any_octets_are_answered_or_not_and_nothing_is_raised(octets: bytes) -> None:
    answer = binding_response(octets, "2001:db8::1", 65535)
    assert answer is None or is_stun(answer)
