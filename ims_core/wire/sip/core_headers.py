"""Headers of RFC 3261 §20 that hold no address, and those of the SIP extensions that every node meets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ims_core.wire.sip.grammar import (
    QUOTED,
    TOKEN,
    SipParseError,
    is_token,
    parse_delta_seconds,
    quote,
    split_list,
    unquote,
)
from ims_core.wire.sip.header import Header, ParamValue, TokenList, split_params
from ims_core.wire.sip.memo import slot_setters
from ims_core.wire.sip.params import NO_PARAMS, Params, parse_header_params

__all__ = [
    "CALL_ID",
    "Accept",
    "AcceptEncoding",
    "Allow",
    "AllowEvents",
    "CSeq",
    "CallId",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLength",
    "ContentType",
    "Event",
    "Expires",
    "InReplyTo",
    "MaxForwards",
    "MinExpires",
    "MinSe",
    "ProxyRequire",
    "RAck",
    "RSeq",
    "Reason",
    "Require",
    "RetryAfter",
    "SessionExpires",
    "SipEtag",
    "SipIfMatch",
    "SubscriptionState",
    "Supported",
    "Unsupported",
    "Warning",
    "is_acceptable",
    "sound_call_id",
]

_CSEQ = re.compile(rf"([0-9]+)[ \t]+({TOKEN})[ \t]*")
_WORD = r"[-.!%*_+`'~()<>:\\\"/\[\]?{}0-9A-Za-z]+"
CALL_ID = re.compile(rf"{_WORD}(?:@{_WORD})?")
"""What a Call-ID matches in full (RFC 3261 §25.1)."""
_DIGITS = re.compile("[0-9]+")
_RACK = re.compile(rf"([0-9]+)[ \t]+([0-9]+)[ \t]+({TOKEN})[ \t]*")
_MEDIA_TYPE = re.compile(rf"({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*((?:;.*)?)", re.S)
# m-parameter values: RFC 2045 tspecials unquoted are refused there, but boundaries with "=", ":" or "/" are common.
_MEDIA_PARAM = rf"[ \t]*;[ \t]*({TOKEN})[ \t]*=[ \t]*([-.!%*_+`'~0-9A-Za-z=:/?@\[\]()#$&^{{}}|]+|{QUOTED})"
_MEDIA_PARAMS = re.compile(
    "(?:" + _MEDIA_PARAM.replace("([-", "(?:[-").replace(f"({TOKEN}", f"(?:{TOKEN}") + r")*(?:[ \t]*;)?[ \t]*"
)
_EACH_MEDIA_PARAM = re.compile(_MEDIA_PARAM)
_RETRY_AFTER = re.compile(r"([0-9]+)[ \t]*(?:\((.*)\))?[ \t]*((?:;.*)?)", re.S)
_WARNING = re.compile(rf"([0-9]{{3}}) +([^ \t\",]+) +({QUOTED})")
_MAX_CSEQ = 2**31 - 1
_MAX_RESPONSE_NUMBER = 2**32 - 1  # RFC 3262 §3
_MAX_CONTENT_LENGTH_DIGITS = 10


def _small_number(text: str, most: int, what: str, spec: str) -> int:
    """A number from 0 to *most*. Raises SipParseError."""
    if _DIGITS.fullmatch(text) is None:
        raise SipParseError(f"{what} is not a number", raw=text, spec=spec)
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)) or int(digits) > most:
        raise SipParseError(f"{what} is larger than {most}", raw=text, spec=spec)
    return int(digits)


@dataclass(frozen=True, slots=True, init=False)
class CSeq(Header, name="CSeq"):
    """CSeq (RFC 3261 §20.16). *number* is below 2**31."""

    number: int
    method: str

    def __init__(self, number: int, method: str) -> None:
        _set_number(self, number)
        _set_method(self, method)

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _CSEQ.fullmatch(text)
        if found is None:
            raise SipParseError("not a CSeq", raw=text, spec="RFC 3261 §20.16")
        digits, method = found.groups()
        number = int(digits) if len(digits) < 10 else _small_number(digits, _MAX_CSEQ, "CSeq", "RFC 3261 §8.1.1.5")
        return cls(number, method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


_set_number, _set_method = slot_setters(CSeq)


@dataclass(frozen=True, slots=True)
class RSeq(Header, name="RSeq"):
    """RSeq (RFC 3262 §7.1): the number of a reliable provisional response, 1 to 2**32 - 1."""

    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(_small_number(text, _MAX_RESPONSE_NUMBER, "RSeq", "RFC 3262 §7.1"))

    def __str__(self) -> str:
        return str(self.number)


@dataclass(frozen=True, slots=True)
class RAck(Header, name="RAck"):
    """RAck (RFC 3262 §7.2): which provisional response a PRACK acknowledges, by its RSeq and its CSeq."""

    response_number: int
    cseq: CSeq

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _RACK.fullmatch(text)
        if found is None:
            raise SipParseError("not a RAck", raw=text, spec="RFC 3262 §7.2")
        response_number, number, method = found.groups()
        return cls(
            _small_number(response_number, _MAX_RESPONSE_NUMBER, "RSeq in RAck", "RFC 3262 §7.2"),
            CSeq(_small_number(number, _MAX_CSEQ, "CSeq in RAck", "RFC 3262 §7.2"), method),
        )

    def __str__(self) -> str:
        return f"{self.response_number} {self.cseq}"


def sound_call_id(text: str) -> str:
    """*text* if it is a callid (RFC 3261 §25.1). Raises SipParseError."""
    if CALL_ID.fullmatch(text) is None:
        raise SipParseError("not a Call-ID", raw=text, spec="RFC 3261 §20.8")
    return text


@dataclass(frozen=True, slots=True, init=False)
class CallId(Header, name="Call-ID"):
    """Call-ID (RFC 3261 §20.8): compared octet by octet."""

    REMEMBERED = 128
    value: str

    def __init__(self, value: str) -> None:
        _set_call_id(self, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(sound_call_id(text))

    def __str__(self) -> str:
        return self.value


(_set_call_id,) = slot_setters(CallId)


class InReplyTo(TokenList, name="In-Reply-To"):
    """In-Reply-To (RFC 3261 §20.21): Call-IDs."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(tuple(CallId.parse(value).value for value in split_list(text)))


