"""Names, escapes, parameters and namespaces of CPIM headers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.cpim_header import (
    CORE,
    IMDN,
    CpimHeader,
    CpimParseError,
    declare_namespace,
    escape_value,
    is_name,
    is_uri,
    scan_parameters,
    split_header_name,
    split_parameters,
    unescape_value,
    write_header,
)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        (r"\u00e9 \b\t\n\r\\\"\'", "é \b\t\n\r\\\"'"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d", "\ufffd"),
        (r"\x \u12 \uzzzz", r"\x \u12 \uzzzz"),
        ("end\\", "end\\"),
    ],
)
def test_escapes_are_resolved_as_in_java(raw: str, text: str) -> None:
    assert unescape_value(raw) == text


@given(st.text(max_size=60))
def test_escaped_values_have_no_control_character_and_come_back(text: str) -> None:
    raw = escape_value(text)
    assert not any(character < " " or character == "\x7f" for character in raw)
    assert unescape_value(raw) == text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("From", ("", "From", "from")),
        ("imdn.Message-ID", ("imdn", "Message-ID", "message-id")),
        ("ns", ("", "NS", "ns")),
        ("a.b.c", ("a", "b.c", "b.c")),
    ],
)
def test_names_are_split_at_their_prefix(written: str, expected: tuple[str, str, str]) -> None:
    assert split_header_name(written) == expected


@pytest.mark.parametrize("written", ["", ".", "a.", ".a", "a b", "a\t", "é", "a(b", "From "])
def test_malformed_names_are_refused(written: str) -> None:
    with pytest.raises(CpimParseError):
        split_header_name(written)


def test_parameters_stand_between_colon_and_space() -> None:
    assert split_parameters(";lang=fr salut") == (";lang=fr", "salut")
    assert split_parameters(';a="x; y";b=2') == (';a="x; y";b=2', "")
    assert split_parameters(";no parameter") is None
    assert split_parameters("plain") is None
    assert scan_parameters(';a="x;\\"y";b=2') == (("a", 'x;"y'), ("b", "2"))


def test_namespaces_are_declared_with_and_without_prefix() -> None:
    declared = {"": CORE}
    declare_namespace("imdn <urn:ietf:params:imdn>", declared)
    declare_namespace("<urn:x>", declared)
    declare_namespace("c<urn:ietf:params:cpim-headers:>", declared)
    assert declared == {"imdn": IMDN, "": "urn:x", "c": CORE}
    for value in ("imdn urn:x", "<>", "a b <urn:x>", "<urn:x"):
        with pytest.raises(CpimParseError):
            declare_namespace(value, declared)


def test_headers_are_written_with_their_parameters() -> None:
    assert write_header(CpimHeader.of(CORE, "Subject", "a\nb", (("lang", "fr"), ("x", 'a "b"')))) == (
        'Subject:;lang=fr;x="a \\"b\\"" a\\nb'
    )
    for header in (CpimHeader(CORE, "NS", "x"), CpimHeader(CORE, "A", "x", (("b c", "d"),)), CpimHeader(CORE, "", "x")):
        with pytest.raises(LocalProtocolError):
            write_header(header)


def test_names_and_uris_are_told_from_other_texts() -> None:
    assert [is_name("imdn"), is_name("a.b"), is_uri("tel:+1"), is_uri("a b"), is_uri("a>b")] == [
        True,
        False,
        True,
        False,
        False,
    ]


@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_the_modules_own_error(text: str) -> None:
    unescape_value(text)
    scan_parameters(text)
    split_parameters(text)
    with contextlib.suppress(CpimParseError):
        split_header_name(text)
    with contextlib.suppress(CpimParseError):
        declare_namespace(text, {})
