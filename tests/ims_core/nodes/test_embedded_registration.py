"""What a third-party REGISTER embeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.nodes.embedded_registration import EmbeddedRegistration, read_embedded_registration
from ims_core.nodes.third_party_register import third_party_register
from ims_core.wire.sip.message import Request, Response

_TAG = "+g.3gpp.smsip"


def _register(contact: str, expires: int | None = None) -> Request:
    headers = [
        ("Via", "SIP/2.0/TCP 192.0.2.11;branch=z9hG4bK1"),
        ("From", "<sip:+12025550101@ims.example>;tag=a"),
        ("To", "<sip:+12025550101@ims.example>"),
        ("Call-ID", "r1"),
        ("CSeq", "2 REGISTER"),
        ("Contact", contact),
    ]
    if expires is not None:
        headers.append(("Expires", str(expires)))
    return Request.new("REGISTER", "sip:ims.example", headers)


def _third_party(register: Request | None, answer: Response | None) -> Request:
    return third_party_register(
        "sip:ipsmgw.ims.example",
        scscf_uri="sip:scscf.ims.example",
        impu="sip:+12025550101@ims.example",
        expires_s=3600,
        call_id="tp1",
        cseq=1,
        tag="t",
        register=register,
        answer=answer,
    )


def test_both_messages_are_found() -> None:
    register = _register(f"<sip:a@192.0.2.11>;{_TAG}")
    answer = Response.to(register, 200, to_tag="x", headers=[("Contact", f"<sip:a@192.0.2.11>;{_TAG};expires=3600")])
    embedded = read_embedded_registration(_third_party(register, answer))
    assert embedded == EmbeddedRegistration(register, answer)
    assert embedded.has_tag(_TAG)


@pytest.mark.parametrize(
    ("contact", "expires", "has_tag"),
    [
        (f"<sip:a@192.0.2.11>;{_TAG}", 600, True),
        (f"<sip:a@192.0.2.11>;{_TAG};expires=0", 600, False),
        (f"<sip:a@192.0.2.11>;{_TAG}", 0, False),
        (f"<sip:b@192.0.2.12>, <sip:a@192.0.2.11>;{_TAG}", 600, True),
        ("<sip:a@192.0.2.11>;+g.oma.sip-im", 600, False),
        ("*", 0, False),
        ("<<<", 600, False),
    ],
)
def test_a_tag_counts_for_a_contact_that_stays(contact: str, expires: int, has_tag: bool) -> None:
    assert EmbeddedRegistration(_register(contact, expires)).has_tag(_TAG) is has_tag


def test_one_part_without_multipart_is_read() -> None:
    register = _register(f"<sip:a@192.0.2.11>;{_TAG}")
    request = _third_party(None, None).edit().body(register.encode(), "message/sip").done()
    assert read_embedded_registration(request).register == register


@pytest.mark.parametrize("content_type", ["multipart/mixed", 'multipart/mixed;boundary=""', "text/plain", "x"])
def test_other_bodies_embed_nothing(content_type: str) -> None:
    request = _third_party(None, None).edit().body(b"--x\r\n\r\n\r\n--x--", content_type).done()
    assert read_embedded_registration(request) == EmbeddedRegistration()


@given(st.binary(max_size=300), st.sampled_from(["b", "--b"]))
def test_any_body_is_read_without_an_error(body: bytes, boundary: str) -> None:
    framed = b"--b\r\nContent-Type: message/sip\r\n\r\n" + body + b"\r\n--b--"
    request = _third_party(None, None).edit().body(framed, f"multipart/mixed;boundary={boundary}").done()
    read_embedded_registration(request).has_tag(_TAG)
