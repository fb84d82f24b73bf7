"""The RCS identifiers of a SIP message in its trace record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.annotator import RcsAnnotator
from rcs_sim.wire.cpim import compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus

_ANONYMOUS = "sip:anonymous@anonymous.invalid"


def _record(raw: bytes, **members: object) -> TraceRecord:
    given: dict[str, object] = {"protocol": "SIP", "call_id": "c1", **members}
    return TraceRecord(1, 0.0, RecordKind.MESSAGE, "alice", "red.pcscf", raw=raw, **given)


def _message(body: bytes, content_type: str = "message/cpim", headers: str = "Conversation-ID: conv-1\r\n") -> bytes:
    head = (
        "MESSAGE tel:+12025550152 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\n"
        "From: <sip:a@x>;tag=1\r\nTo: <tel:+12025550152>\r\nCall-ID: c1\r\nCSeq: 1 MESSAGE\r\n"
        f"{headers}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _cpim(body: bytes, content_type: str = "text/plain;charset=UTF-8") -> bytes:
    return compose_cpim(
        sender=_ANONYMOUS,
        recipient=_ANONYMOUS,
        message_id="m-1",
        date_time="2026-03-02T10:15:30Z",
        body=body,
        content_type=content_type,
    )


_OK = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\nCall-ID: c1\r\nCSeq: 1 MESSAGE\r\n\r\n"


def test_a_text_has_its_conversation_and_its_message_and_its_answer_too() -> None:
    annotate = RcsAnnotator()
    members = {"conversation_id": "conv-1", "imdn_message_id": "m-1"}
    assert annotate(_record(_message(_cpim(b"hello")))) == members
    assert annotate(_record(_OK)) == members
    assert annotate(_record(_OK, call_id="c2")) == {}


def test_a_receipt_says_what_it_is_about() -> None:
    receipt = Imdn("m-9", "2026-03-02T10:15:30Z", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED)
    document = receipt.encode()
    found = RcsAnnotator()(_record(_message(_cpim(document, "message/imdn+xml"))))
    assert found["imdn_message_id"] == "m-1"
    assert found["details"] == {"about": "m-9", "receipt": "displayed"}
    bare = RcsAnnotator()(_record(_message(document, "message/imdn+xml")))
    assert bare["details"] == {"about": "m-9", "receipt": "displayed"}


def test_other_protocols_states_and_requests_without_content_have_none() -> None:
    annotate = RcsAnnotator()
    assert annotate(_record(_message(_cpim(b"x")), protocol="SM")) == {}
    assert annotate(_record(_message(_cpim(b"x")), call_id=None)) == {}
    assert annotate(_record(_message(b"", "text/plain", ""))) == {}


@given(
    st.binary(max_size=300)
    | st.binary(max_size=200).map(_message)
    | st.binary(max_size=200).map(lambda body: _message(_cpim(body, "message/imdn+xml")))
)
def test_whatever_the_octets_nothing_is_raised(raw: bytes) -> None:
    RcsAnnotator()(_record(raw))


def test_what_is_remembered_is_bounded() -> None:
    annotate = RcsAnnotator()
    for number in range(20_010):
        annotate(_record(_message(b"", "text/plain"), call_id=f"c{number}"))
    assert annotate(_record(_OK, call_id="c0")) == {}
    assert annotate(_record(_OK, call_id="c20009")) == {"conversation_id": "conv-1"}


@given(st.text(max_size=20))
def test_a_malformed_header_is_no_fault_of_who_is_traced(content_type: str) -> None:
    value = content_type.replace("\r", "").replace("\n", "")
    RcsAnnotator()(_record(_message(_cpim(b"hello"), value)))
    assert RcsAnnotator()(_record(_message(_cpim(b"hello"), "no media type"))) == {}
