"""Sizes of the worked example, Alice's "hello" to Bob: bodies and headers; sealed parts stand in by their size."""

from __future__ import annotations

from base64 import b64encode

import pytest

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.derived_content import derived_content_of
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.e2ee.padding import padme
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.e2ee.server_message import AcceptedMessage, encode_server_message
from rcs_sim.wire.cpim import ANONYMOUS_URI, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnKind, ImdnStatus

CONTROL_ID, MESSAGE_ID = "MxPyUE4E-JQdOaDAMF6CwzAQ", "Mxmx3rTTt9S62b3SsNez3LbQ"
RECEIPT_ID = "C0FFEE00-1234-4ABC-8DEF-0123456789AB"
DATE_TIME = "2026-03-02T10:15:30.120Z"
AUTHENTICATOR = b"\xe1" * 32
SIGNATURE_OCTETS = 71  # of a DER ECDSA signature, as the example assumes


def composed(body: bytes, content_type: str, message_id: str, *headers: CpimHeader, wishes: str = "") -> bytes:
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time=DATE_TIME,
        body=body,
        content_type=content_type,
        disposition_notification=tuple(wishes.split()),
        content_disposition="notification" if content_type == IMDN_CONTENT_TYPE else None,
        extra=headers,
    )


@pytest.mark.parametrize(("converged", "body", "cpim"), [(False, 70, 519), (True, 72, 521)])
def test_the_focus_accepts(converged: bool, body: int, cpim: int) -> None:
    accepted = AcceptedMessage(CONTROL_ID, EpochIdentifier(1, 1, AUTHENTICATOR), converged)
    octets = encode_server_message(accepted)
    headers = MlsHeaders(era_id=1, epoch_authenticator=AUTHENTICATOR).to_headers()
    focus = FocusHeaders(in_reply_to=CONTROL_ID).to_headers()
    whole = composed(octets, MlsContentType.SERVER, MESSAGE_ID, *headers, *focus)
    assert (len(octets), len(whole)) == (body, cpim)


@pytest.mark.parametrize(
    ("characters", "message"), [(0, 322), (5, 322), (20, 338), (100, 418), (160, 482), (500, 834), (900, 1218)]
)
def test_a_text_becomes_a_message_of_few_sizes(characters: int, message: int) -> None:
    payload = SecretPayload(0, text_entity("a" * characters).encode()).encode()
    header = 1 if len(payload) < 64 else 2
    content = header + len(payload) + 2 + SIGNATURE_OCTETS  # application_data<V>, signature<V>
    assert padme(content) + 130 == message  # what PrivateMessage and AEAD put around it, in this group


def test_hello_is_sealed() -> None:
    payload = SecretPayload(0, text_entity("hello").encode()).encode()
    assert len(payload) == 107
    assert padme(2 + len(payload) + 2 + SIGNATURE_OCTETS) == 192
    assert len(AuthenticatedData(MESSAGE_ID, 1).encode()) == 32


def test_a_message_goes_by_pager() -> None:
    headers = MlsHeaders(era_id=1, epoch_authenticator=AUTHENTICATOR).to_headers()
    wishes = "positive-delivery negative-delivery display"
    assert len(composed(bytes(322), MlsContentType.MESSAGE, MESSAGE_ID, *headers, wishes=wishes)) == 769


@pytest.mark.parametrize(
    ("kind", "status", "content", "signature", "xml", "cpim"),
    [
        (ImdnKind.DELIVERY, ImdnStatus.DELIVERED, 76, 241, 257, 968),
        (ImdnKind.DISPLAY, ImdnStatus.DISPLAYED, 74, 239, 255, 962),
    ],
)
def test_a_receipt_is_signed(kind: str, status: str, content: int, signature: int, xml: int, cpim: int) -> None:
    receipt = Imdn(MESSAGE_ID, DATE_TIME, kind, status)
    derived = derived_content_of(receipt, RECEIPT_ID, 1)
    assert derived is not None
    assert len(derived.encode()) == content
    public_message = bytes(signature)
    headers = MlsHeaders(era_id=1, signature=public_message).to_headers()
    octets = composed(receipt.encode_compact(), IMDN_CONTENT_TYPE, RECEIPT_ID, *headers)
    assert len(receipt.encode_compact()) == xml
    assert len(b64encode(public_message)) in (324, 320)
    assert len(octets) == cpim
