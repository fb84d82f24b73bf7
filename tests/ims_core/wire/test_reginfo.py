from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.reginfo import RegContact, RegInfo, RegInfoParseError, RegRegistration

CONTACT = RegContact(
    "c1",
    "terminated",
    "probation",
    "sip:a@192.0.2.11:5060;transport=tcp",
    expires=0,
    retry_after=30,
    call_id="x@y",
    cseq=2,
    display_name="Alice & co",
    unknown_params=(("+sip.instance", '"<urn:gsma:imei:00499901-000101-0>"'), ("+g.oma.sip-im", "")),
    pub_gruu="sip:a@home;gr=urn:x",
)
INFO = RegInfo(3, "full", (RegRegistration("sip:a@home", "r1", "active", (CONTACT,)),))


def test_what_is_encoded_is_read_back() -> None:
    assert RegInfo.parse(INFO.encode()) == INFO


def test_other_namespaces_and_prefixes_are_read() -> None:
    document = (
        b'<x:reginfo xmlns:x="urn:other" version="0" state="full"><x:registration aor="sip:a@b" id="r" state="active">'
        b'<x:contact id="c" state="active" event="registered"><x:uri>sip:c@d</x:uri></x:contact></x:registration>'
        b"</x:reginfo>"
    )
    info = RegInfo.parse(document)
    assert info.registrations[0].contacts[0].uri == "sip:c@d"
    assert info.registrations[0].contacts[0].is_active


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<reginfo/>",
        b'<other version="0"/>',
        b'<reginfo version="-1"/>',
        b'<reginfo version="99999999999"/>',
        b'<!DOCTYPE r [<!ENTITY a "b">]><reginfo version="0">&a;</reginfo>',
        b'<reginfo version="0"><registration id="r"/></reginfo>',
        b'<reginfo version="0"><registration aor="a" id="r"><contact/></registration></reginfo>',
        b'<reginfo version="0">' + b"<a/>" * 3000 + b"</reginfo>",
        b'<reginfo version="0">' + b" " * 300_000 + b"</reginfo>",
    ],
)
def test_what_is_no_reginfo_is_refused(document: bytes) -> None:
    with pytest.raises(RegInfoParseError):
        RegInfo.parse(document)


@given(
    st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f'<reginfo version="0">{text}</reginfo>'.encode())
)
def test_any_octets_give_a_document_or_its_own_error(octets: bytes) -> None:
    with contextlib.suppress(RegInfoParseError):
        RegInfo.parse(octets)


@given(st.text(max_size=40))
def test_any_text_can_be_encoded(text: str) -> None:
    contact = RegContact("c", "active", "registered", "sip:a@b", display_name=text, unknown_params=(("n", text),))
    info = RegInfo(0, "full", (RegRegistration("sip:a@b", "r", "active", (contact,)),))
    assert RegInfo.parse(info.encode()).registrations[0].contacts[0].uri == "sip:a@b"
