"""The top Via and the CSeq of a request as nearly all write them, read without making values of them: they differ with
every request, and the stack that receives it is mostly the only one to look at them (RFC 3261 §17.2.3, §18.2.1)."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from ims_core.wire.sip.grammar import TOKEN
from ims_core.wire.sip.memo import Memo
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.transaction_key import TransactionKey
from ims_core.wire.sip.uri import sound_host, sound_port

__all__ = ["TopHop", "top_hop"]

TopHop: TypeAlias = tuple[TransactionKey, str, bool]
"""The key of the server transaction; the top Via field with the source that the request came from, as
`Via.with_received` writes it, "" if there is nothing to add; and whether a datagram is answered to its source, for
rport (RFC 3581 §4) or because the sent-by port is the same."""

# With a branch of RFC 3261 (§8.1.1.7), one Via in the field, and CSeq of less than ten digits
_VIA: Final = re.compile(
    rf"Via: SIP/2\.0/[A-Z]+ ([0-9A-Za-z][-0-9A-Za-z_.]*(?::[0-9]{{1,5}})?);branch=(z9hG4bK{TOKEN})(;rport)?(;keep)?"
)
_CSEQ: Final = re.compile("CSeq: ([0-9]{1,9}) ([A-Z]+)")


def _read_sent_by(text: str) -> tuple[str, str, int | None]:
    host, colon, digits = text.partition(":")
    lower = sound_host(host).lower()
    port = sound_port(digits) if colon else None
    return lower if port is None else f"{lower}:{port}", lower, port


_sent_by: Memo[tuple[str, str, int | None]] = Memo(_read_sent_by)  # how it is compared, the host, the port


def top_hop(request: Request, source_host: str, source_port: int) -> TopHop | None:
    """None for a request whose Via or CSeq is written otherwise, or malformed: its values will tell. Raises
    SipParseError for a host or port that cannot be."""
    line, cseq_line = request.first_lines("via", "cseq")
    via, cseq = _VIA.fullmatch(line), _CSEQ.fullmatch(cseq_line)
    if via is None or cseq is None:
        return None
    number, method = cseq.groups()
    if method != request.method:
        return None
    text, branch, rport, keep = via.groups()
    sent_by, host, port = _sent_by[text]
    key = TransactionKey(f"{branch} {sent_by} {int(number)} {'INVITE' if method == 'ACK' else method}")
    if rport is not None:
        start = line if keep is None else line[: -len(keep)]
        return key, f"{start}={source_port}{keep or ''};received={source_host}", True
    marked = "" if host == source_host.lower() else f"{line};received={source_host}"
    return key, marked, port == source_port
