from __future__ import annotations

import pytest

from rcs_sim.client.msrp_dialect import rewrite_head

_HEAD = b"MSRP abcd1234 SEND\r\nTo-Path: msrp://h:1/a;tcp\r\nFrom-Path: msrp://h:2/b;tcp\r\nMessage-ID: m1\r\n"
_BIND = _HEAD + b"Byte-Range: 1-0/0\r\n-------abcd1234$\r\n"
_CONTENT = (
    _HEAD
    + b"Byte-Range: 1-5/5\r\nSuccess-Report: yes\r\nFailure-Report: yes\r\nContent-Type: text/plain\r\n"
    + b"\r\nhello\r\n-------abcd1234$\r\n"
)


def _names(octets: bytes) -> list[bytes]:
    return [line.partition(b":")[0] for line in octets.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]


def test_content_type_comes_before_reports_and_range() -> None:
    written = rewrite_head(_CONTENT, has_type_first=True, has_bare_sends=True)
    assert _names(written) == [
        *(b"To-Path", b"From-Path", b"Message-ID"),
        *(b"Content-Type", b"Byte-Range", b"Success-Report", b"Failure-Report"),
    ]
    assert written.endswith(b"\r\n\r\nhello\r\n-------abcd1234$\r\n")
    assert sorted(written) == sorted(_CONTENT)


def test_a_send_without_body_loses_its_range() -> None:
    assert rewrite_head(_BIND, has_type_first=True, has_bare_sends=True) == _HEAD + b"-------abcd1234$\r\n"
    assert rewrite_head(_BIND, has_type_first=True, has_bare_sends=False) == _BIND


@pytest.mark.parametrize(
    "octets",
    [b"", b"hello", b"MSRP abcd1234 200 OK\r\nTo-Path: a\r\n-------abcd1234$\r\n", b"MSRP x REPORT\r\nTo-Path: a\r\n"],
)
def test_what_begins_no_send_stays_as_it_is(octets: bytes) -> None:
    assert rewrite_head(octets, has_type_first=True, has_bare_sends=True) is octets


def test_a_blank_line_in_the_body_is_not_taken_for_the_end_of_the_head() -> None:
    octets = _CONTENT.replace(b"hello", b"a\r\n\r\nByte-Range: 9")
    written = rewrite_head(octets, has_type_first=True, has_bare_sends=False)
    assert written.endswith(b"\r\n\r\na\r\n\r\nByte-Range: 9\r\n-------abcd1234$\r\n")
