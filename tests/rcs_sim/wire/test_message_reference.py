"""What a message bears on, in the headers of the GSMA and in those from before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.cpim import CpimMessage, compose_cpim
from rcs_sim.wire.cpim_header import GSMA, CpimHeader, CpimParseError
from rcs_sim.wire.message_reference import (
    EDIT_NAMESPACE,
    MAX_ID_CHARACTERS,
    REACTIONS_NAMESPACE,
    REFERENCE_NAMESPACES,
    REPLIES_NAMESPACE,
    MessageReference,
    ReferenceDialect,
    ReferenceType,
    read_reaction,
    read_reference,
    reference_headers,
    write_reaction,
)

_TARGET = "7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001"
_GSMA, _GOOGLE = ReferenceDialect.GSMA, ReferenceDialect.GOOGLE
_EXAMPLE = (
    b"From: <sip:anonymous@anonymous.invalid>\r\nTo: <sip:anonymous@anonymous.invalid>\r\n"
    b"NS: imdn <urn:ietf:params:imdn>\r\nNS: rcs <http://www.gsma.com>\r\n"
    b"imdn.Message-ID: 0d3f7d9e-55aa-4f6a-8a11-6be1aa000005\r\nDateTime: 2026-03-02T10:17:00.000Z\r\n"
    b"imdn.Disposition-Notification: positive-delivery\r\n"
    b"rcs.Reference-ID: 7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001\r\nrcs.Reference-Type: +Reaction\r\n\r\n"
    b"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 4\r\n\r\n\xf0\x9f\x91\x8d"
)


def test_the_example_of_the_digest_is_read_and_written_octet_for_octet() -> None:
    cpim = CpimMessage.parse(_EXAMPLE)
    reference = read_reference(cpim.headers)
    assert reference == MessageReference(_TARGET, ReferenceType.ADD_REACTION)
    assert read_reaction(cpim.text) == "👍"
    written = compose_cpim(
        sender="sip:anonymous@anonymous.invalid",
        recipient="sip:anonymous@anonymous.invalid",
        message_id="0d3f7d9e-55aa-4f6a-8a11-6be1aa000005",
        date_time="2026-03-02T10:17:00.000Z",
        body=write_reaction("👍", (_GSMA,)).encode(),
        disposition_notification=("positive-delivery",),
        extra=reference_headers(reference, (_GSMA,)),
    )
    assert written == _EXAMPLE


@pytest.mark.parametrize("dialects", [(_GSMA,), (_GSMA, _GOOGLE), (_GOOGLE,)])
@pytest.mark.parametrize("kind", list(ReferenceType))
def test_each_type_survives_in_each_dialect(kind: ReferenceType, dialects: tuple[ReferenceDialect, ...]) -> None:
    reference = MessageReference(_TARGET, kind)
    assert read_reference(reference_headers(reference, dialects, at_ms=1_772_446_620_000)) == reference


def test_the_words_of_the_older_dialect() -> None:
    def written(kind: ReferenceType) -> list[tuple[str, str, str]]:
        headers = reference_headers(MessageReference("m1", kind), (_GOOGLE,), at_ms=5)
        return [(each.namespace, each.name, each.value) for each in headers]

    reply_type = "Message-Reply-Type"
    assert written(ReferenceType.ADD_REACTION)[0] == (REACTIONS_NAMESPACE, reply_type, "message-reaction-add")
    assert written(ReferenceType.REMOVE_REACTION)[0] == (REACTIONS_NAMESPACE, reply_type, "message-reaction-remove")
    assert written(ReferenceType.REPLY) == [(REPLIES_NAMESPACE, "In-Reply-To-Message-Id", "m1")]
    assert written(ReferenceType.EDIT)[1] == (EDIT_NAMESPACE, "Edited-At-Timestamp-Ms", "5")
    assert [name for _, name, _ in written(ReferenceType.RECALL)] == ["Reference-ID", "Reference-Type"]
    assert write_reaction("👍", (_GOOGLE,)) == "\u200a👍\u200a"
    assert read_reaction("\u200a👍\u200a") == "👍"


def test_what_is_not_known_is_kept_as_it_came() -> None:
    headers = (CpimHeader(GSMA, "reference-id", " m1 "), CpimHeader(GSMA, "REFERENCE-TYPE", "Novel"))
    found = read_reference(headers)
    assert found == MessageReference("m1", "Novel")
    assert found is not None
    assert found.type is None
    assert not found.is_change


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (CpimHeader(GSMA, "Reference-ID", "m1"),),
        (CpimHeader(GSMA, "Reference-Type", "Edit"),),
        (CpimHeader(GSMA, "Reference-ID", ""), CpimHeader(GSMA, "Reference-Type", "Edit")),
        (CpimHeader(GSMA, "Reference-ID", "m" * 257), CpimHeader(GSMA, "Reference-Type", "Edit")),
        (CpimHeader("http://other.example", "Reference-ID", "m1"), CpimHeader(GSMA, "Reference-Type", "Edit")),
        (CpimHeader(REACTIONS_NAMESPACE, "In-Reply-To-Message-Id", "m1"),),
    ],
)
def test_half_a_reference_is_none(headers: tuple[CpimHeader, ...]) -> None:
    assert read_reference(headers) is None


@pytest.mark.parametrize("target", ["", "m" * (MAX_ID_CHARACTERS + 1)])
def test_no_reference_to_what_can_have_no_such_id(target: str) -> None:
    with pytest.raises(LocalProtocolError):
        reference_headers(MessageReference(target, ReferenceType.EDIT), (_GSMA,))


@pytest.mark.parametrize("text", ["", "ok", "👍👍", "1", "👍 and more"])
def test_a_reaction_is_exactly_one_emoji(text: str) -> None:
    assert read_reaction(text) is None
    with pytest.raises(LocalProtocolError):
        write_reaction(text, (_GSMA,))


_VALUES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=300)
_HEADERS = st.builds(
    CpimHeader,
    st.sampled_from([*REFERENCE_NAMESPACES, "", "urn:x"]),
    st.sampled_from(["Reference-ID", "reference-type", "In-Reply-To-Message-Id", "Edited-Message-Id", "X"]),
    _VALUES,
)


@given(st.lists(_HEADERS, max_size=6))
def test_no_headers_raise(headers: list[CpimHeader]) -> None:
    found = read_reference(headers)
    assert found is None or 0 < len(found.target_id) <= MAX_ID_CHARACTERS


@given(st.binary(max_size=120))
def test_no_octets_raise(octets: bytes) -> None:
    try:
        cpim = CpimMessage.parse(_EXAMPLE[:260] + octets)
    except CpimParseError:
        return
    read_reference(cpim.headers_in(REFERENCE_NAMESPACES))
