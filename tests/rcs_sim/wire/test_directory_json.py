"""The readers of a directory's JSON take what they should and refuse the rest with their own error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.directory_json import (
    KeyDirectoryParseError,
    asked_wait_s,
    base64_text,
    json_octets,
    list_of,
    msisdn_of,
    number_of,
    octet_list_of,
    octets_of,
    optional_number_of,
    optional_text_of,
    read_members,
    shown_text_of,
    tel_uri,
    text_of,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_READERS: tuple[Callable[[Any, str], object], ...] = (
    text_of,
    optional_text_of,
    number_of,
    optional_number_of,
    msisdn_of,
    octets_of,
    lambda members, name: list_of(members, name, 2),
    lambda members, name: octet_list_of(members, name, 2),
)


@pytest.mark.parametrize("read", _READERS)
@given(value=_JSON)
def test_a_reader_gives_a_value_or_names_the_member(read: Callable[[Any, str], object], value: object) -> None:
    refused = None
    try:
        read({"it": value}, "it")
    except KeyDirectoryParseError as error:
        refused = error.member
    assert refused in (None, "it")


@given(st.binary(max_size=60))
def test_any_body_is_an_object_or_refused(octets: bytes) -> None:
    with contextlib.suppress(KeyDirectoryParseError):
        assert isinstance(read_members(octets), dict)


def test_deep_nesting_is_refused_and_not_followed() -> None:
    with pytest.raises(KeyDirectoryParseError, match="no JSON"):
        read_members(b"[" * 100_000)


@given(st.binary(max_size=100))
def test_octets_come_back(octets: bytes) -> None:
    assert octets_of(read_members(json_octets({"key": base64_text(octets)})), "key") == octets


@pytest.mark.parametrize("written", ["tel:+12025550101", "+12025550101", "12025550101", "tel:+12025550101;verstat=x"])
def test_a_number_is_read_in_every_form(written: str) -> None:
    assert msisdn_of({"msisdn": written}, "msisdn") == "12025550101"
    assert tel_uri("12025550101") == "tel:+12025550101"


def test_absent_and_null_are_none_where_a_member_is_optional() -> None:
    assert optional_text_of({}, "it") is optional_text_of({"it": None}, "it") is None
    assert optional_number_of({}, "it") is optional_number_of({"it": None}, "it") is None


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("86401", 86_400.0), ("9" * 6000, 86_400.0), ("", None), (None, None)]
    + [(odd, None) for odd in ("-1", "1.5", "1e3", "inf", "nan", "\u0663", "Wed, 21 Oct 2015 07:28:00 GMT")],
)
def test_a_directory_can_ask_for_a_day_at_most(said: str | None, wait_s: float | None) -> None:
    assert asked_wait_s(said) == wait_s


@given(_JSON)
def test_a_text_for_people_is_short_whatever_stands_there(value: Any) -> None:
    shown = shown_text_of({"detail": value}, "detail")
    assert shown == (value[:512] if isinstance(value, str) else "")
