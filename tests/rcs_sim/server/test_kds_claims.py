"""Claims: what is served, what is withheld, and what another directory's answers become."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.http_message import HttpResponse
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.key_package_profile import verify_claimed_package
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.server.kds_actions import AskPeer, PollAnchors, Respond
from rcs_sim.server.kds_claims import PeerFailure, PeerTrouble
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import (
    ClaimedKeyPackage,
    ClaimRequest,
    ClaimResponse,
    FederationClaimRequest,
    FederationClaimResponse,
    KdsPath,
)
from tests.support.kds import ALICE, BLUE, BOB, DAY_S, NOW, RED, Device, KdsSide, response_of

_UUID = "7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
_TO_BOB = ClaimRequest(target_msisdn=BOB, requester_msisdn=ALICE, kds=1)
_TO_ALICE = ClaimRequest(target_msisdn=ALICE, requester_msisdn="12025550102", kds=2)


def _error(response: HttpResponse) -> tuple[int, str, int]:
    members = json.loads(response.body)
    return response.status, members["error"], members["outcome"]


def _served(response: HttpResponse) -> tuple[ClaimedKeyPackage, ...]:
    assert response.status == 200, response.body
    return ClaimResponse.parse(response.body).key_packages


def _outcomes(side: KdsSide) -> list[object]:
    return [note.details.get("outcome") for note in side.notes]


@pytest.fixture
def red() -> KdsSide:
    return KdsSide().start()


@pytest.fixture
def blue() -> KdsSide:
    return KdsSide(BLUE, RED).start()


def test_each_device_of_a_number_gives_one_package_and_none_is_given_twice(red: KdsSide) -> None:
    devices = {device.client_id for device in (red.join(ALICE, "one"), red.join(ALICE, "two"))}
    seen: set[bytes] = set()
    for _ in range(3):
        served = _served(red.claim(_TO_ALICE))
        assert {each.client_id for each in served} == devices
        assert not any(each.is_last_resort for each in served)
        assert seen.isdisjoint(each.key_package for each in served)
        seen |= {each.key_package for each in served}


def test_a_served_package_passes_the_checks_of_its_consumer(red: KdsSide) -> None:
    device = red.join(ALICE)
    (served,) = _served(red.claim(_TO_ALICE))
    verified = verify_claimed_package(
        served.key_package, msisdn=ALICE, trust=red.server.anchors.trust, now_s=NOW, requires_certificate_floor=True
    )
    assert (verified.client_id, verified.message) == (device.client_id, served.key_package)


def test_an_empty_pool_gives_the_last_resort_again_and_again(red: KdsSide) -> None:
    red.join(ALICE, one_time=1)
    _served(red.claim(_TO_ALICE))
    last = [_served(red.claim(_TO_ALICE)) for _ in range(2)]
    assert last[0] == last[1]
    assert last[0][0].is_last_resort


def test_a_pool_without_last_resort_ends_with_peer_has_none(red: KdsSide) -> None:
    device = Device(ALICE)
    red.enrol(device)
    red.publish(device, 1, last_resort=False)
    _served(red.claim(_TO_ALICE))
    assert _error(red.claim(_TO_ALICE)) == (404, "no_key_packages", 1)


def test_a_package_that_was_served_is_not_taken_in_again(red: KdsSide) -> None:
    device = Device(ALICE)
    red.enrol(device)
    upload = device.upload(2)
    red.call(KdsPath.KEY_PACKAGES, upload.encode())
    (first,) = _served(red.claim(_TO_ALICE))
    assert json.loads(red.call(KdsPath.KEY_PACKAGES, upload.encode()).body) == {"stored": 2}
    assert first.key_package not in [_served(red.claim(_TO_ALICE))[0].key_package for _ in range(3)]


def test_under_30_days_a_client_is_left_out_and_the_rest_is_served(red: KdsSide) -> None:
    old = red.join(ALICE, "old")
    red.now += 50 * DAY_S
    assert _error(red.claim(_TO_ALICE)) == (404, "no_key_packages", 1)
    assert "withheld" in red.notes[-1].summary
    young = Device(ALICE, "young")
    red.enrol(young)
    red.publish(young)
    assert [each.client_id for each in _served(red.claim(_TO_ALICE))] == [young.client_id]
    assert old.client_id in red.server.directory.pool_sizes(ALICE)


def test_the_floor_begins_at_exactly_30_days(red: KdsSide) -> None:
    device = red.join(ALICE)
    client = red.server.directory.client(ALICE, device.client_id)
    assert client is not None
    red.now = client.not_after_s - 30 * DAY_S
    _served(red.claim(_TO_ALICE))
    red.now += 1
    assert _error(red.claim(_TO_ALICE))[1] == "no_key_packages"


def test_a_creator_gets_his_other_devices(red: KdsSide) -> None:
    own, other = red.join(ALICE, "own"), red.join(ALICE, "other")
    claim = ClaimRequest(target_msisdn=ALICE, requester_msisdn=ALICE, kds=2, exclude_client_id=own.client_id)
    assert [each.client_id for each in _served(red.claim(claim))] == [other.client_id]
    assert red.server.directory.pool_sizes(ALICE)[own.client_id] == 4


def test_a_claim_needs_neither_tag_nor_requester(red: KdsSide) -> None:
    red.join(ALICE)
    assert _served(red.claim(ClaimRequest(target_msisdn=ALICE)))


@pytest.mark.parametrize(
    ("claim", "error"),
    [
        (replace(_TO_ALICE, cipher_suite=1), (400, "bad_request", 3)),
        (replace(_TO_ALICE, requester_msisdn=BOB), (403, "not_authorized", 2)),
        (replace(_TO_ALICE, target_msisdn="12025550109"), (404, "unknown_number", 3)),
        (ClaimRequest(target_msisdn="12025550109"), (404, "unknown_number", 3)),
        (replace(_TO_BOB, kds=2), (421, "wrong_directory", 3)),
        (ClaimRequest(target_msisdn="4930123456"), (404, "unknown_number", 3)),
        (replace(_TO_BOB, kds=7), (404, "unknown_number", 3)),
        (_TO_ALICE, (404, "no_key_packages", 1)),
    ],
)
def test_each_reason_to_serve_nothing_is_its_own(
    red: KdsSide, claim: ClaimRequest, error: tuple[int, str, int]
) -> None:
    assert _error(red.claim(claim)) == error


def test_too_many_claims_of_one_requester_get_429_and_others_do_not() -> None:
    red = KdsSide(claims_per_minute=1).start()
    red.join(ALICE)
    _served(red.claim(_TO_ALICE))
    response = red.claim(_TO_ALICE)
    assert _error(response) == (429, "rate_limited", 3)
    assert int(response.header("Retry-After") or 0) == 60
    _served(red.claim(replace(_TO_ALICE, requester_msisdn=ALICE)))
    (elsewhere,) = red.actions(KdsPath.CLAIM, _TO_ALICE.encode(), "10.1.0.2:5000")[-1:]
    assert isinstance(elsewhere, Respond)
    assert elsewhere.response.status == 200


# --- another directory -----------------------------------------------------------------------------------------------


def test_a_claim_goes_to_the_directory_that_its_tag_names(red: KdsSide, blue: KdsSide) -> None:
    device = blue.join(BOB)
    (served,) = _served(red.claim(_TO_BOB, blue))
    assert served.client_id == device.client_id
    assert blue.server.directory.pool_sizes(BOB) == {device.client_id: 3}


def test_without_a_tag_the_longest_prefix_decides(red: KdsSide, blue: KdsSide) -> None:
    blue.join(BOB)
    assert _served(red.claim(replace(_TO_BOB, kds=None), blue))


def test_where_tag_and_prefix_disagree_the_tag_wins_and_the_table_is_called_stale(red: KdsSide) -> None:
    ported = KdsSide(replace(BLUE, numbers=("12025550104",)), RED).start()
    ported.join("12025550104")
    claim = ClaimRequest(target_msisdn="12025550104", requester_msisdn=ALICE, kds=1)
    assert _served(red.claim(claim, ported))
    assert "stale_prefix" in _outcomes(red)


@pytest.mark.parametrize(
    ("target", "kds", "error"),
    [
        (BOB, 2, (421, "wrong_directory", 3)),
        (BOB, 7, (404, "unknown_number", 3)),
        ("12025550104", 1, (404, "unknown_number", 3)),
    ],
)
def test_a_stale_table_is_noted_where_the_claim_is_refused_too(
    red: KdsSide, blue: KdsSide, target: str, kds: int, error: tuple[int, str, int]
) -> None:
    claim = ClaimRequest(target_msisdn=target, requester_msisdn=ALICE, kds=kds)
    assert _error(red.claim(claim, blue)) == error
    assert "stale_prefix" in _outcomes(red)
    red.notes.clear()
    assert _error(red.claim(claim)) == error  # also where it is remembered
    assert "stale_prefix" in _outcomes(red)


def test_ended_answers_leave_the_store_also_with_a_claim_that_is_refused(blue: KdsSide) -> None:
    blue.join(BOB)
    request = FederationClaimRequest(
        request_id=_UUID, origin=RED.host, kds=2, requester_msisdn=ALICE, target_msisdn=BOB
    )
    blue.federation(KdsPath.FEDERATION_CLAIM, request.encode(), RED)
    assert len(blue.records()["answered_claims"]) == 1
    blue.now += 601
    other = replace(request, target_msisdn="12025550153", request_id=_UUID.replace("7", "8"))
    assert _error(blue.federation(KdsPath.FEDERATION_CLAIM, other.encode(), RED))[1] == "no_key_packages"
    assert blue.records()["answered_claims"] == {}


def test_the_same_request_id_gets_the_same_packages_for_ten_minutes(red: KdsSide, blue: KdsSide) -> None:
    device = blue.join(BOB)
    request = FederationClaimRequest(
        request_id=_UUID, origin=RED.host, kds=2, requester_msisdn=ALICE, target_msisdn=BOB
    )
    first = blue.federation(KdsPath.FEDERATION_CLAIM, request.encode(), RED)
    blue.now += 599
    assert blue.federation(KdsPath.FEDERATION_CLAIM, request.encode(), RED) == first
    assert blue.server.directory.pool_sizes(BOB) == {device.client_id: 3}
    other = replace(request, target_msisdn="12025550153")
    assert _error(blue.federation(KdsPath.FEDERATION_CLAIM, other.encode(), RED)) == (409, "conflict", 3)
    blue.now += 2
    assert blue.federation(KdsPath.FEDERATION_CLAIM, request.encode(), RED).body != first.body
    assert blue.server.directory.pool_sizes(BOB) == {device.client_id: 2}


def test_a_federation_claim_of_somebody_else_is_refused(blue: KdsSide) -> None:
    blue.join(BOB)
    request = FederationClaimRequest(
        request_id=_UUID, origin=RED.host, kds=2, requester_msisdn=ALICE, target_msisdn=BOB
    )
    path = KdsPath.FEDERATION_CLAIM
    assert _error(blue.federation(path, request.encode(), None)) == (403, "not_authorized", 2)
    assert _error(blue.federation(path, replace(request, origin="kds.evil").encode(), RED))[1] == "not_authorized"
    assert _error(blue.federation(path, replace(request, kds=3).encode(), RED))[1] == "not_authorized"
    assert _error(blue.federation(path, replace(request, version=2).encode(), RED))[1] == "bad_request"
    assert _error(blue.federation(path, replace(request, target_msisdn=ALICE).encode(), RED)) == (
        404,
        "unknown_number",
        3,
    )


@pytest.mark.parametrize("code", ["no_key_packages", "unknown_number"])
def test_the_other_directorys_refusal_is_passed_on_and_kept_for_ten_seconds(
    red: KdsSide, blue: KdsSide, code: str
) -> None:
    target = BOB if code == "no_key_packages" else "12025550159"
    claim = replace(_TO_BOB, target_msisdn=target)
    expected = (404, code, 1 if code == "no_key_packages" else 3)
    assert _error(red.claim(claim, blue)) == expected
    assert _error(red.claim(claim)) == expected
    red.now += 10
    if code == "no_key_packages":
        blue.join(BOB)
        assert _served(red.claim(claim, blue))


def _asked(red: KdsSide) -> AskPeer:
    (ask,) = (each for each in red.actions(KdsPath.CLAIM, _TO_BOB.encode()) if isinstance(each, AskPeer))
    return ask


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (PeerFailure(), 502, "peer_down"),
        (PeerFailure(PeerTrouble.SLOW), 504, "peer_slow"),
        (PeerFailure(PeerTrouble.UNTRUSTED), 502, "peer_untrusted"),
        (PeerFailure(PeerTrouble.BROKEN), 502, "peer_broken"),
        (HttpResponse(503, body=b'{"error":"unavailable"}'), 502, "peer_down"),
        (HttpResponse(500, body=b"oops"), 502, "peer_broken"),
        (HttpResponse(200, body=b"oops"), 502, "peer_broken"),
        (HttpResponse(404, body=b"<html>"), 502, "peer_broken"),
    ],
)
def test_down_slow_and_broken_peers_are_told_apart_and_not_remembered(
    red: KdsSide, answer: HttpResponse | PeerFailure, status: int, kind: str
) -> None:
    ask = _asked(red)
    actions = red._kept(red.server.peer_answered(ask, answer, red.now))
    assert _error(response_of(actions)) == (status, "unavailable", 4)
    assert _outcomes(red)[-1] == kind
    _asked(red)  # goes out again


def test_a_refusal_of_the_peer_keeps_its_code(red: KdsSide) -> None:
    busy = HttpResponse(429, (("Retry-After", "9"),), b'{"error":"rate_limited","outcome":3}')
    response = response_of(red.server.peer_answered(_asked(red), busy, red.now))
    assert _error(response) == (429, "rate_limited", 3)
    assert response.header("Retry-After") == "9"
    denied = HttpResponse(403, body=b'{"error":"not_authorized"}')
    assert _error(response_of(red.server.peer_answered(_asked(red), denied, red.now))) == (403, "not_authorized", 2)


def _answer(ask: AskPeer, *packages: ClaimedKeyPackage, generation: int = 1, **changes: str) -> HttpResponse:
    told = FederationClaimResponse(
        request_id=changes.get("request_id", ask.request.request_id),
        target_msisdn=changes.get("target_msisdn", BOB),
        key_packages=packages,
        anchors_generation=generation,
    )
    return HttpResponse(200, body=told.encode())


def test_packages_of_a_lying_peer_are_dropped_one_by_one(red: KdsSide, blue: KdsSide) -> None:
    bob, carol = blue.join(BOB), blue.join("12025550153")
    mallory = KdsSide(replace(BLUE, name="mallory"), RED).start().join(BOB, "mallory")
    good = ClaimedKeyPackage(client_id=bob.client_id, key_package=bob.package())
    bad = [
        ClaimedKeyPackage(client_id="of another number", key_package=carol.package()),
        ClaimedKeyPackage(client_id="of another root", key_package=mallory.package()),
        ClaimedKeyPackage(client_id="none", key_package=b"x"),
    ]
    ask = _asked(red)
    actions = red._kept(red.server.peer_answered(ask, _answer(ask, *bad, good), red.now))
    assert _served(response_of(actions)) == (good,)
    assert _outcomes(red).count("peer_lying") == 3
    actions = red._kept(red.server.peer_answered(ask, _answer(ask, *bad), red.now))
    assert _error(response_of(actions)) == (404, "no_key_packages", 1)
    assert _outcomes(red)[-1] == "peer_lying"


def test_stale_packages_of_a_peer_are_dropped(red: KdsSide, blue: KdsSide) -> None:
    device = blue.join(BOB)
    blue.server.fault = KdsFault(serves_stale=True)
    red.now = blue.now = NOW + 40 * DAY_S
    assert _error(red.claim(_TO_BOB, blue)) == (404, "no_key_packages", 1)
    assert "A.4" in next(note.summary for note in red.notes if note.details.get("outcome") == "peer_lying")
    assert blue.server.directory.pool_sizes(BOB) == {device.client_id: 3}


@pytest.mark.parametrize("change", [{"request_id": _UUID}, {"target_msisdn": ALICE}])
def test_an_answer_to_another_claim_is_no_answer(red: KdsSide, change: dict[str, str]) -> None:
    ask = _asked(red)
    response = response_of(red.server.peer_answered(ask, _answer(ask, **change), red.now))
    assert _error(response) == (502, "unavailable", 4)


def test_a_newer_generation_of_anchors_is_fetched(red: KdsSide, blue: KdsSide) -> None:
    package = ClaimedKeyPackage(client_id="x", key_package=blue.join(BOB).package())
    ask = _asked(red)
    assert not any(
        isinstance(each, PollAnchors) for each in red.server.peer_answered(ask, _answer(ask, package), red.now)
    )
    actions = red.server.peer_answered(ask, _answer(ask, package, generation=2), red.now)
    assert [each.peer.host for each in actions if isinstance(each, PollAnchors)] == [BLUE.host]


@given(st.integers(200, 599), st.binary(max_size=300))
def test_any_answer_of_a_peer_becomes_an_answer(status: int, body: bytes) -> None:
    red = KdsSide().start()
    response = response_of(red.server.peer_answered(_asked(red), HttpResponse(status, body=body), red.now))
    assert response.status == 502


# --- faults ----------------------------------------------------------------------------------------------------------


def test_faults_of_the_pool(red: KdsSide) -> None:
    red.join(ALICE)
    red.server.fault = KdsFault(empty_pool=True)
    assert _error(red.claim(_TO_ALICE)) == (404, "no_key_packages", 1)
    red.server.fault = KdsFault(last_resort_only=True)
    assert _served(red.claim(_TO_ALICE))[0].is_last_resort
    red.server.fault = KdsFault(reuses_one_time=True)
    assert _served(red.claim(_TO_ALICE)) == _served(red.claim(_TO_ALICE))
    red.server.fault = KdsFault(wrong_directory=True)
    assert _error(red.claim(_TO_ALICE)) == (421, "wrong_directory", 3)
    red.server.fault = KdsFault()
    assert _served(red.claim(_TO_ALICE))


def test_a_wrong_identity_is_served_and_does_not_pass_at_the_consumer(red: KdsSide, blue: KdsSide) -> None:
    blue.join(BOB)
    carol = blue.join("12025550153")
    blue.server.fault = KdsFault(wrong_identity="12025550153")
    local = replace(_TO_BOB, requester_msisdn=BOB)
    assert _served(blue.claim(local))[0].client_id == carol.client_id
    assert _error(red.claim(_TO_BOB, blue)) == (404, "no_key_packages", 1)


def test_equivocation_shows_another_identity_to_every_second_requester(red: KdsSide) -> None:
    device = red.join(ALICE)
    forged = ClaimedKeyPackage(client_id="forged", key_package=b"forged")
    red.server.fault = KdsFault(equivocation=(forged,))
    first, second = replace(_TO_ALICE, requester_msisdn="12025550102"), replace(_TO_ALICE, requester_msisdn=ALICE)
    for _ in range(2):
        assert _served(red.claim(first))[0].client_id == device.client_id
        assert _served(red.claim(second)) == (forged,)


def test_under_a_revoked_certificate_nothing_is_served_taken_in_or_passed_on(red: KdsSide, blue: KdsSide) -> None:
    device, other = red.join(ALICE, "lost"), red.join(ALICE, "kept")
    lost = read_certificate(device.chain[0]).serial
    red._kept([*red.server.revoke([b"\x00" + lost], red.now)])
    assert [each.client_id for each in _served(red.claim(_TO_ALICE))] == [other.client_id]
    assert _error(red.publish(device)) == (422, "bad_key_package", 3)
    assert len(red.records()["key_packages"]) == 3
    bob = blue.join(BOB)
    red.server.revoke([read_certificate(bob.chain[1]).serial], red.now)
    assert _error(red.claim(_TO_BOB, blue)) == (404, "no_key_packages", 1)
    crl = x509.load_der_x509_crl(red.call(KdsPath.CRL).body)
    assert [each.serial_number for each in crl] == [int.from_bytes(read_certificate(bob.chain[1]).serial, "big")]


def test_a_new_owner_of_a_number_inherits_nothing(red: KdsSide) -> None:
    red.join(ALICE)
    red.server.forget(ALICE)
    assert _error(red.claim(_TO_ALICE)) == (404, "no_key_packages", 1)
    red.join(ALICE, "new owner")
    assert len(_served(red.claim(_TO_ALICE))) == 1


def test_under_an_authority_that_ends_within_30_days_nothing_is_taken_in() -> None:
    """The floor is that of the whole chain (A.4.2.2)."""
    lasting, ending = KdsSide(), KdsSide()
    for side, days in ((lasting, 31), (ending, 29)):
        begins_s = NOW - (730 - days) * DAY_S  # of the authority that issues leaves
        made = VendorPki.derive(b"lab", vendor_id=2, kds=2, operator="red", now_s=begins_s + 3600)
        side.server.pki, side.server.anchors._own = made, (made.anchor,)
        side.start()
    device = Device(ALICE)
    assert lasting.enrol(device).status == 200
    assert lasting.publish(device).status == 200
    lasting.now += 2 * DAY_S
    assert lasting.claim(ClaimRequest(target_msisdn=ALICE)).status == 404
    late = Device(ALICE)
    assert ending.enrol(late).status == 200
    assert _error(ending.publish(late))[:2] == (422, "bad_key_package")
