"""The fallback policy matrix as data: network x client x carrier, as changes to carrier and device profiles.

A scenario names one policy of each kind (`policy:`); what it leaves out stays as the profiles have it. All of it is
about conversations in clear: an encrypted one never leaves RCS by itself, whatever stands here (RCC.16 §7.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rcs_sim.devices.policy import Consent, DevicePolicy

__all__ = [
    "CARRIER_POLICIES",
    "CLIENT_POLICIES",
    "NETWORK_POLICIES",
    "CarrierPolicy",
    "CarrierPolicyName",
    "ClientFallbackName",
    "ClientPolicy",
    "NetworkFallbackName",
    "carrier_changes",
    "with_client_policy",
]

NetworkFallbackName = Literal["up-2.x", "up-3.0", "none"]
ClientFallbackName = Literal["revoke-timer", "ask", "auto-resend", "never"]
CarrierPolicyName = Literal["store", "no-store", "sms-after-revocation", "sms-beside-revocation", "no-timer"]


@dataclass(frozen=True, slots=True)
class CarrierPolicy:
    """*changes* are members of `CarrierProfile`."""

    what: str
    spec: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """*changes* are members of `FallbackPolicy`."""

    what: str
    spec: str
    changes: Mapping[str, Any] = field(default_factory=dict)


NETWORK_POLICIES: Mapping[NetworkFallbackName, CarrierPolicy] = {
    "up-2.x": CarrierPolicy(
        "interworking: the network itself sends as SMS what no RCS device takes, whether there is none (IM-SM) or none"
        " is there for interworking_after_s; it announces that (msgfallback), so no phone revokes; its sender sees it",
        "digest §8.1, §8.4, §19.8",
        {"interworking": True, "interworking_after_s": 20},
    ),
    "up-3.0": CarrierPolicy(
        "the network sends text as SMS only to whom it knows no RCS device of; between RCS users, whose conversations"
        " may be encrypted, it stores, and fallback is the sender's (msgrevoke)",
        "digest §8.1, §8.4; RCC.16 §7.2",
        {"interworking": True, "interworking_after_s": 0, "store_and_forward": True},
    ),
    "none": CarrierPolicy("the network sends no SMS: fallback is the sender's", "digest §8.1", {"interworking": False}),
}

CLIENT_POLICIES: Mapping[ClientFallbackName, ClientPolicy] = {
    "revoke-timer": ClientPolicy(
        "without a receipt when ChatRevokeTimer ends the message is revoked, then sent as SMS; a refused one at once",
        "digest §5.4, §8.3",
        {"consent": Consent.AUTOMATIC, "consent_when_rcs_down": Consent.AUTOMATIC, "revokes": True},
    ),
    "ask": ClientPolicy(
        "the same, but the user is asked before anything goes as SMS",
        "digest §8.5",
        {"consent": Consent.ASK, "consent_when_rcs_down": Consent.ASK, "revokes": True},
    ),
    "auto-resend": ClientPolicy(
        "a refused message goes as SMS at once, also when the network might have kept it; nothing is revoked",
        "digest §8.5",
        {
            "consent": Consent.AUTOMATIC,
            "consent_when_rcs_down": Consent.AUTOMATIC,
            "revokes": False,
            "relies_on_store": False,
        },
    ),
    "never": ClientPolicy(
        "nothing goes as SMS; a refused message is shown as failed, one without a receipt stays sent",
        "digest §8.3",
        {"consent": Consent.NEVER, "consent_when_rcs_down": Consent.NEVER, "revokes": False},
    ),
}

CARRIER_POLICIES: Mapping[CarrierPolicyName, CarrierPolicy] = {
    "store": CarrierPolicy(
        "messages for an absent phone are stored, and can be revoked meanwhile",
        "digest §4.8",
        {"store_and_forward": True, "offline_options": "automata"},
    ),
    "no-store": CarrierPolicy(
        "an absent phone is 480, for messages and for OPTIONS",
        "digest §8.6, row 480",
        {"store_and_forward": False, "offline_options": "480"},
    ),
    "sms-after-revocation": CarrierPolicy(
        "cfsTrigger 1: the SMS waits for the answer to the revocation", "digest §5.4", {"cfs_trigger": 1}
    ),
    "sms-beside-revocation": CarrierPolicy(
        "cfsTrigger 0: the SMS leaves with the revocation; the receiver merges both copies",
        "digest §5.4",
        {"cfs_trigger": 0},
    ),
    "no-timer": CarrierPolicy(
        "ChatRevokeTimer 0: no client fallback without a refusal", "digest §5.4", {"revoke_timer_s": 0}
    ),
}


def carrier_changes(network: NetworkFallbackName | None, carrier: CarrierPolicyName | None) -> dict[str, Any]:
    """Changes to a carrier's profile; the carrier policy has the last word."""
    changes: dict[str, Any] = {}
    if network is not None:
        changes |= NETWORK_POLICIES[network].changes
    if carrier is not None:
        changes |= CARRIER_POLICIES[carrier].changes
    return changes


def with_client_policy(device: DevicePolicy, client: ClientFallbackName | None) -> DevicePolicy:
    """*device* with another fallback policy; None leaves it as it is."""
    if client is None:
        return device
    return replace(device, fallback=replace(device.fallback, **CLIENT_POLICIES[client].changes))
