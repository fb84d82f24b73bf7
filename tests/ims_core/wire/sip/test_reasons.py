"""Reason phrases."""

from __future__ import annotations

from ims_core.wire.sip.reasons import REASONS


def test_every_code_is_a_sip_status_with_a_phrase() -> None:
    assert all(100 <= status <= 699 and phrase for status, phrase in REASONS.items())
    assert REASONS[202] == "Accepted"
    assert REASONS[483] == "Too Many Hops"
