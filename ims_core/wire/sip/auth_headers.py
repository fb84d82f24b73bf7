"""Challenges and credentials (RFC 3261 §20.7, §20.27, §20.28, §20.44; RFC 7616; RFC 3310), the quoting kept.

Their values are secrets of a kind: they are never cached beyond their message, and never in a repr."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from ims_core.wire.sip.grammar import (
    QUOTED,
    TOKEN,
    SipParseError,
    is_quoted,
    is_token,
    quote,
    refuse_injection,
    unquote,
)
from ims_core.wire.sip.header import Header

__all__ = [
    "AuthenticationInfo",
    "Authorization",
    "ProxyAuthenticate",
    "ProxyAuthenticationInfo",
    "ProxyAuthorization",
    "WwwAuthenticate",
]

# auth-param = token EQUAL ( token / quoted-string )
# DEVIATION: RFC 3261 §25.1 has only tokens unquoted; handsets also send base64 and URIs that way.
_VALUE = r"[-.!%*_+`'~0-9A-Za-z/:@?&;][-.!%*_+`'~0-9A-Za-z/:=@?&;]*"
_PARAM = rf"[ \t]*({TOKEN})[ \t]*=[ \t]*({QUOTED}|{_VALUE})[ \t]*"
_ONE = _PARAM.replace("(" + TOKEN, "(?:" + TOKEN).replace("(" + '"', "(?:" + '"')
_PARAMS = re.compile(f"{_ONE}(?:,{_ONE})*")
_EACH_PARAM = re.compile(_PARAM)
_SCHEME = re.compile(rf"({TOKEN})(?:[ \t]+(.*))?", re.S)


def _read_parameters(text: str) -> tuple[tuple[str, str], ...]:
    if _PARAMS.fullmatch(text) is None:
        raise SipParseError("not authentication parameters", spec="RFC 3261 §25.1 auth-param")
    return tuple(_EACH_PARAM.findall(text))


@dataclass(frozen=True, slots=True, repr=False)
class _AuthParameters(Header):
    """Parameters as (name, value as on the wire) pairs, in order."""

    IS_SHARED = False
    UNQUOTED: ClassVar[frozenset[str]] = frozenset()
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of that parameter without quotes."""
        wanted = name.lower()
        for known, value in self.parameters:
            if known.lower() == wanted:
                return unquote(value)
        return default

    def has(self, name: str) -> bool:
        """Whether the parameter is there."""
        return any(known.lower() == name.lower() for known, _ in self.parameters)

    def quoted(self, name: str) -> bool:
        """Whether the parameter's value is a quoted-string on the wire."""
        return any(known.lower() == name.lower() and is_quoted(value) for known, value in self.parameters)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' '.join(name for name, _ in self.parameters)}>"

    def _encode_parameters(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.parameters)

    @classmethod
    def _quote_each(cls, parameters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        for name, value in parameters.items():
            refuse_injection(name + value, f"{cls.NAME} parameter {name}")
        return tuple(
            (name, value if name.lower() in cls.UNQUOTED and is_token(value) else quote(value))
            for name, value in parameters.items()
        )


@dataclass(frozen=True, slots=True, repr=False)
class _SchemeAndParameters(_AuthParameters):
    """*scheme* as spelled; *rest* is what follows a scheme other than Digest that has no parameters (a token68)."""

    scheme: str = "Digest"
    rest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _SCHEME.fullmatch(text)
        if found is None:
            raise SipParseError(f"{cls.NAME} does not begin with a scheme", spec="RFC 3261 §25.1")
        scheme, rest = found[1], (found[2] or "").strip(" \t")
        if scheme.lower() == "digest" or _PARAMS.fullmatch(rest):
            return cls(_read_parameters(rest), scheme)
        return cls((), scheme, rest)

    @classmethod
    def digest(cls, parameters: Mapping[str, str]) -> Self:
        """A Digest value of these parameters, in this order; each is quoted as RFC 7616 §3.3 and §3.4 say."""
        return cls(cls._quote_each(parameters), "Digest")

    @property
    def is_digest(self) -> bool:
        return self.scheme.lower() == "digest"

    def with_(self, name: str, value: str) -> Self:
        """The same with this parameter, in the place of the one of that name or at the end."""
        pair = self._quote_each({name: value})[0]
        names = [known.lower() for known, _ in self.parameters]
        if name.lower() not in names:
            return type(self)((*self.parameters, pair), self.scheme, self.rest)
        place = names.index(name.lower())
        return type(self)((*self.parameters[:place], pair, *self.parameters[place + 1 :]), self.scheme, self.rest)

    def without(self, *names: str) -> Self:
        """The same without the parameters of these names: a P-CSCF takes ck and ik away."""
        gone = {name.lower() for name in names}
        kept = tuple(pair for pair in self.parameters if pair[0].lower() not in gone)
        return type(self)(kept, self.scheme, self.rest)

    def __str__(self) -> str:
        return f"{self.scheme} {self._encode_parameters() or self.rest}".rstrip(" ")


_UNQUOTED_IN_CHALLENGE = frozenset(("algorithm", "stale", "charset", "userhash"))
_UNQUOTED_IN_ANSWER = frozenset(("algorithm", "qop", "nc", "userhash"))


class WwwAuthenticate(_SchemeAndParameters, name="WWW-Authenticate"):
    """WWW-Authenticate (RFC 3261 §20.44): one challenge."""

    __slots__ = ()
    UNQUOTED = _UNQUOTED_IN_CHALLENGE


class ProxyAuthenticate(_SchemeAndParameters, name="Proxy-Authenticate"):
    """Proxy-Authenticate (RFC 3261 §20.27)."""

    __slots__ = ()
    UNQUOTED = _UNQUOTED_IN_CHALLENGE


class Authorization(_SchemeAndParameters, name="Authorization"):
    """Authorization (RFC 3261 §20.7)."""

    __slots__ = ()
    UNQUOTED = _UNQUOTED_IN_ANSWER


class ProxyAuthorization(_SchemeAndParameters, name="Proxy-Authorization"):
    """Proxy-Authorization (RFC 3261 §20.28)."""

    __slots__ = ()
    UNQUOTED = _UNQUOTED_IN_ANSWER


class AuthenticationInfo(_AuthParameters, name="Authentication-Info"):
    """Authentication-Info (RFC 3261 §20.6)."""

    __slots__ = ()
    UNQUOTED = frozenset(("qop", "nc"))

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(_read_parameters(text))

    @classmethod
    def digest(cls, parameters: Mapping[str, str]) -> Self:
        """A value of these parameters (in this order, without quotes), quoted as RFC 7616 §3.5 says."""
        return cls(cls._quote_each(parameters))

    def __str__(self) -> str:
        return self._encode_parameters()


class ProxyAuthenticationInfo(AuthenticationInfo, name="Proxy-Authentication-Info"):
    """Proxy-Authentication-Info (RFC 7615 §4)."""

    __slots__ = ()
