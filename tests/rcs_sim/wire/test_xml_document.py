"""XML of a peer: no DTD, no entity, no network, bounded, one error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ims_core.errors import RemoteProtocolError
from rcs_sim.wire.xml_document import child_text, escape_text, local_name, parse_xml


class _Refused(RemoteProtocolError):
    pass


def _parse(octets: bytes) -> etree._Element:
    return parse_xml(octets, _Refused, max_octets=10_000)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"text",
        b"<a>",
        b"<a/><b/>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&undeclared;</a>",
        b"\x00<a/>",
        b"<a>" * 300 + b"</a>" * 300,
        b"<a>" + b"x" * 10_000 + b"</a>",
        "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE a><a/>".encode("utf-16"),
        "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE a><a/>".encode("utf-16-le"),
        b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-",
        b"<?xml version='1.0' encoding='no-such'?><a/>",
    ],
)
def test_refused_documents(octets: bytes) -> None:
    with pytest.raises(_Refused):
        _parse(octets)


def test_comments_and_instructions_do_not_cut_a_text() -> None:
    assert child_text(_parse(b"<a><b>x<!-- c -->y<?p q?>z</b></a>"), "b") == "xyz"


def test_utf_16_and_byte_order_marks_are_read() -> None:
    assert _parse("<?xml version='1.0' encoding='UTF-16'?><a>é</a>".encode("utf-16")).text == "é"
    assert local_name(_parse(b'\xef\xbb\xbf<q:a xmlns:q="urn:x"/>')) == "a"


@given(st.text(max_size=60))
def test_escaped_text_comes_back_from_content_and_attribute(text: str) -> None:
    element = _parse(f'<a b="{escape_text(text)}">{escape_text(text)}</a>'.encode())
    assert (element.text or "") == element.get("b")
    if all(character in "\t\n\r" or character >= "\x20" for character in text) and not set("\ufffe\uffff") & set(text):
        assert (element.text or "") == text


@given(st.binary(max_size=200))
def test_any_octets_give_an_element_or_the_given_error(octets: bytes) -> None:
    for document in (octets, b"<a>" + octets + b"</a>"):
        with contextlib.suppress(_Refused):
            _parse(document)
