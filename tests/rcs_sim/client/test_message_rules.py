from __future__ import annotations

from dataclasses import replace

from rcs_sim.client.message_rules import capability_times, delivery_rules, mode_rules
from tests.support.stub_core import ALICE, device, subscriber


def test_a_timer_of_0_in_the_document_wins_over_that_of_the_device_m11() -> None:
    policy = device("android")
    policy = replace(policy, fallback=replace(policy.fallback, revoke_timer_s=20.0))
    assert delivery_rules(subscriber(ALICE, revoke_timer_s=30), policy).revoke_timer_s == 20.0
    assert delivery_rules(subscriber(ALICE, revoke_timer_s=0), policy).revoke_timer_s == 0.0


def test_phones_of_one_kind_share_the_rules_of_their_modes() -> None:
    policy, document = device("android"), subscriber(ALICE)
    assert mode_rules(document, policy) is mode_rules(document, policy)
    assert mode_rules(document, policy).has_msrp


def test_capability_times_are_those_of_the_document_and_of_the_device() -> None:
    policy, document = device("android"), subscriber(ALICE, capability_expiry_s=77)
    times = capability_times(document, policy)
    assert (times.rcs_expiry_s, times.guard_s) == (77.0, policy.capability.guard_s)
