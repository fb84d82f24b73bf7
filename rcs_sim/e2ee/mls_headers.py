"""CPIM headers of the MLS plane, known by namespace and never by prefix (RCC.16 §7.9), and those of the focus."""

from __future__ import annotations

import binascii
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum

from rcs_sim.e2ee.content_types import MLS_NAMESPACE, SIM_NAMESPACE
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader

__all__ = ["FocusHeaders", "HeaderFault", "MlsHeaders", "receipt_headers", "receipt_signature"]

AUTHENTICATOR_OCTETS = 32
_ERA = "Era-ID"
_AUTHENTICATOR = "Epoch-Authenticator"
_SIGNATURE = "MLS-Derived-Content-Signature"
_ORIGINAL = "Original-Message-ID"
_NAMES = (_ERA, _AUTHENTICATOR, _SIGNATURE, _ORIGINAL)
_OF_RECEIPT = (_SIGNATURE, _ERA)
_MAX_ERA = 2**32 - 1
_MAX_EPOCH = 2**64 - 1


class HeaderFault(StrEnum):
    """Why a body is dropped before anything is decrypted, silently and without a receipt (RCC.16 §7.9)."""

    NO_ERA = "no Era-ID"
    MALFORMED_ERA = "malformed Era-ID"
    NO_AUTHENTICATOR = "no Epoch-Authenticator"
    MALFORMED_AUTHENTICATOR = "malformed Epoch-Authenticator"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlsHeaders:
    """The headers, typed. *era_id* is None and octets are empty where a header is absent or cannot be read; *fault* is
    the first reason for which a ``message/mls`` body is refused. Other bodies are taken with a fault, and traced."""

    era_id: int | None = None
    epoch_authenticator: bytes = b""
    signature: bytes = b""
    original_message_id: str = ""
    fault: HeaderFault | None = None

    @classmethod
    def of(cls, message: CpimMessage) -> MlsHeaders:
        """Reads uint32 and 32 octets of base64, strictly (choice). Never raises."""
        era, authenticator, signature, original = message.get_each(MLS_NAMESPACE, _NAMES)
        era_id = _number(era, _MAX_ERA)
        octets = _octets(authenticator)
        if len(octets) != AUTHENTICATOR_OCTETS:
            octets = b""
        return cls(
            era_id=era_id,
            epoch_authenticator=octets,
            signature=_octets(signature),
            original_message_id=(original or "").strip(),
            fault=_fault(era, era_id, authenticator, octets),
        )

    def to_headers(self) -> tuple[CpimHeader, ...]:
        """Those that are set, in the order in which peers write them: the signature of a receipt before its era."""
        headers = []
        if self.signature:
            headers.append(CpimHeader(MLS_NAMESPACE, _SIGNATURE, _base64(self.signature)))
        if self.era_id is not None:
            headers.append(CpimHeader(MLS_NAMESPACE, _ERA, str(self.era_id)))
        if self.epoch_authenticator:
            headers.append(CpimHeader(MLS_NAMESPACE, _AUTHENTICATOR, _base64(self.epoch_authenticator)))
        if self.original_message_id:
            headers.append(CpimHeader.of(MLS_NAMESPACE, _ORIGINAL, self.original_message_id))
        return tuple(headers)


def receipt_headers(signature: bytes, era_id: int) -> tuple[CpimHeader, CpimHeader]:
    """The two headers of a signed receipt, in the order in which peers write them."""
    return (
        CpimHeader(MLS_NAMESPACE, _SIGNATURE, _base64(signature)),
        CpimHeader(MLS_NAMESPACE, _ERA, str(era_id)),
    )


def receipt_signature(message: CpimMessage) -> tuple[bytes, int | None]:
    """Signature, empty without one, and era of a receipt. Never raises."""
    signature, era = message.get_each(MLS_NAMESPACE, _OF_RECEIPT)
    return _octets(signature), _number(era, _MAX_ERA)


def _fault(era: str | None, era_id: int | None, authenticator: str | None, octets: bytes) -> HeaderFault | None:
    if era_id is None:
        return HeaderFault.MALFORMED_ERA if era and era.strip() else HeaderFault.NO_ERA
    if not octets:
        given = authenticator is not None and bool(authenticator.strip())
        return HeaderFault.MALFORMED_AUTHENTICATOR if given else HeaderFault.NO_AUTHENTICATOR
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusHeaders:
    """Headers of this simulator's focus (choice): which request it answers, what state it holds, why it refuses.

    Whoever does not know them takes no notice."""

    in_reply_to: str = ""
    server_era: int | None = None
    server_epoch: int | None = None
    server_epoch_authenticator: bytes = b""
    group_id: str = ""
    detail: str = ""

    @classmethod
    def of(cls, message: CpimMessage) -> FocusHeaders:
        """What cannot be read is as if absent. Never raises."""
        return cls(
            in_reply_to=(message.get(SIM_NAMESPACE, "In-Reply-To") or "").strip(),
            server_era=_number(message.get(SIM_NAMESPACE, "Server-Era"), _MAX_ERA),
            server_epoch=_number(message.get(SIM_NAMESPACE, "Server-Epoch"), _MAX_EPOCH),
            server_epoch_authenticator=_octets(message.get(SIM_NAMESPACE, "Server-Epoch-Authenticator")),
            group_id=(message.get(SIM_NAMESPACE, "Group-ID") or "").strip(),
            detail=(message.get(SIM_NAMESPACE, "Detail") or "").strip(),
        )

    def to_headers(self) -> tuple[CpimHeader, ...]:
        """Those that are set."""
        values = (
            ("In-Reply-To", self.in_reply_to),
            ("Server-Era", "" if self.server_era is None else str(self.server_era)),
            ("Server-Epoch", "" if self.server_epoch is None else str(self.server_epoch)),
            ("Server-Epoch-Authenticator", _base64(self.server_epoch_authenticator)),
            ("Group-ID", self.group_id),
            ("Detail", self.detail),
        )
        return tuple(CpimHeader.of(SIM_NAMESPACE, name, value) for name, value in values if value)


def _number(text: str | None, maximum: int) -> int | None:
    text = "" if text is None else text.strip(" \t")
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        return None
    number = int(text)
    return number if number <= maximum else None


def _octets(text: str | None) -> bytes:
    """Standard base64 with its padding; empty for anything else."""
    if not text:
        return b""
    try:
        return binascii.a2b_base64(text.strip(" \t").encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
