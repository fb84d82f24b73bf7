"""Autoconfiguration document (RCC.14, OMA ``wap-provisioningdoc``): characteristics that nest and hold parms.

Names are looked up without regard to case and wherever they stand (digest §1.5); what is not known is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from ims_core.errors import RemoteProtocolError
from rcs_sim.wire.xml_document import child_elements, escape_text, local_name, parse_xml

__all__ = [
    "AUTOCONFIG_CONTENT_TYPE",
    "MAX_DOCUMENT_OCTETS",
    "AutoconfigParseError",
    "Characteristic",
    "ConfigurationMessage",
    "ConfigurationToken",
    "DocumentVersion",
    "Parm",
    "ProvisioningDocument",
    "VersionMeaning",
]

AUTOCONFIG_CONTENT_TYPE = "text/vnd.wap.connectivity-xml"
MAX_DOCUMENT_OCTETS = 256 * 1024  # documents in the field are below 64 KiB
MAX_DEPTH = 32
_SPEC = "RCC.14 §2"
_SECRET_ENDINGS = ("pwd", "password", "secret", "token")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_MAX_VERSION = 2**31 - 1  # of a document; a larger one is taken for garbage


class AutoconfigParseError(RemoteProtocolError):
    """The peer's octets are no autoconfiguration document."""


class VersionMeaning(Enum):
    """What ``VERS/version`` asks of the client (digest §1.4)."""

    ACTIVE = "active"  # n > 0
    RESET = "reset"  # 0: forget everything, ask again at the next boot
    OFF_FOR_GOOD = "off for good"  # -1: until another SIM
    OFF_UNTIL_USER = "off until the user acts"  # -2
    DORMANT = "dormant"  # -3: keep the configuration, keep polling


_MEANINGS = {
    0: VersionMeaning.RESET,
    -1: VersionMeaning.OFF_FOR_GOOD,
    -2: VersionMeaning.OFF_UNTIL_USER,
    -3: VersionMeaning.DORMANT,
}


@dataclass(frozen=True, slots=True)
class Parm:
    """``<parm name= value=/>``. Both are kept as written. ``repr`` hides the values of passwords and tokens."""

    name: str
    value: str

    def __repr__(self) -> str:
        value = "..." if self.name.lower().endswith(_SECRET_ENDINGS) else self.value
        return f"Parm({self.name!r}, {value!r})"


@dataclass(frozen=True, slots=True)
class Characteristic:
    """``<characteristic type=>`` with its parms and characteristics in document order."""

    type: str
    children: tuple[Parm | Characteristic, ...] = ()

    @classmethod
    def of(cls, type_: str, parms: Mapping[str, str] | None = None, *children: Parm | Characteristic) -> Characteristic:
        """One with *parms* first, then *children*."""
        return cls(type_, (*(Parm(name, value) for name, value in (parms or {}).items()), *children))

    def walk(self) -> Iterator[tuple[Characteristic, ...]]:
        """Path from this characteristic down to each one below it, itself first, in document order."""
        return _walk((self,))

    def own(self, name: str) -> str | None:
        """Value of its own first parm *name*, not of those below."""
        wanted = name.lower()
        return next((c.value for c in self.children if isinstance(c, Parm) and c.name.lower() == wanted), None)

    def find(self, name: str, *, under: str | None = None) -> str | None:
        """Value of the first parm *name* anywhere below; with *under* only where the parm's parent has that type."""
        return next(self.find_all(name, under=under), None)

    def find_all(self, name: str, *, under: str | None = None) -> Iterator[str]:
        """The values of every such parm, in document order."""
        wanted, parent = name.lower(), under and under.lower()
        for path in self.walk():
            if parent in (None, path[-1].type.lower()):
                yield from (c.value for c in path[-1].children if isinstance(c, Parm) and c.name.lower() == wanted)

    def characteristics(self, type_: str) -> Iterator[Characteristic]:
        """Every characteristic of that type, itself included, in document order."""
        wanted = type_.lower()
        return (path[-1] for path in self.walk() if path[-1].type.lower() == wanted)


def _walk(path: tuple[Characteristic, ...]) -> Iterator[tuple[Characteristic, ...]]:
    yield path
    for child in path[-1].children:
        if isinstance(child, Characteristic):
            yield from _walk((*path, child))


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """Characteristic VERS (digest §1.4). *validity_s* is in seconds, or repeats a negative version."""

    version: int
    validity_s: int

    @property
    def meaning(self) -> VersionMeaning:
        return VersionMeaning.ACTIVE if self.version > 0 else _MEANINGS[self.version]

    def characteristic(self) -> Characteristic:
        return Characteristic.of("VERS", {"version": str(self.version), "validity": str(self.validity_s)})


@dataclass(frozen=True, slots=True)
class ConfigurationToken:
    """Characteristic TOKEN: what identifies the client where the network cannot. ``repr`` does not show it."""

    token: str
    validity_s: int

    def characteristic(self) -> Characteristic:
        return Characteristic.of("TOKEN", {"token": self.token, "validity": str(self.validity_s)})

    def __repr__(self) -> str:
        return f"ConfigurationToken(validity_s={self.validity_s})"


