"""Reading and writing the JSON of a directory's calls (RCC.16 digest §2.5, §14.5, §14.12): members by name and kind.

Octets are base64 of the standard alphabet without line breaks. Every reader raises KeyDirectoryParseError, and nothing
else, on any octets.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from ims_core.errors import RemoteProtocolError

__all__ = [
    "KeyDirectoryParseError",
    "as_object",
    "asked_wait_s",
    "base64_text",
    "json_octets",
    "list_of",
    "msisdn_of",
    "number_of",
    "octet_list_of",
    "octets_of",
    "optional_number_of",
    "optional_text_of",
    "read_members",
    "shown_text_of",
    "tel_uri",
    "text_of",
]

MAX_KEY_PACKAGE_OCTETS = 64 * 1024  # one of the examples has 1875
MAX_WAIT_S = 86_400.0  # that a directory can ask for: no phone waits longer because of a header (choice)
_SPEC = "RCC.16 digest §14.5"
_MSISDN = re.compile(r"(?:tel:)?\+?([1-9][0-9]{2,14})(?:;[\x21-\x7e]*)?")  # E.164, with or without tel:


class KeyDirectoryParseError(RemoteProtocolError):
    """The body is no JSON of this call. *member* names what is wrong with it, "" for the whole."""

    def __init__(self, message: str, *, member: str = "", raw: bytes = b"") -> None:
        super().__init__(message, spec=_SPEC, raw=raw[:200])
        self.member = member


def json_octets(members: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read_members(octets: bytes) -> Mapping[str, Any]:
    """The members of a body, which is one JSON object."""
    try:
        value = json.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise KeyDirectoryParseError(f"no JSON: {type(error).__name__}", raw=octets) from None
    return as_object(value, "")


def as_object(value: object, member: str) -> Mapping[str, Any]:
    """*value* as an object; *member* is where it stands."""
    if not isinstance(value, dict):
        raise KeyDirectoryParseError(f"{member or 'the body'} is no JSON object", member=member)
    return value


def text_of(members: Mapping[str, Any], name: str) -> str:
    """A text of 1 to 512 characters."""
    value = members.get(name)
    if not isinstance(value, str) or not value or len(value) > 512:
        raise KeyDirectoryParseError(f"{name} is no text", member=name)
    return value


def optional_text_of(members: Mapping[str, Any], name: str) -> str | None:
    """The same; None where the member is absent or null."""
    return text_of(members, name) if members.get(name) is not None else None


def number_of(members: Mapping[str, Any], name: str) -> int:
    """A number that is not negative, and that every JSON reader keeps."""
    value = members.get(name)
    if type(value) is not int or not 0 <= value < 2**53:
        raise KeyDirectoryParseError(f"{name} is no number", member=name)
    return value


def shown_text_of(members: Mapping[str, Any], name: str) -> str:
    """A text for people: "" where there is none, shortened where it is long."""
    value = members.get(name)
    return value[:512] if isinstance(value, str) else ""


def asked_wait_s(retry_after: str | None) -> float | None:
    """Seconds that a Retry-After asks for (RFC 9110 §10.2.3), bounded; None without a number."""
    text = (retry_after or "").strip()
    if not (text.isascii() and text.isdecimal()):
        return None
    return min(float(text[:12]), MAX_WAIT_S)


def optional_number_of(members: Mapping[str, Any], name: str) -> int | None:
    """The same; None where the member is absent or null."""
    return number_of(members, name) if members.get(name) is not None else None


def msisdn_of(members: Mapping[str, Any], name: str) -> str:
    """Bare digits of an E.164 number."""
    match = _MSISDN.fullmatch(text_of(members, name))
    if match is None:
        raise KeyDirectoryParseError(f"{name} is no telephone number", member=name)
    return match[1]


def octets_of(members: Mapping[str, Any], name: str) -> bytes:
    """Octets, in base64."""
    return _octets_from(members.get(name), name)


def _octets_from(value: object, name: str) -> bytes:
    if not isinstance(value, str) or len(value) > MAX_KEY_PACKAGE_OCTETS * 4 // 3:
        raise KeyDirectoryParseError(f"{name} is no base64 text", member=name)
    try:
        return base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise KeyDirectoryParseError(f"{name} is no base64", member=name) from None


def list_of(members: Mapping[str, Any], name: str, longest: int) -> list[Any]:
    """A list of at most *longest* values."""
    value = members.get(name)
    if not isinstance(value, list) or len(value) > longest:
        raise KeyDirectoryParseError(f"{name} is no list of at most {longest}", member=name)
    return value


def octet_list_of(members: Mapping[str, Any], name: str, longest: int) -> tuple[bytes, ...]:
    """At most *longest* octet strings."""
    return tuple(_octets_from(each, name) for each in list_of(members, name, longest))


def base64_text(octets: bytes) -> str:
    """Standard alphabet, padded, one line."""
    return base64.b64encode(octets).decode("ascii")


def tel_uri(digits: str) -> str:
    """Of a number in bare digits."""
    return f"tel:+{digits}"
