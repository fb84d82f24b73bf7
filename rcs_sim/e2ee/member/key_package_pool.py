"""The KeyPackages of a device: minted, uploaded, found by the Welcome that names one, used once (RCC.16 §5.1, §5.3).

Sizes, refill and tombstones are the reference's (choice). Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.key_package_parts import KeyPackageParts
from rcs_sim.e2ee.key_package_profile import key_package_lifetime, wrap_key_package
from rcs_sim.e2ee.member.device_identity import DeviceIdentity
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.mls.client import KeyPackageKeys, is_last_resort
from rcs_sim.mls.codec import Reader, encode_opaque, encode_u8, encode_u64, encode_vector
from rcs_sim.mls.credential import credential_pieces
from rcs_sim.mls.crypto import SignatureKey
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.welcome import KeyPackageRef

__all__ = ["KeyPackagePool", "PoolUpload"]

REPUBLISH_S = 24 * 3600
TOMBSTONE_S = 14 * 24 * 3600
UNOPENABLE_PAUSE_S = 3600  # at most one refill an hour because of a Welcome that did not open
MAX_REPLACED = 64  # packages of earlier uploads whose keys are kept, for Welcomes on their way
_SNAPSHOT_VERSION = 1
_Credentials: TypeAlias = dict[tuple[bytes, ...], tuple[bytes, ...]]
_SPEC = "the snapshot format of rcs_sim.e2ee.member.key_package_pool"


@dataclass(frozen=True, slots=True)
class PoolUpload:
    """What goes to the directory: MLSMessages(KeyPackage)."""

    one_time: tuple[bytes, ...]
    last_resort: bytes


@dataclass(slots=True)
class _Entry:
    """A KeyPackage as octets, apart from the credential that all of a pool have, with its private halves."""

    parts: KeyPackageParts
    init_private: Secret
    encryption_private: Secret
    signature_key: SignatureKey
    minted_s: int
    is_current: bool
    is_last_resort: bool

    @classmethod
    def of(
        cls, keys: KeyPackageKeys, credential: tuple[bytes, ...], minted_s: int, *, is_current: bool = True
    ) -> _Entry:
        """*credential* are the pieces of the one in it."""
        return cls(
            KeyPackageParts.of(keys.key_package.encode(), credential),
            keys.init_private,
            keys.encryption_private,
            keys.signature_key,
            minted_s,
            is_current,
            is_last_resort(keys.key_package),
        )

    @property
    def keys(self) -> KeyPackageKeys:
        """Read anew."""
        package = KeyPackage.decode(self.parts.octets)
        return KeyPackageKeys(package, self.init_private, self.encryption_private, self.signature_key)


class KeyPackagePool:
    """Everything that this device has told the directory, with the private halves."""

    __slots__ = ("_credential", "_entries", "_is_due", "_last_refill_s", "_tombstones_s", "minted_s")

    def __init__(self) -> None:
        self._entries: dict[KeyPackageRef, _Entry] = {}
        self._tombstones_s: dict[KeyPackageRef, int] = {}
        self._credential = b""
        self._last_refill_s = 0
        self._is_due = False
        self.minted_s: int | None = None

    def __repr__(self) -> str:
        return f"KeyPackagePool(about {self.estimate} left)"

    def mint(self, setting: MemberSetting, now_s: int) -> PoolUpload:
        """A fresh pool, which replaces the one at the directory. Keys of the earlier one stay for Welcomes that were
        made with it, unless it was of another certificate and so of another identity."""
        mode = setting.profile.directory_lifetime
        lifetime = key_package_lifetime(mode, setting.identity.certificate, now_s)
        for entry in self._entries.values():
            entry.is_current = False
        made = [
            setting.client.create_key_package(setting.random, lifetime, last_resort=is_last)
            for is_last in (*(False,) * setting.profile.keypackage_one_time, True)
        ]
        credential = credential_pieces(setting.client.credential)
        for keys in made:
            self._entries[keys.reference()] = _Entry.of(keys, credential, now_s)
        self._forget(now_s)
        self._credential = setting.identity.chain[0]
        self.minted_s = self._last_refill_s = now_s
        self._is_due = False
        octets = [wrap_key_package(keys.key_package.encode()) for keys in made]
        return PoolUpload(tuple(octets[:-1]), octets[-1])

    def keep(self, keys: KeyPackageKeys, now_s: int) -> None:
        """Takes up a package that was made before, with its private halves."""
        credential = credential_pieces(keys.key_package.leaf_node.credential)
        self._entries[keys.reference()] = _Entry.of(keys, credential, now_s)

    def _forget(self, now_s: int) -> None:
        old = [ref for ref, entry in self._entries.items() if not entry.is_current]
        stale = {ref for ref in old if now_s - self._entries[ref].minted_s > TOMBSTONE_S}
        stale |= set(old[: max(0, len(old) - MAX_REPLACED)])
        for ref in stale:
            del self._entries[ref]
        self._tombstones_s = {ref: at_s for ref, at_s in self._tombstones_s.items() if now_s - at_s <= TOMBSTONE_S}

    def candidates(self, references: Iterable[KeyPackageRef]) -> Sequence[KeyPackageKeys]:
        """Those of ours that a Welcome names."""
        return [self._entries[each].keys for each in references if each in self._entries]

    def is_used(self, reference: KeyPackageRef) -> bool:
        """Whether a Welcome has used this package before."""
        return reference in self._tombstones_s

    def consume(self, reference: KeyPackageRef, now_s: int) -> None:
        """A Welcome has used a package: its private halves are deleted, unless it is the last resort, which says that
        the directory has no other one left."""
        entry = self._entries.get(reference)
        if entry is None:
            return
        if entry.is_last_resort:
            self._is_due = self._is_due or entry.is_current
            return
        del self._entries[reference]
        self._tombstones_s[reference] = now_s

    def welcome_failed(self, now_s: int) -> None:
        """A Welcome for one of ours did not open: the directory may have others than we think, so a new pool is due, at
        most once an hour because of this."""
        if now_s - self._last_refill_s >= UNOPENABLE_PAUSE_S:
            self._is_due = True

    @property
    def estimate(self) -> int:
        """How many one-time packages are left at the directory, at most: a claim that never ended in a Welcome is not
        seen here."""
        return sum(each.is_current and not each.is_last_resort for each in self._entries.values())

    def needs_refill(self, setting: MemberSetting, now_s: int) -> bool:
        """Whether it is time for a new pool: none yet, a day gone by, few left, another certificate, a Welcome that was
        sealed to the last resort or did not open."""
        if self.minted_s is None or self._is_due or self._credential != setting.identity.chain[0]:
            return True
        is_due = not 0 <= now_s - self.minted_s < REPUBLISH_S  # or made by a clock that was ahead
        return is_due or self.estimate <= setting.profile.refill_at

    # --- written down -----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All of it, secrets included."""
        minted = [] if self.minted_s is None else [encode_u64(self.minted_s)]
        parts = (
            encode_u8(_SNAPSHOT_VERSION),
            encode_vector(map(_encode_entry, self._entries.values())),
            encode_vector([encode_opaque(ref) + encode_u64(at_s) for ref, at_s in self._tombstones_s.items()]),
            encode_opaque(self._credential),
            encode_u64(self._last_refill_s),
            encode_vector(minted),
        )
        return b"".join(parts)

    @classmethod
    def restore(cls, octets: bytes, identity: DeviceIdentity) -> Self:
        """What `snapshot` gave. Raises TlsDecodeError on octets that are none."""
        reader = Reader(octets)
        if (version := reader.u8()) != _SNAPSHOT_VERSION:
            reader.fail(f"a pool of version {version}", _SPEC)
        pool = cls()
        credentials: _Credentials = {}
        for reference, entry in reader.vector(lambda inner: _read_entry(inner, identity, credentials)):
            pool._entries[reference] = entry
        pool._tombstones_s = dict(reader.vector(lambda inner: (KeyPackageRef(inner.opaque()), inner.u64())))
        pool._credential, pool._last_refill_s = reader.opaque(), reader.u64()
        pool.minted_s = next(iter(reader.vector(Reader.u64)), None)
        reader.finish()
        return pool


def _encode_entry(entry: _Entry) -> bytes:
    parts = (
        encode_opaque(entry.parts.octets),
        encode_opaque(entry.init_private.octets),
        encode_opaque(entry.encryption_private.octets),
        encode_u64(entry.minted_s),
        encode_u8(entry.is_current),
    )
    return b"".join(parts)


def _read_entry(reader: Reader, identity: DeviceIdentity, credentials: _Credentials) -> tuple[KeyPackageRef, _Entry]:
    """*credentials* has those before, so that equal ones are one object."""
    package = KeyPackage.decode(reader.opaque())
    init, encryption = Secret(reader.opaque()), Secret(reader.opaque())
    key = identity.signature_key(package.leaf_node.signature_key)
    keys = KeyPackageKeys(package, init, encryption, key)
    pieces = credential_pieces(package.leaf_node.credential)
    entry = _Entry.of(keys, credentials.setdefault(pieces, pieces), reader.u64(), is_current=bool(reader.u8()))
    return keys.reference(), entry
