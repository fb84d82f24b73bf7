"""AKA and Digest at the S-CSCF (TS 24.229 §5.4.1.2, RFC 3310)."""

from __future__ import annotations

import pytest

from ims_core.nodes.registration_authenticator import RegistrationAuthenticator
from ims_core.nodes.registration_state import RegistrationInput
from ims_core.wire.digest import DigestChallenge, DigestClient, DigestCredentials
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import (
    AKAV1_MD5,
    AkaChallenge,
    AkaResponse,
    SyncFailure,
    Usim,
    refusal_credentials,
    resynchronisation_credentials,
)
from tests.support.core_cases import NOW
from tests.support.scscf_bench import ALICE, HOME, USIM, ScscfBench

KEY, URI = "sip:usim@home.test", f"sip:{HOME}"


def make() -> tuple[RegistrationAuthenticator, Usim]:
    bench = ScscfBench()
    authenticator = RegistrationAuthenticator(bench.hss, bench.tokens.octets, await_auth_s=240, granted_s=3600)
    return authenticator, Usim(USIM.k or Secret(b""), USIM.opc or Secret(b""))


def challenge_of(authenticator: RegistrationAuthenticator, now: float = NOW) -> DigestChallenge:
    first = DigestCredentials(USIM.impi, HOME, URI)
    _, challenge = authenticator.challenge(KEY, first, None, now)
    assert challenge is not None
    return DigestChallenge.parse(challenge)


def client_of(usim: Usim, challenge: DigestChallenge) -> DigestClient:
    nonce = AkaChallenge.from_nonce(challenge.nonce)
    result = usim.authenticate(nonce.rand, nonce.autn)
    assert isinstance(result, AkaResponse)
    return DigestClient(challenge, USIM.impi, result.password(AKAV1_MD5))


def test_a_challenge_for_a_usim_carries_the_session_keys_for_the_pcscf() -> None:
    authenticator, _ = make()
    challenge = challenge_of(authenticator)
    assert challenge.algorithm is AKAV1_MD5
    assert challenge.ck is not None
    assert challenge.ik is not None


def test_the_response_of_the_usim_is_authentic_and_serves_again_for_the_refresh() -> None:
    authenticator, usim = make()
    client = client_of(usim, challenge_of(authenticator))
    for now in (NOW + 10, NOW + 3000):
        found = authenticator.examine(USIM.impi, KEY, client.authorize("REGISTER", URI, "c"), now)
        assert found.event is RegistrationInput.AUTHENTIC
        assert "rspauth" in authenticator.server_proof(client.authorize("REGISTER", URI, "c"), found.ha1)


def test_a_replay_is_stale_and_a_wrong_response_wrong() -> None:
    authenticator, usim = make()
    client = client_of(usim, challenge_of(authenticator))
    credentials = client.authorize("REGISTER", URI, "c")
    authenticator.examine(USIM.impi, KEY, credentials, NOW)
    assert authenticator.examine(USIM.impi, KEY, credentials, NOW).event is RegistrationInput.STALE
    assert authenticator.examine("other", KEY, credentials, NOW).event is RegistrationInput.WRONG


def test_a_challenge_is_good_for_four_minutes() -> None:
    authenticator, usim = make()
    client = client_of(usim, challenge_of(authenticator))
    late = authenticator.examine(USIM.impi, KEY, client.authorize("REGISTER", URI, "c"), NOW + 241)
    assert late.event is RegistrationInput.STALE


def test_a_usim_that_is_ahead_is_followed() -> None:
    authenticator, _ = make()
    ahead = Usim(USIM.k or Secret(b""), USIM.opc or Secret(b""), sqn=0x4000)
    challenge = challenge_of(authenticator)
    nonce = AkaChallenge.from_nonce(challenge.nonce)
    failure = ahead.authenticate(nonce.rand, nonce.autn)
    assert isinstance(failure, SyncFailure)
    credentials = resynchronisation_credentials(challenge, failure, USIM.impi, "REGISTER", URI, "c")
    assert authenticator.examine(USIM.impi, KEY, credentials, NOW).event is RegistrationInput.OUT_OF_STEP
    answer = authenticator.resynchronise(KEY, credentials)
    assert answer.result.is_success
    _, again = authenticator.challenge(KEY, credentials, answer, NOW)
    assert again is not None
    client = client_of(ahead, DigestChallenge.parse(again))
    found = authenticator.examine(USIM.impi, KEY, client.authorize("REGISTER", URI, "c"), NOW)
    assert found.event is RegistrationInput.AUTHENTIC


def test_auts_for_a_challenge_that_nobody_gave_out_moves_nothing() -> None:
    authenticator, _ = make()
    forged = DigestCredentials(USIM.impi, HOME, URI, nonce="x" * 44, response="0", auts="AAAA")
    assert authenticator.examine(USIM.impi, KEY, forged, NOW).event is RegistrationInput.UNPROVEN
    assert not authenticator.resynchronise(KEY, forged).result.is_success


def test_a_usim_that_found_the_network_false_is_refused() -> None:
    authenticator, _ = make()
    refusal = refusal_credentials(challenge_of(authenticator), USIM.impi, URI)
    assert authenticator.examine(USIM.impi, KEY, refusal, NOW).event is RegistrationInput.REFUSED


@pytest.mark.parametrize("credentials", [None, DigestCredentials(ALICE.impi, HOME, URI)])
def test_who_only_names_himself_has_proven_nothing(credentials: DigestCredentials | None) -> None:
    authenticator, _ = make()
    found = authenticator.examine(ALICE.impi, "tel:+12025550101", credentials, NOW)
    assert found.event is RegistrationInput.UNPROVEN


def test_no_key_is_in_a_repr() -> None:
    authenticator, _ = make()
    challenge = challenge_of(authenticator)
    assert challenge.ck is not None
    assert challenge.ck.octets.hex() not in repr(challenge)
