"""VerifiableDerivedContent: what the signature of a receipt covers (RCC.16 §7.6.3).

Deployed peers sign RCC.16's inner struct between a prefix and one octet: the receipt's own id, the era and the type
before it, an absent resent-message component after it (observed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TypeAlias

from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.mls.codec import Reader, encode_opaque, encode_u8, encode_u16, encode_u32
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus

__all__ = [
    "DeliveryStatus",
    "DerivedContent",
    "DisplayStatus",
    "ReceiptStatement",
    "SignedForm",
    "VerifiableDeliveryImdn",
    "VerifiableDisplayImdn",
    "VerifiableVideoChatMessage",
    "derived_content_of",
    "signed_form",
    "signed_octets_of",
]

_VERSION = b"\x00\x01"
_SPEC = "RCC.16 §7.6.3"
_DELIVERY_TYPE, _DISPLAY_TYPE = 1, 2


class DeliveryStatus(IntEnum):
    """DeliveryNotificationStatus."""

    DELIVERED = 1
    FAILED = 2
    FORBIDDEN = 3
    ERROR = 4


class DisplayStatus(IntEnum):
    """DisplayNotificationStatus."""

    DISPLAYED = 1
    FORBIDDEN = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class VerifiableDeliveryImdn:
    """RCC.16 §7.6.3.2. In the signed form of a negative one, two zero octets follow (observed: a decoder wants an
    absent option there)."""

    reported_id: str
    status: int
    failure_code: int = 0

    @property
    def type_number(self) -> int:
        return _DELIVERY_TYPE

    def encode(self) -> bytes:
        identifier = encode_opaque(_octets(self.reported_id))
        content = _VERSION + encode_u16(self.status) + identifier + encode_u16(self.failure_code)
        return content if self.status == DeliveryStatus.DELIVERED else content + b"\x00\x00"


@dataclass(frozen=True, slots=True)
class VerifiableDisplayImdn:
    """RCC.16 §7.6.3.3."""

    reported_id: str
    status: int

    @property
    def type_number(self) -> int:
        return _DISPLAY_TYPE

    def encode(self) -> bytes:
        return _VERSION + encode_u16(self.status) + encode_opaque(_octets(self.reported_id))


@dataclass(frozen=True, slots=True)
class VerifiableVideoChatMessage:
    """RCC.16 §7.6.3.4: a protobuf of the application, as it is. It is no receipt."""

    video_chat_message: bytes

    @classmethod
    def decode(cls, octets: bytes) -> VerifiableVideoChatMessage:
        """Raises TlsDecodeError, and nothing else, on any octets."""
        reader = Reader(octets)
        _read_version(reader)
        message = cls(reader.opaque())
        reader.finish()
        return message

    def encode(self) -> bytes:
        return _VERSION + encode_opaque(self.video_chat_message)


ReceiptStatement: TypeAlias = VerifiableDeliveryImdn | VerifiableDisplayImdn


@dataclass(frozen=True, slots=True)
class DerivedContent:
    """``uint16 version = 1; opaque receipt_message_id<V>; uint32 era; uint8 type``, the statement, ``uint8 0``.

    *receipt_id* is the imdn.Message-ID of the receipt itself."""

    receipt_id: str
    era: int
    statement: ReceiptStatement

    @classmethod
    def decode(cls, octets: bytes) -> DerivedContent:
        """Raises TlsDecodeError, and nothing else, on any octets. A receiver does not need it: it compares octets."""
        reader = Reader(octets)
        _read_version(reader)
        receipt_id, era = _text(reader.opaque()), reader.u32()
        statement = _read_statement(reader)
        if reader.u8() != 0:
            reader.fail("a resent-message component", _SPEC)
        reader.finish()
        return cls(receipt_id, era, statement)

    def encode(self) -> bytes:
        """As deployed."""
        return _framed(self.receipt_id, self.era, self.statement.type_number, self.statement.encode())


class SignedForm(Enum):
    """Which form of a statement was signed."""

    FULL = "full"
    INNER = "inner"
    """The text of RCC.16 alone: taken as an old form (choice)."""


def signed_form(signed: bytes, expected: DerivedContent) -> SignedForm | None:
    """How *signed*, the authenticated data of a valid signature, states what the receipt says; None if it states
    something else."""
    if signed == expected.encode():
        return SignedForm.FULL
    return SignedForm.INNER if signed == expected.statement.encode() else None


_DELIVERY: Mapping[str, DeliveryStatus] = {
    ImdnStatus.DELIVERED: DeliveryStatus.DELIVERED,
    ImdnStatus.FAILED: DeliveryStatus.FAILED,
    ImdnStatus.FORBIDDEN: DeliveryStatus.FORBIDDEN,
    ImdnStatus.ERROR: DeliveryStatus.ERROR,
}
_DISPLAY: Mapping[str, DisplayStatus] = {
    ImdnStatus.DISPLAYED: DisplayStatus.DISPLAYED,
    ImdnStatus.FORBIDDEN: DisplayStatus.FORBIDDEN,
    ImdnStatus.ERROR: DisplayStatus.ERROR,
}
_CODES: Mapping[str, int] = {reason: reason.code for reason in ClientFailureReason}


def derived_content_of(imdn: Imdn, receipt_id: str, era: int) -> DerivedContent | None:
    """The content that the signature of *imdn* covers, sent under *receipt_id* in *era*. None for a notification of
    another kind, or with a reason that has no number: nobody can have signed that."""
    statement = _statement_of(imdn)
    return None if statement is None else DerivedContent(receipt_id, era, statement)


def signed_octets_of(imdn: Imdn, receipt_id: str, era: int) -> tuple[bytes, bytes] | None:
    """The octets of `derived_content_of`: in full, as deployed, and those of the statement alone."""
    statement = _statement_of(imdn)
    if statement is None:
        return None
    inner = statement.encode()
    return _framed(receipt_id, era, statement.type_number, inner), inner


def _framed(receipt_id: str, era: int, type_number: int, statement: bytes) -> bytes:
    prefix = _VERSION + encode_opaque(_octets(receipt_id)) + encode_u32(era)
    return prefix + encode_u8(type_number) + statement + b"\x00"


def _statement_of(imdn: Imdn) -> ReceiptStatement | None:
    delivery, display = _DELIVERY.get(imdn.status), _DISPLAY.get(imdn.status)
    if imdn.kind == ImdnKind.DISPLAY and display is not None:
        return VerifiableDisplayImdn(imdn.message_id, display)
    if imdn.kind != ImdnKind.DELIVERY or delivery is None or imdn.server_failure_reason is not None:
        return None
    token = imdn.client_failure_reason
    code = 0 if token is None else _CODES.get(token)
    return None if code is None else VerifiableDeliveryImdn(imdn.message_id, delivery, code)


def _read_version(reader: Reader) -> None:
    version = reader.u16()
    if version != 1:
        reader.fail(f"derived content of version {version}", _SPEC)


def _read_statement(reader: Reader) -> ReceiptStatement:
    type_number = reader.u8()
    _read_version(reader)
    status, reported_id = reader.u16(), _text(reader.opaque())
    if type_number == _DISPLAY_TYPE:
        return VerifiableDisplayImdn(reported_id, status)
    if type_number != _DELIVERY_TYPE:
        reader.fail(f"derived content of type {type_number}", _SPEC)
    code = reader.u16()
    if status != DeliveryStatus.DELIVERED and reader.u16() != 0:
        reader.fail("an option that is not absent", _SPEC)
    return VerifiableDeliveryImdn(reported_id, status, code)


def _octets(identifier: str) -> bytes:
    return identifier.encode("utf-8", "surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
