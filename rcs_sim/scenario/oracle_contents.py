"""What crossed each link of a trace, read from its octets: contents of messages with their identifiers and texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ims_core.errors import RemoteProtocolError
from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sms.sm_link import Forward, Party, PartyKind, SmLinkDecoder
from rcs_sim.e2ee.content_types import is_on_mls_plane
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.scenario.oracle_hops import Carried, Hop, Metadata, digits_of, hop_of
from rcs_sim.scenario.oracle_remarks import remarks_in_receipt, remarks_of_cpim, remarks_of_request
from rcs_sim.scenario.oracle_short_messages import ShortMessages
from rcs_sim.scenario.oracle_streams import HttpStreams, MsrpContent, MsrpStreams, decompressed
from rcs_sim.scenario.traced_content import essence_of, receipt_members
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, CpimParseError
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE
from rcs_sim.wire.mime import MediaType, MimeParseError, find_header
from rcs_sim.wire.multipart import Multipart, MultipartParseError

__all__ = ["ContentReader"]

_SMS = "application/vnd.3gpp.sms"
_RECEIPTS = (IMDN_CONTENT_TYPE, "multipart/mixed")
_SENDERS = ("P-Asserted-Identity", "P-Preferred-Identity", "From")
_BLANK_LINE = b"\r\n\r\n"
_NOBODY = ("", "")


class ContentReader:
    """Reads the records of a trace in their order."""

    __slots__ = ("_http", "_msrp", "_short_messages", "_sm_links")

    def __init__(self) -> None:
        self._msrp = MsrpStreams()
        self._http = HttpStreams()
        self._short_messages = ShortMessages()
        self._sm_links: dict[tuple[str, str, str, str], SmLinkDecoder] = {}

    def read(self, record: TraceRecord) -> list[Carried]:
        """The contents that *record* completes. Never raises, whatever its octets are."""
        if record.kind is not RecordKind.MESSAGE or not record.raw:
            return []
        match record.protocol:
            case "SIP":
                return self._of_sip(record)
            case "MSRP":
                return [each for content in self._msrp.read(record) for each in _of_msrp(content)]
            case "SM":
                return self._of_sm_link(record)
            case "HTTP":
                return [
                    Carried(hop=body.hop, octets=body.octets, media_type="http", is_derived=True)
                    for body in self._http.read(record)
                ]
        return []

    def rest(self) -> Iterator[Carried]:
        """What has come of messages that never became whole."""
        for content in self._msrp.rest():
            yield from _of_msrp(content)
        yield from self._short_messages.rest()

    def _of_sip(self, record: TraceRecord) -> list[Carried]:
        raw = record.raw
        if raw.startswith(b"SIP/2.0 ") or (raw.endswith(_BLANK_LINE) and raw.find(_BLANK_LINE) == len(raw) - 4):
            return []  # an answer, or nothing behind the headers; a recall ends so too, behind those of its wrapper
        try:
            message = parse_datagram(record.raw)
            if not isinstance(message, Request) or message.content_type is None:
                return []
            content_type = str(message.content_type)
            sender = next((text for name in _SENDERS if (text := message.text(name))), "")
            parties = digits_of(sender), _recipient_of(message)
            body, coding = message.body, message.text("Content-Encoding")
            conversation_id = message.text("Conversation-ID") or ""
            remarks = remarks_of_request(message)
        except RemoteProtocolError:
            return []
        hop = hop_of(record)
        body = _without(coding, body)
        if essence_of(content_type) == _SMS:
            return self._short_messages.read(hop, body)  # what the TPDU says counts: SIP names the service centre
        found = _contents(hop, content_type, body, parties, conversation_id, is_derived=bool(coding))
        return [replace(each, remarks=(*each.remarks, *remarks)) if remarks else each for each in found]

    def _of_sm_link(self, record: TraceRecord) -> list[Carried]:
        ends = (record.source, record.target, record.source_address, record.target_address)
        decoder = self._sm_links.get(ends)
        if decoder is None:
            decoder = self._sm_links[ends] = SmLinkDecoder()
        found = []
        for frame in decoder.feed(record.raw):
            if isinstance(frame, Forward):
                parties = _digits_of_party(frame.originator), _digits_of_party(frame.destination)
                found += self._short_messages.read(hop_of(record), frame.rpdu, *parties)
        return found


def _recipient_of(message: Request) -> str:
    return digits_of(str(message.request_uri)) or digits_of(message.text("To") or "")


def _digits_of_party(party: Party | None) -> str:
    return digits_of(party.value) if party is not None and party.kind is PartyKind.MSISDN else ""


def _of_msrp(content: MsrpContent) -> Iterator[Carried]:
    return _contents(
        content.hop,
        content.content_type,
        content.octets,
        _NOBODY,
        "",
        is_whole=content.is_whole,
        is_derived=content.chunk_count > 1,
    )


def _contents(
    hop: Hop,
    content_type: str,
    body: bytes,
    parties: tuple[str, str],
    conversation_id: str,
    *,
    is_whole: bool = True,
    is_derived: bool = False,
) -> Iterator[Carried]:
    """The CPIM messages in a body, or the body itself if it is something else that a user could have written."""
    essence = essence_of(content_type)
    if essence.startswith("multipart/"):
        found = [
            each
            for part_type, part in _parts(content_type, body)
            for each in _contents(hop, part_type, part, parties, conversation_id, is_derived=is_derived)
        ]
        ids = tuple(dict.fromkeys(wire_id for each in found for wire_id in each.ids))
        yield from (replace(each, ids=ids) if _is_beside(each) else each for each in found)
        return
    if essence == CPIM_CONTENT_TYPE:
        cpim = _read_cpim(body, is_whole=is_whole)
        if cpim is not None:
            whole = _of_cpim(hop, cpim, parties, conversation_id, is_whole=is_whole, is_derived=is_derived)
            yield whole
            yield from _parts_of_cpim(whole, str(cpim.content_type))
        return
    about = _receipt_of(content_type, essence, body)
    yield Carried(
        hop=hop,
        media_type=essence,
        octets=body,
        text=_text_of(content_type, body),
        about=about[0],
        receipt=about[1],
        remarks=remarks_in_receipt(body) if about[0] else (),
        sender=parties[0],
        recipient=parties[1],
        conversation_id=conversation_id,
        is_whole=is_whole,
        is_derived=is_derived,
    )


def _of_cpim(
    hop: Hop,
    cpim: CpimMessage,
    parties: tuple[str, str],
    conversation_id: str,
    *,
    is_whole: bool,
    is_derived: bool,
) -> Carried:
    content_type, essence = str(cpim.content_type), cpim.content_type.essence
    about, receipt = _receipt_of(content_type, essence, cpim.body)
    headers = MlsHeaders.of(cpim)
    coding = find_header(cpim.mime_headers, "Content-Encoding")
    body = _without(coding, cpim.body)
    seen = {Metadata.MESSAGE_ID, Metadata.TIME, Metadata.SIZE}
    is_sealed = is_on_mls_plane(essence)
    facts = (
        (all(parties), Metadata.NUMBERS),
        (bool(conversation_id), Metadata.CONVERSATION),
        (is_sealed, Metadata.PADDED_SIZE),
        (headers.era_id is not None, Metadata.ERA),
        (bool(headers.epoch_authenticator), Metadata.EPOCH),
        (bool(about), Metadata.RECEIPT),
    )
    own_id = cpim.message_id or ""
    return Carried(
        hop=hop,
        ids=tuple(each for each in (own_id, headers.original_message_id) if each),
        media_type=essence,
        octets=body,
        text=_text_of(content_type, body),
        about=about,
        receipt=receipt,
        remarks=remarks_of_cpim(cpim) + (remarks_in_receipt(body) if about else ()),
        sender=parties[0],
        recipient=parties[1],
        is_whole=is_whole,
        is_derived=is_derived or body not in cpim.raw,
        era=headers.era_id,
        epoch_authenticator=headers.epoch_authenticator,
        conversation_id=conversation_id,
        metadata=frozenset(seen | {name for is_so, name in facts if is_so}),
    )


def _parts(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Type and octets of what is no multipart itself; nothing of one that cannot be read."""
    try:
        parts = [(str(part.content_type), part.body) for part in Multipart.parse(content_type, body).walk()]
    except MultipartParseError:
        return []
    return [(part_type, octets) for part_type, octets in parts if not essence_of(part_type).startswith("multipart/")]


