"""What a device brings to each of its groups: identity, profile, trust, randomness (RCC.16 §5.3, §6.1.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.custom_proposals import rcs_seams
from rcs_sim.e2ee.leaf_capabilities import GROUP_SUITE, leaf_capabilities
from rcs_sim.e2ee.member.device_identity import DeviceIdentity
from rcs_sim.e2ee.member.roster import NamesOnly, certified_number
from rcs_sim.e2ee.padding import padme_octets
from rcs_sim.e2ee.profile import E2eeProfile
from rcs_sim.mls.client import Client
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.key_log import WriteLine
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.seams import Seams

__all__ = ["MAX_PAST_EPOCHS", "MemberSetting"]

MAX_PAST_EPOCHS = 64  # of one era that can still be read (choice: the reference's bound)


@dataclass(frozen=True, slots=True)
class MemberSetting:
    """*client* makes the leaves, *policy* is that of every group; both follow from the rest. Make it with `of`."""

    identity: DeviceIdentity
    profile: E2eeProfile
    trust: X509Identity
    random: Random
    key_log: WriteLine | None
    client: Client
    policy: MemberPolicy

    @classmethod
    def of(
        cls,
        identity: DeviceIdentity,
        profile: E2eeProfile,
        trust: X509Identity,
        random: Random,
        key_log: WriteLine | None = None,
    ) -> MemberSetting:
        """Handshakes are PublicMessages, contents are padded by Padmé (RCC.16 §7.5.1)"""
        client = Client(
            suite=CipherSuite.of(GROUP_SUITE),
            credential=identity.credential,
            signature_key=identity.leaf_key,
            capabilities=leaf_capabilities(profile),
        )
        policy = MemberPolicy(
            seams=rcs_seams(trust, certified_number),
            handshake_wire_format=WireFormat.PUBLIC_MESSAGE,
            only_own_form=True,
            padding=padme_octets,
            past_epochs=MAX_PAST_EPOCHS,
            resumption_epochs=1,
            key_log=key_log,
        )
        return cls(identity, profile, trust, random, key_log, client, policy)

    @property
    def lenient_seams(self) -> Seams:
        """Those of the groups, but that certificates are not judged again."""
        return rcs_seams(NamesOnly(self.trust), certified_number)

    @property
    def lenient_policy(self) -> MemberPolicy:
        """The policy of the groups with `lenient_seams`, and without a key log."""
        return replace(self.policy, seams=self.lenient_seams, key_log=None)

    def with_identity(self, identity: DeviceIdentity) -> MemberSetting:
        """The same device with another certificate."""
        return self.of(identity, self.profile, self.trust, self.random, self.key_log)
