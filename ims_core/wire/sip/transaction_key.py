"""Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3, §9.2)."""

from __future__ import annotations

import re
from typing import Final, NewType

from ims_core.wire.sip.address_headers import From, To
from ims_core.wire.sip.grammar import is_token
from ims_core.wire.sip.message import Request, Response

__all__ = ["MAGIC_COOKIE", "TransactionKey", "cancelled_key", "client_key", "response_key", "transaction_key"]

MAGIC_COOKIE: Final = "z9hG4bK"
"""What the branch of an RFC 3261 client begins with (§8.1.1.7)."""

_USUAL_CSEQ: Final = re.compile("CSeq: [0-9]{1,9} ([A-Z]+)")

TransactionKey = NewType("TransactionKey", str)
"""Client and server transactions have separate key spaces: keep them in separate tables."""


def transaction_key(request: Request) -> TransactionKey:
    """Key of the server transaction of *request* (§17.2.3): for ACK that of the INVITE it acknowledges.

    An ACK to a 2xx has a branch of its own and so matches nothing. Branches are compared octet by octet (choice): some
    clients count in letters of both cases, none changes the case. The CSeq number counts too (choice): some clients
    answer a challenge with the branch of the request that was challenged. Raises SipParseError if a header needed is
    malformed.
    """
    return _server_key(request, "INVITE" if request.method == "ACK" else request.method)


def cancelled_key(cancel: Request) -> TransactionKey:
    """Key of the INVITE server transaction that *cancel* is about (§9.2). Raises SipParseError."""
    return _server_key(cancel, "INVITE")


def client_key(request: Request) -> TransactionKey:
    """Key of the client transaction that sends *request*, whose top Via is our own. Raises SipParseError."""
    return TransactionKey(f"{request.top_via.branch} {request.method}")


def response_key(response: Response) -> TransactionKey:
    """Key of the client transaction that *response* answers: branch and CSeq method (§17.1.3).

    Raises SipParseError if one of them cannot be read; the rest of the top Via is not looked at."""
    via, cseq = response.first_lines("via", "cseq")
    _, found, branch = via.partition(";branch=")
    if not found or not is_token(branch):  # more parameters, or malformed
        branch = response.top_via.branch or ""
    usual = _USUAL_CSEQ.fullmatch(cseq)
    return TransactionKey(f"{branch} {response.cseq.method if usual is None else usual[1]}")


def _server_key(request: Request, method: str) -> TransactionKey:
    via = request.top_via
    branch = via.branch
    if branch is None or branch == MAGIC_COOKIE or not branch.startswith(MAGIC_COOKIE):
        return _rfc_2543_key(request, method)
    return TransactionKey(f"{branch} {via.sent_by} {request.cseq.number} {method}")


def _rfc_2543_key(request: Request, method: str) -> TransactionKey:
    """Without a branch that is unique: Request-URI, tags, Call-ID, CSeq and top Via (§17.2.3).

    The To tag is left out for INVITE: its ACK has the tag of our response, which the INVITE did not have.
    """
    via, sender, to = request.top_via, request.get(From), request.get(To)
    to_tag = "" if method == "INVITE" or to is None else to.tag
    fields = (
        request.request_uri_text,
        sender and sender.tag,
        to_tag,
        request.call_id,
        request.cseq.number,
        via.transport,
        via.sent_by,
        via.params.without("received", "rport"),
        method,
    )
    return TransactionKey("\n".join(map(str, fields)))
