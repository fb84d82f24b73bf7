"""The one way XML of a peer is read and text is put into XML: no DTD, no entity, no network, bounded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import TypeVar

from lxml import etree

from ims_core.errors import RemoteProtocolError

__all__ = ["child_elements", "child_text", "escape_text", "local_name", "parse_xml"]

_Failure = TypeVar("_Failure", bound=RemoteProtocolError)

_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    dtd_validation=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)
_SPEC = "XML 1.0"
# XML 1.0 §2.2: characters that cannot stand in a document, not even as a reference
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)
_SPECIAL = re.compile("[^\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\x7e]")  # anything that one of the two has to look at


def parse_xml(octets: bytes, failure: type[_Failure], *, max_octets: int) -> etree._Element:
    """Root element of the document in *octets*. Raises *failure*, and nothing else, on any octets.

    Documents with a document type declaration are refused before they are parsed (digest §0.4.7)."""
    if len(octets) > max_octets:
        raise failure(f"XML document longer than {max_octets} octets", spec=_SPEC, raw=octets[:64])
    document = _as_utf8(octets, failure)
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise failure("document type declarations are refused", spec=_SPEC, raw=octets[:64])
    try:
        root = etree.fromstring(document, _PARSER)
    except (etree.LxmlError, ValueError) as error:
        raise failure(f"not well-formed XML: {error}", spec=_SPEC, raw=octets[:64]) from error
    if root.getroottree().docinfo.internalDTD:  # an encoding that hid the declaration from the check above
        raise failure("document type declarations are refused", spec=_SPEC, raw=octets[:64])
    return root


def _as_utf8(octets: bytes, failure: type[_Failure]) -> bytes:
    """UTF-16 with a byte order mark becomes UTF-8 without its XML declaration; other encodings pass, bar NUL octets."""
    if octets[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        text = octets.decode("utf-16", "replace")
        return text[text.find("?>") + 2 :].encode() if text.startswith("<?xml") else text.encode()
    if b"\0" in octets:
        raise failure("NUL in an XML document", spec=_SPEC, raw=octets[:64])
    return octets.strip()


def local_name(element: etree._Element) -> str:
    """Tag of *element* without its namespace; digest §0.4.7 matches by this."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child_elements(element: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """Local name and element of each child, in order."""
    for child in element:
        name = local_name(child)
        if name:
            yield name, child


def child_text(element: etree._Element, name: str) -> str | None:
    """Stripped text of the first child with local name *name*; None without one."""
    return next(((child.text or "").strip() for tag, child in child_elements(element) if tag == name), None)


def escape_text(text: str) -> str:
    """*text* for element content or a double-quoted attribute. Characters that XML cannot carry become U+FFFD."""
    if _SPECIAL.search(text) is None:
        return text
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text).translate(_MARKUP)