@dataclass(frozen=True, slots=True)
class ConfigurationMessage:
    """Characteristic MSG: a text for the user, and which buttons to show below it."""

    title: str
    message: str
    has_accept: bool = False
    has_reject: bool = False

    def characteristic(self) -> Characteristic:
        buttons = {"Accept_btn": str(int(self.has_accept)), "Reject_btn": str(int(self.has_reject))}
        return Characteristic.of("MSG", {"title": self.title, "message": self.message, **buttons})


@dataclass(frozen=True, slots=True)
class ProvisioningDocument:
    """A whole document. *characteristics* are the outermost ones, in order."""

    characteristics: tuple[Characteristic, ...]
    version: str = "1.1"

    @classmethod
    def parse(cls, octets: bytes) -> ProvisioningDocument:
        """Elements other than characteristic and parm are skipped. Raises AutoconfigParseError, and nothing else."""
        root = parse_xml(octets, AutoconfigParseError, max_octets=MAX_DOCUMENT_OCTETS)
        if local_name(root).lower() != "wap-provisioningdoc":
            raise AutoconfigParseError("no wap-provisioningdoc", spec=_SPEC, raw=octets)
        children = _read_children(root, 0)
        return cls(tuple(c for c in children if isinstance(c, Characteristic)), root.get("version", "1.1"))

    @property
    def root(self) -> Characteristic:
        """The document as one characteristic without a type, for look-ups over all of it."""
        return Characteristic("", self.characteristics)

    @property
    def vers(self) -> DocumentVersion | None:
        """VERS; None without one. A missing validity reads as 0. Raises AutoconfigParseError for a version that has no
        meaning, so that the client keeps what it has (choice)."""
        vers = next(self.root.characteristics("VERS"), None)
        if vers is None:
            return None
        version, validity_s = _integer(vers.own("version")), _integer(vers.own("validity") or "0")
        if version is None or validity_s is None or not -3 <= version <= _MAX_VERSION:
            raise AutoconfigParseError(f"meaningless version: {vers!r}", spec="RCC.14 §2.6")
        return DocumentVersion(version, validity_s)

    @property
    def token(self) -> ConfigurationToken | None:
        """TOKEN; None without one or with an empty one."""
        token = next(self.root.characteristics("TOKEN"), None)
        value = token.own("token") if token is not None else None
        return ConfigurationToken(value, _integer(token.own("validity")) or 0) if token is not None and value else None

    @property
    def message(self) -> ConfigurationMessage | None:
        """MSG; None without one or without any text."""
        msg = next(self.root.characteristics("MSG"), None)
        if msg is None or not (msg.own("title") or msg.own("message")):
            return None
        accept, reject = (_integer(msg.own(name)) == 1 for name in ("Accept_btn", "Reject_btn"))
        return ConfigurationMessage(msg.own("title") or "", msg.own("message") or "", accept, reject)

    @property
    def otp_port(self) -> int | None:
        """``POLICY/SMS_port``: a one-time password comes by SMS to that port, 0 as text (digest §1.1)."""
        port = _integer(self.root.find("SMS_port", under="POLICY"))
        return port if port is not None and 0 <= port <= 0xFFFF else None

    @property
    def has_settings(self) -> bool:
        """Whether there is more than VERS, TOKEN, MSG and POLICY: a full document replaces the stored one."""
        return any(c.type.upper() == "APPLICATION" for c in self.characteristics)

    def encode(self) -> bytes:
        """The document as UTF-8, indented by one space a level."""
        body = "".join(_write(characteristic, 1) for characteristic in self.characteristics)
        opening = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<wap-provisioningdoc version="{escape_text(self.version)}">\n'
        )
        return f"{opening}{body}</wap-provisioningdoc>\n".encode()


def _read_children(element: etree._Element, depth: int) -> tuple[Parm | Characteristic, ...]:
    if depth > MAX_DEPTH:
        raise AutoconfigParseError(f"characteristics nested more than {MAX_DEPTH} deep", spec=_SPEC)
    found: list[Parm | Characteristic] = []
    for name, child in child_elements(element):
        match name.lower():
            case "characteristic":
                found.append(Characteristic(child.get("type", ""), _read_children(child, depth + 1)))
            case "parm":
                found.append(Parm(child.get("name", ""), child.get("value", "")))
    return tuple(found)


def _write(characteristic: Characteristic, level: int) -> str:
    indent = " " * level
    lines = f'{indent}<characteristic type="{escape_text(characteristic.type)}">\n'
    for child in characteristic.children:
        if isinstance(child, Parm):
            lines += f'{indent} <parm name="{escape_text(child.name)}" value="{escape_text(child.value)}"/>\n'
        else:
            lines += _write(child, level + 1)
    return f"{lines}{indent}</characteristic>\n"


def _integer(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and _INTEGER.fullmatch(stripped) else None
