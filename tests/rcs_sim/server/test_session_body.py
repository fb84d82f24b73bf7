from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.server.pager_content import ContentRefused
from rcs_sim.server.session_body import SDP_TYPE, description_in, first_message_in
from tests.rcs_sim.server.messaging_lab import cpim

SDP = b"v=0\r\ns=-\r\n"
MIXED = 'multipart/mixed;boundary="b1"'


def multipart(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        b"--b1\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + octets + b"\r\n" for kind, octets in parts
    )
    return body + b"--b1--\r\n"


def refusal_of(content_type: str, octets: bytes) -> int:
    with pytest.raises(ContentRefused) as refused:
        description_in(content_type, octets)
    return refused.value.status


def test_the_body_is_taken_as_it_is_or_from_among_others() -> None:
    assert description_in("Application/SDP ; x=y", SDP) == SDP
    cpim = ("message/cpim", b"From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nhi")
    assert description_in(MIXED, multipart(cpim, (SDP_TYPE, SDP))) == SDP
    assert description_in(MIXED, multipart((SDP_TYPE, SDP), cpim)) == SDP


def test_a_body_without_sdp_is_415_and_one_that_cannot_be_read_400() -> None:
    assert refusal_of("text/plain", b"hi") == 415
    assert refusal_of("", b"hi") == 415
    assert refusal_of(MIXED, multipart(("text/plain", b"hi"))) == 415
    assert refusal_of(MIXED, b"--b1\r\n") == 400
    assert refusal_of("multipart/mixed", SDP) == 400


def test_the_first_message_is_cpim_with_something_to_say() -> None:
    said, announced = cpim("hi"), cpim("")
    assert first_message_in(MIXED, multipart((SDP_TYPE, SDP), ("message/cpim", said))) == said
    assert first_message_in(MIXED, multipart((SDP_TYPE, SDP), ("message/cpim", announced))) is None
    assert first_message_in(MIXED, multipart((SDP_TYPE, SDP))) is None
    assert first_message_in(SDP_TYPE, SDP) is None


@given(st.sampled_from([MIXED, "multipart/mixed", "x"]), st.binary(max_size=300))
def test_in_any_octets_there_is_a_first_message_or_none(content_type: str, octets: bytes) -> None:
    assert first_message_in(content_type, octets) is None


@given(st.sampled_from([MIXED, "multipart/mixed", "multipart/mixed;boundary=", "x"]), st.binary(max_size=300))
def test_any_octets_are_taken_or_refused(content_type: str, octets: bytes) -> None:
    with pytest.raises(ContentRefused):
        description_in(content_type, octets)
