from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.server.pager_content import ContentKind, ContentRefused, read_content, read_pager
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.message_reference import ReferenceType
from rcs_sim.wire.multipart import BodyPart, Multipart
from tests.rcs_sim.server.messaging_lab import M1, about, cpim, imdn_cpim, message, revoke_cpim

IMDN = Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (cpim(), ContentKind.CHAT),
        (imdn_cpim(IMDN), ContentKind.RECEIPT),
        (revoke_cpim(), ContentKind.REVOCATION),
        (cpim("<x/>", content_type="application/im-iscomposing+xml;charset=utf-8"), ContentKind.TYPING),
        (cpim("<x/>", content_type="Message/IMDN+xml"), ContentKind.RECEIPT),
        (cpim("<x/>", content_type="message/mls"), ContentKind.CHAT),
    ],
)
def test_the_inner_type_tells_the_kind(body: bytes, kind: ContentKind) -> None:
    assert read_pager(message(body)).kind is kind


def test_an_aggregate_of_receipts_is_a_receipt_and_other_multiparts_are_content() -> None:
    parts = (BodyPart.of("message/imdn+xml", IMDN.encode()),) * 2
    content_type, body = Multipart(parts).encode("b")
    assert len(read_pager(message(cpim(body.decode(), content_type=content_type))).receipts) == 2
    content_type, body = Multipart((BodyPart.of("text/plain", b"x"),)).encode("b")
    assert read_pager(message(cpim(body.decode(), content_type=content_type))).kind is ContentKind.CHAT


@pytest.mark.parametrize(
    ("encoding", "octets"),
    [
        ("deflate", zlib.compress(IMDN.encode())),
        ("deflate", zlib.compress(IMDN.encode())[2:-4]),
        ("gzip", gzip.compress(IMDN.encode())),
        ("identity", IMDN.encode()),
    ],
)
def test_a_bare_receipt_may_be_compressed(encoding: str, octets: bytes) -> None:
    request = message(octets, content_type="message/imdn+xml", headers=(("Content-Encoding", encoding),))
    content = read_pager(request)
    assert content.is_bare
    assert content.receipts == (IMDN,)
    assert content.message_id == ""


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "status"),
    [
        (cpim(message_id=""), "message/cpim", "", 400),
        (cpim(message_id="x" * 300), "message/cpim", "", 400),
        (b"<imdn/>", "message/imdn+xml", "", 400),
        (zlib.compress(b"\0" * 10**6), "message/imdn+xml", "deflate", 400),
        (b"not deflated", "message/imdn+xml", "deflate", 400),
        (IMDN.encode(), "message/imdn+xml", "br", 415),
        (b"hi", "text/plain", "", 415),
        (b"hi", "application/vnd.3gpp.sms", "", 415),
    ],
)
def test_what_is_refused(body: bytes, content_type: str, encoding: str, status: int) -> None:
    headers = (("Content-Encoding", encoding),) if encoding else ()
    with pytest.raises(ContentRefused) as caught:
        read_pager(message(body, content_type=content_type, headers=headers))
    assert caught.value.status == status


@given(st.binary(max_size=300), st.sampled_from(["message/cpim", "message/imdn+xml", "x", ""]), st.text(max_size=8))
def test_any_body_is_read_or_refused(body: bytes, content_type: str, encoding: str) -> None:
    encoding = "".join(character for character in encoding if character.isprintable())
    request = message(body, content_type=content_type, headers=(("Content-Encoding", encoding),))
    with contextlib.suppress(ContentRefused):
        content = read_pager(request)
        assert isinstance(content.receipts, tuple)
        content.revocation()


@pytest.mark.parametrize("kind", list(ReferenceType))
def test_what_changes_an_earlier_message_is_known_as_such(kind: ReferenceType) -> None:
    content = read_content("message/cpim", cpim("👍", about=about(kind)))
    assert content.is_change is (kind in ("+Reaction", "-Reaction", "Edit", "Recall"))
    assert not read_content("message/cpim", cpim("👍")).is_change
