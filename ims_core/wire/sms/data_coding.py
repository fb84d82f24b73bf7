"""TP-Data-Coding-Scheme: alphabet, message class and message waiting groups (3GPP TS 23.038 §4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import ClassVar

from ims_core.wire.sms.alphabet import Alphabet

__all__ = ["DataCoding", "MessageClass", "MessageWaiting", "WaitingKind"]


class MessageClass(IntEnum):
    """TS 23.038 §4: where the receiver puts the message."""

    FLASH = 0
    ME_SPECIFIC = 1
    SIM_SPECIFIC = 2
    TE_SPECIFIC = 3


class WaitingKind(Enum):
    """Indication type of the message waiting groups."""

    VOICEMAIL = 0
    FAX = 1
    EMAIL = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class MessageWaiting:
    """Message waiting indication; *discard*: the receiver may throw the text away."""

    kind: WaitingKind
    is_active: bool
    discard: bool


_GENERAL_ALPHABETS = (Alphabet.GSM7, Alphabet.EIGHT_BIT, Alphabet.UCS2, Alphabet.GSM7)  # 11 is reserved: as GSM 7 bit


@dataclass(frozen=True, slots=True)
class DataCoding:
    """The octet as received. Reserved codings count as GSM 7 bit, as §4 tells receivers to do."""

    octet: int

    GSM7: ClassVar[DataCoding]
    EIGHT_BIT: ClassVar[DataCoding]
    UCS2: ClassVar[DataCoding]

    @classmethod
    def of(cls, alphabet: Alphabet, message_class: MessageClass | None = None) -> DataCoding:
        """General data coding group, uncompressed."""
        octet = {Alphabet.GSM7: 0x00, Alphabet.EIGHT_BIT: 0x04, Alphabet.UCS2: 0x08}[alphabet]
        return cls(octet if message_class is None else octet | 0x10 | message_class)

    @property
    def _is_general(self) -> bool:
        return self.octet < 0x80

    @property
    def alphabet(self) -> Alphabet:
        group = self.octet >> 4
        if self._is_general:
            return _GENERAL_ALPHABETS[self.octet >> 2 & 3]
        if group == 0xE:
            return Alphabet.UCS2
        if group == 0xF and self.octet & 0x04:
            return Alphabet.EIGHT_BIT
        return Alphabet.GSM7

    @property
    def message_class(self) -> MessageClass | None:
        if (self._is_general and self.octet & 0x10) or self.octet >> 4 == 0xF:
            return MessageClass(self.octet & 3)
        return None

    @property
    def is_compressed(self) -> bool:
        """Compressed by TS 23.042: the user data is opaque here and its length counts octets."""
        return self._is_general and bool(self.octet & 0x20)

    @property
    def is_deleted_when_read(self) -> bool:
        """Message marked for automatic deletion group."""
        return self.octet >> 6 == 1

    @property
    def waiting(self) -> MessageWaiting | None:
        group = self.octet >> 4
        if group not in (0xC, 0xD, 0xE):
            return None
        return MessageWaiting(WaitingKind(self.octet & 3), bool(self.octet & 0x08), discard=group == 0xC)

    @property
    def counts_septets(self) -> bool:
        """Whether TP-User-Data-Length counts septets; otherwise octets."""
        return self.alphabet is Alphabet.GSM7 and not self.is_compressed


DataCoding.GSM7 = DataCoding(0x00)
DataCoding.EIGHT_BIT = DataCoding(0x04)
DataCoding.UCS2 = DataCoding(0x08)
