"""The key schedule: from the init_secret of one epoch to the secrets of the next (RFC 9420 §8)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite, HpkeKeyPair, Random

__all__ = [
    "EpochSecrets",
    "derive_epoch",
    "derive_epoch_of_secret",
    "derive_joiner_secret",
    "derive_welcome_secret",
    "open_external_init",
    "seal_external_init",
    "welcome_key_and_nonce",
]

_EXTERNAL_INIT = b"MLS 1.0 external init secret"


@dataclass(frozen=True, slots=True)
class EpochSecrets:
    """The secrets of one epoch (RFC 9420 §8, table 4) that outlive its derivation.

    Neither epoch_secret nor encryption_secret is among them: whoever has one of those has every message key.
    """

    sender_data_secret: Secret
    exporter_secret: Secret
    external_secret: Secret
    confirmation_key: Secret
    membership_key: Secret
    resumption_psk: Secret
    epoch_authenticator: Secret
    init_secret: Secret

    def confirmation_tag(self, suite: CipherSuite, confirmed_transcript_hash: bytes) -> bytes:
        """confirmation_tag of the Commit that began this epoch (RFC 9420 §6.1)."""
        return suite.mac(self.confirmation_key, confirmed_transcript_hash)

    def is_confirmation_tag(self, suite: CipherSuite, confirmed_transcript_hash: bytes, tag: bytes) -> bool:
        """Whether *tag* confirms this epoch, in constant time."""
        return suite.is_mac(self.confirmation_key, confirmed_transcript_hash, tag)

    def export(self, suite: CipherSuite, label: str, context: bytes, length: int) -> Secret:
        """``MLS-Exporter(label, context, length)`` (RFC 9420 §8.5)."""
        derived = suite.derive_secret(self.exporter_secret, label)
        return suite.expand_with_label(derived, "exported", suite.hash(context), length)

    def external_key_pair(self, suite: CipherSuite) -> HpkeKeyPair:
        """external_priv and external_pub (RFC 9420 §8.3)."""
        return suite.derive_key_pair(self.external_secret)


def derive_joiner_secret(
    suite: CipherSuite, init_secret: Secret, commit_secret: Secret, group_context: bytes
) -> Secret:
    """joiner_secret. *group_context* is the encoded GroupContext of the new epoch."""
    extracted = suite.extract(init_secret, commit_secret)
    return suite.expand_with_label(extracted, "joiner", group_context, suite.hash_octets)


def derive_welcome_secret(suite: CipherSuite, joiner_secret: Secret, psk_secret: Secret) -> Secret:
    """welcome_secret."""
    return suite.derive_secret(suite.extract(joiner_secret, psk_secret), "welcome")


def welcome_key_and_nonce(suite: CipherSuite, welcome_secret: Secret) -> tuple[Secret, Secret]:
    """Key and nonce of encrypted_group_info (RFC 9420 §12.4.3.1)."""
    key = suite.expand_with_label(welcome_secret, "key", b"", suite.key_octets)
    return key, suite.expand_with_label(welcome_secret, "nonce", b"", suite.nonce_octets)


def derive_epoch(
    suite: CipherSuite, joiner_secret: Secret, psk_secret: Secret, group_context: bytes
) -> tuple[EpochSecrets, Secret]:
    """The secrets of an epoch, and its encryption_secret: that is for a SecretTree, and then to be dropped.
    *group_context* is the encoded GroupContext of the epoch."""
    member_secret = suite.extract(joiner_secret, psk_secret)
    epoch_secret = suite.expand_with_label(member_secret, "epoch", group_context, suite.hash_octets)
    return derive_epoch_of_secret(suite, epoch_secret)


def derive_epoch_of_secret(suite: CipherSuite, epoch_secret: Secret) -> tuple[EpochSecrets, Secret]:
    """As `derive_epoch`, of an epoch_secret: the creator of a group draws that of epoch 0 (RFC 9420 §11)."""
    key = suite.hkdf_key(epoch_secret)
    secrets = EpochSecrets(
        sender_data_secret=suite.derive_from(key, "sender data"),
        exporter_secret=suite.derive_from(key, "exporter"),
        external_secret=suite.derive_from(key, "external"),
        confirmation_key=suite.derive_from(key, "confirm"),
        membership_key=suite.derive_from(key, "membership"),
        resumption_psk=suite.derive_from(key, "resumption"),
        epoch_authenticator=suite.derive_from(key, "authentication"),
        init_secret=suite.derive_from(key, "init"),
    )
    return secrets, suite.derive_from(key, "encryption")


def seal_external_init(suite: CipherSuite, external_pub: bytes, random: Random) -> tuple[bytes, Secret]:
    """kem_output of an ExternalInit, and the init_secret that it stands for (RFC 9420 §8.3). Raises CryptoError on an
    external_pub that is no key."""
    kem_output, sender = suite.setup_base_s(external_pub, b"", random)
    return kem_output, sender.export(_EXTERNAL_INIT, suite.hash_octets)


def open_external_init(suite: CipherSuite, external_secret: Secret, kem_output: bytes) -> Secret:
    """init_secret of an ExternalInit (RFC 9420 §8.3). Raises CryptoError."""
    key_pair = suite.derive_key_pair(external_secret)
    return suite.hpke.setup_base_r(kem_output, key_pair, b"").export(_EXTERNAL_INIT, suite.hash_octets)
