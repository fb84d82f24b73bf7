"""Answers of a key distribution server as HTTP."""

from __future__ import annotations

from rcs_sim.server.kds_actions import KdsRefused, json_response, refusal
from rcs_sim.wire.key_directory import KdsError, KdsErrorCode


def test_a_refusal_has_status_code_and_outcome() -> None:
    response = refusal(KdsError.of(KdsErrorCode.NO_KEY_PACKAGES, "why"))
    assert response.status == 404
    assert response.body == b'{"error":"no_key_packages","detail":"why","outcome":1}'
    assert response.header("Cache-Control") == "no-store"


def test_a_wait_is_rounded_up_to_whole_seconds() -> None:
    error = KdsError.of(KdsErrorCode.RATE_LIMITED)
    assert refusal(error, retry_after_s=0.01).header("Retry-After") == "1"
    assert refusal(error, retry_after_s=2.1).header("Retry-After") == "3"
    assert refusal(error, status=503).status == 503


def test_answers_are_json_that_nobody_keeps() -> None:
    response = json_response(b"{}", 200, ("X", "y"))
    assert response.header("Content-Type") == "application/json"
    assert response.header("X") == "y"


def test_a_refused_call_says_why() -> None:
    assert str(KdsRefused(KdsErrorCode.CONFLICT, "client_id")) == "conflict: client_id"
