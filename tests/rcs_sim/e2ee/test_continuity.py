"""The continuity token: commitments by either label, and what a new era makes of it."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.continuity import (
    ContinuityAction,
    continuity_commitment,
    continuity_commitment_extension,
    continuity_token_extension,
    find_continuity_token,
    is_continuity_commitment,
    mint_continuity_token,
    validate_continuity,
)
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, find_extension_value
from rcs_sim.mls.extensions import Extension
from tests.support.mls_tree_views import seeded

_TOKEN, _AUTHENTICATOR = b"t" * 32, b"a" * 32


@pytest.mark.parametrize("is_prefixed", [False, True])
def test_either_label_is_taken_for_this_token_and_epoch_only(is_prefixed: bool) -> None:
    commitment = continuity_commitment(_TOKEN, _AUTHENTICATOR, is_label_prefixed=is_prefixed)
    assert is_continuity_commitment(commitment, _TOKEN, _AUTHENTICATOR)
    assert not is_continuity_commitment(commitment, _AUTHENTICATOR, _TOKEN)
    assert not is_continuity_commitment(b"", _TOKEN, _AUTHENTICATOR)


def test_a_token_is_found_where_a_welcome_has_it() -> None:
    token = mint_continuity_token(seeded("token"))
    assert len(token) == 32
    assert find_continuity_token((continuity_token_extension(token),)) == token
    assert find_continuity_token(()) is None
    assert find_continuity_token((Extension(RcsExtensionType.CONTINUITY_TOKEN, b"short"),)) is None
    commitment = (continuity_commitment_extension(token),)
    assert find_extension_value(commitment, RcsExtensionType.CONTINUITY_COMMITMENT) == token


_AB, _ABC = frozenset("ab"), frozenset("abc")


@pytest.mark.parametrize(
    ("has_token", "is_match", "participants", "fetched", "local", "action"),
    [
        (False, False, _AB, _AB, _AB, ContinuityAction.REQUEST),
        (False, False, _AB, _ABC, frozenset(), ContinuityAction.REQUEST),
        (False, False, _ABC, _AB, _AB, ContinuityAction.MINT),
        (True, False, _AB, _ABC, _AB, ContinuityAction.MINT_AND_MAY_DOWNGRADE),
        (True, True, _ABC, _AB, _AB, ContinuityAction.MINT_AND_MAY_DOWNGRADE),
        (True, False, _AB, _AB, _AB, ContinuityAction.MINT),
        (True, False, _AB, _AB, _ABC, ContinuityAction.MINT),
        (True, True, _AB, _AB, _AB, ContinuityAction.CARRY),
        (True, True, _AB, _ABC, _AB, ContinuityAction.CARRY),
    ],
)
def test_the_table_of_a_new_era(
    has_token: bool,
    is_match: bool,
    participants: frozenset[str],
    fetched: frozenset[str],
    local: frozenset[str],
    action: ContinuityAction,
) -> None:
    found = validate_continuity(
        has_token=has_token,
        is_match=is_match,
        participants=participants,
        fetched_members=fetched,
        local_members=local,
    )
    assert found is action
