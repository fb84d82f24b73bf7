"""Values of MSRP header fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.msrp.header_fields import (
    ByteRange,
    MsrpParseError,
    ReportStatus,
    can_use,
    header_key,
    is_echoed_id,
    is_method,
    is_transaction_id,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1-9/9", ByteRange(1, 9, 9)),
        ("1-0/0", ByteRange(1, 0, 0)),
        ("1-*/*", ByteRange(1, None, None)),
        ("5-*/10", ByteRange(5, None, 10)),
        ("11-*/10", ByteRange(11, None, 10)),
        ("5-4/10", ByteRange(5, 4, 10)),
        ("3-8/*", ByteRange(3, 8, None)),
    ],
)
def test_a_byte_range_is_read_and_written(text: str, value: ByteRange) -> None:
    assert ByteRange.parse(text) == value
    assert str(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1-4",
        "0-4/4",
        "5-3/9",
        "5-8/6",
        "12-*/10",
        "1-4/4 ",
        "+1-4/4",
        "1-a/4",
        "\u0661-4/4",
        "9" * 5000 + "-*/*",
        "1--/1",
    ],
)
def test_a_byte_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(MsrpParseError) as refused:
        ByteRange.parse(text)
    assert refused.value.status == 400
    assert not refused.value.is_fatal


@given(st.text(max_size=40))
def test_any_text_is_a_byte_range_or_refused(text: str) -> None:
    try:
        value = ByteRange.parse(text)
    except MsrpParseError:
        return
    assert ByteRange.parse(str(value)) == value


def test_the_status_of_a_report_may_lack_its_text() -> None:
    assert ReportStatus.parse("000 200 OK") == ("000", 200, "OK")
    assert ReportStatus.parse("000 413") == ("000", 413, "")
    assert ReportStatus.parse("001 777 so it is") == ("001", 777, "so it is")
    assert ReportStatus.parse("200 OK") is None


def test_transaction_ids_have_4_to_32_of_their_characters() -> None:
    assert is_transaction_id("a1.-+%=z")
    assert is_transaction_id("a" * 32)
    for text in ("abc", "a" * 33, ".abcd", "ab cd", "abc$", "äbcd", "abcd\n"):
        assert not is_transaction_id(text)
    assert is_echoed_id("a")
    assert not is_echoed_id("a\r\nb")


def test_methods_and_header_names() -> None:
    assert is_method("NICKNAME")
    assert not is_method("Send")
    assert header_key("to-PATH") == "to-path"
    assert header_key("To-Path") == "to-path"
    assert header_key("X.y'z") == "x.y'z"
    assert header_key("a b") is None
    assert header_key("1x") is None
    assert header_key("") is None


def test_an_id_may_not_end_its_own_body() -> None:
    assert can_use("abcd", b"\r\n-------abce$\r\n")
    assert not can_use("abcd", b"x\r\n-------abcd+\r\n")
    assert not can_use("abcd", b"-------abcd")
