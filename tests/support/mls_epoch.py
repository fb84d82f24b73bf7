"""One epoch of a group without the group: what framing needs, for tests of messages by themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.crypto import CipherSuite, SignatureKey
from rcs_sim.mls.framing import sign_content, with_confirmation_tag
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, LeafIndex, ProtocolVersion, WireFormat
from rcs_sim.mls.key_schedule import EpochSecrets, derive_epoch_of_secret
from rcs_sim.mls.messages import AuthenticatedContent, Content, FramedContent, Sender
from rcs_sim.mls.secret_tree import SecretTree, SenderDataKeys

__all__ = ["FramingEpoch", "fixed_octets"]


_SENDER = LeafIndex(1)


def fixed_octets(length: int) -> bytes:
    """Randomness that has nothing random about it."""
    return b"\x2a" * length


@dataclass(slots=True)
class FramingEpoch:
    """Keys and context of an epoch of four leaves. *sender* signs with *key*."""

    suite: CipherSuite
    sender: LeafIndex = _SENDER
    key: SignatureKey = field(init=False)
    context: GroupContext = field(init=False)
    secrets: EpochSecrets = field(init=False)
    sender_data: SenderDataKeys = field(init=False)
    encryption_secret: Secret = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.suite.scheme.generate(fixed_octets)
        self.secrets, self.encryption_secret = derive_epoch_of_secret(self.suite, Secret(b"epoch secret"))
        self.sender_data = SenderDataKeys(self.suite, self.secrets.sender_data_secret)
        self.context = GroupContext(
            ProtocolVersion.MLS10, self.suite.id, b"group", Epoch(7), b"tree", b"transcript", ()
        )

    def tree(self) -> SecretTree:
        """The secret tree, as it is at the beginning of the epoch."""
        return SecretTree(self.suite, self.encryption_secret, 4)

    def framed(
        self, content: Content, authenticated_data: bytes = b"aad", sender: Sender | None = None
    ) -> FramedContent:
        """*content* of this epoch, by default of its sender."""
        who = Sender.member(self.sender) if sender is None else sender
        return FramedContent(self.context.group_id, self.context.epoch, who, authenticated_data, content)

    def signed(self, content: Content, wire_format: WireFormat, sender: Sender | None = None) -> AuthenticatedContent:
        """*content* signed, a Commit with some confirmation tag."""
        made = sign_content(self.suite, self.key, wire_format, self.framed(content, sender=sender), self.context)
        return with_confirmation_tag(made, b"confirmed") if isinstance(content, Commit) else made
