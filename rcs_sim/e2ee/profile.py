"""E2eeProfile: how a device speaks RCC.16, as data. Which device speaks how is for the device profiles to say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from rcs_sim.e2ee.extension_bodies import EndMlsForm, Framing

__all__ = [
    "ClaimedLifetime",
    "DirectoryLifetime",
    "E2eeProfile",
    "MessageIdForm",
    "ProposalBand",
    "Revision",
    "apple_like_profile",
    "google_like_profile",
    "lineage_like_profile",
    "strict_v3_profile",
    "strict_v4_profile",
]

DAY_S = 24 * 3600


class Revision(StrEnum):
    """Revision of RCC.16 that a device encodes. Nothing on the wire announces it; all forms are decoded."""

    V3 = "v3"
    V4 = "v4"


class MessageIdForm(StrEnum):
    """Form of the ids that a device mints."""

    MX = "mx"
    UPPER_UUID = "uuid-upper"


class ProposalBand(StrEnum):
    """Which reserved proposal types a leaf lists beside those that RCC.16 defines."""

    V3 = "f010-f018"
    V4 = "f012-f030"


class DirectoryLifetime(StrEnum):
    """What a directory wants of the lifetime of a leaf in a KeyPackage: the two rules contradict each other."""

    RCC16 = "rcc16"
    """Not beyond the certificate (RCC.16 §5.1)."""
    GOOGLE = "google"
    """365 days from the certificate's notBefore, beyond it (observed)."""


class ClaimedLifetime(StrEnum):
    """What a device does with a claimed KeyPackage whose certificate is inside the floor."""

    REFUSE = "refuse"
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class E2eeProfile:
    """Behaviour of one kind of device. Fields are independent; the named builders below are combinations of them.

    revision                        what it encodes (it decodes both)
    vendor_id                       of its certificates: 1 Apple, 2 Google
    kds                             value of its ``mls-kds`` tag
    message_id_form                 ids that it mints
    advertises_mls_version          its tags have ``mls-version``
    launch_iteration                value of the wave tag; None leaves it out
    supports_groups_tag             value of the group tag; None leaves it out
    commitment_framing              of the commitments that it originates
    metadata_request_framing        of extension 0xF007
    end_mls_form                    payload of the end_mls extension
    proposal_band                   reserved proposal types that its leaves list
    advertises_rcs_signature        its leaves list proposal 0xF002
    appends_leaves_to_welcome       LeafNodes follow the Welcome, in place of the ratchet tree beside it
    sends_external_commits          it repairs by an external commit
    waits_for_convergence           after a commit, messages wait for the focus to say that all have it
    refuses_expired_acs_proof       an expired ``.5`` is an error
    emits_resent_failure            it sends client reason 6
    strict_certificates             RCC.16 Annex A to the letter
    claimed_lifetime                what it does with a claimed KeyPackage inside the 30-day floor
    continuity_label_prefixed       the continuity commitment's label has the prefix ``MLS 1.0``
    publishes_continuity_commitment its GroupInfos have 0xF011
    sends_continuity_token          its Welcomes have 0xF010
    commits_metadata_keys           it commits the keys of subject and icon too
    typing_when_encrypted           it tells that its user types, in clear
    reupgrades_by_itself            it brings encryption back that its own user has not ended
    directory_lifetime              lifetime rule of its directory
    keypackage_one_time             one-time KeyPackages that it publishes
    refill_at                       how few of them are left when it publishes again
    rotate_after_sends              sealed messages after which it renews its leaf
    past_epochs_s                   how long it can read earlier epochs
    legacy_allowed                  it has the older one-to-one scheme
    mls_allowed                     it has MLS; without, it has the older scheme or none (choice)
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}  # read when a device profile is loaded

    revision: Revision = Revision.V3
    vendor_id: int = 2
    kds: int = 2
    message_id_form: MessageIdForm = MessageIdForm.MX
    advertises_mls_version: bool = True
    launch_iteration: int | None = None
    supports_groups_tag: bool | None = None
    commitment_framing: Framing = Framing.FRAMED
    metadata_request_framing: Framing = Framing.BARE
    end_mls_form: EndMlsForm = EndMlsForm.LITERAL
    proposal_band: ProposalBand = ProposalBand.V3
    advertises_rcs_signature: bool = True
    appends_leaves_to_welcome: bool = False
    sends_external_commits: bool = True
    waits_for_convergence: bool = False
    refuses_expired_acs_proof: bool = False
    emits_resent_failure: bool = True
    strict_certificates: bool = False
    claimed_lifetime: ClaimedLifetime = ClaimedLifetime.LOG
    continuity_label_prefixed: bool = False
    publishes_continuity_commitment: bool = False
    sends_continuity_token: bool = True
    commits_metadata_keys: bool = False
    typing_when_encrypted: bool = True
    reupgrades_by_itself: bool = False
    directory_lifetime: DirectoryLifetime = DirectoryLifetime.RCC16
    keypackage_one_time: int = 10
    refill_at: int = 3
    rotate_after_sends: int = 256
    past_epochs_s: int = 3 * DAY_S
    legacy_allowed: bool = False
    mls_allowed: bool = True

    @property
    def is_v4(self) -> bool:
        """Whether it encodes v4.0."""
        return self.revision is Revision.V4


def google_like_profile() -> E2eeProfile:
    """What is observed of Android's messaging app. Its lines often lack ``mls-version`` and have the wave tag: here
    they have both, or no other vendor's device would find them capable (choice)."""
    return E2eeProfile(
        end_mls_form=EndMlsForm.PROTOBUF,
        launch_iteration=1,
        supports_groups_tag=True,
        advertises_rcs_signature=False,
        sends_external_commits=False,
        waits_for_convergence=True,
        refuses_expired_acs_proof=True,
        emits_resent_failure=False,
        commits_metadata_keys=True,
        directory_lifetime=DirectoryLifetime.GOOGLE,
        legacy_allowed=True,
    )


def apple_like_profile() -> E2eeProfile:
    """What is observed of, or inferred for, the iPhone."""
    return E2eeProfile(
        vendor_id=1,
        kds=1,
        message_id_form=MessageIdForm.UPPER_UUID,
        commitment_framing=Framing.BARE,
        appends_leaves_to_welcome=True,
        claimed_lifetime=ClaimedLifetime.REFUSE,
    )


def strict_v3_profile() -> E2eeProfile:
    """The letter of v3.0, with the era in the authenticated data that deployment has added."""
    return E2eeProfile(
        message_id_form=MessageIdForm.UPPER_UUID,
        strict_certificates=True,
        claimed_lifetime=ClaimedLifetime.REFUSE,
        sends_continuity_token=False,
    )


def strict_v4_profile() -> E2eeProfile:
    """The letter of v4.0, as far as it is known."""
    return E2eeProfile(
        revision=Revision.V4,
        message_id_form=MessageIdForm.UPPER_UUID,
        metadata_request_framing=Framing.FRAMED,
        end_mls_form=EndMlsForm.PROTOBUF,
        proposal_band=ProposalBand.V4,
        strict_certificates=True,
        claimed_lifetime=ClaimedLifetime.REFUSE,
        past_epochs_s=30 * DAY_S,
    )


def lineage_like_profile() -> E2eeProfile:
    """The public implementation that most of what is known comes from."""
    return E2eeProfile(continuity_label_prefixed=True, commits_metadata_keys=True, legacy_allowed=True)
