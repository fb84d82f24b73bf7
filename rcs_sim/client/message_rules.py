"""Times and switches for the messages of a phone, of its configuration document and its device (digest §4.1, §8)."""

from __future__ import annotations

from functools import lru_cache

from rcs_sim.client.capabilities import CapabilityTimes, PeerTags
from rcs_sim.client.chat_mode import ModeRules
from rcs_sim.client.delivery import DeliveryRules
from rcs_sim.client.fallback import FallbackMechanism, mechanism_of
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["can_revoke", "capability_times", "delivery_rules", "mode_rules"]


def delivery_rules(document: RcsConfiguration, policy: DevicePolicy) -> DeliveryRules:
    """Times and switches for the messages of a phone, of its document and its device."""
    fallback = policy.fallback
    timer = document.revoke_timer_s if fallback.revoke_timer_s is None else fallback.revoke_timer_s
    is_allowed = fallback.revokes and document.revoke_timer_s > 0  # 0: the carrier wants no fallback by the client
    return DeliveryRules(
        revoke_timer_s=float(timer) if is_allowed else 0.0,
        reconnect_guard_s=float(document.reconnect_guard_s),
        capability_wait_s=policy.capability.answer_wait_s,
        waits_for_revoke_answer=document.waits_for_revocation,
        relies_on_store=fallback.relies_on_store,
        consent=fallback.consent,
    )


def capability_times(document: RcsConfiguration, policy: DevicePolicy) -> CapabilityTimes:
    """Lives of what is known about contacts, of the document and the device."""
    return CapabilityTimes(
        rcs_expiry_s=float(document.capability_expiry_s),
        non_rcs_expiry_s=float(document.non_rcs_capability_expiry_s),
        message_validity_s=float(document.message_capability_validity_s),
        guard_s=policy.capability.guard_s,
        error_hold_s=policy.capability.error_hold_s,
    )


def mode_rules(document: RcsConfiguration, policy: DevicePolicy) -> ModeRules:
    """Which modes of RCS there are for messages, of the document and the device."""
    return _shared_rules(
        document.switchover_octets,
        document.standalone_auth if policy.messaging.sends_pager else 0,
        document.chat_auth,
        policy.session.supported,
        policy.session.replaces_pager,
    )


@lru_cache(64)
def _shared_rules(octets: int, standalone: int, chat: bool, has_msrp: bool, prefers_sessions: bool) -> ModeRules:
    """Phones of one kind share them."""
    return ModeRules(
        switchover_octets=octets,
        standalone_auth=standalone,
        chat_auth=chat,
        has_msrp=has_msrp,
        prefers_sessions=prefers_sessions,
    )


def can_revoke(*, is_sealed: bool, known: PeerTags, told: PeerTags | None, revoke_timer_s: float) -> bool:
    """Whether the client mechanism applies (digest §8.1) by the peer's tags: those *known*, of OPTIONS, or those *told*
    by this very answer or the session. A network that says it interworks is believed whichever of them says so. Never
    to what is sealed: no revocation and no SMS of an encrypted conversation (digest RCC.16 §14.11)."""
    told = known if told is None else told
    mechanism = mechanism_of(
        peer_interworks=known.interworks or told.interworks,
        peer_takes_revocations=(known if known.services else told).takes_revocations,
        revoke_timer_s=revoke_timer_s,
    )
    return not is_sealed and mechanism is FallbackMechanism.CLIENT
