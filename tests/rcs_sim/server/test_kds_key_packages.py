"""The stock of key packages: what a desk gets from it, at home and from another carrier's answer."""

from __future__ import annotations

import pytest

from rcs_sim.server.kds_actions import AskPeer, KdsRefused, Note, PollAnchors
from rcs_sim.server.kds_claims import PeerLied
from rcs_sim.server.kds_key_packages import KeyPackageStock
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import (
    ClaimedKeyPackage,
    ClaimRequest,
    ClaimResponse,
    FederationClaimRequest,
    FederationClaimResponse,
)
from tests.support.kds import ALICE, BLUE, BOB, NOW, RED, KdsSide

_REQUEST = FederationClaimRequest(
    request_id="7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01",
    origin=RED.host,
    kds=RED.kds,
    requester_msisdn=ALICE,
    target_msisdn=BOB,
)
_ASK = AskPeer(BLUE.peer(), _REQUEST, ClaimRequest(target_msisdn=BOB))


def _stock(side: KdsSide) -> KeyPackageStock:
    return KeyPackageStock(side.server.directory, side.server.anchors)


def _answer(*packages: ClaimedKeyPackage, target: str = BOB, generation: int = 1) -> bytes:
    return FederationClaimResponse(
        request_id=_REQUEST.request_id, target_msisdn=target, key_packages=packages, anchors_generation=generation
    ).encode()


def test_what_is_taken_is_the_answer_for_phones_and_for_servers() -> None:
    blue = KdsSide(BLUE, RED).start()
    blue.join(BOB)
    stock = _stock(blue)
    served, changes = stock.take(BOB, ALICE, None, KdsFault(), NOW)
    assert changes
    assert ClaimResponse.parse(stock.body(served)).key_packages == tuple(served)
    told = FederationClaimResponse.parse(stock.federation_body(_REQUEST, served))
    assert (told.request_id, told.key_packages) == (_REQUEST.request_id, tuple(served))


def test_an_empty_stock_refuses() -> None:
    with pytest.raises(KdsRefused, match="nothing to serve"):
        _stock(KdsSide().start()).take(ALICE, BOB, None, KdsFault(), NOW)


def test_of_another_carriers_answer_the_good_packages_are_left() -> None:
    red, blue = KdsSide().start(), KdsSide(BLUE, RED).start()
    blue.join(BOB)
    (good,), _ = _stock(blue).take(BOB, ALICE, None, KdsFault(), NOW)
    bad = ClaimedKeyPackage(client_id=good.client_id, key_package=good.key_package[:-1])
    accepted = _stock(red).accept(_ASK, _answer(bad, good), NOW)
    assert accepted.served == [good]
    assert [action.details["outcome"] for action in accepted.actions if isinstance(action, Note)] == ["peer_lying"]


def test_an_answer_without_packages_is_empty_and_one_with_bad_ones_a_lie() -> None:
    red = KdsSide().start()
    bad = ClaimedKeyPackage(client_id="x", key_package=b"no package")
    outcomes = [_stock(red).accept(_ASK, body, NOW) for body in (_answer(), _answer(bad))]
    assert [(each.served, each.outcome) for each in outcomes] == [(None, "peer_empty"), (None, "peer_lying")]


def test_an_answer_for_another_number_is_a_lie() -> None:
    with pytest.raises(PeerLied):
        _stock(KdsSide().start()).accept(_ASK, _answer(target="12025550153"), NOW)


def test_a_younger_list_of_roots_is_asked_for() -> None:
    accepted = _stock(KdsSide().start()).accept(_ASK, _answer(generation=99), NOW)
    assert PollAnchors(_ASK.peer) in accepted.actions
