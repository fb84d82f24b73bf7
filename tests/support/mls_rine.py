"""rine-mls, which is mls-rs with X-Wing, as a member: suite 1 or its private-use 0xF057, basic credentials that say its
public key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rcs_sim.mls.identifiers import ContentType
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from tests.support.mls_exchange import Member, Sent

__all__ = ["RineMember"]


class RineMember:
    """*folder* is where it keeps its state. Its API shows neither the exporter nor the epoch authenticator: that the
    messages are read is the proof. Its Commits are PrivateMessages, but for external ones."""

    def __init__(self, folder: Path, suite: int) -> None:
        library = import_module("rine_mls")  # the test has asked whether it is installed
        self._tag = bytes((library.APP_MESSAGE_TAG,))
        self.client = library.MlsClient(str(folder), os.urandom(32), suite)
        self.identity = bytes(self.client.public_key())
        self.group: Any = None
        self.authenticated_data = b""  # its API has none
        self.heard = None

    def key_package(self) -> bytes:
        return bytes(self.client.generate_key_package())

    def create(self, group_id: bytes) -> None:
        """It commits once, to nobody, while it makes a group."""
        self.group = self.client.create_group(group_id)

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        assert tree is None, "it takes the tree from the Welcome only"
        self.group = self.client.join_from_welcome(welcome)

    def join_externally(self, group_info: bytes) -> bytes:
        self.group = self.client.join_by_external_commit(group_info)
        return bytes(self.group.last_commit().commit)

    def resync(self, group_info: bytes, stale_leaf: int) -> bytes:
        self.group = self.client.resync_by_external_commit(group_info, stale_leaf)
        return bytes(self.group.last_commit().commit)

    def group_info(self) -> bytes:
        return bytes(self.group.group_info())

    def add(self, key_packages: Sequence[bytes]) -> Sent:
        return _sent(self.group.add_members(list(key_packages)))

    def update(self) -> None:
        """Its API has no empty Commit."""

    def remove(self, leaf: int, identity: bytes) -> Sent:
        return _sent(self.group.remove_member(leaf))

    def seal(self, text: bytes) -> bytes:
        """Without the octet by which it tells its own payloads apart."""
        return bytes(self.group.encrypt_application_message(text)).removeprefix(self._tag)

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        if _is_application(octets):
            return bytes(self.group.decrypt_application_message(self._tag + octets).envelope)
        self.group.apply_commit(octets)
        return None

    def marks(self) -> Mapping[str, object]:
        return {"epoch": self.group.epoch()}


def _sent(bundle: Any) -> Sent:
    return Sent(bytes(bundle.commit), tuple(map(bytes, bundle.welcomes)))


def _is_application(octets: bytes) -> bool:
    """Whether a PrivateMessage says application for its content (RFC 9420 §6.3): the API has two ways in."""
    body = MLSMessage.decode(octets).body
    return isinstance(body, PrivateMessage) and body.content_type is ContentType.APPLICATION
