"""Tells the trace what ims_core does not know: the RCS identifiers that a SIP message or an MSRP frame carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ims_core.errors import RemoteProtocolError
from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.msrp.uri import parse_path
from ims_core.wire.sdp import SessionDescription
from ims_core.wire.sip.message import Request, SipMessage
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.scenario.msrp_annotator import MsrpAnnotator, remember
from rcs_sim.scenario.traced_content import cpim_members, receipt_members
from rcs_sim.wire.multipart import Multipart

__all__ = ["RcsAnnotator"]

_SDP = "application/sdp"


class RcsAnnotator:
    """An annotator for `Trace`. A response gets the identifiers of the request with its Call-ID, an MSRP frame those of
    the call whose SDP has its session.

    For a receipt, ``imdn_message_id`` is the receipt's own; what it reports on stands in ``details``
    (``about``, ``receipt``).
    """

    __slots__ = ("_msrp", "_seen")

    def __init__(self) -> None:
        self._seen: dict[str, Mapping[str, Any]] = {}
        self._msrp = MsrpAnnotator()

    def __call__(self, record: TraceRecord) -> Mapping[str, Any]:
        if record.kind is not RecordKind.MESSAGE:
            return {}
        if record.protocol == "MSRP":
            return self._msrp(record)
        if record.protocol != "SIP" or record.call_id is None:
            return {}
        try:
            return self._of_sip(record.raw, record.call_id)
        except RemoteProtocolError:
            return {}  # what is traced may be anything

    def _of_sip(self, raw: bytes, call_id: str) -> Mapping[str, Any]:
        """Raises RemoteProtocolError for a message, a header or a body that is malformed."""
        seen = self._seen.get(call_id, {})
        has_sdp = _SDP.encode() in raw
        if raw.startswith(b"SIP/2.0 "):
            members = seen
            message = parse_datagram(raw) if has_sdp else None
        else:
            message = parse_datagram(raw)
            members = _members_of(message)
            if members:
                remember(self._seen, call_id, members)
        if has_sdp and message is not None:
            self._learn_sessions(message, call_id, members or seen)
        return members or _of_dialog(seen)

    def _learn_sessions(self, message: SipMessage, call_id: str, members: Mapping[str, Any]) -> None:
        try:
            self._msrp.learn(_session_ids(message), {"call_id": call_id, **_of_dialog(members)})
        except RemoteProtocolError:
            return  # an SDP that is malformed: its sessions stay unknown


def _of_dialog(members: Mapping[str, Any]) -> Mapping[str, Any]:
    """What all of a dialog has in common."""
    return {"conversation_id": members["conversation_id"]} if "conversation_id" in members else {}


def _members_of(message: SipMessage) -> Mapping[str, Any]:
    """Raises RemoteProtocolError for a header or a body that is malformed."""
    if not isinstance(message, Request) or message.content_type is None:
        return {}
    members: dict[str, Any] = {}
    conversation = message.text("Conversation-ID")
    if conversation:
        members["conversation_id"] = conversation
    media_type = message.content_type.type
    if media_type == "message/cpim":
        members.update(cpim_members(message.body))
    elif media_type == "message/imdn+xml":
        members.update(receipt_members(str(message.content_type), message.body))
    return members


def _session_ids(message: SipMessage) -> Iterator[str]:
    """Of the MSRP sessions in the SDP of *message*. Raises RemoteProtocolError for a malformed one."""
    body = _sdp_of(message)
    if body is None:
        return
    for media in SessionDescription.parse(body).media:
        path = media.attribute("path")
        if path is not None:
            yield parse_path(path)[-1].key


def _sdp_of(message: SipMessage) -> bytes | None:
    content_type = message.content_type
    if content_type is None:
        return None
    if content_type.type == _SDP:
        return message.body
    if not content_type.type.startswith("multipart/"):
        return None
    part = Multipart.parse(str(content_type), message.body).part(_SDP)
    return None if part is None else part.body
