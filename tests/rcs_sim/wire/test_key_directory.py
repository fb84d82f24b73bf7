"""JSON of the KDS: round trips, other servers' forms, hostile octets."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.key_directory import (
    ClaimedKeyPackage,
    ClaimOutcome,
    ClaimRequest,
    ClaimResponse,
    DirectoryResponse,
    EnrolmentRequest,
    EnrolmentResponse,
    FederationAnchor,
    FederationAnchors,
    FederationClaimRequest,
    FederationClaimResponse,
    KdsError,
    KdsErrorCode,
    KeyDirectoryParseError,
    UploadRequest,
    UploadResponse,
    json_octets,
)

_UUID = "7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
_PACKAGES = (
    ClaimedKeyPackage(client_id="one", key_package=b"\x00\x01"),
    ClaimedKeyPackage(client_id="two", key_package=b"\x02", is_last_resort=True),
)
_VALUES: tuple[Any, ...] = (
    KdsError("no_key_packages", "nothing", 1),
    KdsError("something_new", "", None),
    EnrolmentRequest(
        msisdn="12025550101",
        client_id=_UUID,
        identity_pub=b"\x04" * 65,
        subject_der=b"s",
        san_der=b"n",
        participant_information=b"p",
        acs_proof=b"",
        csr_pop=b"c",
    ),
    EnrolmentResponse(leaf=b"l", chain=(b"ica", b"root"), kds=2, not_after_s=7),
    EnrolmentResponse(leaf=b"l", chain=()),
    UploadRequest(msisdn="12025550101", client_id=None, key_packages=(b"a", b"b"), last_resort=b"c"),
    UploadResponse(11),
    ClaimRequest(target_msisdn="12025550152"),
    ClaimRequest(target_msisdn="12025550152", requester_msisdn="12025550101", kds=1, exclude_client_id=_UUID),
    ClaimResponse(_PACKAGES),
    DirectoryResponse(),
    DirectoryResponse(cipher_suites=(2, 1), kds=1, vendor_id=1),
    FederationClaimRequest(
        request_id=_UUID, origin="kds.red", kds=2, requester_msisdn="12025550101", target_msisdn="12025550152"
    ),
    FederationClaimResponse(
        request_id=_UUID, target_msisdn="12025550152", key_packages=_PACKAGES, anchors_generation=4
    ),
    FederationAnchors(3, (FederationAnchor(vendor_id=1, kds=1, der=b"root"),)),
)
_TYPES: tuple[Any, ...] = tuple({type(value) for value in _VALUES})


@pytest.mark.parametrize("value", _VALUES, ids=lambda value: type(value).__name__)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert type(value).parse(value.encode()) == value
    assert b"\n" not in value.encode()


def test_a_claim_has_its_first_package_at_the_top_too_for_old_clients() -> None:
    members = json.loads(ClaimResponse(_PACKAGES).encode())
    assert (members["outcome"], members["key_package"], members["is_last_resort"]) == (0, "AAE=", False)
    assert [each["client_id"] for each in members["key_packages"]] == ["one", "two"]


def test_the_answer_of_an_old_server_is_one_package() -> None:
    old = json_octets({"key_package": "AAE=", "is_last_resort": True})
    assert ClaimResponse.parse(old).key_packages == (
        ClaimedKeyPackage(client_id="", key_package=b"\x00\x01", is_last_resort=True),
    )


@pytest.mark.parametrize(
    "text", ["tel:+12025550101", "+12025550101", "12025550101", "tel:+12025550101;phone-context=x"]
)
def test_numbers_are_bare_digits(text: str) -> None:
    assert ClaimRequest.parse(json_octets({"target_msisdn": text})).target_msisdn == "12025550101"


@pytest.mark.parametrize("text", ["", "tel:", "+0123", "1", "1" * 16, "sip:+12025550101", "+1202 555", 7, None, "١٢٣٤"])
def test_what_is_no_number_is_refused(text: object) -> None:
    with pytest.raises(KeyDirectoryParseError) as caught:
        ClaimRequest.parse(json_octets({"target_msisdn": text}))
    assert caught.value.member == "target_msisdn"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"stored":true}',
        b'{"stored":1.0}',
        b'{"stored":-1}',
        b'{"stored":' + b"9" * 5000 + b"}",
        b'{"stored":"1"}',
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(KeyDirectoryParseError):
        UploadResponse.parse(body)


@pytest.mark.parametrize("text", ["AA", "A A=", "AA==\n", "-_8=", "é", 5, None])
def test_base64_is_the_standard_alphabet_without_line_breaks(text: object) -> None:
    with pytest.raises(KeyDirectoryParseError):
        EnrolmentResponse.parse(json_octets({"leaf": text, "chain": []}))


def test_too_many_packages_are_refused() -> None:
    with pytest.raises(KeyDirectoryParseError):
        UploadRequest.parse(json_octets({"msisdn": "+12025550101", "key_packages": [""] * 257, "last_resort": ""}))


@pytest.mark.parametrize("code", KdsErrorCode)
def test_each_error_has_a_status_and_an_outcome(code: KdsErrorCode) -> None:
    error = KdsError.of(code, "why")
    assert error.status >= 400
    assert error.outcome in set(ClaimOutcome) - {ClaimOutcome.SERVED}
    about_the_peer = error.outcome == ClaimOutcome.PEER_HAS_NONE
    assert about_the_peer == (code is KdsErrorCode.NO_KEY_PACKAGES)


@given(st.binary())
def test_any_octets_give_a_value_or_the_parse_error(octets: bytes) -> None:
    for kind in _TYPES:
        with contextlib.suppress(KeyDirectoryParseError):
            kind.parse(octets)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
_NAMES = sorted({name for value in _VALUES for name in json.loads(value.encode())})


@given(st.dictionaries(st.sampled_from(_NAMES), _JSON))
def test_any_json_gives_a_value_or_the_parse_error(members: dict[str, Any]) -> None:
    octets = json.dumps(members).encode()
    for kind in _TYPES:
        with contextlib.suppress(KeyDirectoryParseError):
            kind.parse(octets)
