"""agentvault-mls-rs-uniffi, which is mls-rs behind UniFFI, as a member: suite 1, basic credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from tests.support.mls_exchange import EXPORT_CONTEXT, EXPORT_LABEL, EXPORT_OCTETS, Member, Sent

__all__ = ["AgentvaultMember"]


def _storage(library: Any) -> Any:
    """Its client wants somewhere to keep groups, and the base class is the package's own."""
    states: dict[bytes, bytes] = {}
    epochs: dict[tuple[bytes, int], bytes] = {}

    class Storage(library.GroupStateStorage):  # type: ignore[misc]  # a class of a package without types
        def state(self, group_id: bytes) -> bytes | None:
            return states.get(group_id)

        def epoch(self, group_id: bytes, epoch_id: int) -> bytes | None:
            return epochs.get((group_id, epoch_id))

        def write(self, group_id: bytes, group_state: bytes, epoch_inserts: Any, epoch_updates: Any) -> None:
            states[group_id] = group_state
            epochs.update({(group_id, record.id): record.data for record in (*epoch_inserts, *epoch_updates)})

        def max_epoch_id(self, group_id: bytes) -> int | None:
            return max((epoch for owner, epoch in epochs if owner == group_id), default=None)

    return Storage()


class AgentvaultMember:
    """*sends_tree* puts the tree into its Welcomes."""

    def __init__(self, name: str, *, sends_tree: bool = True) -> None:
        self._library = library = import_module("mls_rs_uniffi")  # the test has asked whether it is installed
        self.identity = name.encode()
        self.sends_tree = sends_tree
        config = library.ClientConfig(group_state_storage=_storage(library), use_ratchet_tree_extension=sends_tree)
        suite = library.CipherSuite.CURVE25519_AES128
        self.client = library.Client(self.identity, library.generate_signature_keypair(suite), config)
        self.group: Any = None
        self.authenticated_data = b""  # its API has none
        self.heard = None
        self._seen: dict[bytes, Any] = {}

    def key_package(self) -> bytes:
        return bytes(self.client.generate_key_package_message().to_bytes())

    def create(self, group_id: bytes) -> None:
        self.group = self.client.create_group(group_id)

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        beside = None if tree is None else self._library.RatchetTree(bytes=tree)
        self.group = self.client.join_group(beside, self._message(welcome)).group

    def add(self, key_packages: Sequence[bytes]) -> Sent:
        return self._sent(self.group.add_members([self._message(octets) for octets in key_packages]))

    def update(self) -> Sent:
        return self._sent(self.group.commit())

    def propose_add(self, key_packages: Sequence[bytes]) -> list[bytes]:
        made = self.group.propose_add_members([self._message(octets) for octets in key_packages])
        return [bytes(message.to_bytes()) for message in made]

    def propose_remove(self, identity: bytes) -> list[bytes]:
        return [bytes(message.to_bytes()) for message in self.group.propose_remove_members([self._seen[identity]])]

    def remove(self, leaf: int, identity: bytes) -> Sent:
        """By identity: its API has no leaf indices. It knows those of whom it has read a message."""
        return self._sent(self.group.remove_members([self._seen[identity]]))

    def seal(self, text: bytes) -> bytes:
        return bytes(self.group.encrypt_application_message(text).to_bytes())

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        found = self.group.process_incoming_message(self._message(octets))
        if not found.is_APPLICATION_MESSAGE():
            return None
        self._seen[sender.identity] = found.sender
        return bytes(found.data)

    def marks(self) -> Mapping[str, object]:
        label = EXPORT_LABEL.encode()
        return {"exporter": bytes(self.group.export_secret(label, EXPORT_CONTEXT, EXPORT_OCTETS))}

    def _message(self, octets: bytes) -> Any:
        return self._library.Message.from_bytes(octets)

    def _sent(self, made: Any) -> Sent:
        self.group.process_incoming_message(made.commit_message)  # that is how it merges its own
        welcomes = () if made.welcome_message is None else (bytes(made.welcome_message.to_bytes()),)
        tree = None if self.sends_tree or made.ratchet_tree is None else bytes(made.ratchet_tree.bytes)
        return Sent(bytes(made.commit_message.to_bytes()), welcomes, tree)
