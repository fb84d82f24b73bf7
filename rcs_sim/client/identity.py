"""Who a conversation is with: one key per person, whatever spelling of the number or URI arrives (digest §0.4.6, §14).

A key is an E.164 number with "+", or ``sip:user@host`` for people without a number. Numbers are normalised once, when
a contact is first met; the results are shared by all phones of the process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

import phonenumbers

from ims_core.errors import SimulatorError
from ims_core.wire.sip.address_headers import From, PAssertedIdentity
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri, Uri, identity_key, parse_uri, tel_of_sip
from rcs_sim.devices.policy import RequestUriForm

__all__ = [
    "ContactKey",
    "NotAnAddress",
    "contact_key",
    "dialled_key",
    "is_number",
    "is_reachable",
    "nameless_key",
    "request_uri_text",
    "sender_of",
]

ContactKey = NewType("ContactKey", str)

_CACHED_CONTACTS = 65_536  # a load run has tens of thousands of numbers; an entry is about 200 octets
_NAME_PREFIX = "name:"
_NUMBER_CHARACTERS = frozenset("+0123456789-.() ")


class NotAnAddress(SimulatorError):
    """What the user dialled is neither a possible telephone number nor a SIP URI."""


def is_number(key: ContactKey) -> bool:
    """Whether the key is an E.164 number, which SMS can reach."""
    return key.startswith("+")


def nameless_key(name: str) -> ContactKey:
    """Key of a short message sender that is no telephone number: a service's name. Nothing can be sent to it."""
    return ContactKey(f"{_NAME_PREFIX}{name}")


def is_reachable(key: ContactKey) -> bool:
    """Whether anything can be sent to it."""
    return not key.startswith(_NAME_PREFIX)


@lru_cache(_CACHED_CONTACTS)
def dialled_key(text: str, own_number: str = "") -> ContactKey:
    """Key of what a user dialled. A number without "+" is read as in the country of *own_number* (E.164).

    Raises NotAnAddress."""
    stripped = text.strip()
    if stripped.lower().startswith(("sip:", "sips:", "tel:")):
        try:
            key = contact_key(parse_uri(stripped))
        except SipParseError as error:
            raise NotAnAddress(f"{text!r} is not a SIP or tel URI") from error
        if key:
            return key
        stripped = stripped.partition(":")[2].partition(";")[0]
    if not stripped or not _NUMBER_CHARACTERS.issuperset(stripped):
        raise NotAnAddress(f"{text!r} is neither a telephone number nor a SIP URI")
    return _normalised(stripped, own_number, text)


def _normalised(number: str, own_number: str, shown: str) -> ContactKey:
    try:
        region = _region_of(own_number) if own_number else None
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        raise NotAnAddress(f"{shown!r} is not a telephone number: {error}") from error
    if not phonenumbers.is_possible_number(parsed):  # the lab's numbers are fictional: possible, not assigned
        raise NotAnAddress(f"{shown!r} has too few or too many digits for a telephone number")
    return ContactKey(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


@lru_cache(1024)
def _region_of(own_number: str) -> str | None:
    code = phonenumbers.parse(own_number, None).country_code
    return phonenumbers.region_code_for_country_code(code) if code else None


@lru_cache(_CACHED_CONTACTS)
def contact_key(uri: Uri, home_domain: str = "") -> ContactKey:
    """Key of a URI from the wire; "" for a local number without a country.

    The user part counts as a number in carriers' home domains and in *home_domain*, or with ``user=phone``."""
    key = identity_key(uri)
    if key.startswith("tel:"):
        return ContactKey(key[4:])
    if isinstance(uri, SipUri) and (uri.host.lower() == home_domain or _says_phone(uri)):
        tel = tel_of_sip(uri)
        if tel is not None and tel.is_global:
            return ContactKey(tel.digits)
    return ContactKey(key)


def _says_phone(uri: SipUri) -> bool:
    return (uri.params.get("user") or "").lower() == "phone"


def sender_of(request: Request, home_domain: str = "") -> tuple[ContactKey, Uri] | None:
    """Who sent it: P-Asserted-Identity (a number before a SIP URI), else From; never CPIM From (digest §0.4.6).

    None when neither can be read."""
    try:
        asserted = request.get_all(PAssertedIdentity)
        claimed = [value.uri for value in asserted] or [request.require(From).uri]
    except SipParseError:
        return None
    keyed = [(contact_key(uri, home_domain), uri) for uri in claimed]
    return next((each for each in keyed if is_number(each[0])), next((each for each in keyed if each[0]), None))


def request_uri_text(key: ContactKey, form: RequestUriForm, home_domain: str) -> str:
    """Request-URI and To of a request to *key* (digest §4.2)."""
    if not is_number(key):
        return str(key)
    match form:
        case RequestUriForm.TEL:
            return f"tel:{key}"
        case RequestUriForm.SIP_PHONE:
            return f"sip:{key}@{home_domain};user=phone"
        case RequestUriForm.SIP:
            return f"sip:{key}@{home_domain}"
