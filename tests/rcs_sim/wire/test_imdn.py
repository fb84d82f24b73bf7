"""Disposition notifications: every status, foreign spellings, aggregates, refusals."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnParseError, ImdnStatus, parse_imdn
from rcs_sim.wire.multipart import BodyPart, Multipart

_ALL = [
    ("delivery", ("delivered", "failed", "forbidden", "error")),
    ("display", ("displayed", "forbidden", "error")),
    ("processing", ("processed", "stored", "forbidden", "error")),
    ("interworking", ("legacy-sms", "legacy-mms", "error")),
]
_PAIRS = [(kind, status) for kind, statuses in _ALL for status in statuses]


@pytest.mark.parametrize(("kind", "status"), _PAIRS)
def test_every_status_survives_a_round_trip(kind: str, status: str) -> None:
    receipt = Imdn("m-1", "2026-03-02T10:15:30Z", kind, status, "tel:+1", "tel:+2", "a <b> & c")
    read = Imdn.parse(receipt.encode())
    assert read == receipt
    assert (type(read.kind), type(read.status)) == (ImdnKind, ImdnStatus)
    assert read.is_failure == (status in {"failed", "forbidden", "error"})


def test_the_document_has_the_form_of_the_digest() -> None:
    receipt = Imdn("7b0c", "2026-03-02T10:15:30.120Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)
    assert receipt.encode() == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<imdn xmlns="urn:ietf:params:xml:ns:imdn">\n'
        b" <message-id>7b0c</message-id>\n <datetime>2026-03-02T10:15:30.120Z</datetime>\n"
        b" <delivery-notification><status><delivered/></status></delivery-notification>\n</imdn>\n"
    )


@pytest.mark.parametrize(("kind", "status"), [("delivery", "displayed"), ("display", "delivered"), ("other", "error")])
def test_a_status_of_another_kind_is_a_fault_of_the_caller(kind: str, status: str) -> None:
    with pytest.raises(LocalProtocolError):
        Imdn("m", "t", kind, status).encode()


def test_unknown_names_are_kept_as_received() -> None:
    read = Imdn.parse(
        b"<imdn><message-id>m</message-id><x-notification><status><novel/></status></x-notification></imdn>"
    )
    assert (read.kind, read.status, read.datetime) == ("x", "novel", "")


def test_a_missing_status_wrapper_is_accepted() -> None:
    read = Imdn.parse(
        b"<imdn><message-id>m</message-id><display-notification><displayed/></display-notification></imdn>"
    )
    assert (read.kind, read.status) == (ImdnKind.DISPLAY, ImdnStatus.DISPLAYED)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<imdn/>",
        b"<imdn><message-id/><display-notification><status><displayed/></status></display-notification></imdn>",
        b"<imdn><message-id>m</message-id></imdn>",
        b"<imdn><message-id>m</message-id><display-notification/></imdn>",
        b"<imdn><message-id>m</message-id><display-notification><status/></display-notification></imdn>",
        b"<other><message-id>m</message-id><display-notification><displayed/></display-notification></other>",
        b"<!DOCTYPE imdn><imdn/>",
        b"<imdn>" + b" " * 70_000 + b"</imdn>",
    ],
)
def test_refused_documents(octets: bytes) -> None:
    with pytest.raises(ImdnParseError):
        Imdn.parse(octets)


def test_an_aggregate_gives_each_notification_and_skips_foreign_parts() -> None:
    receipts = [Imdn(f"m-{n}", "t", ImdnKind.DELIVERY, ImdnStatus.DELIVERED) for n in range(3)]
    parts = [BodyPart.of("message/imdn+xml", receipt.encode()) for receipt in receipts]
    content_type, body = Multipart((*parts, BodyPart.of("text/plain", b"x"))).encode()
    assert parse_imdn(content_type, body) == tuple(receipts)
    assert parse_imdn("message/imdn+xml", receipts[0].encode()) == (receipts[0],)
    with pytest.raises(ImdnParseError):
        parse_imdn(content_type, b"cut")
    content_type, body = Multipart((BodyPart.of("text/plain", b"x"),)).encode()
    with pytest.raises(ImdnParseError):
        parse_imdn(content_type, body)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_identifiers_of_any_characters_give_a_well_formed_document(message_id: str, datetime: str) -> None:
    octets = Imdn(message_id, datetime, ImdnKind.DISPLAY, ImdnStatus.DISPLAYED).encode()
    with contextlib.suppress(ImdnParseError):  # an identifier of white space alone is none
        assert Imdn.parse(octets).status == "displayed"
        if message_id.isprintable():
            assert Imdn.parse(octets).message_id == message_id.strip()


@given(st.binary(max_size=200))
def test_any_octets_give_a_notification_or_the_modules_own_error(octets: bytes) -> None:
    for document in (octets, b"<imdn><message-id>m</message-id>" + octets + b"</imdn>"):
        with contextlib.suppress(ImdnParseError):
            Imdn.parse(document)


@pytest.mark.parametrize("arm", ["client_failure_reason", "server_failure_reason"])
@pytest.mark.parametrize("token", ["invalid-commit", "novel-2"])
def test_a_failed_delivery_says_why_in_one_of_two_arms(arm: str, token: str) -> None:
    failed = Imdn("m", "t", ImdnKind.DELIVERY, ImdnStatus.FAILED, **{arm: token})
    assert Imdn.parse(failed.encode()) == failed
    assert failed.encode() == failed.encode_compact()
    assert b"<failed><mls-" + arm[:6].encode() in failed.encode()


@pytest.mark.parametrize(("kind", "status"), [pair for pair in _PAIRS if pair[0] != "interworking"])
def test_the_compact_form_reads_the_same(kind: str, status: str) -> None:
    receipt = Imdn("m <1>", "2026-03-02T10:15:30.120Z", kind, status)
    assert Imdn.parse(receipt.encode_compact()) == receipt
    assert b"\n" not in receipt.encode_compact()


def test_both_arms_are_read_for_the_notification_to_be_ignored() -> None:
    reasons = "<mls-client-failure-reason/><mls-server-failure-reason><x/><y/></mls-server-failure-reason>"
    read = Imdn.parse(
        f"<imdn><message-id>m</message-id><delivery-notification><status><failed>{reasons}</failed></status>"
        "</delivery-notification></imdn>".encode()
    )
    assert (read.client_failure_reason, read.server_failure_reason, read.has_both_reasons) == ("", "x", True)


@pytest.mark.parametrize(("kind", "status"), [("delivery", "error"), ("display", "error"), ("delivery", "delivered")])
def test_a_reason_counts_in_a_failed_delivery_only(kind: str, status: str) -> None:
    reason = f"<{status}><mls-client-failure-reason><invalid-commit/></mls-client-failure-reason></{status}>"
    read = Imdn.parse(
        f"<imdn><message-id>m</message-id><{kind}-notification><status>{reason}</status></{kind}-notification></imdn>"
        "".encode()
    )
    assert (read.status, read.client_failure_reason) == (status, None)
    with pytest.raises(LocalProtocolError):
        Imdn("m", "t", kind, status, client_failure_reason="invalid-commit").encode()


@pytest.mark.parametrize("reasons", [("a", "b"), ("", None), ("not a token", None), ("a/><b", None)])
def test_two_reasons_or_one_that_is_no_name_are_a_fault_of_the_caller(reasons: tuple[str | None, str | None]) -> None:
    with pytest.raises(LocalProtocolError):
        Imdn("m", "t", "delivery", "failed", None, None, None, *reasons).encode()


def test_an_interworking_notification_has_no_compact_form() -> None:
    with pytest.raises(LocalProtocolError):
        Imdn("m", "t", ImdnKind.INTERWORKING, ImdnStatus.LEGACY_SMS).encode_compact()
