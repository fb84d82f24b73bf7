"""Prekeys of the legacy scheme: published, claimed once, through another carrier's directory too."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.store.prekey_directory import ANSWERED_PREKEY_CLAIMS, PREKEYS
from ims_core.transport.http_message import HttpResponse
from rcs_sim.server.kds_actions import AskPeer
from rcs_sim.server.kds_claims import PeerFailure, PeerTrouble
from rcs_sim.server.kds_legacy import MAX_SERVED, PrekeyStock
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import ClaimRequest, FederationClaimRequest, KdsPath, UploadResponse
from rcs_sim.wire.prekey_directory import FederationPrekeyResponse, PrekeyBundle, PrekeyPath, PrekeyUpload
from tests.support.kds import ALICE, BLUE, BOB, RED, KdsSide, prekeys_of, response_of

_UUID = "7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
_TO_ALICE = ClaimRequest(target_msisdn=ALICE)
_TO_BOB = ClaimRequest(target_msisdn=BOB, requester_msisdn=ALICE)
_OF_RED = FederationClaimRequest(
    request_id=_UUID, origin=RED.host, kds=RED.kds, requester_msisdn=ALICE, target_msisdn=BOB
)


@pytest.fixture
def red() -> KdsSide:
    return KdsSide().start()


@pytest.fixture
def blue() -> KdsSide:
    return KdsSide(BLUE, RED).start()


def _publish(side: KdsSide, upload: PrekeyUpload) -> int:
    response = side.call(PrekeyPath.PREKEYS, upload.encode())
    assert response.status == 200, response.body
    return UploadResponse.parse(response.body).stored


def _claim(side: KdsSide, claim: ClaimRequest = _TO_ALICE, far: KdsSide | None = None) -> HttpResponse:
    return side.claim(claim, far, PrekeyPath.CLAIM)


def _bundle(response: HttpResponse) -> PrekeyBundle:
    assert response.status == 200, response.body
    return PrekeyBundle.parse(response.body)


def _error(response: HttpResponse) -> tuple[int, str, int]:
    members = json.loads(response.body)
    return response.status, members["error"], members["outcome"]


def test_a_one_time_key_is_served_once_and_the_rest_again_and_again(red: KdsSide) -> None:
    upload = prekeys_of(ALICE)
    assert _publish(red, upload) == 3
    bundles = [_bundle(_claim(red)) for _ in range(5)]
    assert [each.one_time for each in bundles] == [*upload.one_time, None, None]
    assert {each.signed for each in bundles} == {upload.signed}


def test_a_claim_needs_nothing_but_the_number(red: KdsSide) -> None:
    upload = prekeys_of(ALICE)
    _publish(red, upload)
    response = red.call(PrekeyPath.CLAIM, b'{"target_msisdn":"tel:+%s"}' % ALICE.encode())
    assert _bundle(response) == PrekeyBundle(upload.signed, upload.one_time[0])


def test_an_upload_replaces_what_was_there_but_for_keys_that_were_served(red: KdsSide) -> None:
    first = prekeys_of(ALICE)
    _publish(red, first)
    _bundle(_claim(red))
    second = prekeys_of(ALICE, "reset")
    assert _publish(red, replace(second, one_time=(*first.one_time, *second.one_time))) == 5
    bundle = _bundle(_claim(red))
    assert (bundle.signed, bundle.one_time) == (second.signed, first.one_time[1])


@pytest.mark.parametrize(
    ("claim", "error"),
    [
        (ClaimRequest(target_msisdn=ALICE), (404, "no_key_packages", 1)),
        (ClaimRequest(target_msisdn="33123456789"), (404, "unknown_number", 3)),
        (ClaimRequest(target_msisdn=BOB, kds=RED.kds), (421, "wrong_directory", 3)),
        (ClaimRequest(target_msisdn=ALICE, requester_msisdn=BOB), (403, "not_authorized", 2)),
    ],
)
def test_a_claim_that_cannot_be_served_gets_the_error_of_a_claim(
    red: KdsSide, claim: ClaimRequest, error: tuple[int, str, int]
) -> None:
    assert _error(_claim(red, claim)) == error


@pytest.mark.parametrize(
    ("msisdn", "error"), [(BOB, (421, "wrong_directory", 3)), ("33123456789", (404, "unknown_number", 3))]
)
def test_prekeys_of_a_number_that_is_homed_elsewhere_are_refused(
    red: KdsSide, msisdn: str, error: tuple[int, str, int]
) -> None:
    assert _error(red.call(PrekeyPath.PREKEYS, prekeys_of(msisdn).encode())) == error


@given(
    st.binary(max_size=80)
    | st.dictionaries(st.text(max_size=8), st.text(max_size=8)).map(lambda d: json.dumps(d).encode())
)
def test_any_body_is_answered(body: bytes) -> None:
    red = KdsSide().start()
    for path in (PrekeyPath.PREKEYS, PrekeyPath.CLAIM):
        assert red.call(path, body or b"x").status in (400, 404)


def test_uploads_and_claims_have_the_limits_of_the_others() -> None:
    red = KdsSide(changes_per_minute=1, claims_per_minute=1).start()
    _publish(red, prekeys_of(ALICE))
    assert _error(red.call(PrekeyPath.PREKEYS, prekeys_of(ALICE).encode())) == (429, "rate_limited", 3)
    _bundle(_claim(red))
    response = _claim(red)
    assert _error(response) == (429, "rate_limited", 3)
    assert response.header("Retry-After")


def test_a_wrong_method_is_told_the_right_one(red: KdsSide) -> None:
    for path in (PrekeyPath.PREKEYS, PrekeyPath.CLAIM):
        response = red.call(path)
        assert (response.status, response.header("Allow")) == (405, "POST")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (KdsFault(is_down=True), (503, "unavailable", 4)),
        (KdsFault(retry_after_s=5), (429, "rate_limited", 3)),
        (KdsFault(empty_pool=True), (404, "no_key_packages", 1)),
        (KdsFault(wrong_directory=True), (421, "wrong_directory", 3)),
    ],
)
def test_faults_of_the_directory_are_those_of_the_other_calls(
    red: KdsSide, fault: KdsFault, error: tuple[int, str, int]
) -> None:
    _publish(red, prekeys_of(ALICE))
    red.server.fault = fault
    assert _error(_claim(red)) == error


def test_a_directory_can_serve_a_key_twice_or_of_another_number(red: KdsSide) -> None:
    upload, other = prekeys_of(ALICE), prekeys_of("12025550102")
    for each in (upload, other):
        _publish(red, each)
    red.server.fault = KdsFault(reuses_one_time=True)
    assert _bundle(_claim(red)) == _bundle(_claim(red)) == PrekeyBundle(upload.signed, upload.one_time[0])
    red.server.fault = KdsFault(last_resort_only=True)
    assert _bundle(_claim(red)).one_time is None
    red.server.fault = KdsFault(wrong_identity="12025550102")
    assert _bundle(_claim(red)).signed == other.signed


# --- federation ------------------------------------------------------------------------------------------------------


def test_a_claim_goes_to_the_directory_of_the_number(red: KdsSide, blue: KdsSide) -> None:
    upload = prekeys_of(BOB)
    _publish(blue, upload)
    assert _bundle(_claim(red, _TO_BOB, blue)) == PrekeyBundle(upload.signed, upload.one_time[0])
    assert blue.server.prekeys.left(BOB) == 2


def test_a_refusal_of_the_other_directory_is_passed_on(red: KdsSide, blue: KdsSide) -> None:
    assert _error(_claim(red, _TO_BOB, blue)) == (404, "no_key_packages", 1)
    assert _error(_claim(red, _TO_BOB)) == (404, "no_key_packages", 1)  # remembered for a moment
    red.now += 11
    _publish(blue, prekeys_of(BOB))
    assert _bundle(_claim(red, _TO_BOB, blue))


def test_a_refused_claim_of_key_packages_says_nothing_about_prekeys(red: KdsSide, blue: KdsSide) -> None:
    _publish(blue, prekeys_of(BOB))
    assert _error(red.claim(_TO_BOB, blue)) == (404, "no_key_packages", 1)
    assert _bundle(_claim(red, _TO_BOB, blue))


def test_a_retry_with_the_same_id_gets_the_same_key(blue: KdsSide) -> None:
    _publish(blue, prekeys_of(BOB))
    answers = [blue.federation(PrekeyPath.FEDERATION_CLAIM, _OF_RED.encode(), RED) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert blue.server.prekeys.left(BOB) == 2
    blue.now += 601
    later = blue.federation(PrekeyPath.FEDERATION_CLAIM, _OF_RED.encode(), RED)
    assert FederationPrekeyResponse.parse(later.body).bundle != FederationPrekeyResponse.parse(answers[0].body).bundle


def test_nobody_but_a_peer_of_the_federation_is_answered(blue: KdsSide) -> None:
    _publish(blue, prekeys_of(BOB))
    stranger = blue.federation(PrekeyPath.FEDERATION_CLAIM, _OF_RED.encode(), None)
    assert _error(stranger) == (403, "not_authorized", 2)
    other = replace(_OF_RED, origin="kds.green.example")
    assert _error(blue.federation(PrekeyPath.FEDERATION_CLAIM, other.encode(), RED)) == (403, "not_authorized", 2)
    elsewhere = replace(_OF_RED, target_msisdn=ALICE)
    assert _error(blue.federation(PrekeyPath.FEDERATION_CLAIM, elsewhere.encode(), RED)) == (404, "unknown_number", 3)


def _ask(red: KdsSide) -> AskPeer:
    actions = red.actions(PrekeyPath.CLAIM, _TO_BOB.encode())
    ask = actions[-1]
    assert isinstance(ask, AskPeer)
    assert ask.path == PrekeyPath.FEDERATION_CLAIM
    return ask


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (PeerFailure(), 502),
        (PeerFailure(PeerTrouble.SLOW), 504),
        (HttpResponse(200, body=b"{}"), 502),
        (HttpResponse(500), 502),
    ],
)
def test_a_peer_that_is_down_slow_or_broken_is_unavailable(
    red: KdsSide, answer: HttpResponse | PeerFailure, status: int
) -> None:
    actions = red.server.peer_answered(_ask(red), answer, red.now)
    assert _error(response_of(actions)) == (status, "unavailable", 4)


@pytest.mark.parametrize("lie", [{"request_id": _UUID}, {"target_msisdn": "12025550153"}])
def test_an_answer_to_another_claim_is_a_lie(red: KdsSide, lie: dict[str, str]) -> None:
    ask = _ask(red)
    upload = prekeys_of(BOB)
    told = FederationPrekeyResponse(
        request_id=ask.request.request_id, target_msisdn=BOB, bundle=PrekeyBundle(upload.signed)
    )
    answer = HttpResponse(200, body=replace(told, **lie).encode())
    actions = red._kept(red.server.peer_answered(ask, answer, red.now))
    assert _error(response_of(actions)) == (502, "unavailable", 4)
    assert red.notes[-1].details["outcome"] == "peer_lying"


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_a_server_that_starts_again_serves_no_key_twice(red: KdsSide, blue: KdsSide) -> None:
    upload = prekeys_of(BOB)
    _publish(blue, upload)
    first = blue.federation(PrekeyPath.FEDERATION_CLAIM, _OF_RED.encode(), RED)
    again = KdsSide(BLUE, RED)
    records = blue.records()
    again.server.restore(
        again.now,
        prekeys=records[PREKEYS.name].values(),
        prekey_answers=records[ANSWERED_PREKEY_CLAIMS.name].values(),
    )
    assert again.federation(PrekeyPath.FEDERATION_CLAIM, _OF_RED.encode(), RED).body == first.body
    assert _bundle(_claim(red, _TO_BOB, again)).one_time == upload.one_time[1]


def test_a_number_with_a_new_owner_has_no_prekeys(red: KdsSide) -> None:
    _publish(red, prekeys_of(ALICE))
    red._kept(list(red.server.forget(ALICE)))
    assert _error(_claim(red)) == (404, "no_key_packages", 1)
    assert red.records()[PREKEYS.name] == {}
    assert red.server.prekeys.left(ALICE) is None


def test_no_more_served_keys_are_remembered_than_said() -> None:
    stock = PrekeyStock()
    for n in range(MAX_SERVED // 64 + 2):
        stock.replace(prekeys_of(ALICE, f"upload {n}", one_time=64))
        for _ in range(64):
            stock.take(ALICE, "", None, KdsFault(), 0)
    assert len(stock._held[ALICE].served) == MAX_SERVED


def test_the_trace_says_what_was_served(red: KdsSide) -> None:
    _publish(red, prekeys_of(ALICE, one_time=1))
    for _ in range(2):
        _bundle(_claim(red))
    told = [(note.details["call"], note.details.get("has_one_time_key")) for note in red.notes]
    assert told == [(PrekeyPath.PREKEYS, None), (PrekeyPath.CLAIM, True), (PrekeyPath.CLAIM, False)]
    assert KdsPath.CLAIM not in [call for call, _ in told]