@dataclass(frozen=True, slots=True)
class MaxForwards(Header, name="Max-Forwards"):
    """Max-Forwards (RFC 3261 §20.22), 0 to 255."""

    value: int

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(_small_number(text, 255, "Max-Forwards", "RFC 3261 §20.22"))

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class ContentLength(Header, name="Content-Length"):
    """Content-Length (RFC 3261 §20.14) in octets."""

    value: int

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(_small_number(text, 10**_MAX_CONTENT_LENGTH_DIGITS - 1, "Content-Length", "RFC 3261 §20.14"))

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class _Seconds(Header):
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(parse_delta_seconds(text, cls.NAME))

    def __str__(self) -> str:
        return str(self.seconds)


class Expires(_Seconds, name="Expires"):
    """Expires (RFC 3261 §20.19), capped at 2**32 - 1 seconds."""

    __slots__ = ()


class MinExpires(_Seconds, name="Min-Expires"):
    """Min-Expires (RFC 3261 §20.23)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _SecondsWithParams(Header):
    seconds: int
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Self:
        value, params = split_params(text)
        return cls(parse_delta_seconds(value, cls.NAME), params)

    def __str__(self) -> str:
        return f"{self.seconds}{self.params}"


class SessionExpires(_SecondsWithParams, name="Session-Expires"):
    """Session-Expires (RFC 4028 §4)."""

    __slots__ = ()

    @property
    def refresher(self) -> str | None:
        """uac, uas or None."""
        value = self.params.get("refresher")
        return value.lower() if value else None


class MinSe(_SecondsWithParams, name="Min-SE"):
    """Min-SE (RFC 4028 §5)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RetryAfter(Header, name="Retry-After"):
    """Retry-After (RFC 3261 §20.33)."""

    seconds: int
    comment: str | None = None
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _RETRY_AFTER.fullmatch(text)
        if found is None:
            raise SipParseError("not a Retry-After", raw=text, spec="RFC 3261 §20.33")
        return cls(parse_delta_seconds(found[1], "Retry-After"), found[2], parse_header_params(found[3]))

    def __str__(self) -> str:
        comment = "" if self.comment is None else f" ({self.comment})"
        return f"{self.seconds}{comment}{self.params}"


@dataclass(frozen=True, slots=True)
class _MediaType(Header):
    type: str
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _MEDIA_TYPE.fullmatch(text)
        if found is None:
            raise SipParseError(f"{cls.NAME} is not a media type", raw=text, spec="RFC 3261 §20.15")
        main, sub, params = found.groups()
        return cls(f"{main}/{sub}".lower(), cls._parse_params(params) if params else NO_PARAMS)

    @classmethod
    def _parse_params(cls, text: str) -> Params:
        if _MEDIA_PARAMS.fullmatch(text) is None:
            raise SipParseError(f"bad parameters in {cls.NAME}", raw=text, spec="RFC 3261 §20.15")
        return Params(tuple(_EACH_MEDIA_PARAM.findall(text)))

    def __str__(self) -> str:
        return f"{self.type}{self.params}"


class ContentType(_MediaType, name="Content-Type"):
    """Content-Type (RFC 3261 §20.15). *type* is in lower case, such as message/cpim."""

    __slots__ = ()


