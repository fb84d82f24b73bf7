"""Multipart bodies: boundaries, binary parts, nesting, limits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.multipart import MAX_DEPTH, MAX_PARTS, BodyPart, Multipart, MultipartParseError

_TYPE = 'multipart/mixed;boundary="b"'


def _contents(body: bytes, content_type: str = _TYPE) -> list[bytes]:
    return [part.content for part in Multipart.parse(content_type, body).parts]


def test_parts_are_split_and_preamble_and_epilogue_dropped() -> None:
    body = b"preamble\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n"
    body += b"--b  \r\n\r\nplain\r\n--bc\r\n--b--\r\nepilogue\r\n--b\r\n"
    message = Multipart.parse("Multipart/Related; Boundary=b", body)
    assert message.subtype == "related"
    assert [(part.content_type.essence, part.content) for part in message.parts] == [
        ("application/sdp", b"v=0\r\n"),
        ("text/plain", b"plain\r\n--bc"),
    ]


def test_bare_line_feeds_and_empty_parts_are_accepted() -> None:
    assert _contents(b"--b\nA: 1\n\nx\n--b\n--b--") == [b"x", b""]
    assert _contents(b"--b\r\n\r\n--b--") == [b""]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (_TYPE, b""),
        (_TYPE, b"--b\r\n\r\nx"),
        (_TYPE, b"--b--\r\n"),
        (_TYPE, b"--b\r\nno header\r\n\r\nx\r\n--b--"),
        (_TYPE, b"--b\r\n\r\n" * (MAX_PARTS + 1) + b"--b--"),
        (_TYPE, b"--b\r\nA: " + b"x" * 20_000 + b"\r\n\r\n--b--"),
        ("multipart/mixed", b"--b\r\n\r\n--b--"),
        ('multipart/mixed;boundary=""', b"--\r\n\r\n----"),
        ("multipart/mixed;boundary=" + "x" * 71, b""),
        ("text/plain;boundary=b", b"--b\r\n\r\n--b--"),
        ("", b""),
    ],
)
def test_refused_bodies(content_type: str, body: bytes) -> None:
    with pytest.raises(MultipartParseError):
        Multipart.parse(content_type, body)


def _nested(levels: int) -> Multipart:
    message = Multipart((BodyPart.of("text/plain", b"deep"),))
    for _ in range(levels - 1):
        content_type, body = message.encode()
        message = Multipart((BodyPart.of(content_type, body), BodyPart.of("a/b", b"side")))
    return message


def test_nested_parts_are_walked_in_order_within_the_depth_limit() -> None:
    assert [part.content for part in _nested(3).walk()] == [b"deep", b"side", b"side"]
    part = _nested(MAX_DEPTH).part("text/plain")
    assert part is not None
    assert part.content == b"deep"
    assert _nested(2).part("no/such") is None
    with pytest.raises(MultipartParseError):
        list(_nested(MAX_DEPTH + 1).walk())


def test_transfer_encoding_of_a_part_is_undone() -> None:
    assert BodyPart.of("a/b", b"SGVsbG8=", ("Content-Transfer-Encoding", "base64")).body == b"Hello"
    with pytest.raises(MultipartParseError):
        assert BodyPart.of("a/b", b"*", ("Content-Transfer-Encoding", "base64")).body
    with pytest.raises(MultipartParseError):
        assert BodyPart.of("nonsense", b"").content_type


def test_what_cannot_be_encoded_is_a_fault_of_the_caller() -> None:
    part = BodyPart.of("a/b", b"x\r\n--b\r\n")
    for message, boundary in ((Multipart(()), None), (Multipart((part,)), "b"), (Multipart((part,)), "b ")):
        with pytest.raises(LocalProtocolError):
            message.encode(boundary)
    with pytest.raises(LocalProtocolError):
        Multipart((BodyPart((("A", "b\r\nC: d"),), b""),)).encode()


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_parts_of_any_octets_survive_a_round_trip(contents: list[bytes]) -> None:
    message = Multipart(tuple(BodyPart.of("a/b", content) for content in contents))
    content_type, body = message.encode()
    assert Multipart.parse(content_type, body) == message


@given(st.lists(st.sampled_from([b"--b", b"--", b"\r\n", b"\n", b"\r", b"x", b"A: 1", b" ", b"\x00"]), max_size=30))
def test_any_octets_give_parts_or_the_modules_own_error(pieces: list[bytes]) -> None:
    with contextlib.suppress(MultipartParseError):
        for part in Multipart.parse(_TYPE, b"".join(pieces)).walk():
            assert part.body is not None
