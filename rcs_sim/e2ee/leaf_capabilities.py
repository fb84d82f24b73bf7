"""Capabilities that a leaf lists (RCC.16 §5.3, §7.11.11), by profile."""

from __future__ import annotations

from collections.abc import Iterable

from rcs_sim.e2ee.custom_proposals import RcsProposalType
from rcs_sim.e2ee.extension_bodies import RcsExtensionType
from rcs_sim.e2ee.profile import E2eeProfile, ProposalBand
from rcs_sim.mls.identifiers import CipherSuiteId, CredentialType, ExtensionType, ProposalType, ProtocolVersion
from rcs_sim.mls.leaf_node import Capabilities

__all__ = ["GROUP_SUITE", "leaf_capabilities"]

GROUP_SUITE = CipherSuiteId.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
"""The suite of every group."""

# In the order in which other clients send them; only the group's own has to be built.
_SUITES = (
    CipherSuiteId.MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519,
    CipherSuiteId.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519,
    CipherSuiteId.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    CipherSuiteId.MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
)
_CREDENTIALS = (CredentialType.BASIC, CredentialType.X509)  # basic is listed, and never accepted
_METADATA_EXTENSIONS = tuple(map(ExtensionType, range(0xF001, 0xF007)))
_RESERVED_EXTENSIONS = tuple(map(ExtensionType, range(0xF010, 0xF031)))
_BANDS: dict[ProposalBand, Iterable[int]] = {
    ProposalBand.V3: range(0xF010, 0xF019),
    ProposalBand.V4: range(0xF012, 0xF031),
}


def _extensions(profile: E2eeProfile) -> tuple[ExtensionType, ...]:
    """Google's leaves have 0xF007 before 0xE000 (observed), the others after it. Order means nothing to a reader."""
    both = (RcsExtensionType.TESTING_EXPIRY, RcsExtensionType.GROUP_METADATA_KEYS_REQUESTED)
    middle = both if profile.advertises_rcs_signature else both[::-1]
    return (*_METADATA_EXTENSIONS, *middle, *_RESERVED_EXTENSIONS)


def _proposals(profile: E2eeProfile) -> tuple[ProposalType, ...]:
    types = [RcsProposalType.RCS_SIGNATURE] if profile.advertises_rcs_signature else []
    types += [RcsProposalType.SELF_REMOVE, RcsProposalType.SERVER_REMOVE]
    if profile.proposal_band is ProposalBand.V3:  # withdrawn in v4.0
        types.insert(0, RcsProposalType.END_MLS)
    return (*types, *map(ProposalType, _BANDS[profile.proposal_band]))


def leaf_capabilities(profile: E2eeProfile) -> Capabilities:
    """What a leaf of a device with *profile* lists. Lists of peers are compared as sets, and need not have 0xF002."""
    return Capabilities((ProtocolVersion.MLS10,), _SUITES, _extensions(profile), _proposals(profile), _CREDENTIALS)
