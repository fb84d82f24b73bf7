"""Reasons: each has its remedy, and no reason is not the same as one that is not known."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.failure_reason import (
    CLIENT_REASONS_BY_CODE,
    ClientFailureReason,
    ClientRemedy,
    ServerFailureReason,
    ServerRemedy,
    client_remedy,
    server_remedy,
)


@pytest.mark.parametrize("reason", list(ClientFailureReason))
def test_every_client_reason_has_a_code_and_a_remedy(reason: ClientFailureReason) -> None:
    assert CLIENT_REASONS_BY_CODE[reason.code] is reason
    assert client_remedy(reason) is reason.remedy
    assert (reason.remedy is ClientRemedy.NONE) == (not reason.is_failure)


def test_codes_are_one_to_thirteen_and_seven_to_twelve_report_outcomes() -> None:
    assert sorted(CLIENT_REASONS_BY_CODE) == list(range(1, 14))
    assert [code for code, reason in CLIENT_REASONS_BY_CODE.items() if not reason.is_failure] == list(range(7, 13))


def test_no_reason_and_an_unknown_reason_are_two_things() -> None:
    assert client_remedy(None) is ClientRemedy.RESEND_CAPPED
    assert client_remedy("novel") is ClientRemedy.NONE
    assert client_remedy("") is ClientRemedy.NONE
    assert server_remedy("novel") is ServerRemedy.NONE


@pytest.mark.parametrize("reason", list(ServerFailureReason))
def test_every_server_reason_has_a_remedy(reason: ServerFailureReason) -> None:
    assert server_remedy(reason) is reason.remedy
    assert reason.invalidates_ciphertext == (reason.remedy is not ServerRemedy.RETRY_SAME_OCTETS)


def test_server_reasons_are_numbered_as_published() -> None:
    assert [reason.code for reason in ServerFailureReason] == list(range(1, 17))
    assert ServerFailureReason.TRANSIENT_ERROR.code == 9
    assert ServerFailureReason.MLS_GROUP_HAS_END_MLS.code == 15
