"""The top Via and the CSeq of a request as nearly all write them, read without making values of them: they differ with
every request, and the stack that receives it is mostly the only one to look at them (RFC 3261 §17.2.3, §18.2.1)."""

from __future__ import annotations

import re
from typing import Final

from ims_core.wire.sip.grammar import TOKEN
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.transaction_key import TransactionKey
from ims_core.wire.sip.uri import sound_host, sound_port

__all__ = ["TopHop", "top_hop"]

# With a branch of RFC 3261 (§8.1.1.7), one Via in the field, and CSeq of less than ten digits
_VIA: Final = re.compile(
    rf"Via: SIP/2\.0/[A-Z]+ ([0-9A-Za-z][-0-9A-Za-z_.]*)(?::([0-9]{{1,5}}))?;branch=(z9hG4bK{TOKEN})(;rport)?(;keep)?"
)
_CSEQ: Final = re.compile("CSeq: ([0-9]{1,9}) ([A-Z]+)")


class TopHop:
    """What the stack needs of them: the key of the server transaction, the sent-by port, and whether the response goes
    to the source port (RFC 3581 §4)."""

    __slots__ = ("_end", "_host", "_line", "has_rport", "key", "port")

    def __init__(self, key: str, line: str, end: str, host: str, port: int | None, has_rport: bool) -> None:
        self.key = TransactionKey(key)
        self._line, self._end, self._host = line, end, host
        self.port, self.has_rport = port, has_rport

    def marked(self, host: str, port: int) -> str:
        """The Via field with the source that the request came from, as `Via.with_received` writes it; "" if there is
        nothing to add."""
        if self.has_rport:
            return f"{self._line}={port}{self._end};received={host}"
        return "" if self._host.lower() == host.lower() else f"{self._line}{self._end};received={host}"


def top_hop(request: Request) -> TopHop | None:
    """None for a request whose Via or CSeq is written otherwise, or malformed: its values will tell. Raises
    SipParseError for a host or port that cannot be."""
    line, method = request.first_line("via"), request.method
    via, cseq = _VIA.fullmatch(line), _CSEQ.fullmatch(request.first_line("cseq"))
    if via is None or cseq is None or cseq[2] != method:
        return None
    host, port, branch, rport, keep = via.groups()
    sent_by = sound_host(host).lower() if port is None else f"{sound_host(host).lower()}:{sound_port(port)}"
    key = f"{branch} {sent_by} {int(cseq[1])} {'INVITE' if method == 'ACK' else method}"
    if keep:
        line = line[: -len(keep)]
    return TopHop(key, line, keep or "", host, None if port is None else int(port), rport is not None)
