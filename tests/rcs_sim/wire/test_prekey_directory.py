"""Calls of the legacy directory: every value comes back as it was written, everything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.directory_json import KeyDirectoryParseError
from rcs_sim.wire.prekey_directory import (
    MAX_PREKEYS,
    FederationPrekeyResponse,
    PrekeyBundle,
    PrekeyUpload,
    SignedPrekey,
)

_KEY = st.binary(min_size=32, max_size=32)
_SIGNED = st.builds(SignedPrekey, identity_key=_KEY, signed_prekey=_KEY, signature=st.binary(min_size=64, max_size=64))
_BUNDLE = st.builds(PrekeyBundle, _SIGNED, st.none() | _KEY)
_FIXED = SignedPrekey(identity_key=b"i" * 32, signed_prekey=b"p" * 32, signature=b"s" * 64)


@given(_SIGNED, st.lists(_KEY, max_size=4, unique=True))
def test_an_upload_comes_back(signed: SignedPrekey, one_time: list[bytes]) -> None:
    upload = PrekeyUpload(msisdn="12025550101", signed=signed, one_time=tuple(one_time))
    assert PrekeyUpload.parse(upload.encode()) == upload


@given(_BUNDLE)
def test_a_bundle_comes_back_and_says_that_it_was_served(bundle: PrekeyBundle) -> None:
    assert PrekeyBundle.parse(bundle.encode()) == bundle
    assert json.loads(bundle.encode())["outcome"] == 0


@given(_BUNDLE)
def test_an_answer_to_another_directory_comes_back(bundle: PrekeyBundle) -> None:
    answer = FederationPrekeyResponse(request_id="7f3a", target_msisdn="12025550152", bundle=bundle)
    assert FederationPrekeyResponse.parse(answer.encode()) == answer


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("msisdn", "alice"),
        ("identity_key", "AAAA"),
        ("signed_prekey", None),
        ("signed_prekey_sig", "AAAA"),
        ("prekeys", ["AAAA"]),
        ("prekeys", "AAAA"),
        ("prekeys", None),
        ("prekeys", [json.loads(PrekeyBundle(_FIXED).encode())["identity_key"]] * 2),
        ("prekeys", [json.loads(PrekeyBundle(_FIXED).encode())["identity_key"]] * (MAX_PREKEYS + 1)),
    ],
)
def test_an_upload_with_a_wrong_member_is_refused_by_its_name(member: str, value: object) -> None:
    members: dict[str, Any] = json.loads(PrekeyUpload(msisdn="12025550101", signed=_FIXED, one_time=()).encode())
    with pytest.raises(KeyDirectoryParseError) as refused:
        PrekeyUpload.parse(json.dumps(members | {member: value}).encode())
    assert refused.value.member == member


def test_a_bundle_with_two_one_time_keys_is_refused() -> None:
    members = json.loads(PrekeyBundle(_FIXED, b"o" * 32).encode())
    members["prekeys"] *= 2
    with pytest.raises(KeyDirectoryParseError):
        PrekeyBundle.parse(json.dumps(members).encode())
