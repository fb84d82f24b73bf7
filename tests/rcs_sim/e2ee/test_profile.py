"""Profiles are combinations of fields, and those that deployment knows differ where they should."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.extension_bodies import EndMlsForm, Framing
from rcs_sim.e2ee.profile import (
    DirectoryLifetime,
    E2eeProfile,
    MessageIdForm,
    ProposalBand,
    Revision,
    apple_like_profile,
    google_like_profile,
    lineage_like_profile,
    strict_v3_profile,
    strict_v4_profile,
)

_ALL = [google_like_profile(), apple_like_profile(), strict_v3_profile(), strict_v4_profile(), lineage_like_profile()]


@pytest.mark.parametrize("profile", _ALL)
def test_nobody_publishes_the_commitment_that_arms_every_check(profile: E2eeProfile) -> None:
    assert not profile.publishes_continuity_commitment
    assert profile.is_v4 == (profile.revision is Revision.V4)


def test_the_two_vendors_differ_where_they_were_seen_to() -> None:
    android, iphone = google_like_profile(), apple_like_profile()
    assert (android.kds, iphone.kds) == (2, 1)
    assert (android.message_id_form, iphone.message_id_form) == (MessageIdForm.MX, MessageIdForm.UPPER_UUID)
    assert (android.commitment_framing, iphone.commitment_framing) == (Framing.FRAMED, Framing.BARE)
    assert android.directory_lifetime is DirectoryLifetime.GOOGLE
    assert not android.emits_resent_failure
    assert android.proposal_band is ProposalBand.V3
    assert android.end_mls_form is EndMlsForm.PROTOBUF


def test_v4_moves_four_things_at_once() -> None:
    old, new = strict_v3_profile(), strict_v4_profile()
    assert (old.end_mls_form, new.end_mls_form) == (EndMlsForm.LITERAL, EndMlsForm.PROTOBUF)
    assert (old.proposal_band, new.proposal_band) == (ProposalBand.V3, ProposalBand.V4)
    assert (old.metadata_request_framing, new.metadata_request_framing) == (Framing.BARE, Framing.FRAMED)
    assert new.past_epochs_s == 10 * old.past_epochs_s
