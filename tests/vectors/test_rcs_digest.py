"""Digest against the outside vectors: published and recomputed responses (RFC 2617, RFC 7616, RFC 3310, RFC 4169)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ims_core.wire.digest import (
    Algorithm,
    DigestAuthenticationInfo,
    DigestChallenge,
    DigestClient,
    DigestCredentials,
    compute_ha1,
    compute_ha2,
    compute_response,
    compute_rspauth,
    compute_session_ha1,
    is_authentic,
)
from tests.support.vectors import load_vectors

_CASES: list[dict[str, Any]] = load_vectors("rcs/digest_auth.json")["cases"]


def _password(case: dict[str, Any]) -> str | bytes:
    return case["password"] if "password" in case else bytes.fromhex(case["password_hex"])


@pytest.mark.parametrize("case", _CASES, ids=[case["name"] for case in _CASES])
def test_each_vector_gives_its_hashes_and_responses(case: dict[str, Any]) -> None:
    algorithm = Algorithm.parse(case["algorithm"])
    inner = compute_ha1(algorithm, case["username"], case["realm"], _password(case))
    ha1 = compute_session_ha1(algorithm, inner, case["nonce"], case["cnonce"] or "")
    body = case.get("entity_body", "").encode()
    ha2 = compute_ha2(algorithm, case["method"], case["uri"], case["qop"], body)
    protection = {"qop": case["qop"], "nc": case["nc"], "cnonce": case["cnonce"]}
    assert ha1 == case["HA1"]
    assert ha2 == case["HA2"]
    assert compute_response(algorithm, ha1, case["nonce"], ha2, **protection) == case["response"]
    answer_a2 = compute_ha2(algorithm, "", case["uri"], case["qop"], body)
    assert compute_response(algorithm, ha1, case["nonce"], answer_a2, **protection) == case["rspauth"]


def _sent(case: dict[str, Any]) -> DigestCredentials:
    fields = {name: case[name] for name in ("username", "realm", "uri", "nonce", "response", "qop", "nc", "cnonce")}
    return DigestCredentials(algorithm=Algorithm.parse(case["algorithm"]), **fields)


def _ha1(case: dict[str, Any]) -> str:
    return compute_ha1(Algorithm.parse(case["algorithm"]), case["username"], case["realm"], _password(case))


@pytest.mark.parametrize("case", _CASES, ids=[case["name"] for case in _CASES])
def test_the_server_believes_each_vector_and_no_altered_one(case: dict[str, Any]) -> None:
    sent, ha1, body = _sent(case), _ha1(case), case.get("entity_body", "").encode()
    assert is_authentic(sent, ha1, case["method"], body)
    assert is_authentic(replace(sent, response=sent.response.upper()), ha1, case["method"], body)
    assert compute_rspauth(sent, ha1, body) == case["rspauth"]
    for altered in (
        replace(sent, response=""),
        replace(sent, response=sent.response[:-1]),
        replace(sent, response=sent.response[:-1] + "é"),
        replace(sent, nonce=sent.nonce + "0"),
        replace(sent, uri=sent.uri + "0"),
        replace(sent, algorithm=Algorithm.parse("SHA-1")),
        replace(sent, qop="new"),
    ):
        assert not is_authentic(altered, ha1, case["method"], body)
    assert not is_authentic(sent, ha1, "OTHER", body)


@pytest.mark.parametrize("case", _CASES, ids=[case["name"] for case in _CASES])
def test_the_client_gives_the_response_of_each_vector(case: dict[str, Any]) -> None:
    qop = (case["qop"],) if case["qop"] else ()
    challenge = DigestChallenge(case["realm"], case["nonce"], algorithm=Algorithm.parse(case["algorithm"]), qop=qop)
    client = DigestClient(challenge, case["username"], _password(case))
    body = case.get("entity_body", "").encode()
    for _ in range(int(case["nc"] or "1", 16)):
        credentials = client.authorize(case["method"], case["uri"], case["cnonce"] or "unused", body)
    assert credentials == _sent(case)
    assert client.accept(DigestAuthenticationInfo(rspauth=case["rspauth"]), credentials, body)
