"""Message revocation."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.revocation import RevocationParseError, RevokeRequest, RevokeResponse, parse_revocation


@pytest.mark.parametrize(
    "document",
    [
        RevokeRequest("m<1", "tel:+1", "tel:+2"),
        RevokeRequest("m"),
        RevokeResponse("m", True),
        RevokeResponse("m", False),
    ],
)
def test_request_and_response_survive_a_round_trip(document: RevokeRequest | RevokeResponse) -> None:
    assert parse_revocation(document.encode()) == document


def test_the_request_has_the_form_of_the_digest() -> None:
    assert RevokeRequest("7b0c", "tel:+12025550101", "tel:+12025550102").encode() == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<MessageRevokeRequest xmlns="urn:gsma:params:xml:ns:rcs:rcs:rcsrevoke">\n'
        b" <Message-ID>7b0c</Message-ID>\n <From>tel:+12025550101</From>\n <To>tel:+12025550102</To>\n"
        b"</MessageRevokeRequest>\n"
    )


def test_names_match_without_namespace_and_case() -> None:
    octets = b'<q:messageRevokeResponse xmlns:q="urn:y"><message-id>m</message-id>'
    octets += b"<q:Result>SUCCESS</q:Result></q:messageRevokeResponse>"
    assert parse_revocation(octets) == RevokeResponse("m", True)


@pytest.mark.parametrize(
    "octets", [b"", b"<MessageRevokeRequest/>", b"<x><Message-ID>m</Message-ID></x>", b"<!DOCTYPE a><a/>"]
)
def test_refused_documents(octets: bytes) -> None:
    with pytest.raises(RevocationParseError):
        parse_revocation(octets)


@given(st.binary(max_size=100))
def test_any_octets_give_a_document_or_the_modules_own_error(octets: bytes) -> None:
    for document in (octets, b"<MessageRevokeRequest><Message-ID>" + octets + b"</Message-ID></MessageRevokeRequest>"):
        with contextlib.suppress(RevocationParseError):
            parse_revocation(document)
