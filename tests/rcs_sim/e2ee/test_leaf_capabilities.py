"""What leaves list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.leaf_capabilities import GROUP_SUITE, leaf_capabilities
from rcs_sim.e2ee.profile import (
    E2eeProfile,
    ProposalBand,
    apple_like_profile,
    google_like_profile,
    lineage_like_profile,
    strict_v3_profile,
    strict_v4_profile,
)
from rcs_sim.mls.identifiers import CredentialType, ExtensionType, ProposalType

_ALL = [google_like_profile(), apple_like_profile(), strict_v3_profile(), strict_v4_profile(), lineage_like_profile()]


@pytest.mark.parametrize("profile", _ALL)
def test_every_leaf_can_be_in_a_group(profile: E2eeProfile) -> None:
    listed = leaf_capabilities(profile)
    assert GROUP_SUITE in listed.cipher_suites
    assert CredentialType.X509 in listed.credentials
    assert set(map(ExtensionType, (*range(0xF001, 0xF008), *range(0xF010, 0xF031), 0xE000))) == set(listed.extensions)
    assert {ProposalType(0xF003), ProposalType(0xF004)} <= set(listed.proposals)


def test_the_bands_are_never_listed_together() -> None:
    old = set(leaf_capabilities(lineage_like_profile()).proposals)
    new = set(leaf_capabilities(replace(lineage_like_profile(), proposal_band=ProposalBand.V4)).proposals)
    assert {0xF001, 0xF010, 0xF018} <= old
    assert not {0xF019, 0xF030} & old
    assert {0xF012, 0xF030} <= new
    assert not {0xF001, 0xF010, 0xF011, 0xF031} & new
