"""Who connects where."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from ims_core.wire.msrp.media import NO_PORT, Fingerprint, MediaRefused, MsrpMedia, Setup
from ims_core.wire.msrp.roles import (
    _ACTIVE,
    _CLASHES,
    ConnectionPlan,
    Outcome,
    Party,
    Target,
    answer_setup,
    can_answer_with_cema,
    decide_connection,
    plan_connection,
)
from ims_core.wire.msrp.uri import parse_path

_DIRECT_OFFER = MsrpMedia(
    host="192.0.2.2",
    port=1002,
    is_tls=True,
    path=parse_path("msrps://192.0.2.2:1002/s1;tcp"),
    setup=Setup.ACTPASS,
    has_cema=True,
    fingerprints=(Fingerprint.of(b"offerer"),),
)
_DIRECT_ANSWER = replace(
    _DIRECT_OFFER,
    host="192.0.2.4",
    port=1004,
    path=parse_path("msrps://192.0.2.4:1004/s2;tcp"),
    setup=Setup.PASSIVE,
    fingerprints=(Fingerprint.of(b"answerer"),),
)
_RELAYED_PATH = parse_path("msrps://relay.blue.example:9002/r2;tcp msrps://192.0.2.4:1004/s2;tcp")


def test_each_side_learns_its_part() -> None:
    active = plan_connection(_DIRECT_OFFER, _DIRECT_ANSWER, is_offerer=True)
    passive = plan_connection(_DIRECT_OFFER, _DIRECT_ANSWER, is_offerer=False)
    assert active == ConnectionPlan(
        is_active=True, host="192.0.2.4", port=1004, is_tls=True, fingerprints=_DIRECT_ANSWER.fingerprints
    )
    assert passive == ConnectionPlan(
        is_active=False, host="192.0.2.4", port=1004, is_tls=True, fingerprints=_DIRECT_OFFER.fingerprints
    )


@pytest.mark.parametrize("pair", list(itertools.product((None, *Setup), repeat=2)))
def test_every_pair_of_setups_has_an_active_side_or_a_clash(pair: tuple[Setup | None, Setup | None]) -> None:
    decision = decide_connection(
        offer_setup=pair[0],
        answer_setup=pair[1],
        offer_cema=False,
        answer_cema=False,
        offer_cm_equals_path=True,
        answer_cm_equals_path=True,
    )
    if Setup.HOLDCONN in pair:
        assert pair not in _ACTIVE
        assert pair not in _CLASHES
        pair = (None if pair[0] is Setup.HOLDCONN else pair[0], None if pair[1] is Setup.HOLDCONN else pair[1])
    assert (pair in _ACTIVE) != (pair in _CLASHES)
    assert decision.active is _ACTIVE.get(pair)
    assert decision.why == _CLASHES.get(pair, "")
    assert (decision.outcome is Outcome.CONNECT) == (pair in _ACTIVE)


def test_cema_in_an_answer_that_was_not_offered_it_does_not_count() -> None:
    decision = decide_connection(
        offer_setup=Setup.ACTPASS,
        answer_setup=Setup.PASSIVE,
        offer_cema=False,
        answer_cema=True,
        offer_cm_equals_path=True,
        answer_cm_equals_path=False,
    )
    assert (decision.active, decision.target) == (Party.OFFERER, Target.ANSWER_PATH)


@pytest.mark.parametrize(
    ("offered", "prefers_active", "is_reachable", "expected"),
    [
        (Setup.ACTPASS, False, True, Setup.PASSIVE),
        (Setup.ACTPASS, True, True, Setup.ACTIVE),
        (Setup.ACTPASS, False, False, Setup.ACTIVE),
        (Setup.ACTIVE, False, True, Setup.PASSIVE),
        (Setup.ACTIVE, True, True, Setup.PASSIVE),
        (Setup.PASSIVE, False, True, Setup.ACTIVE),
        (Setup.PASSIVE, False, False, Setup.ACTIVE),
        (None, True, True, Setup.PASSIVE),
        (Setup.HOLDCONN, True, True, Setup.PASSIVE),
    ],
)
def test_the_setup_of_an_answer(
    offered: Setup | None, prefers_active: bool, is_reachable: bool, expected: Setup
) -> None:
    assert answer_setup(offered, prefers_active=prefers_active, is_reachable=is_reachable) is expected


@pytest.mark.parametrize("offered", [Setup.ACTIVE, None, Setup.HOLDCONN])
def test_an_offerer_that_must_connect_and_cannot_is_refused(offered: Setup | None) -> None:
    with pytest.raises(MediaRefused) as refused:
        answer_setup(offered, is_reachable=False)
    assert refused.value.status == 488


@pytest.mark.parametrize("setup", [Setup.ACTIVE, Setup.PASSIVE])
def test_no_offer_without_cema_is_answered_with_it(setup: Setup) -> None:
    assert not can_answer_with_cema(replace(_DIRECT_OFFER, has_cema=False), setup=setup)
    assert can_answer_with_cema(_DIRECT_OFFER, setup=setup)


@pytest.mark.parametrize("place", [dict(port=NO_PORT), dict(host="0.0.0.0"), dict(host="::")])
def test_nobody_connects_to_where_nobody_listens(place: dict[str, Any]) -> None:
    answered = replace(_DIRECT_ANSWER, **place)
    with pytest.raises(MediaRefused):
        plan_connection(_DIRECT_OFFER, answered, is_offerer=True)


def test_an_answerer_behind_a_relay_without_cema_is_reached_by_its_path() -> None:
    answered = replace(_DIRECT_ANSWER, has_cema=False, path=_RELAYED_PATH)
    plan = plan_connection(_DIRECT_OFFER, answered, is_offerer=True)
    assert (plan.is_active, plan.host, plan.port) == (True, "relay.blue.example", 9002)


def test_a_phone_with_port_9_that_connects_is_not_taken_for_an_anchored_one() -> None:
    offered = replace(_DIRECT_OFFER, has_cema=False, setup=Setup.ACTIVE, port=NO_PORT)
    plan = plan_connection(offered, replace(_DIRECT_ANSWER, has_cema=False), is_offerer=False)
    assert (plan.is_active, plan.host, plan.port) == (False, "192.0.2.4", 1004)
