"""Header names: canonical keys of what arrives, and the spelling of what is sent (RFC 3261 §7.3.1, §7.3.3)."""

from __future__ import annotations

from sys import intern
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import SipParseError, is_token
from ims_core.wire.sip.header import COMPACT_FORMS

__all__ = ["KEYS", "key_of", "key_of_line", "known_key", "read_key"]

_COMMON = """
    Via From To Call-ID CSeq Max-Forwards Contact Route Record-Route Path Service-Route Content-Type Content-Length
    Content-Encoding Content-Disposition Allow Allow-Events Supported Require Proxy-Require Unsupported Accept
    Accept-Encoding Accept-Language Expires Min-Expires Event Subscription-State User-Agent Server Date
    Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate Authentication-Info P-Asserted-Identity
    P-Preferred-Identity P-Associated-URI P-Access-Network-Info P-Visited-Network-ID P-Charging-Vector P-Charging-
    Function-Addresses P-Called-Party-ID P-Served-User P-Asserted-Service P-Preferred-Service Privacy Accept-Contact
    Reject-Contact Request-Disposition Security-Client Security-Server Security-Verify Reason Warning Retry-After
    Session-Expires Min-SE Refer-To Referred-By Subject Organization Timestamp Conversation-ID Contribution-ID
    InReplyTo-Contribution-ID RSeq RAck SIP-ETag SIP-If-Match MIME-Version In-Reply-To History-Info
"""


def _spellings() -> dict[str, str]:
    known: dict[str, str] = {}
    for name in _COMMON.split():
        known[name] = known[name.lower()] = known[name.upper()] = intern(name.lower())
    for letter, key in COMPACT_FORMS.items():
        known[letter] = known[letter.upper()] = intern(key)
    return known


KEYS: Final = _spellings()
"""The canonical key of each usual spelling, and of those that were met since, up to a bound."""
_MAX_SPELLINGS = 2048
_LONGEST_REMEMBERED = 64  # characters


def read_key(name: str) -> str:
    """The canonical key of a header name as it was received: long form, lower case. Raises SipParseError."""
    key = KEYS.get(name)
    if key is not None:
        return key
    bare = name.rstrip(" \t")
    if not is_token(bare):
        raise SipParseError("not a header name", raw=name, spec="RFC 3261 §7.3.1")
    lower = bare.lower()
    key = intern(COMPACT_FORMS.get(lower, lower))
    if len(name) <= _LONGEST_REMEMBERED and len(KEYS) < _MAX_SPELLINGS:
        KEYS[name] = key
    return key


def known_key(name: str) -> str | None:
    """The canonical key of *name*, which ends with its colon, if it was met before; else None."""
    return KEYS.get(name[:-1]) if name[-1:] == ":" else None


def key_of_line(line: str) -> str:
    """The canonical key of a header line. Raises SipParseError if it has no name or no colon."""
    name, colon, _ = line.partition(":")
    if not colon:
        raise SipParseError("a header line without a colon", raw=line, spec="RFC 3261 §7.3.1")
    return read_key(name)


def key_of(name: str) -> str:
    """The canonical key of a name that this program uses. Raises LocalProtocolError if it is no header name."""
    key = KEYS.get(name)
    if key is not None:
        return key
    if not is_token(name):
        raise LocalProtocolError(f"not a header name: {name!r}", spec="RFC 3261 §7.3.1")
    return COMPACT_FORMS.get(name.lower(), name.lower())
