"""The entity inside the ciphertext: written as peers do, read with lenience, never a crash."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.content_types import GSMA_NAMESPACE
from rcs_sim.e2ee.encrypted_entity import (
    EncryptedEntity,
    EntityError,
    content_type_as_sent,
    disposition_of,
    edit_entity,
    reaction_entity,
    recall_entity,
    reply_entity,
    text_entity,
)
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.message_reference import MessageReference, ReferenceType


@given(st.text(max_size=60))
def test_a_text_survives_a_round_trip(text: str) -> None:
    entity = text_entity(text)
    assert EncryptedEntity.decode(entity.encode()) == entity
    assert EncryptedEntity.decode(entity.encode()).text == text


@given(st.binary(max_size=80), st.sampled_from(["image/png", "message/mls-rcs-file-info", "application/x"]))
def test_octets_of_any_type_survive_a_round_trip(body: bytes, content_type: str) -> None:
    entity = EncryptedEntity(body, content_type, "attachment")
    assert EncryptedEntity.decode(entity.encode()) == entity


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=80).map(lambda tail: b"\r\n" + tail)))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(EntityError):
        decoded = EncryptedEntity.decode(octets)
        assert (decoded.reference, decoded.media_type, decoded.text) is not None


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"NS: a <b>", b"a.B: c", b"Content-Type: x/y", b"z"]), max_size=12))
def test_any_lines_decode_or_are_refused(parts: list[bytes]) -> None:
    with contextlib.suppress(EntityError):
        EncryptedEntity.decode(b"".join(parts))


@pytest.mark.parametrize(
    ("entity", "kind"),
    [
        (reply_entity("m1", "yes"), ReferenceType.REPLY),
        (edit_entity("m1", "new text"), ReferenceType.EDIT),
        (recall_entity("m1"), ReferenceType.RECALL),
        (reaction_entity("m1", "\N{THUMBS UP SIGN}"), ReferenceType.ADD_REACTION),
        (reaction_entity("m1", "\N{THUMBS UP SIGN}", is_removal=True), ReferenceType.REMOVE_REACTION),
    ],
)
def test_a_reference_survives_a_round_trip(entity: EncryptedEntity, kind: ReferenceType) -> None:
    read = EncryptedEntity.decode(entity.encode())
    assert read == entity
    assert read.reference == MessageReference("m1", kind)


def test_headers_are_known_by_namespace_and_not_by_prefix() -> None:
    head = f"NS: zz <{GSMA_NAMESPACE}>\r\nzz.reference-id: m1\r\nzz.Reference-Type: edit\r\n"
    read = EncryptedEntity.decode(f"{head}\r\nContent-Type: text/plain\r\n\r\nx".encode())
    assert read.reference == MessageReference("m1", ReferenceType.EDIT)
    foreign = head.replace(GSMA_NAMESPACE, "http://example.com")
    assert EncryptedEntity.decode(f"{foreign}\r\nContent-Type: text/plain\r\n\r\nx".encode()).reference is None


def test_an_unknown_kind_of_reference_is_kept() -> None:
    headers = (CpimHeader(GSMA_NAMESPACE, "Reference-ID", "m"), CpimHeader(GSMA_NAMESPACE, "Reference-Type", "Novel"))
    assert text_entity("x", headers).reference == MessageReference("m", "Novel")


@pytest.mark.parametrize("content", [b"hello", b"", b"a: b\r\n\r\nc", b"one\n\ntwo\n\nthree", "ö".encode()])
def test_content_without_a_mime_frame_is_text(content: bytes) -> None:
    read = EncryptedEntity.decode(content)
    assert (read.body, read.is_framed, read.media_type.essence) == (content, False, "text/plain")


@pytest.mark.parametrize(("declared", "body"), [("2", b"he"), ("5", b"hello"), ("99", b"hello"), ("x", b"hello")])
def test_a_length_is_honoured_if_it_is_there(declared: str, body: bytes) -> None:
    content = f"\r\nContent-Type: text/plain\r\nContent-Length: {declared}\r\n\r\nhello".encode()
    assert EncryptedEntity.decode(content).body == body


def test_a_transfer_encoding_is_taken_off() -> None:
    content = b"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGk="
    assert EncryptedEntity.decode(content).text == "hi"
    with pytest.raises(EntityError):
        EncryptedEntity.decode(content + b"!")


def test_a_framed_block_that_is_broken_is_refused() -> None:
    with pytest.raises(EntityError):
        EncryptedEntity.decode(b"\r\nno header\r\n\r\nbody")


@pytest.mark.parametrize(
    ("content_type", "sent", "disposition"),
    [
        ("text/plain", "text/plain;charset=UTF-8", "inline"),
        ("text/plain;charset=UTF-16", "text/plain;charset=UTF-16", "inline"),
        ("application/vnd.gsma.rcspushlocation+xml", None, "attachment"),
        ("application/json", "application/json;charset=UTF-8", "attachment"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("message/mls-rcs-file-info", "message/mls-rcs-file-info", "attachment"),
        ("image/png", "image/png", "attachment"),
    ],
)
def test_a_charset_goes_with_text_and_a_disposition_with_all(
    content_type: str, sent: str | None, disposition: str
) -> None:
    assert content_type_as_sent(content_type) == (sent or f"{content_type};charset=UTF-8")
    assert disposition_of(content_type) == disposition


def test_a_line_end_in_a_header_is_a_fault_of_the_caller() -> None:
    with pytest.raises(LocalProtocolError):
        EncryptedEntity(b"", "text/plain\r\nX: y").encode()
    with pytest.raises(LocalProtocolError):
        text_entity("", (CpimHeader("not a uri", "A", "b"),)).encode()
