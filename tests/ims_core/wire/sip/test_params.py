"""Parameters of URIs and header values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.params import NO_PARAMS, Params, parse_header_params, parse_uri_params

_NAMES = st.text("abcXYZ019-.+_", min_size=1, max_size=8)
_VALUES = st.none() | st.text(
    st.characters(blacklist_characters="\x00\r\n", blacklist_categories=["Cs", "Cc"]), max_size=12
)


def test_names_are_found_in_any_case_and_values_come_without_quotes() -> None:
    params = parse_header_params(' ; Tag = abc;+sip.instance="<urn:x:\\"1\\">";lr;q=0.5')
    assert params.get("tag") == "abc"
    assert params.get("+SIP.Instance") == '<urn:x:"1">'
    assert params.raw("+sip.instance") == '"<urn:x:\\"1\\">"'
    assert params.get("lr") == ""
    assert params.get("none") is None
    assert params.get("none", "x") == "x"
    assert params.has("LR")
    assert "q" in params
    assert params.names == ("Tag", "+sip.instance", "lr", "q")
    assert len(params) == 4


def test_a_repeated_name_shows_its_first_value_and_all() -> None:
    params = parse_header_params(";a=1;A=2")
    assert (params.get("a"), params.get_all("a")) == ("1", ("1", "2"))


def test_semicolons_and_commas_in_quotes_part_nothing() -> None:
    assert parse_header_params(';a=";b=\\",c";d').pairs == (("a", '";b=\\",c"'), ("d", None))


@pytest.mark.parametrize(
    "text", [";", ";;", ";=a", ";a=", ";a b", ';a="', ";a=b c", ";a=é", "a", ";a=b,c", ';a="b"c', ";a=b\x00"]
)
def test_malformed_header_parameters_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_header_params(text)


@pytest.mark.parametrize("text", [";", ";;a", ";a=", ";a b", ';a="b"', ";a=%4", ";a=<b>", "a"])
def test_malformed_uri_parameters_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_uri_params(text)


def test_another_value_takes_the_place_of_the_first_and_removes_the_others() -> None:
    params = parse_header_params(";a=1;b;A=2")
    assert str(params.with_("a", "3")) == ";a=3;b"
    assert str(params.with_("c")) == ";a=1;b;A=2;c"
    assert str(params.without("A")) == ";b"
    assert str(params) == ";a=1;b;A=2"


def test_a_value_is_quoted_only_if_it_has_to_be() -> None:
    assert str(NO_PARAMS.with_("a", "x y").with_("b", "token").with_("c", '"v1"')) == ';a="x y";b=token;c="v1"'


@pytest.mark.parametrize(
    ("name", "value"), [("a\r\n", None), ("a", "b\r\nVia: c"), ("", None), ("a;b", None), ("a", "\0")]
)
def test_what_would_break_the_header_is_never_built(name: str, value: str | None) -> None:
    with pytest.raises(LocalProtocolError):
        NO_PARAMS.with_(name, value)


def test_equal_parameters_are_equal_however_they_were_spaced() -> None:
    assert parse_header_params(" ; a = 1") == Params((("a", "1"),))
    assert hash(parse_header_params(" ; a = 1")) == hash(Params((("a", "1"),)))
    assert parse_header_params(";a=1") != parse_header_params(";a=2")


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=6))
def test_what_is_built_parses_to_the_same_values(pairs: list[tuple[str, str | None]]) -> None:
    params = NO_PARAMS
    for name, value in pairs:
        params = params.with_(name, value)
    again = parse_header_params(str(params))
    assert again == params
    for name, value in {name.lower(): value for name, value in pairs}.items():
        if value is None or not value.startswith('"'):
            assert again.get(name) == (value or "")


@given(st.text(alphabet=' \t;=",a<>\\:[]é\x00', max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_header_params, parse_uri_params):
        try:
            params = parse(text)
        except SipParseError:
            continue
        assert parse(str(params)) == params
