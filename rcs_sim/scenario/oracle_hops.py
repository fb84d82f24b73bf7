"""What a hop of a trace carried: one passage of one content over one link, and what can be told from its octets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ims_core.trace import TraceRecord

__all__ = ["Carried", "Hop", "Metadata", "digits_of", "hop_of", "same_text"]

_NUMBER = re.compile(r"(?:tel:|sips?:)?\+?(\d{3,15})(?![\w.])")
_ADDRESS = re.compile(r"(?:tel:|sips?:)\+?(\d{3,15})(?![\w.])")


class Metadata(StrEnum):
    """What an element on the way learns about a message without reading it."""

    NUMBERS = "numbers"
    MESSAGE_ID = "message id"
    CONVERSATION = "conversation id"
    TIME = "time"
    SIZE = "size"
    PADDED_SIZE = "padded size"
    ERA = "era"
    EPOCH = "epoch authenticator"
    RECEIPT = "receipts"


@dataclass(frozen=True, slots=True)
class Hop:
    """One passage: *source* and *target* could read what crossed, whether the link has TLS or not."""

    number: int
    at: float
    source: str
    target: str
    reference_point: str
    protocol: str
    transport: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A content that crossed *hop*. *ids* are its imdn.Message-ID and the one that it replaces; *text* is what anybody
    reads in it, None if it is no text by its type. *sender* and *recipient* are bare digits, "" if not said.

    *remarks* are what stands around it in fields for somebody's words. *is_whole*: no part of it is missing.
    *is_derived*: its octets do not stand as such in one record. *short_message*: an SMS, ``submit`` or ``deliver``."""

    hop: Hop
    ids: tuple[str, ...] = ()
    media_type: str = ""
    octets: bytes = b""
    text: str | None = None
    about: str = ""
    receipt: str = ""
    sender: str = ""
    recipient: str = ""
    remarks: tuple[str, ...] = ()
    is_whole: bool = True
    is_derived: bool = False
    short_message: str = ""
    era: int | None = None
    epoch_authenticator: bytes = b""
    conversation_id: str = ""
    metadata: frozenset[Metadata] = frozenset()


def hop_of(record: TraceRecord) -> Hop:
    return Hop(
        record.number,
        record.at,
        record.source,
        record.target,
        record.reference_point,
        record.protocol,
        record.transport,
    )


def digits_of(address: str) -> str:
    """Bare digits of the first number in *address* (a URI, a header value or a number), "" if it has none."""
    found = _ADDRESS.search(address) or _NUMBER.match(address.strip(" <"))
    return "" if found is None else found[1]


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same to a reader: white space is not compared (interworking changes it)."""
    return one == other or one.split() == other.split()
