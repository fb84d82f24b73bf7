"""The key distribution server: who is certified, what is stored, what phones may fetch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.http_message import HttpRequest, HttpResponse
from rcs_sim.e2ee.acs_proof import sign_acs_proof
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.profile import DirectoryLifetime
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import read_trust_list
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import (
    ClaimRequest,
    ClaimResponse,
    EnrolmentRequest,
    EnrolmentResponse,
    KdsPath,
    UploadRequest,
)
from tests.support.kds import ALICE, BLUE, BOB, DAY_S, NOW, RED, Device, KdsSide, response_of


def _error(response: HttpResponse) -> tuple[int, str, int]:
    members = json.loads(response.body)
    return response.status, members["error"], members["outcome"]


@pytest.fixture
def red() -> KdsSide:
    return KdsSide().start()


def test_a_phone_gets_a_certificate_that_every_party_accepts(red: KdsSide) -> None:
    device = Device(ALICE)
    answer = EnrolmentResponse.parse(red.enrol(device).body)
    validator = CertificateValidator(red.server.anchors.trust, Strictness.STRICT)
    chain = validator.validate(device.chain, NOW)
    assert (chain.digits, chain.client_id, chain.vendor_id) == (ALICE, device.client_id, 2)
    assert answer.chain[-1] == RED.pki.root_der
    assert answer.kds == 2
    assert answer.not_after_s == read_certificate(answer.leaf).not_after_s
    leaf = read_certificate(answer.leaf)
    request = device.request(RED)
    assert (leaf.subject, leaf.san) == (request.subject_der, request.san_der)
    assert chain.acs_proof is not None


def test_a_client_id_may_be_left_out(red: KdsSide) -> None:
    device = Device(ALICE)
    request = replace(device.request(RED), client_id=None)
    assert red.call(KdsPath.CERTIFICATE, request.encode()).status == 200
    assert red.server.directory.client(ALICE, device.client_id) is not None


def _changed(**members: Any) -> Any:
    return lambda request: replace(request, **members)


def _other_proof(request: EnrolmentRequest, **changes: Any) -> EnrolmentRequest:
    values: dict[str, Any] = {
        "key": RED.proof_key,
        "expiry_s": NOW + DAY_S,
        "digits": ALICE,
        "participant_spki": Device(ALICE).participant.spki,
    }
    proof = sign_acs_proof(**(values | changes))
    return replace(request, acs_proof=proof.encode())


_OTHER = Device(ALICE, "other")
_OTHER_REQUEST = _OTHER.request(RED)
_PRINTABLE = Device(ALICE).request(RED).subject_der.replace(b"\x0c\x24", b"\x13\x24")

_REFUSED: list[tuple[str, Any, tuple[int, str, int]]] = [
    ("client_id is another", _changed(client_id=_OTHER.client_id), (400, "bad_request", 3)),
    ("client_id is no UUID", _changed(client_id="phone"), (400, "bad_request", 3)),
    ("CN is a PrintableString", _changed(subject_der=_PRINTABLE), (400, "bad_request", 3)),
    ("subject is no name", _changed(subject_der=b"x", client_id=None), (400, "bad_request", 3)),
    ("SAN is another number", _changed(msisdn="12025550102"), (403, "number_mismatch", 2)),
    ("identity_pub is no point", _changed(identity_pub=b"\x04" + bytes(64)), (400, "bad_request", 3)),
    ("identity_pub is compressed", _changed(identity_pub=b"\x02" + bytes(32)), (400, "bad_request", 3)),
    (".4 is empty", _changed(participant_information=b""), (400, "bad_request", 3)),
    (
        ".4 is of another vendor",
        _changed(participant_information=Device(ALICE).request(BLUE).participant_information),
        (400, "bad_request", 3),
    ),
    (
        ".4 is of another client",
        _changed(participant_information=_OTHER_REQUEST.participant_information),
        (401, "bad_proof", 2),
    ),
    ("csr_pop is of another key", _changed(csr_pop=_OTHER_REQUEST.csr_pop), (401, "bad_proof", 2)),
    ("csr_pop is empty", _changed(csr_pop=b""), (401, "bad_proof", 2)),
    ("acs_proof is empty", _changed(acs_proof=b""), (401, "bad_proof", 2)),
    ("acs_proof is cut off", _changed(acs_proof=b"\x00" * 9), (401, "bad_proof", 2)),
    ("acs_proof has expired", lambda r: _other_proof(r, expiry_s=NOW), (401, "bad_proof", 2)),
    ("acs_proof is for another number", lambda r: _other_proof(r, digits=BOB), (401, "bad_proof", 2)),
    ("acs_proof is of another carrier", lambda r: _other_proof(r, key=BLUE.proof_key), (401, "bad_proof", 2)),
    (
        "acs_proof is for the leaf key",
        lambda r: _other_proof(r, participant_spki=spki_of_point(r.identity_pub)),
        (401, "bad_proof", 2),
    ),
]


@pytest.mark.parametrize(("change", "error"), [row[1:] for row in _REFUSED], ids=[row[0] for row in _REFUSED])
def test_each_check_of_a_certificate_request_has_its_refusal(
    red: KdsSide, change: Any, error: tuple[int, str, int]
) -> None:
    request = change(Device(ALICE).request(RED))
    assert _error(red.call(KdsPath.CERTIFICATE, request.encode())) == error
    assert red.server.directory.clients(ALICE) == ()
    assert red.notes[-1].details["error"] == error[1]


def test_the_first_failing_check_decides(red: KdsSide) -> None:
    request = replace(Device(ALICE).request(RED), client_id="x", san_der=b"", csr_pop=b"", acs_proof=b"")
    assert _error(red.call(KdsPath.CERTIFICATE, request.encode()))[1] == "bad_request"
    request = replace(Device(ALICE).request(RED), san_der=b"", csr_pop=b"", acs_proof=b"")
    assert _error(red.call(KdsPath.CERTIFICATE, request.encode()))[1] == "number_mismatch"


def test_a_number_of_another_carrier_is_sent_to_its_directory(red: KdsSide) -> None:
    at_red = replace(RED, numbers=())
    stranger = Device(BOB)
    assert _error(red.call(KdsPath.CERTIFICATE, stranger.request(at_red).encode())) == (421, "wrong_directory", 3)
    nobody = Device("4930123456")
    assert _error(red.call(KdsPath.CERTIFICATE, nobody.request(RED).encode())) == (404, "unknown_number", 3)


def test_an_empty_proof_is_taken_and_marked_where_the_switch_is_on() -> None:
    red = KdsSide(accepts_empty_proof=True).start()
    request = replace(Device(ALICE).request(RED), acs_proof=b"")
    assert red.call(KdsPath.CERTIFICATE, request.encode()).status == 200
    assert red.notes[-1].details["has_acs_proof"] is False
    assert "WITHOUT" in red.notes[-1].summary


def test_a_renewal_keeps_key_name_and_packages(red: KdsSide) -> None:
    device = red.join(ALICE)
    first = read_certificate(device.chain[0])
    red.now += 40 * DAY_S
    assert red.enrol(device).status == 200
    second = read_certificate(device.chain[0])
    assert (second.subject, second.spki) == (first.subject, first.spki)
    assert second.serial != first.serial
    assert second.not_after_s > first.not_after_s
    assert red.server.directory.pool_sizes(ALICE) == {device.client_id: 4}


def test_a_client_id_stays_with_its_number_and_key(red: KdsSide) -> None:
    device = red.join(ALICE)
    other_key = Device(ALICE, "other")
    other_key.client_id = device.client_id
    assert _error(red.enrol(other_key)) == (409, "conflict", 3)
    other_number = Device("12025550102")
    other_number.client_id = device.client_id
    assert _error(red.enrol(other_number)) == (409, "conflict", 3)


# --- key packages ----------------------------------------------------------------------------------------------------


def test_an_upload_replaces_what_was_there(red: KdsSide) -> None:
    device = red.join(ALICE, one_time=3)
    response = red.publish(device, 2)
    assert json.loads(response.body) == {"stored": 3}
    assert red.server.directory.pool_sizes(ALICE) == {device.client_id: 3}
    assert len(red.records()["key_packages"]) == 3


@pytest.mark.parametrize("mode", DirectoryLifetime)
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_packages_come_raw_or_as_mls_message_and_with_either_lifetime(
    red: KdsSide, mode: DirectoryLifetime, is_wrapped: bool
) -> None:
    device = Device(ALICE)
    red.enrol(device)
    upload = UploadRequest(
        msisdn=ALICE, client_id=None, key_packages=(device.package(mode=mode, is_wrapped=is_wrapped),)
    )
    assert red.call(KdsPath.KEY_PACKAGES, upload.encode()).status == 200


def test_a_directory_with_one_rule_for_lifetimes_refuses_the_other() -> None:
    red = KdsSide(modes=(DirectoryLifetime.GOOGLE,)).start()
    device = Device(ALICE)
    red.enrol(device)
    assert _error(red.publish(device)) == (422, "bad_key_package", 3)


def _uploads(device: Device, other: Device) -> dict[str, UploadRequest]:
    good = device.upload(2)
    package = device.package()
    return {
        "cut off": replace(good, key_packages=(package[:-1],)),
        "no package": replace(good, key_packages=(b"",)),
        "a last resort among the others": replace(good, key_packages=(device.package(last_resort=True),)),
        "no mark on the last resort": replace(good, last_resort=package),
        "a broken signature": replace(good, key_packages=(package[:-1] + bytes((package[-1] ^ 1,)),)),
        "another client's": replace(good, key_packages=(*good.key_packages, other.package())),
        "another client_id": replace(good, client_id=other.client_id),
        "one twice": replace(good, key_packages=(package, package)),
    }


@pytest.mark.parametrize("what", sorted(_uploads(KdsSide().start().join(ALICE), KdsSide().start().join(ALICE, "2"))))
def test_one_bad_package_refuses_the_whole_upload(red: KdsSide, what: str) -> None:
    device, other = red.join(ALICE), red.join(ALICE, "2")
    before = red.records()
    response = red.call(KdsPath.KEY_PACKAGES, _uploads(device, other)[what].encode())
    assert _error(response) == (422, "bad_key_package", 3)
    assert red.records() == before


def test_packages_of_another_number_are_refused(red: KdsSide) -> None:
    device = red.join(ALICE)
    upload = replace(device.upload(1), msisdn="12025550102")
    assert _error(red.call(KdsPath.KEY_PACKAGES, upload.encode())) == (422, "bad_key_package", 3)


def test_packages_under_another_vendors_root_are_refused(red: KdsSide) -> None:
    foreign = KdsSide(replace(BLUE, numbers=(ALICE,)), RED).start()
    device = Device(ALICE)
    foreign.enrol(device)
    assert _error(red.publish(device)) == (422, "bad_key_package", 3)


def test_packages_inside_the_floor_are_refused(red: KdsSide) -> None:
    device = Device(ALICE)
    red.enrol(device)
    red.now = read_certificate(device.chain[0]).not_after_s - 30 * DAY_S + 1
    assert _error(red.publish(device)) == (422, "bad_key_package", 3)


def test_what_was_handed_out_before_empties_nobodys_pool(red: KdsSide) -> None:
    """Whoever has claimed packages could upload them again, in the place of fresh ones: nothing else is asked for."""
    device = red.join(ALICE, one_time=2)
    claim = ClaimRequest(target_msisdn=ALICE)
    served = [ClaimResponse.parse(red.claim(claim).body).key_packages[0] for _ in range(3)]
    assert [each.is_last_resort for each in served] == [False, False, True]
    assert red.publish(device).status == 200
    one_time, last = tuple(each.key_package for each in served[:2]), served[2].key_package
    for listed, last_resort in ((one_time, b""), (one_time, last), ((), last), (one_time[:1], b"")):
        again = UploadRequest(msisdn=ALICE, client_id=device.client_id, key_packages=listed, last_resort=last_resort)
        response = red.call(KdsPath.KEY_PACKAGES, again.encode())
        assert (response.status, json.loads(response.body)["error"]) == (409, "conflict")
    assert red.server.directory.pool_sizes(ALICE) == {device.client_id: 4}
    fresh = UploadRequest(msisdn=ALICE, client_id=device.client_id, key_packages=(device.package(),), last_resort=last)
    assert red.call(KdsPath.KEY_PACKAGES, fresh.encode()).status == 200


def test_an_empty_upload_changes_nothing(red: KdsSide) -> None:
    device = red.join(ALICE)
    empty = UploadRequest(msisdn=ALICE, client_id=device.client_id, key_packages=())
    assert _error(red.call(KdsPath.KEY_PACKAGES, empty.encode())) == (400, "bad_request", 3)
    assert red.server.directory.pool_sizes(ALICE) == {device.client_id: 4}


def test_a_client_that_the_directory_does_not_know_is_taken_over_from_its_certificate(red: KdsSide) -> None:
    device = red.join(ALICE)
    again = KdsSide().start()
    assert again.publish(device).status == 200
    assert again.server.directory.pool_sizes(ALICE) == {device.client_id: 4}


# --- what anybody may fetch -----------------------------------------------------------------------------------------


def test_suites_issuer_revocations_and_the_trust_list_are_served(red: KdsSide) -> None:
    assert json.loads(red.call(KdsPath.CIPHER_SUITES).body) == {"cipher_suites": [2]}
    assert json.loads(red.call(KdsPath.DIRECTORY).body) == {"cipher_suites": [2], "kds": 2, "vendor_id": 2}
    issuer = x509.load_der_x509_certificate(red.call(KdsPath.ICA).body)
    assert issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert x509.load_der_x509_crl(red.call(KdsPath.CRL).body).next_update_utc is not None
    signer = spki_of_point(red.server.anchors.signer.public)
    trust = read_trust_list(red.call(f"{KdsPath.TRUST_ANCHORS}/1").body, signer, 1, None)
    assert {(each.vendor_id, each.kds) for each in trust.anchors} == {(1, 1), (2, 2)}


@pytest.mark.parametrize("generation", ["2", "0", "x", "1" * 20, ""])
def test_a_list_that_is_not_there_is_404(red: KdsSide, generation: str) -> None:
    assert red.call(f"{KdsPath.TRUST_ANCHORS}/{generation}").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", KdsPath.CLAIM, 405),
        ("POST", KdsPath.CRL, 405),
        ("GET", "/", 404),
        ("POST", "/mls/v2/certificate", 404),
        ("POST", KdsPath.FEDERATION_CLAIM, 404),
        ("PUT", KdsPath.CLAIM, 405),
    ],
)
def test_other_calls_are_refused(red: KdsSide, method: str, path: str, status: int) -> None:
    actions = red.server.handle(HttpRequest(method, path, body=b"{}"), red.now)
    assert response_of(actions).status == status


def test_too_many_changes_for_a_number_get_429(red: KdsSide) -> None:
    red = KdsSide(changes_per_minute=2).start()
    device = red.join(ALICE)
    response = red.publish(device)
    assert _error(response) == (429, "rate_limited", 3)
    assert 0 < int(response.header("Retry-After") or 0) <= 60
    red.now += 61
    assert red.publish(device).status == 200


def test_nobody_uses_up_what_another_may_ask_for() -> None:
    """Calls name a number, and anybody can name any."""
    red = KdsSide(changes_per_minute=2, claims_per_minute=2).start()
    device, thief = Device(ALICE), "10.6.6.6:4000"
    claim = ClaimRequest(target_msisdn=ALICE, requester_msisdn=ALICE).encode()
    for _ in range(5):
        garbage = response_of(red.actions(KdsPath.CERTIFICATE, device.request_with(b"", 9, 0).encode(), thief))
        claimed = response_of(red.actions(KdsPath.CLAIM, claim, thief))
    assert (garbage.status, claimed.status) == (429, 429)
    assert red.enrol(device).status == 200
    assert red.publish(device).status == 200
    assert red.call(KdsPath.CLAIM, claim).status == 200


def test_a_server_that_is_down_or_busy_says_so(red: KdsSide) -> None:
    red.server.fault = KdsFault(is_down=True)
    assert _error(red.call(KdsPath.CLAIM, b"{}")) == (503, "unavailable", 4)
    red.server.fault = KdsFault(retry_after_s=7)
    response = red.call(KdsPath.CIPHER_SUITES)
    assert (response.status, response.header("Retry-After")) == (429, "7")


def test_a_stale_trust_list_is_served_as_a_fault(red: KdsSide) -> None:
    red.server.fault = KdsFault(stale_anchors=1)
    assert red.call(f"{KdsPath.TRUST_ANCHORS}/9").status == 200


@given(st.sampled_from([KdsPath.CERTIFICATE, KdsPath.KEY_PACKAGES, KdsPath.CLAIM]), st.binary(max_size=200))
def test_any_octets_get_an_answer(path: KdsPath, body: bytes) -> None:
    red = KdsSide().start()
    response = response_of(red.server.handle(HttpRequest("POST", path, body=body), red.now))
    assert response.status == 400


@pytest.mark.parametrize("member", ["subject_der", "san_der", "participant_information", "csr_pop", "acs_proof"])
@given(octets=st.binary(max_size=120))
def test_any_member_of_a_certificate_request_gets_an_answer(member: str, octets: bytes) -> None:
    red = KdsSide().start()
    request: EnrolmentRequest = _changed(**{member: octets})(Device(ALICE).request(RED))
    response = red.call(KdsPath.CERTIFICATE, request.encode())
    assert response.status in (400, 401, 403)
