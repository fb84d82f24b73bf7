"""CPIM messages of the focus: acceptances, refusals, pulled state, fan-out (RCC.16 digest §14.1, §14.4)."""

from __future__ import annotations

from ims_core.store.mls_conversations import StoredAnswer, StoredFanOut
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.e2ee.server_message import AcceptedMessage, encode_server_message
from rcs_sim.server.mls_pull import PulledState
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimHeader, compose_cpim
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnKind, ImdnStatus

__all__ = ["compose_acceptance", "compose_fan_out", "compose_pulled", "compose_refusal"]


def compose_acceptance(answer: StoredAnswer, *, converged: bool, message_id: str, date_time: str) -> bytes:
    """Arm 4, for the requester. *converged*: every participant's server has acknowledged the fan-out."""
    state = EpochIdentifier(answer.era, answer.epoch, answer.authenticator)
    body = encode_server_message(AcceptedMessage(answer.control_id, state, converged))
    return _compose_answer(answer.control_id, state, body, MlsContentType.SERVER, message_id, date_time)


def compose_pulled(
    pulled: PulledState, control_id: str, state: EpochIdentifier, *, message_id: str, date_time: str
) -> bytes:
    """What a pull gets."""
    return _compose_answer(control_id, state, pulled.body, pulled.content_type, message_id, date_time)


def _compose_answer(
    control_id: str, state: EpochIdentifier, body: bytes, content_type: str, message_id: str, date_time: str
) -> bytes:
    held = MlsHeaders(era_id=state.era_id, epoch_authenticator=state.epoch_authenticator)
    headers = (*held.to_headers(), *FocusHeaders(in_reply_to=control_id).to_headers())
    return _compose(ANONYMOUS_URI, ANONYMOUS_URI, message_id, date_time, body, content_type, headers)


def compose_refusal(answer: StoredAnswer, *, message_id: str, date_time: str) -> bytes:
    """A negative delivery notification, neither signed nor encrypted; with the state of the focus if it has a group."""
    imdn = Imdn(answer.control_id, date_time, ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason=answer.reason)
    has_group = bool(answer.group_id)
    headers = FocusHeaders(
        in_reply_to=answer.control_id,
        server_era=answer.era if has_group else None,
        server_epoch=answer.epoch if has_group else None,
        server_epoch_authenticator=answer.authenticator if has_group else b"",
        group_id=answer.group_id.decode("ascii", "replace"),
        detail=answer.detail,
    )
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=message_id,
        date_time=date_time,
        body=imdn.encode(),
        content_type=IMDN_CONTENT_TYPE,
        content_disposition="notification",
        extra=headers.to_headers(),
    )


def compose_fan_out(fan_out: StoredFanOut, member: str, other: str, date_time: str) -> bytes:
    """The request as *member* gets it, under its own id. For further devices of the requester, to whom it comes in
    the name of the *other* participant, CPIM says who asked: a network can assert its own users only (choice).
    """
    state = MlsHeaders(era_id=fan_out.era, epoch_authenticator=fan_out.authenticator)
    is_own = member == fan_out.requester
    return _compose(
        f"tel:+{member}" if is_own else ANONYMOUS_URI,
        f"tel:+{other}" if is_own else ANONYMOUS_URI,
        fan_out.control_id,
        date_time,
        fan_out.octets,
        MlsContentType.SERVER,
        state.to_headers(),
        ("negative-delivery",),
    )


def _compose(
    sender: str,
    recipient: str,
    message_id: str,
    date_time: str,
    body: bytes,
    content_type: str,
    headers: tuple[CpimHeader, ...],
    wishes: tuple[str, ...] = (),
) -> bytes:
    return compose_cpim(
        sender=sender,
        recipient=recipient,
        message_id=message_id,
        date_time=date_time,
        body=body,
        content_type=content_type,
        disposition_notification=wishes,
        extra=headers,
    )
