"""AKA: USIM and authentication centre against each other."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest import Algorithm, DigestChallenge, DigestClient, compute_ha1, is_authentic
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import (
    AKAV1_MD5,
    AKAV2_MD5,
    AkaChallenge,
    AkaParseError,
    AkaResponse,
    AkaSubscription,
    AuthenticationCentre,
    MacFailure,
    SyncFailure,
    Usim,
    aka_password,
    parse_auts,
    refusal_credentials,
    resynchronisation_credentials,
)

_K, _OPC, _RAND = Secret(b"k" * 16), Secret(b"o" * 16), bytes(range(16))
_IMPI = "001010000000101@ims.mnc001.mcc001.3gppnetwork.org"


def _centre(sqn: int = 0, *, k: Secret = _K, opc: Secret = _OPC, amf: bytes = bytes(2)) -> AuthenticationCentre:
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(k, opc, sqn, amf))
    return centre


@pytest.mark.parametrize("algorithm", [AKAV1_MD5, AKAV2_MD5, Algorithm.parse("AKAv2-SHA-256")])
def test_usim_and_centre_agree_on_the_password(algorithm: Algorithm) -> None:
    centre, usim = _centre(), Usim(_K, _OPC)
    vector = centre.generate(_IMPI, _RAND)
    challenge = DigestChallenge("r", vector.nonce, algorithm=algorithm)
    carried = AkaChallenge.from_nonce(challenge.nonce)
    taken = usim.authenticate(carried.rand, carried.autn)
    assert isinstance(taken, AkaResponse)
    sent = DigestClient(challenge, _IMPI, taken.password(algorithm)).authorize("REGISTER", "sip:r", "c")
    assert is_authentic(sent, compute_ha1(algorithm, _IMPI, "r", vector.password(algorithm)), "REGISTER")


def test_resynchronisation_is_signed_with_the_empty_password() -> None:
    challenge = DigestChallenge("r", "bm9uY2U=", algorithm=AKAV1_MD5)
    sent = resynchronisation_credentials(challenge, SyncFailure(bytes(14)), "u", "REGISTER", "sip:r", "c")
    assert sent.auts is not None
    assert parse_auts(sent.auts) == bytes(14)
    assert is_authentic(sent, compute_ha1(AKAV1_MD5, "u", "r", b""), "REGISTER")


def test_a_false_network_gets_an_empty_response_and_no_auts() -> None:
    challenge = DigestChallenge("r", "bm9uY2U=", algorithm=AKAV1_MD5)
    text = str(refusal_credentials(challenge, "u", "sip:r"))
    assert text == 'Digest username="u", realm="r", uri="sip:r", nonce="bm9uY2U=", response="", algorithm=AKAv1-MD5'


def test_a_usim_that_is_ahead_brings_the_centre_back_in_step() -> None:
    centre, usim = _centre(), Usim(_K, _OPC, sqn=5000)
    stale = centre.generate(_IMPI, _RAND).challenge
    failed = usim.authenticate(stale.rand, stale.autn)
    assert isinstance(failed, SyncFailure)
    assert centre.resynchronise(_IMPI, stale.rand, failed.auts)
    fresh = centre.generate(_IMPI, bytes(16)).challenge
    assert isinstance(usim.authenticate(fresh.rand, fresh.autn), AkaResponse)


def test_a_centre_that_is_too_far_ahead_is_brought_back_too() -> None:
    centre, usim = _centre(1 << 40), Usim(_K, _OPC, max_jump=1 << 28)
    far = centre.generate(_IMPI, _RAND).challenge
    failed = usim.authenticate(far.rand, far.autn)
    assert isinstance(failed, SyncFailure)
    assert centre.resynchronise(_IMPI, far.rand, failed.auts)
    near = centre.generate(_IMPI, _RAND).challenge
    assert isinstance(usim.authenticate(near.rand, near.autn), AkaResponse)


def test_a_stranger_fails_the_mac_and_leaves_the_usim_as_it_was() -> None:
    usim = Usim(_K, _OPC)
    stranger = _centre(k=Secret(b"x" * 16)).generate(_IMPI, _RAND).challenge
    assert usim.authenticate(stranger.rand, stranger.autn) == MacFailure()
    assert usim.sqn == 0


def test_an_auts_that_the_usim_did_not_make_is_refused() -> None:
    centre = _centre(320)
    for auts in (b"", bytes(14), bytes(15)):
        assert not centre.resynchronise(_IMPI, _RAND, auts)
    other = Usim(_K, _OPC, sqn=9000)
    challenge = centre.generate(_IMPI, _RAND).challenge
    failed = other.authenticate(challenge.rand, challenge.autn)
    assert isinstance(failed, SyncFailure)
    assert not centre.resynchronise(_IMPI, bytes(16), failed.auts)
    assert centre.sqn(_IMPI) == 352


def test_vectors_out_of_order_are_taken_only_if_the_usim_keeps_a_list() -> None:
    first, second = (_centre(sqn).generate(_IMPI, _RAND).challenge for sqn in (100 * 32 + 1, 50 * 32 + 2))
    strict, listing = Usim(_K, _OPC), Usim(_K, _OPC, accepts_reordered=True)
    assert isinstance(strict.authenticate(first.rand, first.autn), AkaResponse)
    assert isinstance(strict.authenticate(second.rand, second.autn), SyncFailure)
    assert isinstance(listing.authenticate(first.rand, first.autn), AkaResponse)
    assert isinstance(listing.authenticate(second.rand, second.autn), AkaResponse)
    for challenge in (first, second):
        assert isinstance(listing.authenticate(challenge.rand, challenge.autn), SyncFailure)


@given(st.lists(st.integers(33, 2**48 - 1), max_size=12), st.booleans())
def test_no_sequence_number_is_taken_twice(sqns: list[int], accepts_reordered: bool) -> None:
    usim, taken = Usim(_K, _OPC, accepts_reordered=accepts_reordered), []
    for sqn in sqns * 2:
        challenge = _centre(sqn - 32).generate(_IMPI, _RAND).challenge
        if isinstance(usim.authenticate(challenge.rand, challenge.autn), AkaResponse):
            taken.append(sqn)
    assert len(taken) == len(set(taken))
    assert usim.sqn == max(sqns, default=0)


def test_sequence_numbers_do_not_wrap() -> None:
    with pytest.raises(LocalProtocolError, match="used up"):
        _centre(2**48 - 32).generate(_IMPI, _RAND)


def test_an_unknown_subscriber_is_our_own_mistake() -> None:
    centre = _centre()
    centre.remove(_IMPI)
    assert _IMPI not in centre
    with pytest.raises(LocalProtocolError):
        centre.generate(_IMPI, _RAND)


def test_server_data_behind_autn_is_kept() -> None:
    challenge = AkaChallenge(bytes(16), bytes(range(16)), b"more")
    assert AkaChallenge.from_nonce(challenge.nonce.rstrip("=")) == challenge


@pytest.mark.parametrize("nonce", ["", "8f3c1a5e", "é", base64.b64encode(bytes(31)).decode(), "A" * 1025, "A" * 45])
def test_a_nonce_that_holds_no_rand_and_autn_is_refused(nonce: str) -> None:
    with pytest.raises(AkaParseError):
        AkaChallenge.from_nonce(nonce)


@given(st.text(max_size=60))
def test_any_text_is_a_challenge_or_refused_with_our_error(text: str) -> None:
    for parse in (AkaChallenge.from_nonce, parse_auts):
        try:
            parse(text)
        except AkaParseError:
            continue


def test_keys_are_shown_nowhere() -> None:
    vector = _centre().generate(_IMPI, _RAND)
    subscription = AkaSubscription(_K, _OPC)
    shown = f"{vector!r} {subscription!r} {Usim(_K, _OPC)!r} {AkaResponse(vector.xres, vector.ck, vector.ik)!r}"
    for secret in (_K, _OPC, vector.xres, vector.ck, vector.ik):
        assert repr(secret.octets) not in shown
        assert secret.octets.hex() not in shown


def test_a_password_for_a_plain_algorithm_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        aka_password(DigestChallenge("r", "n").hash_algorithm, _K, _K, _K)
