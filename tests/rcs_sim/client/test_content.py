from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.sip.message import Request
from rcs_sim.client.content import (
    MAX_BODY_OCTETS,
    Content,
    Discarded,
    Receipts,
    Refused,
    Revocation,
    ShortMessage,
    Typing,
    read_message,
)
from rcs_sim.wire.cpim import compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.iscomposing import IsComposing
from rcs_sim.wire.revocation import RevokeResponse

_TYPES = (
    "message/cpim",
    "text/plain;charset=UTF-8",
    "message/imdn+xml",
    "application/im-iscomposing+xml",
    "application/vnd.gsma.rcsrevoke+xml",
    "application/vnd.3gpp.sms",
    "multipart/mixed;boundary=b",
    "application/octet-stream",
)
_IMDN = Imdn("m1", "2026-03-02T10:15:30Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED).encode()


def _message(body: bytes, content_type: str | None, *headers: tuple[str, str]) -> Request:
    return Request.new("MESSAGE", "tel:+1", [("From", "<sip:a@b>;tag=1"), *headers], body, content_type)


def _cpim(body: bytes, content_type: str) -> bytes:
    return compose_cpim(
        sender="sip:a@b",
        recipient="sip:c@d",
        message_id="m",
        date_time="2026-03-02T10:15:30Z",
        body=body,
        content_type=content_type,
    )


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (_cpim("h\u00e9".encode(), "text/plain;charset=UTF-8"), "message/cpim", Content),
        (_cpim(_IMDN, "message/imdn+xml"), "Message/CPIM", Receipts),
        (_cpim(IsComposing(True, "text/plain", 60).encode(), "application/im-iscomposing+xml"), "message/cpim", Typing),
        (_cpim(RevokeResponse("m", True).encode(), "application/vnd.gsma.rcsrevoke+xml"), "message/cpim", Revocation),
        (_IMDN, "message/imdn+xml", Receipts),
        (IsComposing(False).encode(), "application/im-iscomposing+xml", Typing),
        (RevokeResponse("m", False).encode(), "application/vnd.gsma.rcsrevoke+xml", Revocation),
        (b"\x03\x07", "application/vnd.3gpp.sms", ShortMessage),
        (b"hi", "text/plain", Content),
        (b"hi", "text/html", Refused),
        (b"hi", None, Refused),
        (b"", None, Discarded),
    ],
)
def test_each_kind_of_body_is_told_apart(body: bytes, content_type: str | None, kind: type) -> None:
    assert isinstance(read_message(_message(body, content_type)), kind)


def test_an_aggregate_gives_all_its_notifications_in_and_out_of_cpim() -> None:
    second = Imdn("m2", "", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED).encode()
    parts = b"".join(b"--b\r\nContent-Type: message/imdn+xml\r\n\r\n" + each + b"\r\n" for each in (_IMDN, second))
    body = parts + b"--b--\r\n"
    for octets, content_type in (
        (body, "multipart/mixed;boundary=b"),
        (_cpim(body, "multipart/mixed;boundary=b"), "message/cpim"),
    ):
        receipts = read_message(_message(octets, content_type))
        assert isinstance(receipts, Receipts)
        assert [each.message_id for each in receipts.imdns] == ["m1", "m2"]


def test_an_unknown_encoding_is_refused_with_those_that_are_known() -> None:
    refused = read_message(_message(b"x", "text/plain", ("Content-Encoding", "br")))
    assert isinstance(refused, Refused)
    assert refused.status == 415
    assert refused.headers[0] == ("Accept-Encoding", "deflate, gzip, identity")


def test_a_bomb_is_refused() -> None:
    bomb = zlib.compress(bytes(2 * MAX_BODY_OCTETS))
    refused = read_message(_message(bomb, "text/plain", ("Content-Encoding", "deflate")))
    assert isinstance(refused, Refused)
    assert refused.status == 400


def test_a_truncated_deflate_is_refused() -> None:
    octets = zlib.compress(b"hello")[:-3]
    assert isinstance(read_message(_message(octets, "text/plain", ("Content-Encoding", "deflate"))), Refused)


@given(st.binary(max_size=400), st.sampled_from(_TYPES), st.sampled_from(("", "deflate", "gzip", "identity", "x")))
def test_no_octets_make_it_raise(body: bytes, content_type: str, encoding: str) -> None:
    headers = (("Content-Encoding", encoding),) if encoding else ()
    read_message(_message(body, content_type, *headers))


@given(st.binary(max_size=200), st.sampled_from(_TYPES))
def test_no_content_of_a_cpim_wrapper_makes_it_raise(body: bytes, content_type: str) -> None:
    read_message(_message(_cpim(body, content_type), "message/cpim"))
