"""Feature tags: read, written, and judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.wire.sip.feature_tags import FeatureSet
from rcs_sim.e2ee.feature_tags import (
    DEFAULT_KDS,
    EncryptionScheme,
    MlsEligibility,
    MlsTags,
    choose_scheme,
    eligibility_of,
    mls_tags_of_profile,
)
from rcs_sim.e2ee.profile import apple_like_profile, google_like_profile

_KDS = "+g.gsma.rcs.mls.mls-kds"
OWN = MlsTags(kds=2, version="v1", launch_iteration="1", supports_groups=True, legacy=True)


def read(*params: str) -> MlsTags:
    """The tags as they come out of a Contact."""
    split = (param.partition("=") for param in params)
    return MlsTags.of(FeatureSet.of({name: [value.strip('"')] if value else [] for name, _, value in split}))


@pytest.mark.parametrize("tags", [OWN, MlsTags(), MlsTags(legacy=True), MlsTags(kds=1, version="v1")])
def test_tags_survive_a_round_trip(tags: MlsTags) -> None:
    assert read(*tags.to_params()) == tags


@pytest.mark.parametrize(
    ("peer", "verdict"),
    [
        (MlsTags(version="v1", launch_iteration="1", supports_groups=True), MlsEligibility.NO_KDS),
        (MlsTags(kds=1, version="v1"), MlsEligibility.BY_VERSION),
        (MlsTags(kds=2, launch_iteration="1"), MlsEligibility.BY_LAUNCH_ITERATION),
        (MlsTags(kds=2, launch_iteration="2"), MlsEligibility.NO_MATCH),
        (MlsTags(kds=2, version="v2"), MlsEligibility.NO_MATCH),
        (MlsTags(kds=2, supports_groups=True), MlsEligibility.NO_MATCH),
    ],
)
def test_the_directory_tag_is_a_hard_gate_and_the_others_come_in_order(peer: MlsTags, verdict: MlsEligibility) -> None:
    assert eligibility_of(peer, OWN) is verdict
    assert verdict.is_eligible == verdict.name.startswith("BY_")


def test_group_support_counts_in_groups_only() -> None:
    peer = MlsTags(kds=2, supports_groups=True)
    assert eligibility_of(peer, OWN, is_group=True) is MlsEligibility.BY_GROUP_SUPPORT


def test_one_who_cannot_leaves_the_whole_group_plain() -> None:
    able, unable = MlsTags(kds=1, version="v1"), MlsTags(legacy=True)
    assert choose_scheme(OWN, [able, able], is_group=True) is EncryptionScheme.MLS
    assert choose_scheme(OWN, [able, unable], is_group=True) is EncryptionScheme.NONE
    assert choose_scheme(OWN, [unable]) is EncryptionScheme.LEGACY
    assert choose_scheme(MlsTags(legacy=True), [able]) is EncryptionScheme.NONE
    assert choose_scheme(MlsTags(legacy=True), [unable]) is EncryptionScheme.LEGACY
    assert choose_scheme(OWN, []) is EncryptionScheme.NONE


def test_the_two_vendors_find_each_other_capable() -> None:
    android = mls_tags_of_profile(google_like_profile(), is_ready=True)
    iphone = mls_tags_of_profile(apple_like_profile(), is_ready=True)
    assert eligibility_of(android, iphone).is_eligible
    assert eligibility_of(iphone, android).is_eligible


def test_a_device_that_is_not_ready_announces_no_mls() -> None:
    tags = mls_tags_of_profile(google_like_profile(), is_ready=False)
    assert (tags.kds, tags.version) == (None, "")
    assert eligibility_of(tags, OWN) is MlsEligibility.NO_KDS


@pytest.mark.parametrize(("value", "kds"), [("2", 2), ("1", 1), ("", DEFAULT_KDS), ("x", DEFAULT_KDS), ("²", 2)])
def test_a_directory_without_a_number_is_the_default_one(value: str, kds: int) -> None:
    assert MlsTags.of(FeatureSet.of({_KDS: [value]})).kds == kds
    assert MlsTags.of(FeatureSet.of({_KDS: ["2", "1"]})).kds == 1


def test_a_phone_of_a_carrier_without_a_focus_says_so_and_no_other_does() -> None:
    tags = mls_tags_of_profile(google_like_profile(), is_ready=True)
    without = replace(tags, has_no_focus=True)
    assert {*without.to_params()} - {*tags.to_params()} == {"+vnd.rcs-sim.mls-no-focus"}
    assert MlsTags.of(FeatureSet.of({"+vnd.rcs-sim.mls-no-focus": []})).has_no_focus
    assert not MlsTags.of(FeatureSet.of({_KDS: ["2"]})).has_no_focus
