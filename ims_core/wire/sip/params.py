"""Parameters of SIP URIs and header values: ordered, names in any case, quoting kept (RFC 3261 §7.3.1, §19.1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import QUOTED, TOKEN, SipParseError, is_quoted, quote, refuse_injection, unquote
from ims_core.wire.sip.memo import Memo

__all__ = ["HEADER_PARAMS", "NO_PARAMS", "Params", "parse_header_params", "parse_uri_params"]

# generic-param = token [ EQUAL gen-value ];  gen-value = token / host / quoted-string
# DEVIATION: RFC 3261 §25.1 has no ":" outside an IPv6 reference, nor "/", "@", "&", "$" in a gen-value; peers send them
# (received= without brackets is RFC 5118 §4.5), and nothing that reads a parameter is misled by them.
_VALUE = r"[-.!%*_+`'~0-9A-Za-z\[\]:/@&$]+"
# *( SEMI generic-param ), to be put into the pattern of a header value
HEADER_PARAMS = rf"(?:[ \t]*;[ \t]*{TOKEN}(?:[ \t]*=[ \t]*(?:{_VALUE}|{QUOTED}))?)*[ \t]*"
_HEADER_PARAMS = re.compile(HEADER_PARAMS)
_EACH_HEADER_PARAM = re.compile(rf";[ \t]*({TOKEN})(?:[ \t]*=[ \t]*({_VALUE}|{QUOTED}))?")

# uri-parameter: paramchar = param-unreserved / unreserved / escaped; param-unreserved = [ ] / : & + $
_PARAMCHARS = r"[-\[\]/:&+$_.!~*'()%0-9A-Za-z]+"
_URI_PARAMS = re.compile(rf"(?:;{_PARAMCHARS}(?:={_PARAMCHARS})?)*")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_NEEDS_NO_QUOTES = re.compile(_VALUE)
_NO_NAME_CHARACTERS = frozenset(' \t;=,"<>')

Pairs: TypeAlias = tuple[tuple[str, str | None], ...]


class Params:
    """Parameters in order, as (name, value) pairs: the value with its quotes, if any; None if there is no "=".

    Immutable. Those of a received header value are told apart only when somebody asks for one."""

    __slots__ = ("_pairs", "_text")

    def __init__(self, pairs: Pairs = ()) -> None:
        self._pairs: Pairs | None = pairs
        self._text = ""

    @classmethod
    def of_sound_text(cls, text: str) -> Params:
        """Those of *text*, which has been matched with HEADER_PARAMS."""
        if not text:
            return NO_PARAMS
        params = cls.__new__(cls)
        params._pairs = None
        params._text = text
        return params

    @property
    def pairs(self) -> Pairs:
        """All of them."""
        pairs = self._pairs
        if pairs is None:
            # An empty value is not in the grammar, so findall's "" means that there was none.
            pairs = self._pairs = tuple(
                [(name, value or None) for name, value in _EACH_HEADER_PARAM.findall(self._text)]
            )
        return pairs

    @property
    def received_text(self) -> str:
        """What they were read from; "" for those that were not received."""
        return self._text

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name, without quotes; "" for a parameter without value."""
        wanted = name.lower()
        if self._pairs is None and wanted not in self._text.lower():
            return default
        for known, value in self.pairs if self._pairs is None else self._pairs:
            if known == wanted or known.lower() == wanted:
                return "" if value is None else unquote(value) if value[:1] == '"' else value
        return default

    def raw(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name as it is on the wire; None without value."""
        wanted = name.lower()
        for known, value in self.pairs if self._pairs is None else self._pairs:
            if known == wanted or known.lower() == wanted:
                return value
        return default

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of that name, without quotes: some peers repeat a parameter."""
        wanted = name.lower()
        return tuple("" if value is None else unquote(value) for known, value in self.pairs if known.lower() == wanted)

    def has(self, name: str) -> bool:
        """Whether there is a parameter of that name, with or without value."""
        wanted = name.lower()
        if self._pairs is None and wanted not in self._text.lower():
            return False
        for known, _ in self.pairs if self._pairs is None else self._pairs:
            if known == wanted or known.lower() == wanted:
                return True
        return False

    def with_(self, name: str, value: str | None = None) -> Params:
        """The same with this value: in the place of the first of that name, or at the end.

        The value is quoted if it has to be; one that comes as a quoted-string stays as it is."""
        pair = (_checked_name(name), None if value is None else _quoted_if_needed(value))
        pairs, wanted = self.pairs, name.lower()
        names = [known.lower() for known, _ in pairs]
        if wanted not in names:
            return Params((*pairs, pair))
        place = names.index(wanted)
        rest = [known for known in pairs[place + 1 :] if known[0].lower() != wanted]
        return Params((*pairs[:place], pair, *rest))

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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and (self is other or self.pairs == other.pairs)

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __str__(self) -> str:
        text = "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self.pairs])
        return text.replace("\\\0", "") if "\0" in text else text  # a peer may escape a NUL; none is sent

    def __repr__(self) -> str:
        return f"Params({str(self)!r})"


NO_PARAMS: Final = Params()


def _checked_name(name: str) -> str:
    if not name or not _NO_NAME_CHARACTERS.isdisjoint(name):
        raise LocalProtocolError(f"not a parameter name: {name!r}", spec="RFC 3261 §25.1")
    return refuse_injection(name, "a parameter name")


def _quoted_if_needed(value: str) -> str:
    refuse_injection(value, "a parameter")
    return value if _NEEDS_NO_QUOTES.fullmatch(value) or is_quoted(value) else quote(value)


def parse_header_params(text: str) -> Params:
    """Parameters after a header value, from the first ";" on. Raises SipParseError."""
    if not text:
        return NO_PARAMS
    if _HEADER_PARAMS.fullmatch(text) is None:
        raise SipParseError("bad parameters after a header value", raw=text)
    return Params.of_sound_text(text)


def _read_uri_params(text: str) -> Params:
    if _URI_PARAMS.fullmatch(text) is None or _BAD_ESCAPE.search(text) is not None:
        raise SipParseError("bad URI parameters", raw=text, spec="RFC 3261 §19.1.1")
    pairs = [parameter.partition("=") for parameter in text.split(";")[1:]]
    return Params(tuple([(name, value if equals else None) for name, equals, value in pairs]))


_uri_params: Memo[Params] = Memo(_read_uri_params)


def parse_uri_params(text: str) -> Params:
    """Parameters of a sip, sips or tel URI, from the first ";" on. Raises SipParseError."""
    return _uri_params[text] if text else NO_PARAMS
