"""Setup roles and CEMA: the outside matrix of offers and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ims_core.wire.msrp.media import NO_PORT, Fingerprint, MediaRefused, MsrpMedia, Setup, answer, offer
from ims_core.wire.msrp.roles import (
    ConnectionPlan,
    answer_setup,
    can_answer_with_cema,
    decide_connection,
    plan_connection,
)
from ims_core.wire.msrp.uri import parse_path
from ims_core.wire.sdp import Origin
from tests.support.vectors import load_vectors

_VECTORS = load_vectors("rcs/sdp_setup_cema.json")
_SETUPS: Mapping[str, Setup | None] = {"absent": None, **{each.value: each for each in Setup}}
_INPUTS = ("offer_setup", "answer_setup", "offer_cema", "answer_cema", "offer_cm_equals_path", "answer_cm_equals_path")
_ADDRESSES = {
    "offer c=/m=": ("192.0.2.1", 1001),
    "offer a=path": ("192.0.2.2", 1002),
    "answer c=/m=": ("192.0.2.3", 1003),
    "answer a=path": ("192.0.2.4", 1004),
}
_OFFERER, _ANSWERER = Fingerprint.of(b"offerer"), Fingerprint.of(b"answerer")


def name_of(case: Mapping[str, Any]) -> str:
    return "-".join(str(case[name]) for name in _INPUTS)


def media(side: str, case: Mapping[str, Any]) -> MsrpMedia:
    """The side "offer" or "answer" of a vector: an anchor gave it other c= and m= lines where these differ."""
    host, port = _ADDRESSES[f"{side} a=path"]
    path = parse_path(f"msrps://{host}:{port}/{side};tcp")
    if not case[f"{side}_cm_equals_path"]:
        host, port = _ADDRESSES[f"{side} c=/m="]
    return MsrpMedia(
        host=host,
        port=port,
        is_tls=True,
        path=path,
        setup=_SETUPS[case[f"{side}_setup"]],
        has_cema=case[f"{side}_cema"],
        fingerprints=(_OFFERER if side == "offer" else _ANSWERER,),
    )


def test_all_cases_are_there() -> None:
    assert (len(_VECTORS["matrix"]), len(_VECTORS["relay_cases"])) == (168, 5)


@pytest.mark.parametrize("case", _VECTORS["matrix"], ids=name_of)
def test_each_pair_of_offer_and_answer_comes_to_what_the_matrix_says(case: Mapping[str, Any]) -> None:
    decision = decide_connection(
        offer_setup=_SETUPS[case["offer_setup"]],
        answer_setup=_SETUPS[case["answer_setup"]],
        offer_cema=case["offer_cema"],
        answer_cema=case["answer_cema"],
        offer_cm_equals_path=case["offer_cm_equals_path"],
        answer_cm_equals_path=case["answer_cm_equals_path"],
    )
    assert decision.outcome.value == case["result"]
    assert (decision.active and decision.active.value) == case.get("active")
    assert (decision.target and decision.target.value) == case.get("connect_to")
    assert case.get("tls_client") == case.get("first_send_by") == (case.get("active") if decision.target else None)


@pytest.mark.parametrize("case", _VECTORS["matrix"], ids=name_of)
def test_both_sides_plan_what_the_matrix_says(case: Mapping[str, Any]) -> None:
    offered, answered = media("offer", case), media("answer", case)
    if case["result"] != "connect":
        for is_offerer in (True, False):
            with pytest.raises(MediaRefused) as refused:
                plan_connection(offered, answered, is_offerer=is_offerer)
            assert refused.value.is_cema_in_the_way == case["result"].startswith("offerer sends a new offer")
        return
    side = case["connect_to"].partition(" ")[0]
    where = _ADDRESSES[f"{side} a=path" if case[f"{side}_cm_equals_path"] else case["connect_to"]]
    plans = {
        "offerer": plan_connection(offered, answered, is_offerer=True),
        "answerer": plan_connection(offered, answered, is_offerer=False),
    }
    active = plans.pop(case["tls_client"])
    (passive,) = plans.values()
    assert (active.is_active, passive.is_active) == (True, False)
    assert (active.host, active.port, active.is_tls) == (*where, True)
    assert {active.fingerprints, passive.fingerprints} == {(_OFFERER,), (_ANSWERER,)}
    assert active.fingerprints == ((_ANSWERER,) if case["tls_client"] == "offerer" else (_OFFERER,))


_BASE = {"offer_setup": "actpass", "answer_setup": "passive", "offer_cema": True, "answer_cema": True}
_PLACE = {"offer_cm_equals_path": True, "answer_cm_equals_path": True}
_DIRECT_OFFER, _DIRECT_ANSWER = media("offer", _BASE | _PLACE), media("answer", _BASE | _PLACE)
_RELAYED_OFFER = replace(
    _DIRECT_OFFER,
    host="relay.red.example",
    port=9001,
    path=parse_path("msrps://relay.red.example:9001/r1;tcp msrps://192.0.2.2:1002/s1;tcp"),
)
_RELAYED_ANSWER = replace(
    _DIRECT_ANSWER,
    host="relay.blue.example",
    port=9002,
    path=parse_path("msrps://relay.blue.example:9002/r2;tcp msrps://192.0.2.4:1004/s2;tcp"),
)


def offerer_behind_relay_offers_the_relay() -> None:
    made = offer(_RELAYED_OFFER, Origin.of("192.0.2.2", 1))
    _, seen = MsrpMedia.of(made)
    assert (seen.host, seen.port, seen.setup, seen.has_cema) == ("relay.red.example", 9001, Setup.ACTPASS, True)
    assert can_answer_with_cema(seen, setup=Setup.ACTIVE)
    assert not can_answer_with_cema(seen, setup=Setup.PASSIVE)
    answered = replace(_DIRECT_ANSWER, setup=Setup.ACTIVE, port=NO_PORT)
    plan = plan_connection(seen, answered, is_offerer=False)
    assert (plan.is_active, plan.host, plan.port) == (True, "relay.red.example", 9001)


def both_behind_relays_go_by_path() -> None:
    for setup in (Setup.ACTIVE, Setup.PASSIVE):
        assert not can_answer_with_cema(_RELAYED_OFFER, setup=setup, is_behind_relay=True)
        answered = replace(_RELAYED_ANSWER, has_cema=False, setup=setup, host="192.0.2.4", port=1004)
        mine = plan_connection(_RELAYED_OFFER, answered, is_offerer=True)
        theirs = plan_connection(_RELAYED_OFFER, answered, is_offerer=False)
        assert (mine.is_own_relay, mine.host, mine.port) == (True, "relay.red.example", 9001)
        assert (theirs.is_own_relay, theirs.host, theirs.port) == (True, "relay.blue.example", 9002)
        assert (mine.is_active, theirs.is_active) == (setup is Setup.PASSIVE, setup is Setup.ACTIVE)


def active_offerer_behind_relay_gets_no_cema() -> None:
    offered = replace(_RELAYED_OFFER, setup=Setup.ACTIVE)
    setup = answer_setup(offered.setup)
    assert setup is Setup.PASSIVE
    assert not can_answer_with_cema(offered, setup=setup)


def answerer_behind_relay_answers_the_relay() -> None:
    setup = answer_setup(_DIRECT_OFFER.setup)
    assert can_answer_with_cema(_DIRECT_OFFER, setup=setup, is_behind_relay=True)
    assert not can_answer_with_cema(_DIRECT_OFFER, setup=Setup.ACTIVE, is_behind_relay=True)
    made = answer(offer(_DIRECT_OFFER, Origin.of("h", 1)), 0, _RELAYED_ANSWER, Origin.of("h", 1))
    _, seen = MsrpMedia.of(made)
    assert (seen.host, seen.port, seen.setup, seen.has_cema) == ("relay.blue.example", 9002, Setup.PASSIVE, True)
    plan = plan_connection(_DIRECT_OFFER, seen, is_offerer=True)
    assert (plan.is_active, plan.host, plan.port) == (True, "relay.blue.example", 9002)


def own_relay_is_connected_to_in_either_role() -> None:
    plan = plan_connection(_DIRECT_OFFER, _RELAYED_ANSWER, is_offerer=False)
    assert plan == ConnectionPlan(
        is_active=False, host="relay.blue.example", port=9002, is_tls=True, fingerprints=(), is_own_relay=True
    )
    active = plan_connection(_RELAYED_OFFER, replace(_DIRECT_ANSWER, has_cema=False), is_offerer=True)
    assert (active.is_active, active.is_own_relay, active.host) == (True, True, "relay.red.example")


_RELAY_CASES: Mapping[str, Callable[[], None]] = {
    "offerer behind a relay (two path URIs) offers CEMA": offerer_behind_relay_offers_the_relay,
    "both behind relays": both_behind_relays_go_by_path,
    "offerer behind relay and setup:active in the offer": active_offerer_behind_relay_gets_no_cema,
    "answerer behind relay, offer allows passive": answerer_behind_relay_answers_the_relay,
    "UA behind its relay": own_relay_is_connected_to_in_either_role,
}


@pytest.mark.parametrize("case", [case["case"] for case in _VECTORS["relay_cases"]])
def test_relays_are_where_the_vectors_have_them(case: str) -> None:
    _RELAY_CASES[case]()
