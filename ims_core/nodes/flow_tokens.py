"""Flow tokens: the UE's flow, signed, in the user part of Path and Record-Route (RFC 5626 §5.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final, TypeAlias

from ims_core.transport.link import Address, Flow, Transport

__all__ = ["FlowKey", "FlowTable"]

_MAC_OCTETS: Final = 8
_RUN_OCTETS: Final = 4
_MAX_VERIFIED: Final = 20_000  # tokens in use at once; then all are verified anew
_MAX_TOKEN_CHARACTERS: Final = 128  # an IPv6 address and a port need 80

FlowKey: TypeAlias = Address | int
"""What a token names: the UE's address for UDP, which outlives a restart; a number of this run for a connection."""


class FlowTable:
    """The open flows of a P-CSCF and their tokens. A token of an earlier run still names its UDP address; one of a
    connection of an earlier run names nothing."""

    __slots__ = ("_connections", "_key", "_keys", "_next", "_run", "_verified")

    def __init__(self, key: bytes, run: bytes) -> None:
        """*key* signs the tokens; *run* are 4 random octets that tell this run's connections from others'."""
        self._key = key
        self._run = run[:_RUN_OCTETS]
        self._next = 0
        self._keys: dict[Flow, int] = {}
        self._connections: dict[int, Flow] = {}
        self._verified: dict[str, FlowKey] = {}  # tokens whose signature was found right

    def key_of(self, flow: Flow) -> FlowKey:
        """The name of *flow*; a connection gets its number here."""
        if flow.remote.transport is Transport.UDP:
            return flow.remote
        number = self._keys.get(flow)
        if number is None:
            self._next += 1
            number = self._keys[flow] = self._next
            self._connections[number] = flow
        return number

    def connection(self, number: int) -> Flow | None:
        """The open connection with that number."""
        flow = self._connections.get(number)
        return flow if flow is not None and flow.is_open else None

    def close(self, flow: Flow) -> FlowKey | None:
        """Forgets a connection that ended. None if it never had a token; UDP has no end."""
        number = self._keys.pop(flow, None)
        if number is not None:
            self._connections.pop(number, None)
        return number

    def token_of(self, key: FlowKey) -> str:
        if isinstance(key, Address):
            named = f"{key.transport.value[0]}{key.host}|{key.port}".encode()
        else:
            named = b"#" + self._run + key.to_bytes(6, "big")
        return base64.urlsafe_b64encode(self._mac(named) + named).rstrip(b"=").decode("ascii")

    def key_of_token(self, token: str) -> FlowKey | None:
        """None unless this P-CSCF made *token*, and for a connection of an earlier run."""
        verified = self._verified.get(token)
        if verified is not None:
            return verified
        key = self._verify(token)
        if key is not None:
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified[token] = key
        return key

    def _verify(self, token: str) -> FlowKey | None:
        octets = _decode(token)
        mac, named = octets[:_MAC_OCTETS], octets[_MAC_OCTETS:]
        if not named or not hmac.compare_digest(mac, self._mac(named)):
            return None
        if named[:1] != b"#":
            host, _, port = named[1:].decode("utf-8", "replace").rpartition("|")
            return Address(Transport.UDP, host, int(port))
        if named[1 : 1 + _RUN_OCTETS] != self._run:
            return None
        return int.from_bytes(named[1 + _RUN_OCTETS :], "big")

    def _mac(self, octets: bytes) -> bytes:
        return hashlib.blake2s(octets, key=self._key, digest_size=_MAC_OCTETS).digest()


def _decode(token: str) -> bytes:
    if len(token) > _MAX_TOKEN_CHARACTERS:
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
