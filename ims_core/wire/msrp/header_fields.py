"""Values of MSRP header fields, and the words of its grammar (RFC 4975 §7.1, §9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from ims_core.errors import RemoteProtocolError

if TYPE_CHECKING:
    from ims_core.wire.msrp.message import MsrpRequest

__all__ = [
    "FAILURE_REPORTS",
    "REASONS",
    "ByteRange",
    "Continuation",
    "FailureReport",
    "MsrpParseError",
    "ReportStatus",
    "can_use",
    "header_key",
    "is_echoed_id",
    "is_method",
    "is_transaction_id",
]

REASONS: Final[Mapping[int, str]] = {  # RFC 4975 §10 has no texts of its own; these say what it says
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Stop Sending Message",
    415: "Unsupported Media Type",
    423: "Interval Out-of-Bounds",
    481: "Session Does Not Exist",
    501: "Not Implemented",
    506: "Session Already Bound",
}

# ident = ALPHANUM 3*31ident-char;  ident-char = ALPHANUM / "." / "-" / "+" / "%" / "="
_TRANSACTION_ID = re.compile(r"[0-9A-Za-z][-0-9A-Za-z.+%=]{3,31}")
_ECHOED_ID = re.compile(r"[-0-9A-Za-z.+%=]{1,64}")  # what a peer may have used and still gets an answer
_METHOD = re.compile(r"[A-Z]+")
# hname = ALPHA *token; one class of characters, so it matches in one way only
_NAME = re.compile(r"[A-Za-z][!#-'*+.\-0-9A-Z^-~]*")
# Byte-Range = 1*DIGIT "-" ( 1*DIGIT / "*" ) "/" ( 1*DIGIT / "*" ); 18 digits are within 64 bits
_BYTE_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18}|\*)/([0-9]{1,18}|\*)")
# Status = namespace SP status-code [SP text-reason]
_STATUS = re.compile(r"([0-9]{3}) ([0-9]{3})(?: (.*))?")

_KEYS: Final[Mapping[str, str]] = {
    name: name.lower()
    for name in (
        *("To-Path", "From-Path", "Message-ID", "Byte-Range", "Success-Report", "Failure-Report", "Status"),
        *("Content-Type", "Content-ID", "Content-Description", "Content-Disposition"),
        *("Use-Path", "Expires", "Min-Expires", "Max-Expires", "WWW-Authenticate", "Authorization"),
        "Authentication-Info",
    )
}


class MsrpParseError(RemoteProtocolError):
    """Octets that are no MSRP message (RFC 4975 §9).

    *status* is the code for an answer. *head* is the request to answer, None if it cannot or must not be answered.
    After one that *is_fatal* nothing tells where the next message begins."""

    def __init__(self, message: str, *, spec: str, raw: str | bytes = b"", status: int = 400) -> None:
        octets = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
        super().__init__(message, spec=spec, raw=octets)
        self.status = status
        self.is_fatal = False
        self.head: MsrpRequest | None = None


class Continuation(Enum):
    """Continuation flag of an end line (RFC 4975 §5.1)."""

    COMPLETE = "$"
    MORE = "+"
    ABORTED = "#"


class FailureReport(Enum):
    """Failure-Report header field (RFC 4975 §7.1.1)."""

    YES = "yes"
    NO = "no"
    PARTIAL = "partial"


FAILURE_REPORTS: Final[Mapping[str, FailureReport]] = {each.value: each for each in FailureReport}


class ReportStatus(NamedTuple):
    """Status header field of a REPORT (RFC 4975 §7.1.2). Namespace ``000``: *code* is one of MSRP."""

    namespace: str
    code: int
    comment: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if malformed: nobody is told about a fault in a REPORT."""
        found = _STATUS.fullmatch(text)
        return None if found is None else cls(found[1], int(found[2]), found[3] or "")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Byte-Range header field (RFC 4975 §7.1.1): octets of the message, counted from 1; None is ``*``.

    ``1-0/0`` is nothing of nothing."""

    start: int
    end: int | None
    total: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises MsrpParseError if malformed, below 1, backwards, or beyond the total."""
        found = _BYTE_RANGE.fullmatch(text)
        if found is None:
            raise MsrpParseError("not a Byte-Range", raw=text, spec="RFC 4975 §9")
        first, last, whole = found.groups()
        start = int(first)
        end = None if last == "*" else int(last)
        total = None if whole == "*" else int(whole)
        if start < 1 or (end is not None and end < start - 1):
            raise MsrpParseError("a Byte-Range that runs backwards", raw=text, spec="RFC 4975 §7.1.1")
        if total is not None and (start if end is None else end + 1) > total + 1:
            raise MsrpParseError("a Byte-Range beyond its total", raw=text, spec="RFC 4975 §7.1.1")
        return cls(start, end, total)

    def __str__(self) -> str:
        end = "*" if self.end is None else self.end
        total = "*" if self.total is None else self.total
        return f"{self.start}-{end}/{total}"


def can_use(transaction_id: str, octets: bytes) -> bool:
    """Whether *octets* may be the body of that transaction: its end line is nowhere in them (RFC 4975 §7.1)."""
    return b"-------%b" % transaction_id.encode("ascii") not in octets


def is_transaction_id(text: str) -> bool:
    """Whether *text* is 4 to 32 of the characters allowed (RFC 4975 §9)."""
    return _TRANSACTION_ID.fullmatch(text) is not None


def header_key(name: str) -> str | None:
    """What header names are compared by; None if *name* is none."""
    key = _KEYS.get(name)
    return key or (name.lower() if _NAME.fullmatch(name) is not None else None)


def is_echoed_id(text: str) -> bool:
    """Whether *text* may stand in an answer: framing is sound, even if the length is not what RFC 4975 §9 says."""
    return _ECHOED_ID.fullmatch(text) is not None


def is_method(text: str) -> bool:
    """Whether *text* may be a method, known or not (RFC 4975 §9)."""
    return _METHOD.fullmatch(text) is not None
