"""davey, which is OpenMLS under the DAVE protocol: suite 2, proposals of an external sender, public Commits, and keys
of media frames by the exporter."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from rcs_sim.mls.codec import encode_opaque
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.extensions import ExternalSender
from rcs_sim.mls.external import propose_as_sender
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import Epoch
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Proposal
from tests.support.mls_exchange import Member, Sent

__all__ = ["CHANNEL", "DaveyMember", "Gateway", "open_frame", "seal_frame", "user_identity"]

CHANNEL = 0x1234
_VERSION = 1
_WELCOME = b"\x00\x01\x00\x03"  # version and wire format of an MLSMessage, which DAVE leaves out
_FRAMES_LABEL, _KEY_OCTETS = "Discord Secure Frames v0", 16
_TAG_OCTETS, _NONCE_OCTETS, _MARK = 8, 12, b"\xfa\xfa"


def user_identity(user: int) -> bytes:
    """What the basic credential of a user says."""
    return user.to_bytes(8, "big")


class Gateway:
    """The external sender of a group (RFC 9420 §12.1.8.1), which in DAVE proposes who comes and who goes."""

    def __init__(self, suite: CipherSuite, random: Random) -> None:
        self._suite = suite
        self._key = suite.scheme.generate(random)
        self.sender = ExternalSender(self._key.public, BasicCredential(b"gateway"))

    def propose(self, epoch: Epoch, proposal: Proposal) -> bytes:
        group_id = user_identity(CHANNEL)
        return propose_as_sender(self._suite, self._key, 0, group_id, epoch, proposal).encode()


class DaveyMember:
    """A DAVE session of *user* with *gateway*. It has a group of its own from the start, and drops it for that of a
    Welcome."""

    def __init__(self, user: int, gateway: Gateway) -> None:
        self._library: Any = import_module("davey")  # the test has asked whether it is installed
        self.user = user
        self.identity = user_identity(user)
        self.session = self._library.DaveSession(_VERSION, user, CHANNEL)
        self.session.set_external_sender(gateway.sender.encode())

    @property
    def epoch(self) -> Epoch:
        return Epoch(self.session.epoch)

    @property
    def authenticator(self) -> bytes:
        return bytes(self.session.get_epoch_authenticator())

    def key_package(self) -> bytes:
        return MLSMessage(KeyPackage.decode(bytes(self.session.get_serialized_key_package()))).encode()

    def join(self, welcome: bytes) -> None:
        self.session.process_welcome(welcome.removeprefix(_WELCOME))

    def follow(self, commit: bytes) -> None:
        self.session.process_commit(commit)

    def take_proposals(self, proposals: Sequence[bytes], users: Sequence[int]) -> Sent | None:
        """Its Commit of all that it knows, which it has not merged yet: another may win."""
        append = self._library.ProposalsOperationType.append
        made = self.session.process_proposals(append, encode_opaque(b"".join(proposals)), list(users))
        if made is None:
            return None
        return Sent(bytes(made.commit), () if made.welcome is None else (_WELCOME + bytes(made.welcome),))

    def seal_frame(self, packet: bytes) -> bytes:
        return bytes(self.session.encrypt_opus(packet))

    def open_frame(self, user: int, frame: bytes) -> bytes:
        return bytes(self.session.decrypt(user, self._library.MediaType.audio, frame))

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        self.follow(octets)
        return None


# --- media frames of DAVE, whose keys come from the exporter ----------------------------------------------------------


def _frame_cipher(group: Group, user: int, nonce: int, tag: bytes | None) -> Cipher[GCM]:
    """Key of generation 0, which lasts for 2^24 frames, and the nonce of *nonce*."""
    base = group.export(_FRAMES_LABEL, user.to_bytes(8, "little"), _KEY_OCTETS)
    key = group.suite.expand_with_label(base, "key", bytes(4), _KEY_OCTETS)
    octets = nonce.to_bytes(4, "little").rjust(_NONCE_OCTETS, b"\x00")
    return Cipher(AES(key.octets), GCM(octets, tag, min_tag_length=_TAG_OCTETS))


def seal_frame(group: Group, user: int, nonce: int, packet: bytes) -> bytes:
    """An audio packet of *user* as a frame. *nonce* is below 128, so that it takes one octet."""
    encryptor = _frame_cipher(group, user, nonce, None).encryptor()
    sealed = _all_of(encryptor, packet)
    trailer = encryptor.tag[:_TAG_OCTETS] + bytes((nonce,))
    return sealed + trailer + bytes((len(trailer) + 1 + len(_MARK),)) + _MARK


def open_frame(group: Group, user: int, frame: bytes) -> bytes:
    """The packet in a frame of *user*."""
    assert frame.endswith(_MARK)
    trailer_octets = frame[-len(_MARK) - 1]
    sealed, trailer = frame[:-trailer_octets], frame[-trailer_octets:]
    nonce = trailer[_TAG_OCTETS]
    return _all_of(_frame_cipher(group, user, nonce, trailer[:_TAG_OCTETS]).decryptor(), sealed)


def _all_of(context: CipherContext, octets: bytes) -> bytes:
    return context.update(octets) + context.finalize()
