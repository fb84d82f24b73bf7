"""The parameters of X3DH and of the double ratchet (digest RCC.16 §14.12), as the two libraries take them.

Their methods are coroutines that never wait: `completed` runs one to its end. They draw their own randomness, so that
the same seed repeats what becomes of a message, but not its octets.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from doubleratchet import DoubleRatchet, Header
from doubleratchet.recommended import aead_aes_hmac, kdf_hkdf, kdf_separate_hmacs
from doubleratchet.recommended.crypto_provider import HashFunction as RatchetHash
from doubleratchet.recommended.diffie_hellman_ratchet_curve25519 import DiffieHellmanRatchet
from x3dh import BaseState, HashFunction, IdentityKeyFormat

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.legacy.body import RatchetHeader

__all__ = [
    "AGREEMENT",
    "MAX_SKIPPED",
    "RATCHET",
    "Agreement",
    "MessageAead",
    "MessageChain",
    "Ratchet",
    "RootChain",
    "completed",
]

MAX_SKIPPED = 1000  # message keys that wait for messages that are late or lost
_CURVE25519 = b"\x05"  # Encode(PK): one octet for the curve, then the key (X3DH §2.5; which octet is a choice)

_T = TypeVar("_T")


class Agreement(BaseState):
    """X3DH on Curve25519 with XEdDSA."""

    @staticmethod
    def _encode_public_key(key_format: IdentityKeyFormat, pub: bytes) -> bytes:
        return _CURVE25519 + pub


class RootChain(kdf_hkdf.KDF):
    """HKDF-SHA256."""

    @staticmethod
    def _get_hash_function() -> RatchetHash:
        return RatchetHash.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"rcs-sim legacy root"


class MessageChain(kdf_separate_hmacs.KDF):
    """HMAC-SHA256 of one octet for each output."""

    @staticmethod
    def _get_hash_function() -> RatchetHash:
        return RatchetHash.SHA_256


class MessageAead(aead_aes_hmac.AEAD):
    """AES-256-CBC and HMAC-SHA256, their keys and the IV from HKDF-SHA256."""

    @staticmethod
    def _get_hash_function() -> RatchetHash:
        return RatchetHash.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"rcs-sim legacy message"


class Ratchet(DoubleRatchet):
    """Its associated data is followed by the ratchet header as it is encoded."""

    @staticmethod
    def _build_associated_data(associated_data: bytes, header: Header) -> bytes:
        encoded = RatchetHeader(header.ratchet_pub, header.previous_sending_chain_length, header.sending_chain_length)
        return associated_data + encoded.encode()


AGREEMENT: dict[str, Any] = {
    "identity_key_format": IdentityKeyFormat.CURVE_25519,
    "hash_function": HashFunction.SHA_256,
    "info": b"rcs-sim legacy x3dh",
}
RATCHET: dict[str, Any] = {
    "diffie_hellman_ratchet_class": DiffieHellmanRatchet,
    "root_chain_kdf": RootChain,
    "message_chain_kdf": MessageChain,
    "message_chain_constant": b"\x02\x01",  # the library takes the chain key first, then the message key
    "dos_protection_threshold": MAX_SKIPPED,
    "max_num_skipped_message_keys": MAX_SKIPPED,
    "aead": MessageAead,
}


def completed(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine that awaits nothing outside of itself."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: _T = ended.value
        return result
    work.close()
    raise LocalProtocolError("a library of the legacy scheme waits for something", spec="RCC.16 digest §14.12")
