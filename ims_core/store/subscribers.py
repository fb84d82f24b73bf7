"""Subscribers as the HSS keeps them (TS 23.008), and the sequence numbers that a restart must not forget."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ims_core.store.record_table import RecordType
from ims_core.wire.secret import Secret

__all__ = ["SEQUENCE_NUMBERS", "SUBSCRIBERS", "AuthenticationScheme", "SequenceNumber", "Subscriber"]


class AuthenticationScheme(enum.Enum):
    """How a subscriber proves who he is: the ``algorithm`` of his challenges. One for each subscriber."""

    DIGEST_MD5 = "MD5"
    DIGEST_SHA_256 = "SHA-256"
    AKA_V1_MD5 = "AKAv1-MD5"

    __hash__ = object.__hash__  # members are single objects: this is several times faster than Enum's hash of the name


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """One subscription. *implicit_sets* are the implicit registration sets: IMPUs (sip or tel URIs) that register
    together, the default one first. *msisdn* is an E.164 number with "+".

    Digest needs *password*, or *ha1* as hexadecimal text (of the IMPI and the home domain as realm); AKA needs *k* and
    *opc*, 16 octets each, *amf* (2 octets) and the last sequence number *sqn*. *services* are the ICSI that the user
    may ask for; None leaves it to the service profile."""

    impi: str
    implicit_sets: tuple[tuple[str, ...], ...]
    msisdn: str | None = None
    imsi: str | None = None
    scheme: AuthenticationScheme = AuthenticationScheme.DIGEST_MD5
    password: Secret | None = None
    ha1: Secret | None = None
    k: Secret | None = None
    opc: Secret | None = None
    amf: bytes = bytes(2)
    sqn: int = 0
    service_profile: str = "rcs"
    services: tuple[str, ...] | None = None
    is_barred: bool = False


@dataclass(frozen=True, slots=True)
class SequenceNumber:
    """SQN_HE of one IMPI (TS 33.102 §C.1)."""

    impi: str
    sqn: int


SUBSCRIBERS: RecordType[Subscriber] = RecordType("subscribers", Subscriber, lambda record: record.impi)
SEQUENCE_NUMBERS: RecordType[SequenceNumber] = RecordType(
    "sequence_numbers", SequenceNumber, lambda record: record.impi
)
