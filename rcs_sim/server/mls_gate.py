"""What the focus does with application messages that pass: it compares two headers, and reads no further (RCC.16
digest §14.6, last paragraphs)."""

from __future__ import annotations

from rcs_sim.e2ee.certificate_floor import CertificateState, floor_state
from rcs_sim.e2ee.failure_reason import ServerFailureReason as Reason
from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.server.mls_scene import number_of

__all__ = ["verify_application_message"]


def verify_application_message(
    rules: MlsFocusRules, conversation: MlsConversation, era: int | None, authenticator: bytes | None, now_s: int
) -> None:
    """Another era, and an authenticator that this era never had, are refused; an older one of it is in flight. A
    message without headers that can be read passes (choice): its receiver drops it, silently (§7.9). Raises MlsRefused.

    A conversation that the focus does not know is told so (choice), for nobody else can tell its sender."""
    if not rules.is_available:
        raise MlsRefused(0, Reason.ENCRYPTION_NOT_AVAILABLE)
    if era is None or authenticator is None:
        return
    live = conversation.live
    if live is None:
        raise MlsRefused(2, Reason.MLS_GROUP_NOT_FOUND)
    if era != live.era:
        raise MlsRefused(7, Reason.INCORRECT_ERA)
    if authenticator not in live.authenticators:
        raise MlsRefused(7, Reason.INCORRECT_EPOCH_AUTHENTICATOR)
    if rules.checks_floor_of_messages:
        for _, leaf in live.group.tree.members():
            if floor_state(leaf.credential, now_s) in (CertificateState.INSIDE_FLOOR, CertificateState.EXPIRED):
                raise MlsRefused(12, Reason.EXPIRED_CREDENTIAL, f"tel:+{number_of(leaf)}")
