"""mls-rs through UniFFI, as the package agentvault-mls-rs-uniffi has it: the stack that ours is measured against.

Cipher suite 1, basic credentials, trees inside of Welcomes. The package has no types.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["MlsRsMember", "is_installed"]

_MODULE = "mls_rs_uniffi"


def is_installed() -> bool:
    """Whether the package is there."""
    return find_spec(_MODULE) is not None


class MlsRsMember:
    """A client of that stack, in one group at most. It decodes what it is given and encodes what it gives."""

    def __init__(self, name: str) -> None:
        self._library: Any = import_module(_MODULE)
        keys = self._library.generate_signature_keypair(self._library.CipherSuite.CURVE25519_AES128)
        self._client = self._library.Client(name.encode(), keys, self._library.client_config_default())
        self._group: Any = None

    def key_package(self) -> bytes:
        return bytes(self._client.generate_key_package_message().to_bytes())

    def create(self, key_packages: Sequence[bytes]) -> bytes:
        """Makes a group with the owners of *key_packages*. Returns the Welcome."""
        self._group = self._client.create_group(None)
        made = self._group.add_members([self._message(each) for each in key_packages])
        self._group.process_incoming_message(made.commit_message)
        return bytes(made.welcome_message.to_bytes())

    def join(self, welcome: bytes) -> None:
        self._group = self._client.join_group(None, self._message(welcome)).group

    def commit(self) -> bytes:
        """A Commit with nothing but a path. It stays pending."""
        return bytes(self._group.commit().commit_message.to_bytes())

    def seal(self, text: bytes) -> bytes:
        return bytes(self._group.encrypt_application_message(text).to_bytes())

    def receive(self, octets: bytes) -> Any:
        """Reads a message, or follows a Commit."""
        return self._group.process_incoming_message(self._message(octets))

    def _message(self, octets: bytes) -> Any:
        return self._library.Message.from_bytes(octets)
