"""Digest: both ends against each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest import (
    MD5,
    SHA_256,
    Algorithm,
    DigestAuthenticationInfo,
    DigestChallenge,
    DigestClient,
    DigestCredentials,
    authentication_info,
    choose_challenge,
    compute_ha1,
    is_authentic,
    is_server_authentic,
)


def test_qop_without_count_or_cnonce_is_never_authentic() -> None:
    sent, ha1 = (
        DigestClient(DigestChallenge("r", "n"), "u", "p").authorize("GET", "/", "c"),
        compute_ha1(MD5, "u", "r", "p"),
    )
    assert is_authentic(sent, ha1, "GET")
    for altered in (replace(sent, nc=None), replace(sent, nc="zz"), replace(sent, cnonce=None)):
        assert not is_authentic(altered, ha1, "GET")


def test_a_client_of_rfc_2069_that_copies_qop_from_the_challenge_is_authentic() -> None:
    """aiosip does: neither nc nor cnonce, and the response without qop."""
    ha1 = compute_ha1(MD5, "u", "r", "p")
    plain = DigestClient(DigestChallenge("r", "n", qop=()), "u", "p").authorize("GET", "/", "c")
    assert plain.qop is None
    copied = replace(plain, qop="auth")
    assert is_authentic(copied, ha1, "GET")
    assert not is_authentic(copied, ha1, "POST")
    assert not is_authentic(replace(copied, nc="00000001"), ha1, "GET")
    assert is_server_authentic(authentication_info(copied, ha1), plain, ha1)
    assert authentication_info(copied, ha1).qop is None


def test_the_topmost_answerable_challenge_is_chosen() -> None:
    offers = [
        DigestChallenge("r", "1", algorithm=Algorithm.parse("SHA-1024")),
        DigestChallenge("r", "2", algorithm=Algorithm.parse("AKAv1-MD5")),
        DigestChallenge("r", "3", algorithm=SHA_256, qop=("new",)),
        DigestChallenge("r", "4", algorithm=SHA_256),
        DigestChallenge("r", "5"),
    ]
    assert choose_challenge(offers) is offers[3]
    assert choose_challenge(offers, {MD5}) is offers[4]
    assert choose_challenge(offers, {Algorithm.parse("akav1-md5")}) is offers[1]
    assert choose_challenge(offers[:1]) is None


def test_an_absent_algorithm_stays_absent_in_the_answer() -> None:
    credentials = DigestClient(DigestChallenge("r", "n"), "u", "p").authorize("GET", "/", "c")
    assert "algorithm" not in str(credentials)
    assert is_authentic(credentials, compute_ha1(MD5, "u", "r", "p"), "GET")


def test_opaque_comes_back_as_given() -> None:
    client = DigestClient(DigestChallenge("r", "n", opaque=""), "u", "p")
    assert 'opaque=""' in str(client.authorize("GET", "/", "c"))


def test_the_session_form_keeps_the_first_cnonce() -> None:
    client = DigestClient(DigestChallenge("r", "n", algorithm=Algorithm.parse("MD5-sess")), "u", "p")
    first, second = client.authorize("GET", "/", "c1"), client.authorize("GET", "/", "c2")
    assert (first.cnonce, second.cnonce) == ("c1", "c1")
    assert (first.nc, second.nc) == ("00000001", "00000002")


def test_the_session_form_works_without_qop() -> None:
    client = DigestClient(DigestChallenge("r", "n", algorithm=Algorithm.parse("MD5-sess"), qop=()), "u", "p")
    sent = DigestCredentials.parse(str(client.authorize("GET", "/", "c1")))
    assert is_authentic(sent, compute_ha1(MD5, "u", "r", "p"), "GET")


def test_nextnonce_starts_a_new_count() -> None:
    client = DigestClient(DigestChallenge("r", "n1"), "u", "p")
    sent = client.authorize("GET", "/", "c")
    ha1 = compute_ha1(MD5, "u", "r", "p")
    assert client.accept(authentication_info(sent, ha1, nextnonce="n2"), sent)
    after = client.authorize("GET", "/", "c")
    assert (after.nonce, after.nc) == ("n2", "00000001")


def test_an_impostor_cannot_hand_out_the_next_nonce() -> None:
    client = DigestClient(DigestChallenge("r", "n1"), "u", "p")
    sent = client.authorize("GET", "/", "c")
    assert not client.accept(DigestAuthenticationInfo(rspauth="00" * 16, nextnonce="evil"), sent)
    assert client.authorize("GET", "/", "c").nonce == "n1"
    assert not is_server_authentic(DigestAuthenticationInfo(), sent, compute_ha1(MD5, "u", "r", "p"))


def test_a_client_for_what_cannot_be_answered_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        DigestClient(DigestChallenge("r", "n", qop=("new",)), "u", "p")


def test_a_client_does_not_show_its_password() -> None:
    client = DigestClient(DigestChallenge("r", "n"), "u", "hunter2")
    assert "hunter2" not in repr(client)
    assert not hasattr(client, "__dict__")


@given(
    st.builds(DigestCredentials, *([st.text(max_size=5)] * 5), nc=st.none() | st.text("0123x", max_size=9)), st.binary()
)
def test_judging_credentials_never_raises(credentials: DigestCredentials, body: bytes) -> None:
    for qop in (None, "auth", "auth-int", "AUTH", "x"):
        assert not is_authentic(replace(credentials, qop=qop), "0" * 32, "GET", body)


@given(
    algorithm=st.sampled_from(["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"]),
    qop=st.sampled_from([(), ("auth",), ("auth-int",)]),
    password=st.text(max_size=10),
    body=st.binary(max_size=10),
)
def test_what_a_client_signs_the_server_believes(
    algorithm: str, qop: tuple[str, ...], password: str, body: bytes
) -> None:
    challenge = DigestChallenge("r", "n", algorithm=Algorithm.parse(algorithm), qop=qop)
    sent = DigestCredentials.parse(str(DigestClient(challenge, "u", password).authorize("GET", "/", "c", body)))
    ha1 = compute_ha1(sent.hash_algorithm, "u", "r", password)
    assert is_authentic(sent, ha1, "GET", body)
    assert is_authentic(sent, ha1, "GET", b"other" + body) == (qop != ("auth-int",))
