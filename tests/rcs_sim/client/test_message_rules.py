from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.client.capabilities import NO_TAGS, PeerTags
from rcs_sim.client.message_rules import can_revoke, capability_times, delivery_rules, mode_rules
from tests.support.stub_core import ALICE, device, subscriber

_REVOKES = PeerTags(frozenset({"+g.gsma.rcs.msgrevoke"}))
_INTERWORKS = PeerTags(frozenset({"+g.gsma.rcs.msgfallback"}))


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


@pytest.mark.parametrize(
    ("known", "told", "timer_s", "is_sealed", "wanted"),
    [
        (_REVOKES, None, 20, False, True),
        (NO_TAGS, _REVOKES, 20, False, True),
        (NO_TAGS, None, 20, False, False),
        (_REVOKES, None, 0, False, False),
        (_REVOKES, _INTERWORKS, 20, False, False),  # a network that says so is believed
        (_REVOKES, None, 20, True, False),  # never of what is sealed
    ],
)
def test_who_may_take_a_message_back(
    known: PeerTags, told: PeerTags | None, timer_s: float, is_sealed: bool, wanted: bool
) -> None:
    assert can_revoke(is_sealed=is_sealed, known=known, told=told, revoke_timer_s=timer_s) is wanted
