"""Requests and CPIM as a phone writes them, above all in pager mode (digest §4.2-§4.4, §5.1, §5.4), without side
effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ims_core.wire.sip.message import HeaderInput
from rcs_sim.client.contact import CPM_LARGE, CPM_MESSAGE, CPM_SESSION, SYSTEM_MESSAGE, accept_contact, service_urn
from rcs_sim.client.encryption import SealedContent
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.devices.policy import MessagingPolicy, SessionPolicy
from rcs_sim.wire.cpim import ANONYMOUS_URI, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE, IsComposing
from rcs_sim.wire.revocation import REVOCATION_CONTENT_TYPE, RevokeRequest

__all__ = [
    "compose_receipt",
    "compose_revocation",
    "compose_text",
    "compose_typing",
    "date_time_of",
    "epoch_of",
    "is_composing_document",
    "message_headers",
    "receipt_about",
    "session_headers",
    "wishes_about_change",
    "wishes_of",
]

_POSITIVE, _DISPLAY, _NEGATIVE, _INTERWORKING = "positive-delivery", "display", "negative-delivery", "interworking"


@dataclass(frozen=True, slots=True)
class _Service:
    urn: str
    accept: str


_PAGER = _Service(service_urn(CPM_MESSAGE), accept_contact(CPM_MESSAGE))
_SESSION = _Service(service_urn(CPM_SESSION), accept_contact(CPM_SESSION))
_LARGE = _Service(service_urn(CPM_LARGE), accept_contact(CPM_LARGE))
_SYSTEM = _Service(service_urn(SYSTEM_MESSAGE), accept_contact(SYSTEM_MESSAGE, is_strict=True))


def message_headers(conversation_id: str, contribution_id: str, *, is_system: bool = False) -> tuple[HeaderInput, ...]:
    """Service and thread of a MESSAGE (digest §4.2). No Contact: RFC 3428 §4 forbids it."""
    service = _SYSTEM if is_system else _PAGER
    return (
        ("P-Preferred-Service", service.urn),
        ("Accept-Contact", service.accept),
        ("Conversation-ID", conversation_id),
        ("Contribution-ID", contribution_id),
    )


def session_headers(
    conversation_id: str, contribution_id: str, policy: SessionPolicy, *, is_large: bool
) -> tuple[HeaderInput, ...]:
    """Service, thread and session timer of an INVITE (digest §4.2); Contact and Allow are the caller's."""
    service = _LARGE if is_large else _SESSION
    ids = (("Conversation-ID", conversation_id), ("Contribution-ID", contribution_id))
    return (
        ("P-Preferred-Service", service.urn),
        ("Accept-Contact", service.accept),
        *(ids if policy.sends_conversation_id else ()),
        ("Session-Expires", str(policy.expires_s)),
        ("Supported", ", ".join(policy.supported_options)),
    )


def date_time_of(epoch_s: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_of(date_time: str) -> float | None:
    """Seconds since the epoch; None for what is no RFC 3339 time stamp."""
    try:
        parsed = datetime.fromisoformat(date_time)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()


def wishes_of(policy: MessagingPolicy, *, allows_display: bool) -> tuple[str, ...]:
    """imdn.Disposition-Notification of content (digest §5.1): ``positive-delivery`` always."""
    wishes = (
        (_POSITIVE, True),
        (_DISPLAY, policy.requests_display and allows_display),
        (_NEGATIVE, policy.requests_failure),
        (_INTERWORKING, policy.requests_interworking),
    )
    return tuple(wish for wish, is_wanted in wishes if is_wanted)


def wishes_about_change(wishes: tuple[str, ...]) -> tuple[str, ...]:
    """What of them is asked for about a reaction, an edit, a recall: nobody reads it, and it is never an SMS (digest
    §5.5)."""
    return tuple(wish for wish in wishes if wish not in (_DISPLAY, _INTERWORKING))


def compose_text(
    text: str,
    *,
    sender: str,
    recipient: str,
    message_id: str,
    date_time: str,
    wishes: Sequence[str],
    sealed: SealedContent | None = None,
    about: Sequence[CpimHeader] = (),
) -> bytes:
    """The CPIM of a text, or of what it was sealed into; *sender* and *recipient* are URIs, *about* the headers that
    name an earlier message, which are sealed with the text where that is."""
    if sealed is not None:
        return compose_cpim(
            sender=sender,
            recipient=recipient,
            message_id=message_id,
            date_time=date_time,
            body=sealed.octets,
            content_type=sealed.content_type,
            disposition_notification=sealed.wishes,
            extra=sealed.headers,
        )
    return compose_cpim(
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        date_time=date_time,
        body=text.encode("utf-8", "replace"),
        disposition_notification=wishes,
        extra=about,
    )


def receipt_about(message: ReceivedMessage, kind: ImdnKind, date_time: str) -> Imdn:
    """The notification that *message* was delivered, or failed to be read, or was displayed.

    The datetime of a message that came without one is that of the receipt: RFC 5438 §7.2.1.2 demands one (choice)."""
    delivery = ImdnStatus.FAILED if message.is_unreadable else ImdnStatus.DELIVERED
    status = delivery if kind is ImdnKind.DELIVERY else ImdnStatus.DISPLAYED
    return Imdn(message.id, message.date_time or date_time, kind, status)


def compose_receipt(imdn: Imdn, receipt_id: str, date_time: str, headers: Iterable[CpimHeader] = ()) -> bytes:
    """The CPIM of a receipt: its own Message-ID, no Disposition-Notification (digest §5.1). *headers* sign it; the
    document has no white space then, as encrypted conversations have it (digest RCC.16 §16)."""
    signed_by = tuple(headers)
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=receipt_id,
        date_time=date_time,
        body=imdn.encode_compact() if signed_by else imdn.encode(),
        content_type=IMDN_CONTENT_TYPE,
        content_disposition="notification",
        extra=signed_by,
    )


def compose_revocation(message_id: str, sender: str, recipient: str, request_id: str, date_time: str) -> bytes:
    """The CPIM that asks for *message_id* to be never delivered (digest §5.4)."""
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=request_id,
        date_time=date_time,
        body=RevokeRequest(message_id, sender, recipient).encode(),
        content_type=REVOCATION_CONTENT_TYPE,
    )


def is_composing_document(*, is_active: bool, refresh_s: int, date_time: str) -> bytes:
    """The is-composing document of the own user (digest §5.2)."""
    if is_active:
        return IsComposing(True, "text/plain", refresh_s).encode()
    return IsComposing(False, "text/plain", last_active=date_time).encode()


def compose_typing(*, is_active: bool, refresh_s: int, message_id: str, date_time: str) -> bytes:
    """The CPIM of an is-composing document: servers want every pager message wrapped (digest §15.5)."""
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time=date_time,
        body=is_composing_document(is_active=is_active, refresh_s=refresh_s, date_time=date_time),
        content_type=IS_COMPOSING_CONTENT_TYPE,
    )
