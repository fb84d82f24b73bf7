"""Certificate fingerprints."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.fingerprint import Fingerprint, matches_certificate
from ims_core.wire.sdp import SdpParseError

_CERTIFICATE = b"0\x82 octets of a certificate"
_SHA_1 = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"


def test_a_fingerprint_is_written_in_upper_case_whatever_it_was() -> None:
    assert str(Fingerprint.parse(f"sha-1 {_SHA_1.lower()}")) == f"SHA-1 {_SHA_1}"
    assert Fingerprint.parse(f" SHA-1  {_SHA_1} ") == Fingerprint.parse(f"sha-1 {_SHA_1.lower()}")


@pytest.mark.parametrize("name", ["SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "sha-256"])
def test_a_certificate_matches_its_fingerprint_and_no_other_does(name: str) -> None:
    digest = hashlib.new(name.replace("-", ""), _CERTIFICATE).hexdigest()
    text = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
    fingerprint = Fingerprint.parse(f"{name} {text}")
    assert fingerprint == Fingerprint.of(_CERTIFICATE, name)
    assert fingerprint.is_usable
    assert fingerprint.matches(_CERTIFICATE)
    assert not fingerprint.matches(_CERTIFICATE + b"\0")


@pytest.mark.parametrize("name", ["MD5", "MD2", "sha3-256", "x-new"])
def test_other_hash_functions_are_kept_and_match_nothing(name: str) -> None:
    octets = hashlib.md5(_CERTIFICATE, usedforsecurity=False).digest()
    fingerprint = Fingerprint.parse(f"{name} {octets.hex(':')}")
    assert Fingerprint.parse(str(fingerprint)) == fingerprint == Fingerprint(name.upper(), octets)
    assert not fingerprint.is_usable
    assert not fingerprint.matches(_CERTIFICATE)
    with pytest.raises(LocalProtocolError):
        Fingerprint.of(_CERTIFICATE, name)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "SHA-1",
            "SHA-1 ",
            "SHA-1 AA",
            f"SHA-1 {_SHA_1}:AA",
            f"SHA-1{_SHA_1}",
            f"SHA-1 {_SHA_1}:",
            f"SHA-1 :{_SHA_1}",
        ),
        *(
            f"SHA-1 {_SHA_1.replace(':', '')}",
            f"SHA-256 {_SHA_1}",
            f"SHA-1 {_SHA_1[:-1]}G",
            f"SHA-1\t{_SHA_1}",
            f"(x) {_SHA_1}",
        ),
        *("X " + "AA:" * 100_000, "X" * 100_000, " " * 100_000),
    ],
)
def test_a_malformed_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(SdpParseError):
        Fingerprint.parse(text)


def test_of_several_fingerprints_one_of_the_strongest_kind_counts() -> None:
    strong, weak = Fingerprint.of(_CERTIFICATE, "SHA-512"), Fingerprint.of(_CERTIFICATE, "SHA-1")
    other_strong, unknown = Fingerprint.of(b"another", "SHA-512"), Fingerprint("X", b"\0")
    assert matches_certificate([weak], _CERTIFICATE)
    assert matches_certificate([unknown, other_strong, weak, strong], _CERTIFICATE)
    assert not matches_certificate([weak, other_strong], _CERTIFICATE)
    assert not matches_certificate([unknown], _CERTIFICATE)
    assert not matches_certificate([], _CERTIFICATE)


@given(st.text(max_size=80))
def test_any_text_is_a_fingerprint_or_its_own_error(text: str) -> None:
    for candidate in (text, f"SHA-1 {text}", f"{text} {_SHA_1}"):
        try:
            fingerprint = Fingerprint.parse(candidate)
        except SdpParseError:
            continue
        assert Fingerprint.parse(str(fingerprint)) == fingerprint
