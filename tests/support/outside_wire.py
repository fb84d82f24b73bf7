"""What a stranger needs to speak RCC.16 to our servers, written out from the digest alone: protobuf, DER, CPIM and the
octets around them. Nothing here knows our encoders."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = [
    "Cpim",
    "bits",
    "compose",
    "der",
    "fields",
    "first",
    "framed",
    "identifier",
    "integer",
    "read_framed",
    "sequence",
    "uint",
    "value",
    "varint",
]

_MLS = "http://www.gsma.com/rcs/mls"
_SIM = "urn:rcs-sim:mls"
_ANONYMOUS = "<sip:anonymous@anonymous.invalid>"


# --- protobuf ---------------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def value(number: int, octets: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(octets)) + octets


def uint(number: int, held: int) -> bytes:
    return varint(number << 3) + varint(held)


def fields(octets: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: varints and length-delimited ones, no others are used."""
    at = 0

    def number() -> int:
        nonlocal at
        found = shift = 0
        while True:
            octet = octets[at]
            at += 1
            found |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                return found

    while at < len(octets):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            assert key & 7 == 2, key
            length = number()
            yield key >> 3, octets[at : at + length]
            at += length


def first(octets: bytes, *path: int) -> bytes:
    """The length-delimited field at the end of *path*, empty without one."""
    for number in path:
        octets = next((found for known, found in fields(octets) if known == number and isinstance(found, bytes)), b"")
    return octets


def identifier(era: int, epoch: int, authenticator: bytes) -> bytes:
    """EpochIdentifier, as proto3 writes it."""
    return b"".join((uint(1, era) if era else b"", uint(2, epoch) if epoch else b"", value(3, authenticator)))


# --- TLS presentation language ----------------------------------------------------------------------------------------


def framed(octets: bytes) -> bytes:
    """opaque<V>."""
    length = len(octets)
    head = bytes([length]) if length < 64 else (0x4000 | length).to_bytes(2, "big")
    return (head if length < 16384 else (0x8000_0000 | length).to_bytes(4, "big")) + octets


def read_framed(octets: bytes) -> tuple[bytes, bytes]:
    """The content, and what is behind it."""
    width = 1 << (octets[0] >> 6)
    length = int.from_bytes(octets[:width], "big") & (1 << 8 * width - 2) - 1
    return octets[width : width + length], octets[width + length :]


# --- DER --------------------------------------------------------------------------------------------------------------


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def sequence(*parts: bytes) -> bytes:
    return der(0x30, b"".join(parts))


def integer(number: int) -> bytes:
    return der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def bits(octets: bytes) -> bytes:
    return der(0x03, b"\x00" + octets)


# --- CPIM -------------------------------------------------------------------------------------------------------------


def compose(
    message_id: str,
    content_type: str,
    body: bytes,
    *,
    era: int | str | None = None,
    authenticator: bytes | str | None = None,
    wishes: str = "negative-delivery",
    more: str = "",
) -> bytes:
    """A CPIM message whose prefix for the namespace of MLS is its own. *more* are whole lines."""
    lines = [
        f"From: {_ANONYMOUS}",
        f"To: {_ANONYMOUS}",
        "NS: imdn <urn:ietf:params:imdn>",
        f"NS: e2e <{_MLS}>",
        f"imdn.Message-ID: {message_id}",
        "DateTime: 2026-03-02T10:15:00Z",
    ]
    if wishes:
        lines.append(f"imdn.Disposition-Notification: {wishes}")
    if era is not None:
        lines.append(f"e2e.Era-ID: {era}")
    if authenticator is not None:
        shown = authenticator if isinstance(authenticator, str) else base64.b64encode(authenticator).decode()
        lines.append(f"e2e.Epoch-Authenticator: {shown}")
    lines += [line for line in more.split("\n") if line]
    head = "\r\n".join([*lines, "", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


@dataclass(frozen=True)
class Cpim:
    """One that came, read as a simple reader does. Names of header fields are ``namespace Name``."""

    headers: dict[str, str]
    content_type: str
    body: bytes
    raw: bytes = field(repr=False, default=b"")

    @classmethod
    def parse(cls, octets: bytes) -> Cpim:
        head, _, rest = octets.partition(b"\r\n\r\n")
        mime, _, body = rest.partition(b"\r\n\r\n")
        prefixes = {"": ""}
        headers: dict[str, str] = {}
        for line in head.decode().split("\r\n"):
            name, _, text = line.partition(": ")
            if name == "NS":
                prefix, _, uri = text.partition(" <")
                prefixes[prefix] = uri.removesuffix(">")
                continue
            prefix, _, short = name.rpartition(".")
            headers[f"{prefixes[prefix]} {short}".strip()] = text
        found = re.search(r"(?im)^content-type: *([^\r\n;]*)", mime.decode())
        assert found is not None, octets
        return cls(headers, found[1].strip(), body, octets)

    @property
    def message_id(self) -> str:
        return self.headers.get("urn:ietf:params:imdn Message-ID", "")

    @property
    def in_reply_to(self) -> str:
        return self.headers.get(f"{_SIM} In-Reply-To", "")

    @property
    def detail(self) -> str:
        return self.headers.get(f"{_SIM} Detail", "")

    @property
    def server(self) -> tuple[int, int, bytes]:
        """The state that a refusal names."""
        era, epoch = (int(self.headers[f"{_SIM} Server-{name}"]) for name in ("Era", "Epoch"))
        return era, epoch, base64.b64decode(self.headers[f"{_SIM} Server-Epoch-Authenticator"])

    @property
    def state(self) -> tuple[int, bytes]:
        """Era and authenticator."""
        return int(self.headers[f"{_MLS} Era-ID"]), base64.b64decode(self.headers[f"{_MLS} Epoch-Authenticator"])

    @property
    def reason(self) -> str:
        """The token of a refusal of the focus, "" for anything else."""
        if self.content_type != "message/imdn+xml":
            return ""
        found = re.search(
            rb"mls-server-failure-reason[^>]*>(.*?)</[^>]*mls-server-failure-reason", self.body, re.DOTALL
        )
        token = re.search(rb"<(?:\w+:)?([a-z-]+)", found[1]) if found is not None else None
        return "" if token is None else token[1].decode()
