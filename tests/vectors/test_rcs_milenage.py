"""Milenage and AKA against the outside vectors: the test sets of TS 35.207 and TS 35.208, and Digest over them."""

from __future__ import annotations

import pytest

from ims_core.wire.digest import Algorithm, DigestChallenge, DigestClient, DigestCredentials, compute_ha1, is_authentic
from ims_core.wire.secret import Secret
from ims_core.wire.sip.aka import (
    AKAV1_MD5,
    AKAV2_MD5,
    AkaChallenge,
    AkaResponse,
    AkaSubscription,
    AuthenticationCentre,
    SyncFailure,
    Usim,
    parse_auts,
    resynchronisation_credentials,
)
from ims_core.wire.sip.milenage import Milenage, derive_opc
from tests.support.vectors import load_vectors

_SETS: list[dict[str, str]] = load_vectors("rcs/milenage.json")["cases"]
_DIGEST = {case["name"]: case for case in load_vectors("rcs/digest_auth.json")["cases"]}
_IMPI = "001010000000101@ims.mnc001.mcc001.3gppnetwork.org"


@pytest.mark.parametrize("case", _SETS, ids=[f"set-{case['test_set']}" for case in _SETS])
def test_each_test_set_gives_its_published_values(case: dict[str, str]) -> None:
    k, rand, sqn, amf = Secret.of_hex(case["K"]), *(bytes.fromhex(case[name]) for name in ("RAND", "SQN", "AMF"))
    op = Secret.of_hex(case["OP"])
    milenage = Milenage.from_op(k, op)
    assert derive_opc(k, op) == Secret.of_hex(case["OPc"])
    assert milenage.f1(rand, sqn, amf).hex() == case["f1_MAC_A"]
    assert milenage.f1_star(rand, sqn, amf).hex() == case["f1*_MAC_S"]
    assert milenage.f2(rand).hex() == case["f2_RES"]
    assert milenage.f3(rand).hex() == case["f3_CK"]
    assert milenage.f4(rand).hex() == case["f4_IK"]
    assert milenage.f5(rand).hex() == case["f5_AK"]
    assert milenage.f5_star(rand).hex() == case["f5*_AK"]


def _of_set(case: dict[str, str]) -> tuple[AuthenticationCentre, bytes, int]:
    sqn = int(case["SQN"], 16)
    k, opc = Secret.of_hex(case["K"]), Secret.of_hex(case["OPc"])
    centre = AuthenticationCentre()
    centre.provision(_IMPI, AkaSubscription(k, opc, sqn - 32, bytes.fromhex(case["AMF"])))
    return centre, bytes.fromhex(case["RAND"]), sqn


@pytest.mark.parametrize("case", _SETS, ids=[f"set-{case['test_set']}" for case in _SETS])
def test_the_centre_makes_the_autn_of_each_set_and_the_usim_takes_it(case: dict[str, str]) -> None:
    centre, rand, sqn = _of_set(case)
    vector = centre.generate(_IMPI, rand)
    assert vector.challenge.autn.hex() == case["AUTN"]
    usim = Usim(Secret.of_hex(case["K"]), Secret.of_hex(case["OPc"]))
    taken = usim.authenticate(rand, vector.challenge.autn)
    assert taken == AkaResponse(*(Secret.of_hex(case[name]) for name in ("f2_RES", "f3_CK", "f4_IK")))
    assert (usim.sqn, centre.sqn(_IMPI)) == (sqn, sqn)


@pytest.mark.parametrize("case", _SETS, ids=[f"set-{case['test_set']}" for case in _SETS])
def test_a_challenge_heard_twice_gives_the_auts_of_each_set(case: dict[str, str]) -> None:
    centre, rand, sqn = _of_set(case)
    usim = Usim(Secret.of_hex(case["K"]), Secret.of_hex(case["OPc"]), sqn=sqn)
    failed = usim.authenticate(rand, bytes.fromhex(case["AUTN"]))
    assert isinstance(failed, SyncFailure)
    assert failed.auts.hex() == case["AUTS_for_SQN_MS_equal_SQN"]
    assert centre.resynchronise(_IMPI, rand, failed.auts)
    assert centre.sqn(_IMPI) == sqn


@pytest.mark.parametrize(("name", "algorithm"), [("akav1-md5-testset1", AKAV1_MD5), ("akav2-md5-testset1", AKAV2_MD5)])
def test_digest_over_aka_gives_the_vector(name: str, algorithm: Algorithm) -> None:
    case, milenage_set = _DIGEST[name], _SETS[0]
    challenge = DigestChallenge(
        case["realm"], case["nonce"], algorithm=AKAV1_MD5 if algorithm is AKAV1_MD5 else AKAV2_MD5
    )
    carried = AkaChallenge.from_nonce(challenge.nonce)
    assert carried.nonce == case["nonce"]
    usim = Usim(Secret.of_hex(milenage_set["K"]), Secret.of_hex(milenage_set["OPc"]))
    taken = usim.authenticate(carried.rand, carried.autn)
    assert isinstance(taken, AkaResponse)
    client = DigestClient(challenge, case["username"], taken.password(challenge.hash_algorithm))
    assert client.authorize(case["method"], case["uri"], case["cnonce"]).response == case["response"]


def test_resynchronisation_gives_the_vector() -> None:
    case = _DIGEST["akav1-md5-resync"]
    challenge = DigestChallenge(case["realm"], case["nonce"], algorithm=AKAV1_MD5)
    failure = SyncFailure(bytes.fromhex(case["auts_hex"]))
    sent = resynchronisation_credentials(
        challenge, failure, case["username"], case["method"], case["uri"], case["cnonce"]
    )
    assert (sent.response, sent.auts) == (case["response"], case["auts_base64"])
    assert parse_auts(case["auts_base64"]).hex() == case["auts_hex"]
    assert is_authentic(sent, compute_ha1(AKAV1_MD5, case["username"], case["realm"], b""), case["method"])
    assert DigestCredentials.parse(str(sent)) == sent
