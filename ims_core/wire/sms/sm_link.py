"""SM link: RP messages over a stream where there is no IMS; reference point CS and its kin (choice).

It stands for what MAP and the circuit-switched radio carry in a real network (TS 29.002 §12, TS 24.011): phone to SMSC,
IP-SM-GW to SMSC, SMSC to SMSC, and the messaging server (as IWF) or another SME of the network to its SMSC.

A frame, numbers big-endian::

    length      2 octets: those of the rest, 5 to 4096
    type        1 octet
    reference   4 octets: chosen by who asks, repeated in the answer
    elements    each: tag 1 octet, length 1 octet, value; a tag that is not known is skipped

====  =========  =====================================================================================================
type  name       elements (* optional)
====  =========  =====================================================================================================
1     BIND       ROLE, NAME: a node of the network presents itself; first frame of its connection
2     ATTACH     IMSI: a phone presents itself; first frame of its connection
3     ACCEPTED   answer to BIND or ATTACH; MSISDN* of the phone
4     REFUSED    ERROR; answer to BIND or ATTACH, the connection ends
5     DETACH     the phone leaves; no answer, the connection ends
6     FORWARD    KIND, RPDU, ORIGINATOR*, DESTINATION*, MORE*, SUBMITTED_AT*, IDENTIFIER*, REPORT_TO*, REPORT_KEY*
7     RESULT     RPDU: the RP-ACK or RP-ERROR that answers a FORWARD
8     FAILURE    ERROR: a FORWARD that got no RP answer (the errors of MAP)
9     ALERT      DESTINATION, REASON: somebody can receive again; no answer
====  =========  =====================================================================================================

A phone sends RP-DATA or RP-SMMA in FORWARD kind MO and answers FORWARD kind MT; its connection tells who it is. Toward
and between the network's nodes ORIGINATOR is SM-RP-OA of a kind MO and DESTINATION is SM-RP-DA of a kind MT or REPORT.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.timestamp import TIMESTAMP_OCTETS, Timestamp

__all__ = [
    "MAX_FRAME_OCTETS",
    "Accepted",
    "AlertReason",
    "Attach",
    "Bind",
    "Detach",
    "Failure",
    "Forward",
    "ForwardKind",
    "LinkRole",
    "MalformedFrame",
    "Party",
    "PartyKind",
    "Refused",
    "Result",
    "SmAlert",
    "SmError",
    "SmLinkDecoder",
    "SmLinkMessage",
    "encode_frame",
    "parse_frame",
]

MAX_FRAME_OCTETS = 4096  # of the rest behind the length: more than every element at its longest
_MIN_FRAME_OCTETS = 5
_MAX_VALUE_OCTETS = 255
_SPEC = "SM link"
_HEAD = struct.Struct(">HBI")
_LENGTH = struct.Struct(">H")
_TYPE_AND_REFERENCE = struct.Struct(">BI")
_NUMBER = re.compile(r"\+?[0-9*#a-c]{1,20}")
_IMSI = re.compile(r"[0-9]{5,15}")

E = TypeVar("E", bound=IntEnum)


class _Type(IntEnum):
    BIND = 1
    ATTACH = 2
    ACCEPTED = 3
    REFUSED = 4
    DETACH = 5
    FORWARD = 6
    RESULT = 7
    FAILURE = 8
    ALERT = 9


class _Tag(IntEnum):
    ROLE = 1
    NAME = 2
    IMSI = 3
    MSISDN = 4
    ERROR = 5
    KIND = 6
    RPDU = 7
    ORIGINATOR = 8
    DESTINATION = 9
    MORE = 10
    SUBMITTED_AT = 11
    IDENTIFIER = 12
    REPORT_TO = 13
    REPORT_KEY = 14
    REASON = 15


class LinkRole(IntEnum):
    """What a node is to the SMSC that it binds to."""

    IP_SM_GW = 1
    SMSC = 2
    APPLICATION = 3  # the messaging server as IWF, the ACS, any other SME of the network


class ForwardKind(IntEnum):
    """Which service a FORWARD asks for."""

    MO = 1  # mobile originated: MO-ForwardSM
    MT = 2  # mobile terminated: MT-ForwardSM
    REPORT = 3  # mobile terminated, the TPDU is an SMS-STATUS-REPORT


class PartyKind(IntEnum):
    """Kind of an SM-RP-OA or SM-RP-DA."""

    MSISDN = 1
    IMSI = 2
    NAME = 3  # an alphanumeric originator


class AlertReason(IntEnum):
    """Why somebody can receive again (Alert Reason of TS 29.002)."""

    PRESENT = 1
    MEMORY_AVAILABLE = 2


class SmError(IntEnum):
    """Errors of the MAP short message services that happen here (TS 29.002 §7.6.1); others are carried as numbers."""

    SYSTEM_FAILURE = 34
    UNKNOWN_SUBSCRIBER = 1
    ABSENT_SUBSCRIBER = 27
    UNAUTHORIZED = 49


@dataclass(frozen=True, slots=True)
class Party:
    """An SM-RP-OA or SM-RP-DA. *value* is ``+12025550101``, an IMSI, or a name."""

    kind: PartyKind
    value: str

    @classmethod
    def msisdn(cls, number: str) -> Party:
        return cls(PartyKind.MSISDN, number)

    @classmethod
    def imsi(cls, imsi: str) -> Party:
        return cls(PartyKind.IMSI, imsi)

    @classmethod
    def name(cls, name: str) -> Party:
        return cls(PartyKind.NAME, name)


@dataclass(frozen=True, slots=True)
class Bind:
    reference: int
    role: LinkRole
    name: str


@dataclass(frozen=True, slots=True)
class Attach:
    reference: int
    imsi: str


@dataclass(frozen=True, slots=True)
class Accepted:
    reference: int
    msisdn: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    reference: int
    error: int


@dataclass(frozen=True, slots=True)
class Detach:
    reference: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """*rpdu* is RP-DATA (or RP-SMMA of a phone). *more_messages*: the sender has more for this destination.

    *identifier* names this transfer for ever, so that a repetition is known as such; *submitted_at* is the time stamp
    of the first service centre. *report_to* names the application that a status report goes to, instead of the
    originating phone, and *report_key* is what it is told to know the message by."""

    reference: int
    kind: ForwardKind
    rpdu: bytes
    originator: Party | None = None
    destination: Party | None = None
    more_messages: bool = False
    submitted_at: Timestamp | None = None
    identifier: str = ""
    report_to: str = ""
    report_key: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    reference: int
    rpdu: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    reference: int
    error: int


@dataclass(frozen=True, slots=True)
class SmAlert:
    subscriber: Party
    reason: AlertReason
    reference: int = 0


SmLinkMessage = Bind | Attach | Accepted | Refused | Detach | Forward | Result | Failure | SmAlert
_Elements = Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class MalformedFrame:
    """A frame that was refused. After a *fatal* one the stream has no framing any more."""

    octets: bytes
    error: SmsParseError
    is_fatal: bool = False


class SmLinkDecoder:
    """Frames of one direction of a stream. Never raises; holds at most one frame."""

    __slots__ = ("_buffer", "_is_broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_broken = False

    def feed(self, octets: bytes) -> list[SmLinkMessage | MalformedFrame]:
        """What became complete, in order. A fatal error is the last thing that a stream gives."""
        if self._is_broken:
            return []
        self._buffer += octets
        out: list[SmLinkMessage | MalformedFrame] = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if not _MIN_FRAME_OCTETS <= length <= MAX_FRAME_OCTETS:
                return [*out, self._break(f"frame of {length} octets")]
            end = start + _LENGTH.size + length
            if end > len(self._buffer):
                break
            out.append(_message_or_fault(bytes(self._buffer[start + _LENGTH.size : end])))
            start = end
        del self._buffer[:start]
        return out

    def _break(self, message: str) -> MalformedFrame:
        octets = bytes(self._buffer[-MAX_FRAME_OCTETS:])
        self._is_broken = True
        self._buffer.clear()
        return MalformedFrame(octets, SmsParseError(message, spec=_SPEC, raw=octets), is_fatal=True)


def _message_or_fault(frame: bytes) -> SmLinkMessage | MalformedFrame:
    try:
        return parse_frame(frame)
    except SmsParseError as error:
        return MalformedFrame(frame, error)


def parse_frame(frame: bytes) -> SmLinkMessage:
    """A frame without its length. Raises SmsParseError."""
    if not _MIN_FRAME_OCTETS <= len(frame) <= MAX_FRAME_OCTETS:
        raise SmsParseError(f"frame of {len(frame)} octets", spec=_SPEC, raw=frame)
    code, reference = _TYPE_AND_REFERENCE.unpack_from(frame)
    reader = _READERS.get(code)
    if reader is None:
        raise SmsParseError(f"unknown frame type {code}", spec=_SPEC, raw=frame)
    return reader(reference, _read_elements(frame))


def encode_frame(message: SmLinkMessage) -> bytes:
    """With its length. Raises LocalProtocolError if a value does not fit."""
    code, elements = _parts_of(message)
    body = b"".join(_encode_element(tag, value) for tag, value in elements if value is not None)
    if len(body) + _MIN_FRAME_OCTETS > MAX_FRAME_OCTETS or not 0 <= message.reference < 2**32:
        raise LocalProtocolError(f"{message} does not fit a frame", spec=_SPEC)
    return _HEAD.pack(len(body) + _MIN_FRAME_OCTETS, code, message.reference) + body


def _encode_element(tag: int, value: bytes) -> bytes:
    if len(value) > _MAX_VALUE_OCTETS:
        raise LocalProtocolError(f"element {tag} of {len(value)} octets", spec=_SPEC)
    return bytes((tag, len(value))) + value


def _read_elements(frame: bytes) -> _Elements:
    elements: dict[int, bytes] = {}
    position = _MIN_FRAME_OCTETS
    while position < len(frame):
        end = position + 2 + (frame[position + 1] if position + 1 < len(frame) else len(frame))
        if end > len(frame):
            raise SmsParseError("an element is longer than its frame", spec=_SPEC, raw=frame)
        elements.setdefault(frame[position], frame[position + 2 : end])
        position = end
    return elements


def _parts_of(message: SmLinkMessage) -> tuple[_Type, list[tuple[_Tag, bytes | None]]]:
    match message:
        case Bind():
            return _Type.BIND, [(_Tag.ROLE, bytes((message.role,))), (_Tag.NAME, _octets_of(message.name))]
        case Attach():
            return _Type.ATTACH, [(_Tag.IMSI, _octets_of(message.imsi))]
        case Accepted():
            return _Type.ACCEPTED, [(_Tag.MSISDN, _octets_of(message.msisdn) if message.msisdn else None)]
        case Refused():
            return _Type.REFUSED, [(_Tag.ERROR, bytes((message.error,)))]
        case Detach():
            return _Type.DETACH, []
        case Forward():
            return _Type.FORWARD, _forward_elements(message)
        case Result():
            return _Type.RESULT, [(_Tag.RPDU, message.rpdu)]
        case Failure():
            return _Type.FAILURE, [(_Tag.ERROR, bytes((message.error,)))]
        case SmAlert():
            reason = bytes((message.reason,))
            return _Type.ALERT, [(_Tag.DESTINATION, _party_octets(message.subscriber)), (_Tag.REASON, reason)]


def _forward_elements(message: Forward) -> list[tuple[_Tag, bytes | None]]:
    return [
        (_Tag.KIND, bytes((message.kind,))),
        (_Tag.RPDU, message.rpdu),
        (_Tag.ORIGINATOR, _party_octets(message.originator) if message.originator else None),
        (_Tag.DESTINATION, _party_octets(message.destination) if message.destination else None),
        (_Tag.MORE, b"\x01" if message.more_messages else None),
        (_Tag.SUBMITTED_AT, message.submitted_at.octets if message.submitted_at else None),
        (_Tag.IDENTIFIER, _octets_of(message.identifier) or None),
        (_Tag.REPORT_TO, _octets_of(message.report_to) or None),
        (_Tag.REPORT_KEY, _octets_of(message.report_key) or None),
    ]


def _octets_of(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _party_octets(party: Party) -> bytes:
    return bytes((party.kind,)) + _octets_of(party.value)


def _required(elements: _Elements, tag: _Tag) -> bytes:
    value = elements.get(tag)
    if value is None:
        raise SmsParseError(f"{tag.name} is missing", spec=_SPEC)
    return value


def _number(elements: _Elements, tag: _Tag) -> int:
    value = _required(elements, tag)
    if len(value) != 1:
        raise SmsParseError(f"{tag.name} is not one octet", spec=_SPEC, raw=value)
    return value[0]


def _member(elements: _Elements, tag: _Tag, kind: type[E]) -> E:
    number = _number(elements, tag)
    try:
        return kind(number)
    except ValueError:
        raise SmsParseError(f"unknown {tag.name} {number}", spec=_SPEC) from None


def _text(elements: _Elements, tag: _Tag) -> str:
    """Empty where the element is absent."""
    value = elements.get(tag, b"")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = "\n"
    if not text.isprintable():
        raise SmsParseError(f"{tag.name} is no printable text", spec=_SPEC, raw=value)
    return text


def _matching(elements: _Elements, tag: _Tag, form: re.Pattern[str]) -> str:
    _required(elements, tag)
    text = _text(elements, tag)
    if form.fullmatch(text) is None:
        raise SmsParseError(f"{tag.name} has a wrong form", spec=_SPEC, raw=elements[tag])
    return text


def _party(elements: _Elements, tag: _Tag) -> Party | None:
    value = elements.get(tag)
    if value is None:
        return None
    kind = _member({int(tag): value[:1]}, tag, PartyKind)
    form = {PartyKind.MSISDN: _NUMBER, PartyKind.IMSI: _IMSI}.get(kind)
    rest: _Elements = {int(tag): value[1:]}
    return Party(kind, _text(rest, tag) if form is None else _matching(rest, tag, form))


def _read_bind(reference: int, elements: _Elements) -> Bind:
    _required(elements, _Tag.NAME)
    return Bind(reference, _member(elements, _Tag.ROLE, LinkRole), _text(elements, _Tag.NAME))


def _read_attach(reference: int, elements: _Elements) -> Attach:
    return Attach(reference, _matching(elements, _Tag.IMSI, _IMSI))


def _read_accepted(reference: int, elements: _Elements) -> Accepted:
    return Accepted(reference, _matching(elements, _Tag.MSISDN, _NUMBER) if _Tag.MSISDN in elements else None)


def _read_refused(reference: int, elements: _Elements) -> Refused:
    return Refused(reference, _number(elements, _Tag.ERROR))


def _read_detach(reference: int, elements: _Elements) -> Detach:
    return Detach(reference)


def _read_forward(reference: int, elements: _Elements) -> Forward:
    submitted_at = elements.get(_Tag.SUBMITTED_AT)
    if submitted_at is not None and len(submitted_at) != TIMESTAMP_OCTETS:
        raise SmsParseError("SUBMITTED_AT is not seven octets", spec=_SPEC, raw=submitted_at)
    return Forward(
        reference=reference,
        kind=_member(elements, _Tag.KIND, ForwardKind),
        rpdu=_required(elements, _Tag.RPDU),
        originator=_party(elements, _Tag.ORIGINATOR),
        destination=_party(elements, _Tag.DESTINATION),
        more_messages=elements.get(_Tag.MORE) == b"\x01",
        submitted_at=Timestamp(submitted_at) if submitted_at is not None else None,
        identifier=_text(elements, _Tag.IDENTIFIER),
        report_to=_text(elements, _Tag.REPORT_TO),
        report_key=_text(elements, _Tag.REPORT_KEY),
    )


def _read_result(reference: int, elements: _Elements) -> Result:
    return Result(reference, _required(elements, _Tag.RPDU))


def _read_failure(reference: int, elements: _Elements) -> Failure:
    return Failure(reference, _number(elements, _Tag.ERROR))


def _read_alert(reference: int, elements: _Elements) -> SmAlert:
    subscriber = _party(elements, _Tag.DESTINATION)
    if subscriber is None:
        raise SmsParseError("DESTINATION is missing", spec=_SPEC)
    return SmAlert(subscriber, _member(elements, _Tag.REASON, AlertReason), reference)


_READERS: Mapping[int, Callable[[int, _Elements], SmLinkMessage]] = {
    _Type.BIND: _read_bind,
    _Type.ATTACH: _read_attach,
    _Type.ACCEPTED: _read_accepted,
    _Type.REFUSED: _read_refused,
    _Type.DETACH: _read_detach,
    _Type.FORWARD: _read_forward,
    _Type.RESULT: _read_result,
    _Type.FAILURE: _read_failure,
    _Type.ALERT: _read_alert,
}
