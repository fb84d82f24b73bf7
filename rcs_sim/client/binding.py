"""What the 200 to a REGISTER grants (RFC 3261 §10.3, RFC 3608, RFC 5627, RFC 6223, digest §2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ims_core.wire.sip.address_headers import Contact, PAssociatedUri, ServiceRoute
from ims_core.wire.sip.core_headers import Expires
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Response
from ims_core.wire.sip.uri import Uri, parse_uri
from rcs_sim.client.account import Account

__all__ = ["Binding", "read_binding"]

H = TypeVar("H", Contact, PAssociatedUri, ServiceRoute)

MAX_SERVICE_ROUTE = 16  # entries taken from one 200
MAX_ASSOCIATED_URIS = 64
DEFAULT_EXPIRES_S = 3600  # RFC 3261 §10.2.1.1: where neither side says how long


@dataclass(frozen=True, slots=True)
class Binding:
    """*granted_s* from *expires_at*; *service_route* as header values; *associated* public identities, default first;
    *keep_s* is the value that the Via came back with, None for no keep-alive; *is_outbound* as RFC 5626 §6."""

    granted_s: int
    expires_at: float
    service_route: tuple[str, ...]
    associated: tuple[Uri, ...]
    public_gruu: str | None
    temporary_gruu: str | None
    keep_s: int | None
    is_outbound: bool


def read_binding(response: Response, contact: str, account: Account, asked_s: int, now: float) -> Binding | None:
    """None if the response does not list the own contact, or lists it with nothing left."""
    own = _own_contact(response, contact, account)
    granted = _granted(response, own, asked_s)
    if granted <= 0 or (own is None and response.has("Contact")):
        return None
    return Binding(
        granted_s=granted,
        expires_at=now + granted,
        service_route=tuple(str(route) for route in _all(response, ServiceRoute)[:MAX_SERVICE_ROUTE]),
        associated=tuple(each.uri for each in _all(response, PAssociatedUri)[:MAX_ASSOCIATED_URIS]),
        public_gruu=own.params.get("pub-gruu") if own else None,
        temporary_gruu=own.params.get("temp-gruu") if own else None,
        keep_s=_keep(response),
        is_outbound="outbound" in (response.text("Require") or "").lower(),
    )


def _own_contact(response: Response, contact: str, account: Account) -> Contact | None:
    contacts = _all(response, Contact)
    if account.instance:
        mine = [each for each in contacts if each.instance == account.instance]
        if mine:
            return mine[0]
    uri = parse_uri(contact)
    return next((each for each in contacts if not each.is_wildcard and each.uri.same_as(uri)), None)


def _granted(response: Response, own: Contact | None, asked_s: int) -> int:
    if own is not None and own.expires is not None:
        return own.expires
    try:
        header = response.get(Expires)
    except SipParseError:
        header = None
    return header.seconds if header is not None else min(asked_s, DEFAULT_EXPIRES_S)


def _all(response: Response, header: type[H]) -> tuple[H, ...]:
    try:
        return response.get_all(header)
    except SipParseError:
        return ()


def _keep(response: Response) -> int | None:
    """Seconds in the ``keep`` parameter of the own Via (RFC 6223 §4.3); None without a value."""
    try:
        text = response.top_via.params.get("keep")
    except SipParseError:
        return None
    return int(text) if text and text.isdecimal() and text.isascii() and len(text) <= 6 and int(text) > 0 else None
