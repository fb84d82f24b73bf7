"""The secret tree: one key and nonce per message, each gone after its use (RFC 9420 §9).

A received message does not move anything until it has proved genuine: `SecretTree.peek` derives its key from what is
there, `SecretTree.consume` then drops what that key came from. Keys of generations that were skipped are kept, in a
window of bounded size, for messages that come late.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import Reader, encode_opaque, encode_u8, encode_u32, encode_vector
from rcs_sim.mls.crypto import CipherSuite, kdf_label, labelled
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import ContentType, Generation, LeafIndex
from rcs_sim.mls.kdf import HkdfKey

__all__ = ["MessageKey", "RatchetKind", "RatchetWindow", "SecretTree", "SenderDataKeys", "ratchet_of"]

_Descent: TypeAlias = tuple[Secret, dict[int, Secret], int]

_SPEC = "RFC 9420 §9.1"
_MAX_GENERATION = 2**32 - 1
_MAX_LEAVES = 2**31


class RatchetKind(IntEnum):
    """The two ratchets of a leaf (RFC 9420 §9.1)."""

    HANDSHAKE = 1
    APPLICATION = 2


_LABELS = {RatchetKind.HANDSHAKE: "handshake", RatchetKind.APPLICATION: "application"}


def ratchet_of(content_type: ContentType) -> RatchetKind:
    """The ratchet whose keys encrypt a content."""
    return RatchetKind.APPLICATION if content_type is ContentType.APPLICATION else RatchetKind.HANDSHAKE


@dataclass(frozen=True, slots=True, kw_only=True)
class RatchetWindow:
    """How far messages of one sender may come out of order (RFC 9420 §9.2, §15.3). *forward_generations*: how far one
    may be ahead of the last. *kept_keys*: how many keys of skipped generations are held; older ones are dropped."""

    forward_generations: int = 1024
    kept_keys: int = 256


class MessageKey:
    """Key and nonce of one message. They show in no ``repr``."""

    __slots__ = ("generation", "key", "kind", "leaf", "nonce")

    def __init__(self, leaf: LeafIndex, kind: RatchetKind, generation: Generation, key: bytes, nonce: bytes) -> None:
        self.leaf = leaf
        self.kind = kind
        self.generation = generation
        self.key = key
        self.nonce = nonce

    def __repr__(self) -> str:
        return f"MessageKey(leaf {self.leaf}, {self.kind.name}, generation {self.generation})"

    def guarded_nonce(self, reuse_guard: bytes) -> bytes:
        """The nonce, its first four octets changed by *reuse_guard* (RFC 9420 §6.3.1)."""
        nonce = self.nonce
        first = int.from_bytes(nonce[:4], "big") ^ int.from_bytes(reuse_guard, "big")
        return first.to_bytes(4, "big") + nonce[4:]


class _Step:
    """``DeriveTreeSecret`` for the three things that a ratchet secret gives, their labels encoded once per suite; and
    the labels by which a node gives its children (RFC 9420 §9)."""

    __slots__ = ("_key", "_next", "_nonce", "_suite", "hash_octets", "key_octets", "left", "nonce_octets", "right")

    def __init__(self, suite: CipherSuite) -> None:
        self._suite = suite
        self.key_octets, self.nonce_octets, self.hash_octets = suite.key_octets, suite.nonce_octets, suite.hash_octets
        self._key = self.key_octets.to_bytes(2, "big") + labelled("key") + b"\x04"
        self._nonce = self.nonce_octets.to_bytes(2, "big") + labelled("nonce") + b"\x04"
        self._next = self.hash_octets.to_bytes(2, "big") + labelled("secret") + b"\x04"
        self.left = kdf_label("tree", b"left", self.hash_octets)
        self.right = kdf_label("tree", b"right", self.hash_octets)

    def hkdf_key(self, secret: Secret) -> HkdfKey:
        return self._suite.hkdf_key(secret)

    def key_and_nonce(self, key: HkdfKey, generation: int) -> tuple[bytes, bytes]:
        context = generation.to_bytes(4, "big")
        made = key.expand(self._key + context, self.key_octets)
        return made, key.expand(self._nonce + context, self.nonce_octets)

    def next(self, key: HkdfKey, generation: int) -> Secret:
        return Secret(key.expand(self._next + generation.to_bytes(4, "big"), self.hash_octets))


class _Ratchet:
    """One ratchet: the secret of the generation to come, and keys of generations that were skipped."""

    __slots__ = ("_keyed", "generation", "kept", "secret")

    def __init__(self, generation: int, secret: Secret, kept: dict[int, tuple[bytes, bytes]] | None = None) -> None:
        self.generation = generation
        self.secret = secret
        self.kept = kept
        self._keyed: HkdfKey | None = None  # of `secret`, from a `peek` until `consume`

    def _key(self, step: _Step) -> HkdfKey:
        if self._keyed is None:
            self._keyed = step.hkdf_key(self.secret)
        return self._keyed

    def _move(self, step: _Step, key: HkdfKey, generation: int) -> None:
        """*generation* is used up; *key* is made of the secret that it had."""
        self.secret = step.next(key, generation)
        self.generation = generation + 1
        self._keyed = None

    def peek(self, step: _Step, generation: int, window: RatchetWindow) -> tuple[bytes, bytes]:
        """Key and nonce of *generation*. Nothing changes."""
        ahead = generation - self.generation
        if ahead < 0:
            kept = self.kept.get(generation) if self.kept is not None else None
            if kept is None:
                raise MlsValidationError("VAL-901", f"the key of generation {generation} is gone", spec="RFC 9420 §9.2")
            return kept
        if ahead > window.forward_generations:
            message = f"generation {generation} is {ahead} ahead, allowed are {window.forward_generations}"
            raise MlsValidationError("VAL-902", message, spec="RFC 9420 §15.3")
        if not ahead:
            return step.key_and_nonce(self._key(step), generation)
        secret = self.secret
        for skipped in range(self.generation, generation):
            secret = step.next(step.hkdf_key(secret), skipped)
        return step.key_and_nonce(step.hkdf_key(secret), generation)

    def consume(self, step: _Step, generation: int, window: RatchetWindow) -> None:
        """Drops the key of *generation* and what it came from; keeps those of the generations passed over."""
        if generation < self.generation:
            if self.kept is not None:
                self.kept.pop(generation, None)
            return
        oldest_kept = generation - window.kept_keys
        for skipped in range(self.generation, generation):
            key = self._key(step)
            if skipped >= oldest_kept:
                self.kept = {} if self.kept is None else self.kept
                self.kept[skipped] = step.key_and_nonce(key, skipped)
            self._move(step, key, skipped)
        self._move(step, self._key(step), generation)
        self._forget(window.kept_keys)

    def take(self, step: _Step) -> tuple[bytes, bytes]:
        """Key and nonce of the next generation, which is used up by that."""
        key, generation = step.hkdf_key(self.secret), self.generation
        self._move(step, key, generation)
        return step.key_and_nonce(key, generation)

    def _forget(self, kept_keys: int) -> None:
        while self.kept and len(self.kept) > kept_keys:
            del self.kept[next(iter(self.kept))]  # the oldest: they come in their order


class SecretTree:
    """The secret tree of one epoch. *leaf_count* is that of the ratchet tree, a power of two."""

    __slots__ = ("_nodes", "_prepared", "_ratchets", "_step", "leaf_count", "suite", "window")

    def __init__(
        self, suite: CipherSuite, encryption_secret: Secret, leaf_count: int, window: RatchetWindow | None = None
    ) -> None:
        if not 0 < leaf_count <= _MAX_LEAVES or leaf_count & (leaf_count - 1):
            raise LocalProtocolError(f"a tree has a power of two of leaves, not {leaf_count}", spec="RFC 9420 §4.1")
        self.suite = suite
        self.leaf_count = leaf_count
        self.window = RatchetWindow() if window is None else window
        self._step = _step_of(suite)
        self._nodes: dict[int, Secret] = {leaf_count - 1: encryption_secret}
        self._ratchets: dict[tuple[int, RatchetKind], _Ratchet] = {}
        # What `peek` last derived for a leaf that has not begun: no more than the nodes give, and gone when they go.
        self._prepared: tuple[LeafIndex, _Descent] | None = None

    def __repr__(self) -> str:
        return f"SecretTree({self.leaf_count} leaves, {len(self._ratchets)} ratchets begun)"

    def next_generation(self, leaf: LeafIndex, kind: RatchetKind) -> Generation:
        """The generation that the next message of *leaf* has if it sends them in order."""
        ratchet = self._ratchets.get((leaf, kind))
        return Generation(0 if ratchet is None else ratchet.generation)

    def take(self, leaf: LeafIndex, kind: RatchetKind) -> MessageKey:
        """The key of the next message that *leaf* sends, used up by that."""
        ratchet = self._begun(leaf, kind)
        generation = ratchet.generation
        if generation > _MAX_GENERATION:
            raise LocalProtocolError("the generations of this epoch are used up", spec=_SPEC)
        key, nonce = ratchet.take(self._step)
        return MessageKey(leaf, kind, Generation(generation), key, nonce)

    def peek(self, leaf: LeafIndex, kind: RatchetKind, generation: Generation) -> MessageKey:
        """The key of a received message; it is good again until `consume`. Raises MlsValidationError if it was used
        (VAL-901), or is too far ahead (VAL-902), or the leaf is outside of the tree (ValSem004)."""
        ratchet = self._ratchets.get((leaf, kind))
        if ratchet is None:
            ratchet = _Ratchet(0, self._root_of(leaf, kind))
        key, nonce = ratchet.peek(self._step, generation, self.window)
        return MessageKey(leaf, kind, generation, key, nonce)

    def consume(self, used: MessageKey) -> None:
        """Drops the key of a message that proved genuine."""
        self._begun(used.leaf, used.kind).consume(self._step, used.generation, self.window)

    # --- from the root to the leaves --------------------------------------------------------------------------------

    def _begun(self, leaf: LeafIndex, kind: RatchetKind) -> _Ratchet:
        ratchet = self._ratchets.get((leaf, kind))
        if ratchet is None:
            self._begin(leaf)
            ratchet = self._ratchets[leaf, kind]
        return ratchet

    def _begin(self, leaf: LeafIndex) -> None:
        """Begins both ratchets of *leaf*. Of the secrets on the way to it, none stays (RFC 9420 §9.2)."""
        secret, siblings, passed = self._prepare(leaf)
        self._prepared = None
        for kind in RatchetKind:
            self._ratchets[leaf, kind] = _Ratchet(0, self.suite.derive_secret(secret, _LABELS[kind]))
        del self._nodes[passed]
        self._nodes.update(siblings)

    def _root_of(self, leaf: LeafIndex, kind: RatchetKind) -> Secret:
        secret, _, _ = self._prepare(leaf)
        return self.suite.derive_secret(secret, _LABELS[kind])

    def _prepare(self, leaf: LeafIndex) -> _Descent:
        if self._prepared is None or self._prepared[0] != leaf:
            self._prepared = leaf, self._descend(leaf)
        return self._prepared[1]

    def _descend(self, leaf: LeafIndex) -> _Descent:
        """The secret of *leaf*, the secrets beside the way to it, and the node where the way began."""
        if not 0 <= leaf < self.leaf_count:
            raise MlsValidationError("ValSem004", f"there is no leaf {leaf}", spec="RFC 9420 §6.3.2")
        node, half, target = self.leaf_count - 1, self.leaf_count // 2, 2 * leaf
        while node not in self._nodes:
            if not half:
                raise MlsValidationError("VAL-901", f"the secrets of leaf {leaf} are gone", spec="RFC 9420 §9.2")
            node += half if target > node else -half
            half //= 2
        start, secret, beside = node, self._nodes[node], dict[int, Secret]()
        while half:
            below = self._children(secret)
            goes_right = target > node
            beside[node - half if goes_right else node + half] = below[not goes_right]
            node += half if goes_right else -half
            secret = below[goes_right]
            half //= 2
        return secret, beside, start

    def _children(self, secret: Secret) -> tuple[Secret, Secret]:
        """tree_node_secret of both children (RFC 9420 §9)."""
        step = self._step
        key, length = step.hkdf_key(secret), step.hash_octets
        return Secret(key.expand(step.left, length)), Secret(key.expand(step.right, length))

    # --- as octets, for who keeps a group ---------------------------------------------------------------------------

    def encode(self) -> bytes:
        """All of the state: node secrets, then ratchets with the keys they keep. Secret."""
        nodes = [encode_u32(node) + encode_opaque(secret.octets) for node, secret in sorted(self._nodes.items())]
        ratchets = [_encode_ratchet(*item) for item in sorted(self._ratchets.items())]
        return encode_u32(self.leaf_count) + encode_vector(nodes) + encode_vector(ratchets)

    @classmethod
    def decode(cls, suite: CipherSuite, octets: bytes, window: RatchetWindow | None = None) -> Self:
        """What `encode` gave. Raises TlsDecodeError."""
        reader = Reader(octets)
        leaf_count = reader.u32()
        if not 0 < leaf_count <= _MAX_LEAVES or leaf_count & (leaf_count - 1):
            reader.fail(f"a tree has a power of two of leaves, not {leaf_count}")
        tree = cls(suite, suite.zero_secret(), leaf_count, window)
        tree._nodes = dict(reader.vector(_read_node))
        tree._ratchets = dict(reader.vector(_read_ratchet))
        reader.finish()
        return tree


def _encode_ratchet(place: tuple[int, RatchetKind], ratchet: _Ratchet) -> bytes:
    leaf, kind = place
    kept = sorted((ratchet.kept or {}).items())
    keys = [encode_u32(generation) + encode_opaque(key) + encode_opaque(nonce) for generation, (key, nonce) in kept]
    state = ratchet.generation.to_bytes(8, "big") + encode_opaque(ratchet.secret.octets)
    return encode_u32(leaf) + encode_u8(kind) + state + encode_vector(keys)


def _read_node(reader: Reader) -> tuple[int, Secret]:
    return reader.u32(), Secret(reader.opaque())


def _read_kept(reader: Reader) -> tuple[int, tuple[bytes, bytes]]:
    return reader.u32(), (reader.opaque(), reader.opaque())


def _read_ratchet(reader: Reader) -> tuple[tuple[int, RatchetKind], _Ratchet]:
    leaf, kind = reader.u32(), reader.u8()
    if kind not in (1, 2):
        reader.fail(f"a ratchet is of kind {kind}")
    generation, secret = reader.u64(), Secret(reader.opaque())
    kept = dict(reader.vector(_read_kept))
    return (leaf, RatchetKind(kind)), _Ratchet(generation, secret, kept or None)


_STEPS: dict[int, _Step] = {}


def _step_of(suite: CipherSuite) -> _Step:
    found = _STEPS.get(suite.id)
    if found is None:
        found = _STEPS[suite.id] = _Step(suite)
    return found


class SenderDataKeys:
    """Keys for SenderData: of the sender_data_secret of an epoch and a sample of each ciphertext (RFC 9420 §6.3.2)."""

    __slots__ = ("_hkdf_key", "_key", "_nonce", "_sample_octets", "_suite")

    def __init__(self, suite: CipherSuite, sender_data_secret: Secret) -> None:
        self._suite = suite
        self._hkdf_key = suite.hkdf_key(sender_data_secret)
        self._sample_octets = suite.hash_octets
        self._key = suite.key_octets.to_bytes(2, "big") + labelled("key")
        self._nonce = suite.nonce_octets.to_bytes(2, "big") + labelled("nonce")

    def key_and_nonce(self, ciphertext: bytes) -> tuple[bytes, bytes]:
        """Key and nonce for the SenderData beside *ciphertext*, of which the first KDF.Nh octets count."""
        sample = encode_opaque(ciphertext[: self._sample_octets])
        key = self._hkdf_key.expand(self._key + sample, self._suite.key_octets)
        return key, self._hkdf_key.expand(self._nonce + sample, self._suite.nonce_octets)
