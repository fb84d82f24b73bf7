"""What a stranger reads in a trace: CPIM messages hop by hop, the structures of MLS, and with a key log what was
sealed. It is written out from RFC 9420, RFC 4975 and the digest; nothing here knows our decoders."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from ims_core.trace import RecordKind, TraceRecord
from tests.support.outside_wire import Cpim, framed

__all__ = [
    "Carried",
    "GroupInfoSeen",
    "Leaf",
    "LoggedKeys",
    "Opened",
    "Private",
    "Public",
    "Reader",
    "carried",
    "group_info",
    "http_bodies",
    "is_padme",
    "is_signed",
    "key_package",
    "leaves_of",
    "private",
    "public",
    "reference",
    "tree_hash",
    "welcome_references",
]


# --- hops of a trace --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """A CPIM message that crossed a hop, whole."""

    number: int
    source: str
    target: str
    way: str
    cpim: Cpim


_MSRP_HEAD = re.compile(rb"MSRP (\S+) SEND\r\n(.*?)\r\n\r\n", re.DOTALL)


def carried(records: Iterable[TraceRecord], source: str = "", target: str = "") -> list[Carried]:
    """In the order in which they were complete."""
    found: list[Carried] = []
    pieces: dict[tuple[str, str, bytes], dict[int, bytes]] = {}
    for record in records:
        if record.kind is not RecordKind.MESSAGE or source not in ("", record.source):
            continue
        if target not in ("", record.target):
            continue
        whole = _sip_body(record.raw) if record.protocol == "SIP" else _msrp_whole(record, pieces)
        if whole:
            found.append(Carried(record.number, record.source, record.target, record.protocol, Cpim.parse(whole)))
    return found


def _sip_body(raw: bytes) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    is_cpim = re.search(rb"(?im)^content-type: *message/cpim", head)
    return body if raw.startswith(b"MESSAGE ") and is_cpim else b""


def _msrp_whole(record: TraceRecord, pieces: dict[tuple[str, str, bytes], dict[int, bytes]]) -> bytes:
    head = _MSRP_HEAD.match(record.raw) if record.protocol == "MSRP" else None
    if head is None or not re.search(rb"(?im)^content-type: *message/cpim", head[2]):
        return b""
    message_id, start, total = (
        re.search(pattern, head[2])[1]  # type: ignore[index]  # a frame without it is no frame
        for pattern in (rb"Message-ID: (\S+)", rb"Byte-Range: (\d+)-", rb"Byte-Range: \d+-\S+/(\d+)")
    )
    known = pieces.setdefault((record.source, record.target, message_id), {})
    known[int(start)] = record.raw[head.end() : record.raw.rindex(b"\r\n-------" + head[1])]
    whole = b"".join(known[at] for at in sorted(known))
    return whole if len(whole) == int(total) else b""


def http_bodies(records: Iterable[TraceRecord], line: str, source: str = "") -> list[dict[str, Any]]:
    """JSON of requests whose first line begins so, or of the answers "HTTP/1.1 200" and the like."""
    found = []
    for record in records:
        if record.protocol == "HTTP" and record.raw.startswith(line.encode()) and source in ("", record.source):
            body = record.raw.partition(b"\r\n\r\n")[2]
            if body.startswith(b"{"):
                found.append(json.loads(body))
    return found


# --- the presentation language ----------------------------------------------------------------------------------------


class Reader:
    """Octets from left to right (RFC 9420 §2.1)."""

    def __init__(self, octets: bytes) -> None:
        self.octets, self.at = octets, 0

    def take(self, count: int) -> bytes:
        found = self.octets[self.at : self.at + count]
        assert len(found) == count, (self.at, count)
        self.at += count
        return found

    def uint(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def vector(self) -> bytes:
        """opaque<V>, whose length has to be the shortest."""
        width = (1, 2, 4)[self.octets[self.at] >> 6]
        length = self.uint(width) & (1 << 8 * width - 2) - 1
        assert width == (1 if length < 64 else 2 if length < 16_384 else 4), "a length that is too long"
        return self.take(length)

    @property
    def is_over(self) -> bool:
        return self.at == len(self.octets)

    def since(self, start: int) -> bytes:
        return self.octets[start : self.at]


def _extensions(octets: bytes) -> dict[int, bytes]:
    reader, found = Reader(octets), dict[int, bytes]()
    while not reader.is_over:
        number = reader.uint(2)
        assert number not in found
        found[number] = reader.vector()
    return found


def _numbers(octets: bytes) -> list[int]:
    return [int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2)]


# --- structures of MLS ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """LeafNode with an X.509 credential (RFC 9420 §7.2)."""

    encryption_key: bytes
    signature_key: bytes
    certificates: list[bytes]
    capabilities: list[list[int]]
    source: int
    lifetime: tuple[int, int] | None
    extensions: dict[int, bytes]
    octets: bytes = field(repr=False)


def _leaf(reader: Reader) -> Leaf:
    start = reader.at
    encryption_key, signature_key = reader.vector(), reader.vector()
    assert reader.uint(2) == 2, "an X.509 credential"
    certificates, listed = [], Reader(reader.vector())
    while not listed.is_over:
        certificates.append(listed.vector())
    capabilities = [_numbers(reader.vector()) for _ in range(5)]
    source, lifetime = reader.uint(1), None
    if source == 1:
        lifetime = (reader.uint(8), reader.uint(8))
    elif source == 3:
        reader.vector()
    extensions = _extensions(reader.vector())
    reader.vector()
    octets = reader.since(start)
    return Leaf(encryption_key, signature_key, certificates, capabilities, source, lifetime, extensions, octets)


def key_package(octets: bytes) -> tuple[Leaf, dict[int, bytes]]:
    """Of an MLSMessage or of the bare struct: its leaf and its own extensions."""
    reader = Reader(octets.removeprefix(b"\x00\x01\x00\x05"))
    assert (reader.uint(2), reader.uint(2)) == (1, 2)
    reader.vector()
    leaf = _leaf(reader)
    extensions = _extensions(reader.vector())
    reader.vector()
    assert reader.is_over
    return leaf, extensions


def reference(octets: bytes) -> bytes:
    """KeyPackageRef (RFC 9420 §5.2), whose label is spelled with its prefix."""
    bare = octets.removeprefix(b"\x00\x01\x00\x05")
    return hashlib.sha256(framed(b"MLS 1.0 KeyPackage Reference") + framed(bare)).digest()


def welcome_references(octets: bytes) -> list[bytes]:
    """Whom a Welcome is for; what stands behind it is not looked at."""
    reader = Reader(octets)
    assert (reader.uint(2), reader.uint(2), reader.uint(2)) == (1, 3, 2)
    listed, found = Reader(reader.vector()), []
    while not listed.is_over:
        found.append(listed.vector())
        listed.vector()
        listed.vector()
    reader.vector()
    return found


@dataclass(frozen=True)
class GroupInfoSeen:
    """GroupInfo, with or without an MLSMessage around it (RFC 9420 §12.4.3)."""

    context: bytes
    group_id: bytes
    epoch: int
    tree_hash: bytes
    group_extensions: dict[int, bytes]
    extensions: dict[int, bytes]
    signer: int


def group_info(octets: bytes) -> GroupInfoSeen:
    reader = Reader(octets.removeprefix(b"\x00\x01\x00\x04"))
    start = reader.at
    assert (reader.uint(2), reader.uint(2)) == (1, 2)
    group_id, epoch, hashed = reader.vector(), reader.uint(8), reader.vector()
    reader.vector()
    group_extensions = _extensions(reader.vector())
    context = reader.since(start)
    extensions = _extensions(reader.vector())
    reader.vector()
    signer = reader.uint(4)
    reader.vector()
    assert reader.is_over
    return GroupInfoSeen(context, group_id, epoch, hashed, group_extensions, extensions, signer)


def _nodes(tree: bytes) -> list[bytes | Leaf | None]:
    """Leaves, octets of parents, and blanks (RFC 9420 §12.4.3.3)."""
    outer = Reader(tree)
    reader, found = Reader(outer.vector()), list[bytes | Leaf | None]()
    assert outer.is_over
    while not reader.is_over:
        if reader.uint(1) == 0:
            found.append(None)
        elif reader.uint(1) == 1:
            found.append(_leaf(reader))
        else:
            start = reader.at
            for _ in range(3):
                reader.vector()
            found.append(reader.since(start))
    return found


def leaves_of(tree: bytes) -> dict[int, Leaf]:
    """By leaf index."""
    return {place // 2: node for place, node in enumerate(_nodes(tree)) if isinstance(node, Leaf)}


def tree_hash(tree: bytes) -> bytes:
    """Of the root (RFC 9420 §7.8)."""
    nodes = _nodes(tree)
    width = 1
    while width < (len(nodes) + 1) // 2:
        width *= 2
    nodes += [None] * (2 * width - 1 - len(nodes))
    return _hash_of(nodes, width - 1, width)


def _hash_of(nodes: list[bytes | Leaf | None], place: int, half: int) -> bytes:
    node = nodes[place]
    if place % 2 == 0:
        octets = b"\x00" if node is None else b"\x01" + node.octets  # type: ignore[union-attr]  # an even one is a leaf
        return hashlib.sha256(b"\x01" + (place // 2).to_bytes(4, "big") + octets).digest()
    step = half // 2
    left, right = _hash_of(nodes, place - step, step), _hash_of(nodes, place + step, step)
    octets = b"\x00" if node is None else b"\x01" + node  # type: ignore[operator]  # an odd one is a parent
    return hashlib.sha256(b"\x02" + octets + framed(left) + framed(right)).digest()


# --- messages of MLS --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Public:
    """PublicMessage (RFC 9420 §6.2). *content_type* is 2 for a proposal, 3 for a commit; *kinds* are the types of the
    proposals in it, *bodies* what stands behind each type of the custom ones."""

    group_id: bytes
    epoch: int
    sender_type: int
    leaf: int
    aad: bytes
    content_type: int
    kinds: list[int]
    path: Leaf | None
    framed_content: bytes
    signature: bytes
    membership_tag: bytes


def public(octets: bytes) -> Public:
    reader = Reader(octets)
    assert reader.take(4) == b"\x00\x01\x00\x01"
    start = reader.at
    group_id, epoch, sender_type = reader.vector(), reader.uint(8), reader.uint(1)
    leaf = reader.uint(4) if sender_type == 1 else -1
    aad, content_type, path = reader.vector(), reader.uint(1), None
    if content_type == 2:
        kinds = [_proposal(reader)]
    else:
        listed, kinds = Reader(reader.vector()), list[int]()
        while not listed.is_over:
            is_reference = listed.uint(1) == 2
            kinds += [] if is_reference else [_proposal(listed)]
            if is_reference:
                listed.vector()
        if reader.uint(1):
            path = _leaf(reader)
            reader.vector()
    content = reader.since(start)
    signature = reader.vector()
    if content_type == 3:
        reader.vector()
    tag = reader.vector() if sender_type == 1 else b""
    assert reader.is_over
    return Public(group_id, epoch, sender_type, leaf, aad, content_type, kinds, path, content, signature, tag)


def _proposal(reader: Reader) -> int:
    kind = reader.uint(2)
    if kind == 1:  # add
        assert (reader.uint(2), reader.uint(2)) == (1, 2)
        reader.vector()
        _leaf(reader)
        reader.vector()
        reader.vector()
    elif kind == 2:  # update
        _leaf(reader)
    elif kind in (3, 0xF004):  # remove
        reader.uint(4)
    elif kind in (6, 7, 0xF001):  # external_init, group_context_extensions
        reader.vector()
    else:
        assert kind in (0xF002, 0xF003), kind  # no body
    return kind


def is_signed(message: Public, key: bytes, context: bytes) -> bool:
    """Whether the leaf with signature *key* has signed *message* in the group of *context* (RFC 9420 §6.1)."""
    content = b"\x00\x01\x00\x01" + message.framed_content + context
    labelled = framed(b"MLS 1.0 FramedContentTBS") + framed(content)
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        point.verify(message.signature, labelled, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class Private:
    """PrivateMessage (RFC 9420 §6.3)."""

    group_id: bytes
    epoch: int
    content_type: int
    aad: bytes
    sender_data: bytes
    ciphertext: bytes


def private(octets: bytes) -> Private:
    reader = Reader(octets)
    assert reader.take(4) == b"\x00\x01\x00\x02"
    found = Private(reader.vector(), reader.uint(8), reader.uint(1), reader.vector(), reader.vector(), reader.vector())
    assert reader.is_over
    return found


def is_padme(length: int) -> bool:
    """Whether a Padmé length (digest §8.2)."""
    if length < 2:
        return True
    exponent = length.bit_length() - 1
    bits = exponent - exponent.bit_length()
    return bits <= 0 or length % (1 << bits) == 0


# --- with the keys ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """What was sealed: *generation* is that of the sender data."""

    leaf: int
    generation: int
    payload: bytes
    padding: int

    @property
    def stamped(self) -> int:
        """key_generation of the SecretPayload (digest §4.6)."""
        return int.from_bytes(self.payload[4:8], "big")


class LoggedKeys:
    """The lines of a key log, as docs/formats.md has them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._secrets = defaultdict[tuple[bytes, int], set[bytes]](set)  # an epoch of a number is there in each era
        self._keys = defaultdict[tuple[bytes, int, int, int], set[tuple[bytes, bytes]]](set)
        for kind, group, epoch, *more in _fields(lines):
            place = bytes.fromhex(group), int(epoch)
            if kind == "EPOCH":
                self._secrets[place].add(bytes.fromhex(more[1]))
            elif more[1] == "2":  # of application messages
                self._keys[*place, int(more[0]), int(more[2])].add((bytes.fromhex(more[3]), bytes.fromhex(more[4])))

    def open(self, message: Private) -> Opened:
        """By AEAD alone (RFC 9420 §6.3.1, §6.3.2). Raises KeyError where the log has no key."""
        place = message.group_id, message.epoch
        head = framed(message.group_id) + message.epoch.to_bytes(8, "big") + bytes((message.content_type,))
        for secret in self._secrets[place]:
            sample = message.ciphertext[:32]
            pair = _expanded(secret, b"key", sample, 16), _expanded(secret, b"nonce", sample, 12)
            data = _decrypted(*pair, message.sender_data, head)
            sender = Reader(data or bytes(12))
            leaf, generation, guard = sender.uint(4), sender.uint(4), sender.take(4)
            for key, nonce in self._keys[*place, leaf, generation] if data else ():
                mixed = bytes(one ^ other for one, other in zip(nonce, guard.ljust(12, b"\x00"), strict=True))
                content = _decrypted(key, mixed, message.ciphertext, head + framed(message.aad))
                if content:
                    return _opened(leaf, generation, content)
        raise KeyError(place)


def _decrypted(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes:
    """Empty if it does not open."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, data)
    except InvalidTag:
        return b""


def _opened(leaf: int, generation: int, content: bytes) -> Opened:
    reader = Reader(content)
    payload, _signature = reader.vector(), reader.vector()
    padding = reader.take(len(content) - reader.at)
    assert not any(padding)
    return Opened(leaf, generation, payload, len(padding))


def _fields(lines: Iterable[str]) -> Iterator[list[str]]:
    return (line.split() for line in lines if line and not line.startswith("#"))


def _expanded(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """ExpandWithLabel (RFC 9420 §8), of one block."""
    info = length.to_bytes(2, "big") + framed(b"MLS 1.0 " + label) + framed(context)
    return hmac.new(secret, info + b"\x01", "sha256").digest()[:length]
