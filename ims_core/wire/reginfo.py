"""Registration information, application/reginfo+xml (RFC 3680 §5; GRUU extension RFC 5628)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from ims_core.errors import RemoteProtocolError

__all__ = ["CONTENT_TYPE", "RegContact", "RegInfo", "RegInfoParseError", "RegRegistration"]

CONTENT_TYPE: Final = "application/reginfo+xml"
MAX_DOCUMENT_OCTETS: Final = 256 * 1024  # a user with a hundred devices needs a tenth of it
_MAX_ELEMENTS: Final = 2000
_MAX_VERSION: Final = 2**31 - 1
_NAMESPACE: Final = "urn:ietf:params:xml:ns:reginfo"
_GRUU_NAMESPACE: Final = "urn:ietf:params:xml:ns:gruuinfo"
# XML 1.0 §2.2
_NSMAP: Final[Any] = {None: _NAMESPACE, "gr": _GRUU_NAMESPACE}  # the stubs know no default namespace
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PARSER: Final = etree.XMLParser(
    resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
)


class RegInfoParseError(RemoteProtocolError):
    """A body that is no registration information."""

    def __init__(self, message: str, *, raw: bytes = b"") -> None:
        super().__init__(message, spec="RFC 3680 §5", raw=raw)


@dataclass(frozen=True, slots=True)
class RegContact:
    """One contact. *state* is active or terminated; *event* is registered, created, refreshed, shortened, expired,
    deactivated, probation, unregistered or rejected, or a word that is not known. Times in seconds; None = absent.

    *unknown_params* are Contact parameters as (name, value as on the wire), such as +sip.instance."""

    id: str
    state: str
    event: str
    uri: str
    expires: int | None = None
    retry_after: int | None = None
    call_id: str | None = None
    cseq: int | None = None
    display_name: str | None = None
    unknown_params: tuple[tuple[str, str], ...] = ()
    pub_gruu: str | None = None

    @property
    def is_active(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class RegRegistration:
    """The registration of one address of record. *state* is init, active or terminated."""

    aor: str
    id: str
    state: str
    contacts: tuple[RegContact, ...] = ()


@dataclass(frozen=True, slots=True)
class RegInfo:
    """A reginfo document. *version* grows by one with each in a subscription; *state* is full or partial."""

    version: int
    state: str = "full"
    registrations: tuple[RegRegistration, ...] = field(default=())

    def encode(self) -> bytes:
        """UTF-8 with an XML declaration."""
        root = etree.Element(_tag("reginfo"), nsmap=_NSMAP)
        root.set("version", str(self.version))
        root.set("state", self.state)
        for registration in self.registrations:
            element = etree.SubElement(root, _tag("registration"))
            for name, value in (("aor", registration.aor), ("id", registration.id), ("state", registration.state)):
                element.set(name, _text(value))
            for contact in registration.contacts:
                _add_contact(element, contact)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    @classmethod
    def parse(cls, octets: bytes) -> RegInfo:
        """Matches by local name, whatever the namespace (digest §0.4.7). Raises RegInfoParseError."""
        root = _read_root(octets)
        registrations = tuple(_read_registration(child) for child in root if _local_name(child) == "registration")
        version = _number(root, "version")
        if version is None:
            raise RegInfoParseError("reginfo without version", raw=octets)
        return cls(version, root.get("state", "full"), registrations)


def _add_contact(parent: etree._Element, contact: RegContact) -> None:
    element = etree.SubElement(parent, _tag("contact"))
    for name, value in (
        ("id", contact.id),
        ("state", contact.state),
        ("event", contact.event),
        ("expires", contact.expires),
        ("retry-after", contact.retry_after),
        ("callid", contact.call_id),
        ("cseq", contact.cseq),
    ):
        if value is not None:
            element.set(name, _text(str(value)))
    etree.SubElement(element, _tag("uri")).text = _text(contact.uri)
    if contact.display_name is not None:
        etree.SubElement(element, _tag("display-name")).text = _text(contact.display_name)
    for name, value in contact.unknown_params:
        param = etree.SubElement(element, _tag("unknown-param"))
        param.set("name", _text(name))
        param.text = _text(value) or None
    if contact.pub_gruu is not None:
        etree.SubElement(element, f"{{{_GRUU_NAMESPACE}}}pub-gruu").set("uri", _text(contact.pub_gruu))


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _text(value: str) -> str:
    """*value* without what XML cannot carry."""
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", value)


def _read_root(octets: bytes) -> etree._Element:
    if len(octets) > MAX_DOCUMENT_OCTETS:
        raise RegInfoParseError(f"a document of more than {MAX_DOCUMENT_OCTETS} octets")
    if b"<!DOCTYPE" in octets or b"<!ENTITY" in octets:
        raise RegInfoParseError("document type declarations are refused", raw=octets)
    try:
        root = etree.fromstring(octets, _PARSER)
    except (etree.LxmlError, ValueError) as error:
        raise RegInfoParseError(f"not well-formed XML: {error}", raw=octets) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise RegInfoParseError("document type declarations are refused", raw=octets)
    if _local_name(root) != "reginfo":
        raise RegInfoParseError(f"expected reginfo, not {_local_name(root)!r}", raw=octets)
    if sum(1 for _ in root.iter()) > _MAX_ELEMENTS:
        raise RegInfoParseError(f"more than {_MAX_ELEMENTS} elements")
    return root


def _read_registration(element: etree._Element) -> RegRegistration:
    aor, identifier = element.get("aor"), element.get("id")
    if aor is None or identifier is None:
        raise RegInfoParseError("registration without aor or id")
    contacts = tuple(_read_contact(child) for child in element if _local_name(child) == "contact")
    return RegRegistration(aor, identifier, element.get("state", "active"), contacts)


def _read_contact(element: etree._Element) -> RegContact:
    uri, display_name, gruu = "", None, None
    params: list[tuple[str, str]] = []
    for child in element:
        name, text = _local_name(child), (child.text or "").strip()
        if name == "uri":
            uri = text
        elif name == "display-name":
            display_name = text
        elif name == "unknown-param":
            params.append((child.get("name", ""), text))
        elif name == "pub-gruu":
            gruu = child.get("uri")
    if not uri:
        raise RegInfoParseError("contact without uri")
    return RegContact(
        element.get("id", ""),
        element.get("state", "active"),
        element.get("event", ""),
        uri,
        _number(element, "expires"),
        _number(element, "retry-after"),
        element.get("callid"),
        _number(element, "cseq"),
        display_name,
        tuple(params),
        gruu,
    )


def _number(element: etree._Element, name: str) -> int | None:
    text = element.get(name)
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > 2 * _MAX_VERSION:
        raise RegInfoParseError(f"{name} is not a number: {text[:20]!r}")
    return int(text)


def _local_name(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
