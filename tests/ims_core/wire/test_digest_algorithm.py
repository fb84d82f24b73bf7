"""Digest computations against the published and the recomputed responses."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest_algorithm import (
    MD5,
    PASSWORD_ALGORITHMS,
    SHA_256,
    SHA_512_256,
    Algorithm,
    compute_ha1,
    compute_ha2,
    compute_response,
    compute_session_ha1,
)
from ims_core.wire.secret import Secret

_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_gives_its_response(algorithm: Algorithm, response: str) -> None:
    ha1 = compute_ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
    ha2 = compute_ha2(algorithm, "GET", "/dir/index.html", "auth")
    assert compute_response(algorithm, ha1, _NONCE, ha2, qop="auth", nc="00000001", cnonce=_CNONCE) == response


def test_the_session_hash_covers_nonce_and_cnonce_and_is_the_plain_one_otherwise() -> None:
    session = Algorithm.parse("MD5-sess")
    assert compute_session_ha1(session, "ab", "n", "c") == MD5.hash_hex(b"ab:n:c")
    assert compute_session_ha1(MD5, "ab", "n", "c") == "ab"


@pytest.mark.parametrize("name", ["MD5", "MD5-sess", "SHA-256", "SHA-512-256-sess", "AKAv1-MD5", "AKAv2-SHA-256"])
def test_known_names_are_read_in_any_case(name: str) -> None:
    algorithm = Algorithm.parse(name.upper())
    assert algorithm == Algorithm.parse(name.lower()) == Algorithm.parse(name)
    assert algorithm.name == name
    assert algorithm.is_supported


@pytest.mark.parametrize("name", ["", "SHA-1", "MD5-sess-sess", "AKAv1-", "AKAv99-MD5", "-sess", "MD5\n"])
def test_unknown_names_are_kept_and_not_supported(name: str) -> None:
    algorithm = Algorithm.parse(name)
    assert algorithm.name == name
    assert not algorithm.is_supported


def test_password_algorithms_have_no_aka_among_them() -> None:
    assert {MD5, SHA_256, SHA_512_256} < PASSWORD_ALGORITHMS
    assert Algorithm.parse("AKAv1-MD5") not in PASSWORD_ALGORITHMS


def test_sha_512_256_is_the_truncated_hash_and_not_cut_sha_512() -> None:
    # FIPS 180-4 example: SHA-512/256("abc")
    assert SHA_512_256.hash_hex(b"abc") == "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"


def test_a_password_may_be_text_octets_or_a_secret() -> None:
    text = compute_ha1(MD5, "u", "r", "pässword")
    assert text == compute_ha1(MD5, "u", "r", "pässword".encode())
    assert text == compute_ha1(MD5, "u", "r", Secret.of_text("pässword"))


def test_octets_that_are_no_utf_8_are_hashed_as_they_came() -> None:
    user = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert compute_ha1(MD5, user, "r", b"") == MD5.hash_hex(b"\xff\xfe:r:")


def test_qop_without_its_companions_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="RFC 7616"):
        compute_response(MD5, "a", "n", "b", qop="auth", nc="00000001")


def test_hashing_with_an_unknown_algorithm_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="SHA-1"):
        Algorithm.parse("SHA-1").hash_hex(b"")


def test_a_known_algorithm_stays_the_same_value_whatever_names_peers_make_up() -> None:
    for number in range(200):
        Algorithm.parse(f"NEW-{number}")
    assert Algorithm.parse("md5") is MD5
    assert Algorithm.parse("AKAv1-MD5") is Algorithm.parse("akav1-md5")
