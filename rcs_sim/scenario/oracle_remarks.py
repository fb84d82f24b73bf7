"""Words around a content: fields of headers and elements of receipts in which somebody's text could stand."""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from collections.abc import Iterable
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from html import unescape

from ims_core.wire.sip.message import Request
from rcs_sim.wire.cpim import CORE, CpimMessage
from rcs_sim.wire.mime import find_header

__all__ = ["remarks_in_receipt", "remarks_of_cpim", "remarks_of_request"]

_FIELDS = ("Subject", "Comments", "Content-Description")
_ELEMENT = re.compile(rb"<(?:[\w-]+:)?([\w-]+)[^<>]*>\s*([^<>]{1,4096}?)\s*</")
_NOT_WORDS = frozenset((b"message-id", b"datetime", b"recipient-uri", b"original-recipient-uri"))


def remarks_of_request(request: Request) -> tuple[str, ...]:
    """Of a SIP request (RFC 3261 §20.36)."""
    return _plain(request.text(name) for name in _FIELDS)


def remarks_of_cpim(cpim: CpimMessage) -> tuple[str, ...]:
    """Of both heads of a CPIM message (RFC 3862 §4.6)."""
    subjects = (header.value for header in cpim.get_all(CORE, "Subject"))
    return _plain((*subjects, *(find_header(cpim.mime_headers, name) for name in _FIELDS)))


def remarks_in_receipt(body: bytes) -> tuple[str, ...]:
    """What elements of a receipt say, those left out that a receipt has to have (RFC 5438 §7)."""
    found = (words for name, words in _ELEMENT.findall(body) if name.lower() not in _NOT_WORDS)
    return tuple(unescape(words.decode("utf-8", "replace")) for words in found)


def _plain(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(_without_encoded_words(value) for value in values if value)


def _without_encoded_words(value: str) -> str:
    """RFC 2047."""
    try:
        return str(make_header(decode_header(value))) if "=?" in value else value
    except (ValueError, LookupError, HeaderParseError, BinasciiError):
        return value
