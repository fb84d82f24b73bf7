"""Tells the trace what ims_core does not know: the RCS identifiers that a SIP message carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ims_core.errors import RemoteProtocolError
from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.sip.message import Request, SipMessage
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.wire.cpim import CpimMessage, CpimParseError
from rcs_sim.wire.imdn import ImdnParseError, parse_imdn

__all__ = ["RcsAnnotator"]

_MAX_REMEMBERED = 20_000  # Call-IDs whose request was seen: enough for every transaction in flight


class RcsAnnotator:
    """An annotator for `Trace`. A response gets the identifiers of the request with its Call-ID.

    For a receipt, ``imdn_message_id`` is the receipt's own; what it reports on stands in ``details``
    (``about``, ``receipt``).
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, Mapping[str, Any]] = {}

    def __call__(self, record: TraceRecord) -> Mapping[str, Any]:
        if record.kind is not RecordKind.MESSAGE or record.protocol != "SIP" or record.call_id is None:
            return {}
        if record.raw.startswith(b"SIP/2.0 "):
            return self._seen.get(record.call_id, {})
        try:
            members = _members_of(record.raw)
        except RemoteProtocolError:
            return {}  # what is traced may be anything
        if members:
            if len(self._seen) >= _MAX_REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[record.call_id] = members
        return members


def _members_of(raw: bytes) -> Mapping[str, Any]:
    """Raises RemoteProtocolError for a message, a header or a body that is malformed."""
    message: SipMessage = parse_datagram(raw)
    if not isinstance(message, Request) or message.content_type is None:
        return {}
    members: dict[str, Any] = {}
    conversation = message.text("Conversation-ID")
    if conversation:
        members["conversation_id"] = conversation
    media_type = message.content_type.type
    if media_type == "message/cpim":
        members.update(_cpim_members(message.body))
    elif media_type == "message/imdn+xml":
        members.update(_receipt_members(str(message.content_type), message.body))
    return members


def _cpim_members(body: bytes) -> Mapping[str, Any]:
    try:
        cpim = CpimMessage.parse(body)
    except CpimParseError:
        return {}
    members: dict[str, Any] = {}
    if cpim.message_id:
        members["imdn_message_id"] = cpim.message_id
    if cpim.content_type.essence in ("message/imdn+xml", "multipart/mixed"):
        members.update(_receipt_members(str(cpim.content_type), cpim.body))
    return members


def _receipt_members(content_type: str, body: bytes) -> Mapping[str, Any]:
    try:
        receipts = parse_imdn(content_type, body)
    except ImdnParseError:
        return {}
    if not receipts:
        return {}
    return {"details": {"about": receipts[0].message_id, "receipt": str(receipts[0].status)}}
