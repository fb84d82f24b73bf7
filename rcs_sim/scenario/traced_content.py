"""What a trace says about the content of a message: identifiers of CPIM, receipts, typing. Reads any octets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ims_core.errors import RemoteProtocolError
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, CpimParseError
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, ImdnParseError, parse_imdn
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE, IsComposing, IsComposingParseError
from rcs_sim.wire.message_reference import REFERENCE_NAMESPACES, read_reference
from rcs_sim.wire.mime import MediaType, MimeParseError

__all__ = ["cpim_members", "essence_of", "first_chunk_members", "label_of", "receipt_members"]

_AGGREGATED = "multipart/mixed"
_BLANK_LINE = b"\r\n\r\n"


def cpim_members(body: bytes) -> Mapping[str, Any]:
    """``imdn_message_id``, and ``details`` of a receipt, or of what a message bears on (``reference``, ``of``); nothing
    for what is no CPIM."""
    try:
        return _members_of(CpimMessage.parse(body))
    except CpimParseError:
        return {}


def receipt_members(content_type: str, body: bytes) -> Mapping[str, Any]:
    """``details`` with what the receipt is ``about`` and what it says (``receipt``)."""
    try:
        receipts = parse_imdn(content_type, body)
    except ImdnParseError:
        return {}
    if not receipts:
        return {}
    return {"details": {"about": receipts[0].message_id, "receipt": str(receipts[0].status)}}


def first_chunk_members(content_type: str, octets: bytes, *, is_whole: bool) -> dict[str, Any]:
    """Of an MSRP message that begins with *octets*: as `cpim_members`, and in ``details`` the ``content`` that a user
    would care for, with ``typing`` if it is that."""
    essence, members = essence_of(content_type), {}
    body = octets
    if essence == CPIM_CONTENT_TYPE:
        cpim = _read_cpim(octets, is_whole=is_whole)
        if cpim is not None:
            members, essence, body = dict(_members_of(cpim)), cpim.content_type.essence, cpim.body
    elif essence == IMDN_CONTENT_TYPE:
        members = dict(receipt_members(content_type, octets))
    details = {"content": essence, **members.get("details", {})}
    if essence == IS_COMPOSING_CONTENT_TYPE:
        details |= _typing(body)
    return {**members, "details": details}


def label_of(details: Mapping[str, Any]) -> str:
    """Two words at most for a ladder: ``text/plain``, ``imdn delivered``, ``typing active``, ``+Reaction``."""
    if "receipt" in details:
        return f"imdn {details['receipt']}"
    if "typing" in details:
        return f"typing {details['typing']}"
    return str(details.get("reference") or details.get("content", ""))


def essence_of(content_type: str) -> str:
    """Type and subtype in lower case; empty for what is no media type."""
    try:
        return MediaType.parse(content_type).essence
    except MimeParseError:
        return ""


def _members_of(cpim: CpimMessage) -> Mapping[str, Any]:
    members: dict[str, Any] = {}
    if cpim.message_id:
        members["imdn_message_id"] = cpim.message_id
    if cpim.content_type.essence in (IMDN_CONTENT_TYPE, _AGGREGATED):
        members.update(receipt_members(str(cpim.content_type), cpim.body))
    reference = read_reference(cpim.headers_in(REFERENCE_NAMESPACES))
    if reference is not None:
        members["details"] = {**members.get("details", {}), "reference": str(reference.kind), "of": reference.target_id}
    return members


def _read_cpim(octets: bytes, *, is_whole: bool) -> CpimMessage | None:
    """Of the beginning of a message, too: without a Content-Length that is not there yet."""
    head, first, rest = octets.partition(_BLANK_LINE)
    if not is_whole:
        mime, second, content = rest.partition(_BLANK_LINE)
        lines = [line for line in mime.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        octets = head + first + b"\r\n".join(lines) + second + content
    try:
        return CpimMessage.parse(octets)
    except RemoteProtocolError:
        return None


def _typing(body: bytes) -> Mapping[str, Any]:
    try:
        return {"typing": "active" if IsComposing.parse(body).is_active else "idle"}
    except IsComposingParseError:
        return {}
