"""Message ids as deployed peers write and check them (observed)."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from ims_core.errors import LocalProtocolError

__all__ = ["is_mx_message_id", "mx_message_id", "upper_uuid", "uuid_of_mx_message_id"]

_MX = re.compile(r"Mx(.){22,26}")
_MX_OF_UUID = re.compile(r"Mx[A-Za-z0-9=-]{22}")
_UUID_OCTETS = 16


def mx_message_id(uuid: bytes) -> str:
    """``Mx`` and the 16 octets of a UUID in base64url without padding, ``=`` standing for ``_``: 24 characters."""
    if len(uuid) != _UUID_OCTETS:
        raise LocalProtocolError(f"a UUID has {_UUID_OCTETS} octets, not {len(uuid)}", spec="RFC 9562 §4")
    return "Mx" + urlsafe_b64encode(uuid).decode("ascii").rstrip("=").replace("_", "=")


def uuid_of_mx_message_id(message_id: str) -> bytes | None:
    """The 16 octets that `mx_message_id` was given, None for an id that it does not write."""
    if not _MX_OF_UUID.fullmatch(message_id):
        return None
    try:
        uuid = urlsafe_b64decode(message_id[2:].replace("=", "_") + "==")
    except binascii.Error:
        return None
    return uuid if mx_message_id(uuid) == message_id else None


def is_mx_message_id(message_id: str) -> bool:
    """Whether a peer that insists on this form takes the id; it looks at the beginning only."""
    return _MX.match(message_id) is not None


def upper_uuid(uuid: bytes) -> str:
    """The text of a UUID in capital letters: 36 characters."""
    if len(uuid) != _UUID_OCTETS:
        raise LocalProtocolError(f"a UUID has {_UUID_OCTETS} octets, not {len(uuid)}", spec="RFC 9562 §4")
    digits = uuid.hex().upper()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
