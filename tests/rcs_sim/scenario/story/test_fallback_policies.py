"""The policy matrix: every policy names members that there are, and changes what it says."""

from __future__ import annotations

from typing import get_args

import pytest

from rcs_sim.devices.policy import Consent, FallbackPolicy
from rcs_sim.scenario.loader import load_carrier_profile, load_device
from rcs_sim.scenario.model import CarrierProfile
from rcs_sim.scenario.story.fallback_policies import (
    CARRIER_POLICIES,
    CLIENT_POLICIES,
    NETWORK_POLICIES,
    CarrierPolicyName,
    ClientFallbackName,
    NetworkFallbackName,
    carrier_changes,
    with_client_policy,
)


def test_every_name_has_its_policy() -> None:
    assert set(NETWORK_POLICIES) == set(get_args(NetworkFallbackName))
    assert set(CLIENT_POLICIES) == set(get_args(ClientFallbackName))
    assert set(CARRIER_POLICIES) == set(get_args(CarrierPolicyName))


@pytest.mark.parametrize("network", [None, *NETWORK_POLICIES])
@pytest.mark.parametrize("carrier", [None, *CARRIER_POLICIES])
def test_every_pair_makes_a_carrier_profile(
    network: NetworkFallbackName | None, carrier: CarrierPolicyName | None
) -> None:
    changes = carrier_changes(network, carrier)
    profile = load_carrier_profile("google-like", changes)
    assert {name: getattr(profile, name) for name in changes} == changes
    assert set(changes) <= set(CarrierProfile.model_fields)


@pytest.mark.parametrize("client", CLIENT_POLICIES)
def test_every_client_policy_is_one_of_fallback_alone(client: ClientFallbackName) -> None:
    device = load_device("ios")
    changed = with_client_policy(device, client)
    assert {name: getattr(changed.fallback, name) for name in CLIENT_POLICIES[client].changes} == CLIENT_POLICIES[
        client
    ].changes
    assert changed.messaging == device.messaging
    assert isinstance(changed.fallback, FallbackPolicy)


def test_no_policy_leaves_the_device_as_it_is() -> None:
    device = load_device("ios")
    assert with_client_policy(device, None) is device
    assert with_client_policy(device, "never").fallback.consent is Consent.NEVER


def test_networks_differ_in_what_they_do_themselves() -> None:
    """Who sends the SMS: for people without RCS, and for RCS users who are away."""
    profiles = {name: load_carrier_profile("google-like", carrier_changes(name, None)) for name in NETWORK_POLICIES}
    does = {
        name: (each.interworking, each.interworking and each.interworking_after_s > 0)
        for name, each in profiles.items()
    }
    assert does == {"up-2.x": (True, True), "up-3.0": (True, False), "none": (False, False)}
    assert 0 < profiles["up-2.x"].interworking_after_s < profiles["up-2.x"].revoke_timer_s


def test_the_carrier_policy_has_the_last_word() -> None:
    assert carrier_changes("up-3.0", "no-store")["store_and_forward"] is False