def _parts_of_cpim(whole: Carried, content_type: str) -> Iterator[Carried]:
    """What is in a multipart that is the content of a message; receipts in one are read as one."""
    if whole.media_type.startswith("multipart/") and not whole.about:
        for part_type, octets in _parts(content_type, whole.octets):
            text = _text_of(part_type, octets)
            yield replace(whole, media_type=essence_of(part_type), octets=octets, text=text)


def _is_beside(carried: Carried) -> bool:
    """Whether it is a text of no message of its own."""
    return not carried.ids and not carried.about and carried.media_type.startswith("text/")


def _without(coding: str | None, body: bytes) -> bytes:
    """*body* without a Content-Encoding."""
    return decompressed(f"\r\nContent-Encoding: {coding}\r\n".encode(), body) if coding else body


def _receipt_of(content_type: str, essence: str, body: bytes) -> tuple[str, str]:
    if essence not in _RECEIPTS:
        return _NOBODY
    details = receipt_members(content_type, body).get("details", {})
    return str(details.get("about", "")), str(details.get("receipt", ""))


def _text_of(content_type: str, body: bytes) -> str | None:
    """What a program shows of a ``text/`` type."""
    try:
        media_type = MediaType.parse(content_type)
    except MimeParseError:
        return None
    return media_type.decode_text(body) if media_type.essence.startswith("text/") else None


def _read_cpim(octets: bytes, *, is_whole: bool) -> CpimMessage | None:
    """Also of the beginning of a message, whose Content-Length is that of the whole."""
    if not is_whole:
        head, first, rest = octets.partition(_BLANK_LINE)
        mime, second, content = rest.partition(_BLANK_LINE)
        lines = [line for line in mime.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        octets = head + first + b"\r\n".join(lines) + second + content
    try:
        return CpimMessage.parse(octets)
    except CpimParseError:
        return None
