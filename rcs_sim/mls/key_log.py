"""An opt-in log of message keys, with which a captured ``message/mls`` can be opened.

One line each, fields separated by a space, octets in hexadecimal::

    # MLS key log 1: ...                                     the first line says what this is
    EPOCH group_id epoch cipher_suite sender_data_secret     when a member enters an epoch
    MESSAGE group_id epoch leaf kind generation key nonce    when it has sealed or opened a message
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
_NOT_LOGGED = "VAL-901"

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

    def has_room(self, key: MessageKey) -> bool:
        return self._logged.get((key.leaf, key.kind, key.generation), key) == key

    def add(self, key: MessageKey) -> None:
        self._logged[key.leaf, key.kind, key.generation] = key

    def peek(self, leaf: LeafIndex, kind: RatchetKind, generation: Generation) -> MessageKey:
        found = self._logged.get((leaf, kind, generation))
        if found is None:
            message = f"the key of leaf {leaf}, generation {generation} is not in the log"
            raise MlsValidationError(_NOT_LOGGED, message, spec=_SPEC)
        return found


class _LoggedEpoch:
    """All that was logged of an epoch of a group id. A group that follows under the same id has epochs of the same
    numbers, and nothing in a line tells which group it is of."""

    __slots__ = ("senders", "suite", "trees")

    def __init__(self, suite: CipherSuite) -> None:
        self.suite = suite
        self.senders: dict[str, SenderDataKeys] = {}
        self.trees = [_LoggedTree(suite)]

    def add(self, key: MessageKey) -> None:
        """Keys of one place that differ are in different trees."""
        tree = next((tree for tree in self.trees if tree.has_room(key)), None)
        if tree is None:
            self.trees.append(tree := _LoggedTree(self.suite))
        tree.add(key)

    def ways(self) -> Iterator[tuple[_LoggedTree, SenderDataKeys]]:
        return ((tree, sender) for sender in self.senders.values() for tree in self.trees)


class KeyLog:
    """A log that was read. Raises TlsDecodeError on a line that is none."""

    __slots__ = ("_epochs",)

    def __init__(self, lines: Iterable[str]) -> None:
        self._epochs: dict[tuple[bytes, int], _LoggedEpoch] = {}
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
                self._epochs[place].add(_read_key(*fields))
        except (ValueError, TypeError, KeyError, CryptoError):
            raise TlsDecodeError("a line of a key log was expected", spec=_SPEC, raw=line.encode()[:64]) from None

    def _read_epoch(self, place: tuple[bytes, int], suite_id: str, secret: str) -> None:
        suite = CipherSuite.of(int(suite_id))
        logged = self._epochs.setdefault(place, _LoggedEpoch(suite))
        logged.senders[secret] = SenderDataKeys(suite, Secret.of_hex(secret))

    def open(self, message: PrivateMessage, custom_bodies: CustomBodies = NO_CUSTOM_BODIES) -> AuthenticatedContent:
        """What *message* holds; its signature is not verified. Raises MlsValidationError (ValSem003 if nothing of its
        epoch was logged, VAL-901 if its key was not) or TlsDecodeError."""
        found = self._epochs.get((message.group_id, Epoch(message.epoch)))
        if found is None:
            raise MlsValidationError("ValSem003", "nothing of this epoch is in the log", spec=_SPEC)
        failures: list[MlsValidationError] = []
        for tree, sender_data in found.ways():
            try:
                return open_private(found.suite, message, tree, sender_data, custom_bodies).authenticated
            except MlsValidationError as error:
                failures.append(error)
        raise next((each for each in failures if each.rule == _NOT_LOGGED), failures[0])


def _read_key(leaf: str, kind: str, generation: str, key: str, nonce: str) -> MessageKey:
    place = LeafIndex(int(leaf)), RatchetKind(int(kind)), Generation(int(generation))
    return MessageKey(*place, bytes.fromhex(key), bytes.fromhex(nonce))
