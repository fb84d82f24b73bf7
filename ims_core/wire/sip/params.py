"""Parameters of SIP URIs and header values: ordered, names in any case, quoting kept (RFC 3261 §7.3.1, §19.1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ims_core.wire.sip.grammar import QUOTED, TOKEN, SipParseError, is_quoted, quote, refuse_injection, unquote

__all__ = ["NO_PARAMS", "Params", "parse_header_params", "parse_uri_params"]

# generic-param = token [ EQUAL gen-value ];  gen-value = token / host / quoted-string
# DEVIATION: RFC 3261 §25.1 has no ":" outside an IPv6 reference, nor "/", "@", "&", "$" in a gen-value; peers send them
# (received= without brackets is RFC 5118 §4.5), and nothing that reads a parameter is misled by them.
_VALUE = r"[-.!%*_+`'~0-9A-Za-z\[\]:/@&$]+"
_HEADER_PARAM = rf"[ \t]*;[ \t]*({TOKEN})(?:[ \t]*=[ \t]*({_VALUE}|{QUOTED}))?"
_HEADER_PARAMS = re.compile(
    "(?:" + _HEADER_PARAM.replace("(" + TOKEN, "(?:" + TOKEN).replace("(" + _VALUE, "(?:" + _VALUE) + r")*[ \t]*"
)
_EACH_HEADER_PARAM = re.compile(_HEADER_PARAM)

# uri-parameter: paramchar = param-unreserved / unreserved / escaped; param-unreserved = [ ] / : & + $
_PARAMCHAR = r"(?:[-\[\]/:&+$_.!~*'()0-9A-Za-z]|%[0-9A-Fa-f]{2})+"
_URI_PARAMS = re.compile(rf"(?:;{_PARAMCHAR}(?:={_PARAMCHAR})?)*")
_NEEDS_NO_QUOTES = re.compile(_VALUE)

_LONGEST_CACHED = 256  # characters: keeps the shared cache below a few megabytes whatever peers send
_CACHED_VALUES = 4096


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters in order, as (name, value) pairs: the value with its quotes, if any; None if there is no "="."""

    pairs: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name, without quotes; "" for a parameter without value."""
        value = self.raw(name, _ABSENT)
        if value is _ABSENT:
            return default
        return "" if value is None else unquote(value)

    def raw(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name as it is on the wire; None without value."""
        wanted = name.lower()
        for known, value in self.pairs:
            if known == wanted or known.lower() == wanted:
                return value
        return default

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of that name, without quotes: some peers repeat a parameter."""
        wanted = name.lower()
        return tuple("" if value is None else unquote(value) for known, value in self.pairs if known.lower() == wanted)

    def has(self, name: str) -> bool:
        """Whether there is a parameter of that name, with or without value."""
        return self.raw(name, _ABSENT) is not _ABSENT

    def with_(self, name: str, value: str | None = None) -> Params:
        """The same with this value: in the place of the first of that name, or at the end.

        The value is quoted if it has to be; one that comes as a quoted-string stays as it is."""
        pair = (_checked_name(name), None if value is None else _quoted_if_needed(value))
        wanted = name.lower()
        names = [known.lower() for known, _ in self.pairs]
        if wanted not in names:
            return Params((*self.pairs, pair))
        place = names.index(wanted)
        rest = (known for known in self.pairs[place + 1 :] if known[0].lower() != wanted)
        return Params((*self.pairs[:place], pair, *rest))

    def without(self, *names: str) -> Params:
        """The same without any parameter of these names."""
        gone = {name.lower() for name in names}
        return Params(tuple(pair for pair in self.pairs if pair[0].lower() not in gone))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order, as spelled."""
        return tuple(name for name, _ in self.pairs)

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)

    def __str__(self) -> str:
        return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self.pairs])


NO_PARAMS: Final = Params()
_ABSENT: Final = "\0absent"  # no value on the wire can be this one


def _checked_name(name: str) -> str:
    if not name or any(character in name for character in ' \t;=,"<>'):
        raise ValueError(f"not a parameter name: {name!r}")
    return refuse_injection(name, "a parameter name")


def _quoted_if_needed(value: str) -> str:
    refuse_injection(value, "a parameter")
    return value if _NEEDS_NO_QUOTES.fullmatch(value) or is_quoted(value) else quote(value)


def parse_header_params(text: str) -> Params:
    """Parameters after a header value, from the first ";" on. Raises SipParseError."""
    if not text:
        return NO_PARAMS
    return _header_params(text) if len(text) <= _LONGEST_CACHED else _read_header_params(text)


def _read_header_params(text: str) -> Params:
    if _HEADER_PARAMS.fullmatch(text) is None:
        raise SipParseError("bad parameters after a header value", raw=text)
    return Params(tuple([(name, value or None) for name, value in _EACH_HEADER_PARAM.findall(text)]))


_header_params = lru_cache(_CACHED_VALUES)(_read_header_params)


@lru_cache(_CACHED_VALUES)
def _uri_params(text: str) -> Params:
    if _URI_PARAMS.fullmatch(text) is None:
        raise SipParseError("bad URI parameters", raw=text, spec="RFC 3261 §19.1.1")
    pairs = [parameter.partition("=") for parameter in text.split(";")[1:]]
    return Params(tuple([(name, value if equals else None) for name, equals, value in pairs]))


def parse_uri_params(text: str) -> Params:
    """Parameters of a sip, sips or tel URI, from the first ";" on. Raises SipParseError."""
    if not text:
        return NO_PARAMS
    return _uri_params(text) if len(text) <= _LONGEST_CACHED else _uri_params.__wrapped__(text)
