"""The RCS identifiers of an MSRP frame in its trace record: the session's SDP and the CPIM inside tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.msrp.chunking import ChunkWriter
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse, report_of
from ims_core.wire.msrp.uri import parse_path
from rcs_sim.scenario.annotator import RcsAnnotator
from rcs_sim.scenario.msrp_annotator import MsrpAnnotator
from rcs_sim.wire.cpim import ANONYMOUS_URI, CPIM_CONTENT_TYPE, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE, IsComposing
from rcs_sim.wire.multipart import BodyPart, Multipart

_ALICE, _RELAY = "msrp://10.0.0.1:9/aliceSession;tcp", "msrp://10.0.0.2:2855/relaySession;tcp"
_PHONE, _ANCHOR = "10.0.0.1:40000", "10.0.0.2:2855"
_SESSION = {"call_id": "c1", "conversation_id": "conv-1"}


def _sdp(path: str) -> bytes:
    lines = ("v=0", "o=- 1 1 IN IP4 10.0.0.1", "s=-", "c=IN IP4 10.0.0.1", "t=0 0", "m=message 9 TCP/MSRP *")
    return "\r\n".join((*lines, f"a=path:{path}", "a=accept-types:message/cpim", "")).encode()


def _sip(first_line: str, body: bytes, content_type: str = "application/sdp", headers: str = "") -> TraceRecord:
    head = (
        f"{first_line}\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\n"
        f"Call-ID: c1\r\nCSeq: 1 INVITE\r\n{headers}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    raw = head.encode() + body
    return TraceRecord(1, 0.0, RecordKind.MESSAGE, "alice", "red.pcscf", protocol="SIP", call_id="c1", raw=raw)


def _msrp(raw: bytes, *, is_to_anchor: bool = True, summary: str = "SEND 1-9/9 $") -> TraceRecord:
    source, target = (_PHONE, _ANCHOR) if is_to_anchor else (_ANCHOR, _PHONE)
    return TraceRecord(
        1,
        0.0,
        RecordKind.MESSAGE,
        "alice",
        "red.msrp_relay",
        protocol="MSRP",
        summary=summary,
        raw=raw,
        source_address=source,
        target_address=target,
    )


def _in_session() -> RcsAnnotator:
    """One that has seen an INVITE with Alice's path and its answer with the relay's."""
    annotate = RcsAnnotator()
    annotate(_sip("INVITE sip:b@x SIP/2.0", _sdp(_ALICE), headers="Conversation-ID: conv-1\r\n"))
    annotate(_sip("SIP/2.0 200 OK", _sdp(_RELAY)))
    return annotate


def _cpim(body: bytes, content_type: str = "text/plain;charset=UTF-8") -> bytes:
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id="m-1",
        date_time="2026-03-02T10:15:30Z",
        body=body,
        content_type=content_type,
    )


def _chunks(body: bytes, content_type: str = CPIM_CONTENT_TYPE) -> list[MsrpRequest]:
    writer = ChunkWriter("msrp-1", content_type, parse_path(_RELAY), parse_path(_ALICE), body)
    chunks: list[MsrpRequest] = []
    while not writer.is_done:
        chunks.append(writer.next_chunk(f"tid{len(chunks):05}"))
    return chunks


def _told(annotate: RcsAnnotator, chunk: MsrpRequest, *, is_to_anchor: bool = True) -> Mapping[str, Any]:
    return annotate(_msrp(chunk.encode(), is_to_anchor=is_to_anchor, summary=chunk.summary()))


def test_a_chunk_has_the_call_the_conversation_and_the_message_and_so_has_its_answer() -> None:
    annotate = _in_session()
    (chunk,) = _chunks(_cpim(b"hello"))
    size = len(chunk.body or b"")
    assert _told(annotate, chunk) == {
        **_SESSION,
        "imdn_message_id": "m-1",
        "details": {"content": "text/plain"},
        "summary": f"SEND 1-{size}/{size} $ text/plain",
    }
    answer = _msrp(MsrpResponse.to(chunk, 200).encode(), is_to_anchor=False, summary="200 OK (SEND)")
    assert annotate(answer) == {**_SESSION, "imdn_message_id": "m-1"}
    assert annotate(answer) == {}


def test_later_chunks_and_the_report_belong_to_the_message_of_the_first() -> None:
    annotate = _in_session()
    chunks = _chunks(_cpim(b"x" * 9000))
    assert len(chunks) > 3
    for chunk in chunks:
        found = _told(annotate, chunk)
        assert found["imdn_message_id"] == "m-1"
        assert found["summary"].endswith(" text/plain")
    report = report_of(chunks[-1], "report01")
    assert _told(annotate, report, is_to_anchor=False) == {**_SESSION, "imdn_message_id": "m-1"}


def test_receipts_and_typing_are_called_so() -> None:
    annotate = _in_session()
    receipt = Imdn("m-9", "2026-03-02T10:15:30Z", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED).encode()
    found = _told(annotate, _chunks(_cpim(receipt, "message/imdn+xml"))[0])
    assert found["details"] == {"content": "message/imdn+xml", "about": "m-9", "receipt": "displayed"}
    assert found["summary"].endswith(" $ imdn displayed")
    found = _told(annotate, _chunks(IsComposing(True).encode(), IS_COMPOSING_CONTENT_TYPE)[0])
    assert found["summary"].endswith(" $ typing active")
    assert found["call_id"] == "c1"


def test_a_bind_belongs_to_its_session_and_a_stranger_to_none() -> None:
    annotate = _in_session()
    bind = MsrpRequest("bind0001", "SEND", _RELAY, _ALICE, (("Message-ID", "b"), ("Byte-Range", "1-0/0")))
    assert _told(annotate, bind) == _SESSION
    stranger = MsrpRequest("bind0002", "SEND", "msrp://10.0.0.3:9/x;tcp", "msrp://10.0.0.4:9/y;tcp", bind.headers)
    assert _told(annotate, stranger) == {}


def test_the_records_of_a_chunk_that_has_several_belong_together() -> None:
    annotate = _in_session()
    octets = _chunks(_cpim(b"x" * 1000))[0].encode()
    assert annotate(_msrp(octets[:600]))["imdn_message_id"] == "m-1"
    assert annotate(_msrp(octets[600:900])) == {**_SESSION, "imdn_message_id": "m-1"}
    assert annotate(_msrp(octets[600:900], is_to_anchor=False)) == {}


def test_an_sdp_among_other_parts_and_one_that_is_malformed() -> None:
    annotate = RcsAnnotator()
    content_type, body = Multipart(
        (BodyPart.of("application/sdp", _sdp(_ALICE)), BodyPart.of("text/plain", b"hi"))
    ).encode()
    annotate(_sip("INVITE sip:b@x SIP/2.0", body, content_type, "Conversation-ID: conv-1\r\n"))
    assert _told(annotate, _chunks(_cpim(b"hello"))[0])["conversation_id"] == "conv-1"
    assert annotate(_sip("SIP/2.0 200 OK", b"v=0\r\nno sdp")) == {"conversation_id": "conv-1"}


def test_a_bye_belongs_to_the_conversation_of_its_dialog() -> None:
    annotate = _in_session()
    assert annotate(_sip("BYE sip:b@x SIP/2.0", b"", "text/plain")) == {"conversation_id": "conv-1"}


@given(st.lists(st.binary(max_size=200) | st.binary(max_size=100).map(lambda body: _chunks(body + b"x")[0].encode())))
def test_whatever_the_octets_nothing_is_raised(frames: list[bytes]) -> None:
    annotate = _in_session()
    for frame in frames:
        annotate(_msrp(frame))


def test_what_is_remembered_is_bounded() -> None:
    annotate = MsrpAnnotator()
    annotate.learn((f"s{number}" for number in range(20_001)), _SESSION)
    first, last = (
        MsrpRequest("tid00001", "SEND", f"msrp://10.0.0.2:9/{name};tcp", _ALICE, (("Message-ID", "b"),))
        for name in ("s0", "s20000")
    )
    assert annotate(_msrp(first.encode())) == {}
    assert annotate(_msrp(last.encode())) == _SESSION
