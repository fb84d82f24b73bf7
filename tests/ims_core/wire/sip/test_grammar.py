"""Tokens, quoted strings and lists (RFC 3261 §25.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import (
    MAX_DELTA_SECONDS,
    SipParseError,
    is_quoted,
    is_token,
    parse_delta_seconds,
    quote,
    refuse_injection,
    split_list,
    unfold,
    unquote,
)


def test_commas_in_quotes_and_brackets_part_nothing() -> None:
    text = '"a, b" <sip:x@y;p=1,2>;q=1 , <sip:z> ,"\\",", c'
    assert split_list(text) == ['"a, b" <sip:x@y;p=1,2>;q=1', "<sip:z>", '"\\","', "c"]


def test_empty_elements_are_kept_for_their_parser_to_refuse() -> None:
    assert split_list("a,,b,") == ["a", "", "b", ""]


def test_an_unterminated_quote_or_bracket_takes_the_rest() -> None:
    assert split_list('a,"b,c') == ["a", '"b,c']
    assert split_list("a,<b,c") == ["a", "<b,c"]


@given(st.lists(st.text(alphabet=st.characters(blacklist_characters="\x00\r\n"), max_size=20).map(quote), min_size=1))
def test_quoted_strings_of_any_text_split_and_unquote_again(values: list[str]) -> None:
    printable = [value for value in values if is_quoted(value)]
    assert split_list(", ".join(printable)) == (printable or [""])


@given(st.text(alphabet=st.characters(blacklist_characters="\x00")))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text


def test_text_without_quotes_is_not_touched_by_unquoting() -> None:
    assert (unquote("abc"), unquote('"'), unquote('"a')) == ("abc", '"', '"a')


def test_a_fold_is_one_space() -> None:
    assert unfold("  a \r\n\t b\r\n c ") == "a b c"


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("0060", 60), ("4294967295", 4294967295), ("9" * 500, MAX_DELTA_SECONDS)]
)
def test_seconds_are_capped(text: str, seconds: int) -> None:
    assert parse_delta_seconds(text, "Expires") == seconds


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "٣", "1 "])
def test_seconds_are_digits(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_delta_seconds(text, "Expires")


def test_tokens() -> None:
    assert is_token("a-.!%*_+`'~Z9")
    assert not is_token("")
    assert not is_token("a b")
    assert not is_token("é")


@pytest.mark.parametrize("text", ["a\r\nVia: x", "a\n", "\0"])
def test_what_would_break_out_of_its_line_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        refuse_injection(text, "a value")


def test_a_parse_error_takes_any_text() -> None:
    assert SipParseError("bad", raw="\ud800").raw
    assert SipParseError("bad", raw=b"\xff\xfe".decode("utf-8", "surrogateescape")).raw == b"\xff\xfe"
