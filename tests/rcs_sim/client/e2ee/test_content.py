from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.client.content import Content
from rcs_sim.client.e2ee.content import SealedTyping, Unreadable, read_opened
from rcs_sim.e2ee.content_types import GSMA_NAMESPACE
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, reply_entity, text_entity
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.wire.cpim import CpimMessage, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.message_reference import MessageReference, ReferenceDialect, ReferenceType, reference_headers

_ID, _TARGET = "Mxmx3rTTt9S62b3SsNez3LbQ", "MxAAAAAAAAAAAAAAAAAAAAAA"
_CPIM = CpimMessage.parse(
    compose_cpim(
        sender="sip:anonymous@anonymous.invalid",
        recipient="sip:anonymous@anonymous.invalid",
        message_id=_ID,
        date_time="2026-03-02T10:15:30.000Z",
        body=b"sealed",
        content_type="message/mls",
        disposition_notification=("positive-delivery", "display"),
    )
)
_TYPING = (
    b'<?xml version="1.0"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state>'
    b"<contenttype>text/plain</contenttype></isComposing>"
)


def _read(content: bytes) -> object:
    opened = Opened(message_id=_ID, content=content, sender="12025550101", leaf=LeafIndex(0), moment=Moment(1, 1))
    return read_opened(opened, _CPIM)


def _typed(content_type: str, body: bytes) -> bytes:
    return b"\r\nContent-Type: " + content_type.encode() + b"\r\n\r\n" + body


def test_a_text_has_the_id_and_the_wishes_of_its_wrapper() -> None:
    found = _read(text_entity("hello").encode())
    assert isinstance(found, Content)
    assert (found.text, found.message_id) == ("hello", _ID)
    assert set(found.wishes) == {"positive-delivery", "display"}


def test_any_text_is_rendered_and_other_unknown_types_are_dropped() -> None:
    found = _read(_typed("text/x-new; charset=UTF-8", b"still a text"))
    assert isinstance(found, Content)
    assert found.text == "still a text"
    dropped = _read(_typed("image/png", b"\x89PNG"))
    assert isinstance(dropped, Unreadable)
    assert "image/png" in dropped.why


def test_typing_inside_mls_is_typing_and_never_a_text() -> None:
    found = _read(_typed("application/im-iscomposing+xml", _TYPING))
    assert isinstance(found, SealedTyping)
    assert found.state.is_active
    assert isinstance(_read(_typed("application/im-iscomposing+xml", b"<nonsense")), Unreadable)


@pytest.mark.parametrize("kind", ["Edit", "Recall", "+Reaction", "-Reaction"])
def test_what_refers_to_an_earlier_message_changes_it(kind: str) -> None:
    about = (CpimHeader(GSMA_NAMESPACE, "Reference-ID", _TARGET), CpimHeader(GSMA_NAMESPACE, "Reference-Type", kind))
    found = _read(text_entity("👍", about).encode())
    assert isinstance(found, Content)
    assert (found.reference, found.text) == (MessageReference(_TARGET, ReferenceType(kind)), "👍")


def test_headers_outside_of_what_was_sealed_make_nothing_of_it() -> None:
    about = reference_headers(MessageReference(_TARGET, ReferenceType.EDIT), (ReferenceDialect.GSMA,))
    forged = _CPIM
    for header in about:
        forged = forged.with_header(header)
    opened = Opened(
        message_id=_ID, content=text_entity("x").encode(), sender="1", leaf=LeafIndex(0), moment=Moment(1, 1)
    )
    found = read_opened(opened, forged)
    assert isinstance(found, Content)
    assert found.reference is None


def test_a_reply_is_a_text_of_its_own() -> None:
    found = _read(reply_entity(_TARGET, "me too").encode())
    assert isinstance(found, Content)
    assert (found.text, found.reference) == ("me too", MessageReference(_TARGET, ReferenceType.REPLY))


@given(st.binary(max_size=200))
def test_no_octets_raise(content: bytes) -> None:
    assert isinstance(_read(content), Content | SealedTyping | Unreadable)


def test_an_entity_is_what_was_written() -> None:
    assert EncryptedEntity.decode(text_entity("a").encode()).text == "a"
