from __future__ import annotations

import pytest

from ims_core.wire.digest import (
    MD5,
    DigestChallenge,
    DigestCredentials,
    authentication_info,
    compute_ha1,
    is_authentic,
)
from ims_core.wire.sip.message import Response
from rcs_sim.client.account import account_of
from rcs_sim.client.authenticator import AnswerKind, Authenticator
from rcs_sim.devices.policy import RegistrationPolicy
from tests.support.stub_core import ALICE, HOME, PASSWORD, subscriber

_ACCOUNT = account_of(subscriber(ALICE), RegistrationPolicy(), "")
_HA1 = compute_ha1(MD5, _ACCOUNT.impi, HOME, PASSWORD)


def _response(status: int, *challenges: str) -> Response:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    return Response.new(status, headers=[(name, each) for each in challenges])


@pytest.mark.parametrize(("status", "header"), [(401, "Authorization"), (407, "Proxy-Authorization")])
def test_401_and_407_are_answered_in_their_own_headers(status: int, header: str) -> None:
    challenge = str(DigestChallenge(HOME, "n", MD5))
    answer = Authenticator(_ACCOUNT).answer(_response(status, challenge), "MESSAGE", "tel:+1", "c")
    assert answer is not None
    assert answer.header == header
    assert is_authentic(DigestCredentials.parse(answer.value), _HA1, "MESSAGE")


@pytest.mark.parametrize(
    "challenges",
    [(), ("Basic realm=x",), ("Digest",), ('Digest realm="x", nonce="n", algorithm=SHA-3',), ("\x01",)],
)
def test_a_challenge_that_cannot_be_answered_gives_none(challenges: tuple[str, ...]) -> None:
    assert Authenticator(_ACCOUNT).answer(_response(401, *challenges), "REGISTER", "sip:x", "c") is None


def test_the_first_challenge_that_is_understood_is_answered() -> None:
    unknown = 'Digest realm="x", nonce="n", algorithm=SHA-3'
    answer = Authenticator(_ACCOUNT).answer(
        _response(401, unknown, str(DigestChallenge(HOME, "n2", MD5))), "REGISTER", "sip:x", "c"
    )
    assert answer is not None
    assert DigestCredentials.parse(answer.value).nonce == "n2"


def test_later_requests_reuse_the_challenge_and_count() -> None:
    authenticator = Authenticator(_ACCOUNT)
    assert authenticator.again("REGISTER", "sip:x", "c") is None
    authenticator.answer(_response(401, str(DigestChallenge(HOME, "n", MD5))), "REGISTER", "sip:x", "c1")
    again = authenticator.again("REGISTER", "sip:x", "c2")
    assert again is not None
    assert DigestCredentials.parse(again.value).nc == "00000002"
    authenticator.forget()
    assert not authenticator.has_challenge


def test_another_challenger_does_not_disturb_the_registrars_challenge() -> None:
    authenticator = Authenticator(_ACCOUNT)
    authenticator.answer(_response(401, str(DigestChallenge(HOME, "n", MD5))), "REGISTER", "sip:x", "c1")
    proxy = _response(407, str(DigestChallenge("proxy", "p", MD5)))
    authenticator.for_another_challenger().answer(proxy, "MESSAGE", "tel:+1", "c2")
    again = authenticator.again("REGISTER", "sip:x", "c3")
    assert again is not None
    assert again.header == "Authorization"
    assert DigestCredentials.parse(again.value).nonce == "n"


def test_the_servers_own_proof_is_checked_and_its_next_nonce_taken() -> None:
    authenticator = Authenticator(_ACCOUNT)
    answer = authenticator.answer(_response(401, str(DigestChallenge(HOME, "n", MD5))), "REGISTER", "sip:x", "c1")
    assert answer is not None
    proof = str(authentication_info(DigestCredentials.parse(answer.value), _HA1, nextnonce="n9"))
    assert authenticator.accept(Response.new(200, headers=[("Authentication-Info", proof)]))
    again = authenticator.again("REGISTER", "sip:x", "c2")
    assert again is not None
    assert DigestCredentials.parse(again.value).nonce == "n9"
    false = Response.new(200, headers=[("Authentication-Info", 'rspauth="00", qop=auth, nc=00000001, cnonce="c2"')])
    assert not authenticator.accept(false)
    assert authenticator.accept(Response.new(200, headers=[("Authentication-Info", "@")]))


def test_a_stale_nonce_is_told_apart_from_wrong_credentials() -> None:
    stale = str(DigestChallenge(HOME, "n", MD5, stale=True))
    answer = Authenticator(_ACCOUNT).answer(_response(401, stale), "REGISTER", "sip:x", "c")
    assert answer is not None
    assert answer.kind is AnswerKind.FRESH_NONCE