class Accept(_MediaType, name="Accept"):
    """One media range of Accept (RFC 3261 §20.1); a field without any value accepts nothing."""

    __slots__ = ()
    IS_LIST = True

    @property
    def is_refused(self) -> bool:
        """Whether q is 0: not acceptable."""
        return (self.params.get("q") or "1").strip("0.") == ""


def is_acceptable(media_type: str, ranges: Iterable[Accept]) -> bool:
    """Whether *media_type* (lower case) is in these ranges; the most specific one that names it decides."""
    named = {media_range.type: not media_range.is_refused for media_range in ranges}
    main = media_type.partition("/")[0]
    return next((named[known] for known in (media_type, f"{main}/*", "*/*") if known in named), False)


class Allow(TokenList, name="Allow"):
    """Allow (RFC 3261 §20.5): methods, compared with case."""

    __slots__ = ()

    def __contains__(self, token: object) -> bool:
        return token in self.tokens


class AllowEvents(TokenList, name="Allow-Events"):
    """Allow-Events (RFC 6665 §8.2.2)."""

    __slots__ = ()


class Supported(TokenList, name="Supported"):
    """Supported (RFC 3261 §20.37)."""

    __slots__ = ()


class Require(TokenList, name="Require"):
    """Require (RFC 3261 §20.32)."""

    __slots__ = ()


class ProxyRequire(TokenList, name="Proxy-Require"):
    """Proxy-Require (RFC 3261 §20.29)."""

    __slots__ = ()


class Unsupported(TokenList, name="Unsupported"):
    """Unsupported (RFC 3261 §20.40)."""

    __slots__ = ()


class ContentEncoding(TokenList, name="Content-Encoding"):
    """Content-Encoding (RFC 3261 §20.12), outermost last."""

    __slots__ = ()


class AcceptEncoding(TokenList, name="Accept-Encoding"):
    """Accept-Encoding (RFC 3261 §20.2); codings with their q left off, and those with q=0 left out."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        codings = [split_params(value) for value in split_list(text) if value]
        for coding, _ in codings:
            if not is_token(coding):
                raise SipParseError("not a coding in Accept-Encoding", raw=coding, spec="RFC 3261 §20.2")
        return cls(tuple(coding for coding, params in codings if (params.get("q") or "1").strip("0.") != ""))


class ContentDisposition(ParamValue, name="Content-Disposition"):
    """Content-Disposition (RFC 3261 §20.11)."""

    __slots__ = ()


class Event(ParamValue, name="Event"):
    """Event (RFC 6665 §8.2.1)."""

    __slots__ = ()

    @property
    def package(self) -> str:
        """The event package, such as reg."""
        return self.value

    @property
    def id(self) -> str | None:
        return self.params.get("id")


class SubscriptionState(ParamValue, name="Subscription-State"):
    """Subscription-State (RFC 6665 §8.2.3)."""

    __slots__ = ()

    @property
    def state(self) -> str:
        """active, pending or terminated, lower case; others as they come."""
        return self.value.lower()

    @property
    def reason(self) -> str | None:
        return self.params.get("reason")

    @property
    def expires(self) -> int | None:
        """Seconds; None if absent or malformed."""
        text = self.params.get("expires") or ""
        return parse_delta_seconds(text, "expires") if _DIGITS.fullmatch(text) else None


class Reason(ParamValue, name="Reason"):
    """One value of Reason (RFC 3326)."""

    __slots__ = ()
    IS_LIST = True

    @classmethod
    def of(cls, cause: int, text: str | None = None, *, protocol: str = "SIP") -> Self:
        """The value with that cause, a status code for SIP, and *text*, which is always quoted (RFC 3326 §2)."""
        params = NO_PARAMS.with_("cause", str(cause))
        return cls(protocol, params if text is None else params.with_("text", quote(text)))

    @property
    def protocol(self) -> str:
        return self.value

    @property
    def cause(self) -> int | None:
        text = self.params.get("cause") or ""
        return int(text) if _DIGITS.fullmatch(text) and len(text) <= 9 else None

    @property
    def reason_text(self) -> str | None:
        return self.params.get("text")


class SipEtag(ParamValue, name="SIP-ETag"):
    """SIP-ETag (RFC 3903 §11.3.1)."""

    __slots__ = ()


class SipIfMatch(ParamValue, name="SIP-If-Match"):
    """SIP-If-Match (RFC 3903 §11.3.2)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Warning(Header, name="Warning"):
    """One value of Warning (RFC 3261 §20.43)."""

    IS_LIST = True
    code: int
    agent: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _WARNING.fullmatch(text)
        if found is None:
            raise SipParseError("not a Warning", raw=text, spec="RFC 3261 §20.43")
        return cls(int(found[1]), found[2], unquote(found[3]))

    def __str__(self) -> str:
        return f"{self.code:03d} {self.agent} {quote(self.text)}"
