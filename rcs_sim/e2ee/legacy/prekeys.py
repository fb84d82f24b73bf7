"""The keys of one device for the legacy scheme: identity key, signed prekey, one-time keys, and the agreement on a
secret with them (digest RCC.16 §14.12; X3DH §3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from x3dh import Bundle, Header, KeyAgreementException
from x3dh.identity_key_pair import IdentityKeyPairSeed
from xeddsa import XEdDSAException

from rcs_sim.e2ee.legacy.body import AgreementHeader
from rcs_sim.e2ee.legacy.primitives import AGREEMENT, Agreement, completed
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.wire.prekey_directory import PrekeyBundle, PrekeyUpload, SignedPrekey

__all__ = ["Agreed", "LegacyKeys"]

ONE_TIME_KEYS = 20  # of one upload (choice)
REFILL_AT = 5  # one-time keys left when the device publishes again (choice)
SIGNED_PREKEY_LIFE_S = 7 * 24 * 3600  # until the next one; each is held for one life more (choice)
_SEED_OCTETS = 32
_KEPT_UPLOADS = 2  # a key of the one before may have been claimed and not yet used


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides have after an agreement. *ratchet_key* is where the double ratchet begins: the peer's signed
    prekey, public, for who began; the own one, private, for who answers."""

    header: AgreementHeader
    associated_data: bytes
    secret: bytes = field(repr=False)
    ratchet_key: bytes = field(repr=False)


class LegacyKeys:
    """Of one device. Times are Unix seconds. *minted_s* is when the keys in the directory were made, None before."""

    __slots__ = ("_agreement", "_rotated_s", "_uploads", "minted_s")

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._uploads: list[tuple[bytes, ...]] = []
        self._rotated_s: int | None = None
        self.minted_s: int | None = None

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """The identity key is drawn from *random*, the others by the library itself."""
        return cls(Agreement.create(**AGREEMENT, identity_key_pair=IdentityKeyPairSeed(random(_SEED_OCTETS))))

    @property
    def identity_key(self) -> bytes:
        """The public one."""
        return self._agreement.bundle.identity_key

    # --- the directory -----------------------------------------------------------------------------------------------

    def mint(self, msisdn: str, now_s: int) -> PrekeyUpload:
        """Keys that take the place of those in the directory. *msisdn* is bare digits."""
        agreement = self._agreement
        if self._rotated_s is None:
            self._rotated_s = now_s
        elif self._is_rotation_due(now_s):
            agreement.rotate_signed_pre_key()
            self._rotated_s = now_s
        before = agreement.bundle.pre_keys
        agreement.generate_pre_keys(ONE_TIME_KEYS)
        bundle = agreement.bundle
        one_time = tuple(sorted(bundle.pre_keys - before))
        self._uploads.append(one_time)
        while len(self._uploads) > _KEPT_UPLOADS:
            for key in self._uploads.pop(0):
                agreement.delete_pre_key(key)
        self.minted_s = now_s
        return PrekeyUpload(msisdn=msisdn, signed=_signed(bundle), one_time=one_time)

    def needs_refill(self, now_s: int) -> bool:
        """Whether it is time to publish: few of the keys in the directory are left, or the signed one is old."""
        left = len(self._uploads[-1]) if self._uploads else 0
        return left <= REFILL_AT or self._is_rotation_due(now_s)

    def _is_rotation_due(self, now_s: int) -> bool:
        return self._rotated_s is not None and now_s - self._rotated_s >= SIGNED_PREKEY_LIFE_S

    # --- agreement ---------------------------------------------------------------------------------------------------

    def begin(self, bundle: PrekeyBundle, own: str, peer: str) -> Agreed:
        """The active side. Numbers are bare digits. Raises LegacyRefused."""
        signed = bundle.signed
        theirs = Bundle(
            signed.identity_key,
            signed.signed_prekey,
            signed.signature,
            frozenset(() if bundle.one_time is None else (bundle.one_time,)),
        )
        if signed.identity_key == self.identity_key:
            raise LegacyRefused(LegacyRefusal.BAD_BUNDLE, "it has our own identity key")
        try:
            secret, associated_data, header = completed(
                self._agreement.get_shared_secret_active(theirs, _numbers(own, peer), require_pre_key=False)
            )
        except (KeyAgreementException, XEdDSAException, ValueError) as error:
            raise LegacyRefused(LegacyRefusal.BAD_BUNDLE, str(error)) from error
        return Agreed(_header(header), associated_data, secret, signed.signed_prekey)

    def answer(self, header: AgreementHeader, own: str, peer: str) -> Agreed:
        """The passive side, for a session that *peer* began. The one-time key stays until `spend`. Raises
        LegacyRefused."""
        if header.identity_key == self.identity_key:
            raise LegacyRefused(LegacyRefusal.UNKNOWN_KEYS, "it has our own identity key")
        theirs = Header(header.identity_key, header.ephemeral_key, header.signed_prekey, header.one_time_key or None)
        try:
            secret, associated_data, signed = completed(
                self._agreement.get_shared_secret_passive(theirs, _numbers(peer, own), require_pre_key=False)
            )
        except (KeyAgreementException, XEdDSAException, ValueError) as error:
            raise LegacyRefused(LegacyRefusal.UNKNOWN_KEYS, str(error)) from error
        return Agreed(header, associated_data, secret, signed.priv)

    def spend(self, one_time_key: bytes) -> None:
        """A session has begun with it: nothing begins with it again."""
        self._agreement.delete_pre_key(one_time_key)
        self._uploads = [tuple(key for key in upload if key != one_time_key) for upload in self._uploads]

    # --- snapshot ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Everything, the secrets too."""
        agreement = self._agreement.model.model_dump(mode="json")
        members = {
            "agreement": {**agreement, "pre_keys": sorted(agreement["pre_keys"])},
            "uploads": [[key.hex() for key in upload] for upload in self._uploads],
            "rotated": self._rotated_s,
            "minted": self.minted_s,
        }
        return json.dumps(members).encode()

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """The keys that `snapshot` wrote."""
        members = json.loads(snapshot)
        keys = cls(Agreement.from_json(members["agreement"], **AGREEMENT)[0])
        keys._uploads = [tuple(bytes.fromhex(key) for key in upload) for upload in members["uploads"]]
        keys._rotated_s, keys.minted_s = members["rotated"], members["minted"]
        return keys

    def __repr__(self) -> str:
        return f"LegacyKeys({self.identity_key.hex()})"


def _signed(bundle: Bundle) -> SignedPrekey:
    return SignedPrekey(
        identity_key=bundle.identity_key, signed_prekey=bundle.signed_pre_key, signature=bundle.signed_pre_key_sig
    )


def _header(header: Header) -> AgreementHeader:
    return AgreementHeader(header.identity_key, header.ephemeral_key, header.signed_pre_key, header.pre_key or b"")


def _numbers(sender: str, receiver: str) -> bytes:
    """What follows the two identity keys in the associated data: who began the session, and with whom."""
    return encode_opaque(sender.encode()) + encode_opaque(receiver.encode())
