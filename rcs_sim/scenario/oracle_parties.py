"""Between whom an MSRP message goes: its To-Path is a path that somebody has announced in SDP, in an INVITE or in the
answer to one (RFC 4975 §8.2)."""

from __future__ import annotations

import re

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_hops import digits_of

__all__ = ["MsrpParties"]

_PATH = re.compile(rb"\r\na=path:[^\r\n]*?(msrps?://[^\s;]+)[^\s]*\s*(?:\r|\n|$)")
_TO_PATH = re.compile(rb"\r\nTo-Path:[^\r\n]*?(msrps?://[^\s;]+)[^\s]*\r\n", re.IGNORECASE)
_INVITE, _ANSWER, _OF_INVITE = b"INVITE ", b"SIP/2.0 ", re.compile(rb"\r\nCSeq:\s*\d+\s+INVITE\r\n", re.IGNORECASE)
_ASSERTED = re.compile(rb"\r\nP-(?:Asserted|Preferred)-Identity:([^\r\n]*)", re.IGNORECASE)
_FROM, _TO = (
    re.compile(rb"\r\n(?:%s|%s):([^\r\n]*)" % pair, re.IGNORECASE) for pair in ((b"From", b"f"), (b"To", b"t"))
)
_PATH_LINE = b"\r\na=path:"
_NOBODY = ("", "")


class MsrpParties:
    """The announced paths of a trace, and the numbers at their ends. Reads any octets."""

    __slots__ = ("_ends", "_of")

    def __init__(self) -> None:
        self._ends: dict[bytes, tuple[str, str]] = {}  # who is written to there, and who writes
        self._of: dict[int, tuple[str, str]] = {}

    def read(self, record: TraceRecord) -> None:
        """Takes note of the path in an INVITE or in its answer, and looks up that of a SEND."""
        if record.kind is not RecordKind.MESSAGE:
            return
        if record.protocol == "MSRP":
            found = _TO_PATH.search(record.raw)
            if found and found[1] in self._ends:
                self._of[record.number] = self._ends[found[1]][::-1]
        elif record.protocol == "SIP" and _PATH_LINE in record.raw:
            self._announced(record.raw)

    def _announced(self, raw: bytes) -> None:
        paths = _PATH.findall(raw)
        if raw.startswith(_INVITE):
            ends = _digits(_ASSERTED, raw) or _digits(_FROM, raw), _digits(_TO, raw)
        elif raw.startswith(_ANSWER) and _OF_INVITE.search(raw):
            ends = _digits(_TO, raw), _digits(_FROM, raw)
        else:
            return
        self._ends.update((path, ends) for path in paths[-1:])

    def of(self, number: int) -> tuple[str, str]:
        """Bare digits of the sender and the recipient of the SEND in record *number*; "" where nobody has said it."""
        return self._of.get(number, _NOBODY)


def _digits(header: re.Pattern[bytes], raw: bytes) -> str:
    found = header.search(raw)
    return "" if found is None else digits_of(found[1].decode("utf-8", "replace"))
