"""An opt-in log of message keys, with which a captured ``message/mls`` can be opened.

One line each, fields separated by a space, octets in hexadecimal::

    # MLS key log 1: ...                                     the first line says what this is
    EPOCH group_id epoch cipher_suite sender_data_secret     when a member enters an epoch
    MESSAGE group_id epoch leaf kind generation key nonce    when it has sealed or opened a message
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import NO_CUSTOM_BODIES, CustomBodies, TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite, CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, Generation, LeafIndex
from rcs_sim.mls.messages import AuthenticatedContent, PrivateMessage
from rcs_sim.mls.private_framing import open_private
from rcs_sim.mls.secret_tree import MessageKey, RatchetKind, SecretTree, SenderDataKeys

__all__ = ["KEY_LOG_HEADER", "KeyLog", "WriteLine", "epoch_line", "message_line"]

KEY_LOG_HEADER = "# MLS key log 1: whoever has this file can read the messages of these groups"
_SPEC = "the key log format of rcs_sim.mls.key_log"

WriteLine = Callable[[str], None]
"""Takes a line without its end. The first one written to a file is to be KEY_LOG_HEADER."""


def epoch_line(context: GroupContext, sender_data_secret: Secret) -> str:
    """What is logged of an epoch."""
    suite = int(context.cipher_suite)
    return f"EPOCH {context.group_id.hex()} {context.epoch} {suite} {sender_data_secret.octets.hex()}"


def message_line(context: GroupContext, key: MessageKey) -> str:
    """What is logged of a message."""
    place = f"{context.group_id.hex()} {context.epoch} {key.leaf} {int(key.kind)} {key.generation}"
    return f"MESSAGE {place} {key.key.hex()} {key.nonce.hex()}"


class _LoggedTree(SecretTree):
    """The keys of an epoch that were logged, in place of those that were derived."""

    __slots__ = ("_logged",)

    def __init__(self, suite: CipherSuite) -> None:
        super().__init__(suite, suite.zero_secret(), 1)
        self._logged: dict[tuple[int, RatchetKind, int], MessageKey] = {}

    def add(self, key: MessageKey) -> None:
        self._logged[key.leaf, key.kind, key.generation] = key

    def peek(self, leaf: LeafIndex, kind: RatchetKind, generation: Generation) -> MessageKey:
        found = self._logged.get((leaf, kind, generation))
        if found is None:
            message = f"the key of leaf {leaf}, generation {generation} is not in the log"
            raise MlsValidationError("VAL-901", message, spec=_SPEC)
        return found


class KeyLog:
    """A log that was read. Raises TlsDecodeError on a line that is none."""

    __slots__ = ("_epochs",)

    def __init__(self, lines: Iterable[str]) -> None:
        self._epochs: dict[tuple[bytes, int], tuple[CipherSuite, SenderDataKeys, _LoggedTree]] = {}
        for line in lines:
            if line.strip() and not line.startswith("#"):
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            kind, group_id, epoch, *fields = line.split()
            place = (bytes.fromhex(group_id), int(epoch))
            if kind == "EPOCH":
                self._read_epoch(place, *fields)
            elif kind == "MESSAGE":
                self._epochs[place][2].add(_read_key(*fields))
        except (ValueError, TypeError, KeyError, CryptoError):
            raise TlsDecodeError("a line of a key log was expected", spec=_SPEC, raw=line.encode()[:64]) from None

    def _read_epoch(self, place: tuple[bytes, int], suite_id: str, secret: str) -> None:
        suite = CipherSuite.of(int(suite_id))
        if place not in self._epochs:  # one who comes back to an epoch logs it again
            sender_data = SenderDataKeys(suite, Secret.of_hex(secret))
            self._epochs[place] = (suite, sender_data, _LoggedTree(suite))

    def open(self, message: PrivateMessage, custom_bodies: CustomBodies = NO_CUSTOM_BODIES) -> AuthenticatedContent:
        """What *message* holds; its signature is not verified. Raises MlsValidationError (ValSem003 if nothing of its
        epoch was logged, VAL-901 if its key was not) or TlsDecodeError."""
        found = self._epochs.get((message.group_id, Epoch(message.epoch)))
        if found is None:
            raise MlsValidationError("ValSem003", "nothing of this epoch is in the log", spec=_SPEC)
        suite, sender_data, tree = found
        return open_private(suite, message, tree, sender_data, custom_bodies).authenticated


def _read_key(leaf: str, kind: str, generation: str, key: str, nonce: str) -> MessageKey:
    place = LeafIndex(int(leaf)), RatchetKind(int(kind)), Generation(int(generation))
    return MessageKey(*place, bytes.fromhex(key), bytes.fromhex(nonce))
