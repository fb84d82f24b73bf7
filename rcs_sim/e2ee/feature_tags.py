"""Feature tags that announce end-to-end encryption, who is eligible by them, and for which scheme (RCC.16 §5.1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ims_core.wire.sip.feature_tags import FeatureSet
from rcs_sim.e2ee.profile import E2eeProfile

__all__ = [
    "DEFAULT_KDS",
    "EncryptionScheme",
    "MlsEligibility",
    "MlsTags",
    "choose_scheme",
    "eligibility_of",
    "mls_tags_of_profile",
]

DEFAULT_KDS = 2  # directory that a tag without a readable number selects (observed)
MLS_VERSION = "v1"  # fixed; it names no revision of RCC.16
_VERSION_TAG = "+g.gsma.rcs.mls.mls-version"
_KDS_TAG = "+g.gsma.rcs.mls.mls-kds"
_LAUNCH_TAG = "+g.google.rcs.mls-launch-iteration"
_GROUPS_TAG = "+g.google.rcs.mls-supports-groups"
_LEGACY_TAG = "+vnd.google.rcs.encrypted"
_NO_FOCUS_TAG = "+vnd.rcs-sim.mls-no-focus"  # (choice): the messaging server of this phone arbitrates nothing


class EncryptionScheme(StrEnum):
    """How a conversation is encrypted, if it is."""

    MLS = "mls"
    LEGACY = "legacy"
    NONE = "none"


class MlsEligibility(StrEnum):
    """Whether one peer is capable of MLS, and by what."""

    BY_VERSION = "mls-version"
    BY_LAUNCH_ITERATION = "mls-launch-iteration"
    BY_GROUP_SUPPORT = "mls-supports-groups"
    NO_KDS = "no mls-kds"
    NO_MATCH = "no matching mls tag"

    @property
    def is_eligible(self) -> bool:
        return self not in (MlsEligibility.NO_KDS, MlsEligibility.NO_MATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class MlsTags:
    """What a Contact says. *kds* is None without the tag, which means: no MLS, whatever else is there. *has_no_focus*:
    the messaging server of this phone arbitrates nothing."""

    kds: int | None = None
    version: str = ""
    launch_iteration: str = ""
    supports_groups: bool = False
    legacy: bool = False
    has_no_focus: bool = False

    @classmethod
    def of(cls, features: FeatureSet) -> MlsTags:
        """The tags of a Contact, of which phones of one kind share one value."""
        return _shared(features)

    def to_params(self) -> tuple[str, ...]:
        """Contact parameters, each as ``tag`` or ``tag="value"``."""
        params = []
        if self.version:
            params.append(f'{_VERSION_TAG}="{self.version}"')
        if self.kds is not None:
            params.append(f'{_KDS_TAG}="{self.kds}"')
        if self.launch_iteration:
            params.append(f'{_LAUNCH_TAG}="{self.launch_iteration}"')
        if self.supports_groups:
            params.append(f'{_GROUPS_TAG}="true"')
        if self.has_no_focus:
            params.append(_NO_FOCUS_TAG)
        return (*params, *([_LEGACY_TAG] if self.legacy else []))


@lru_cache(maxsize=256)
def _shared(features: FeatureSet) -> MlsTags:
    return MlsTags(
        kds=_directory(features.values(_KDS_TAG)),
        version=MLS_VERSION if features.has(_VERSION_TAG, MLS_VERSION) else _first(features.values(_VERSION_TAG)),
        launch_iteration=_first(features.values(_LAUNCH_TAG)),
        supports_groups=features.has(_GROUPS_TAG, "true"),
        legacy=features.has(_LEGACY_TAG),
        has_no_focus=features.has(_NO_FOCUS_TAG),
    )


def _first(values: frozenset[str]) -> str:
    return min(values, default="")


def _directory(values: frozenset[str]) -> int | None:
    """The lowest number of several devices' (choice); the default for a value that is no number (choice)."""
    if not values:
        return None
    numbers = [int(value) for value in values if value.isascii() and value.isdecimal() and len(value) <= 9]
    return min(numbers, default=DEFAULT_KDS)


def mls_tags_of_profile(profile: E2eeProfile, *, is_ready: bool) -> MlsTags:
    """What a device announces. *is_ready*: it has a current certificate and its KeyPackages are in the directory;
    before that it announces no MLS."""
    if not is_ready:
        return MlsTags(legacy=profile.legacy_allowed)
    return MlsTags(
        kds=profile.kds,
        version=MLS_VERSION if profile.advertises_mls_version else "",
        launch_iteration="" if profile.launch_iteration is None else str(profile.launch_iteration),
        supports_groups=bool(profile.supports_groups_tag),
        legacy=profile.legacy_allowed,
    )


def eligibility_of(peer: MlsTags, own: MlsTags, *, is_group: bool = False) -> MlsEligibility:
    """Whether *peer* is capable of MLS together with a device that announces *own*."""
    if peer.kds is None:
        return MlsEligibility.NO_KDS
    if peer.version == MLS_VERSION:
        return MlsEligibility.BY_VERSION
    if peer.launch_iteration and peer.launch_iteration == own.launch_iteration:
        return MlsEligibility.BY_LAUNCH_ITERATION
    if is_group and peer.supports_groups:
        return MlsEligibility.BY_GROUP_SUPPORT
    return MlsEligibility.NO_MATCH


def choose_scheme(own: MlsTags, peers: Collection[MlsTags], *, is_group: bool = False) -> EncryptionScheme:
    """MLS if every participant is capable of it; else, between two, the legacy scheme if both announce it; else none.

    An MLS conversation never changes to another scheme by itself: this is for those that are none yet."""
    can_mls = own.kds is not None and bool(peers)
    if can_mls and all(eligibility_of(peer, own, is_group=is_group).is_eligible for peer in peers):
        return EncryptionScheme.MLS
    if not is_group and len(peers) == 1 and own.legacy and all(peer.legacy for peer in peers):
        return EncryptionScheme.LEGACY
    return EncryptionScheme.NONE
