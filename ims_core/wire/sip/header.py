"""What every typed header value is: a frozen value with a name, a parser and an encoding (RFC 3261 §7.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ims_core.wire.sip.grammar import SipParseError, is_token, split_list
from ims_core.wire.sip.memo import Memo
from ims_core.wire.sip.params import NO_PARAMS, Params, parse_header_params

__all__ = ["COMPACT_FORMS", "Header", "ParamValue", "TokenList", "split_params"]

# One-letter names and what they stand for (IANA, Session Initiation Protocol parameters, header fields)
COMPACT_FORMS = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}


class Header:
    """Base of the typed header values. Subclasses are frozen: their values are cached and shared.

    NAME is the canonical spelling and KEY its lower case; IS_LIST tells that a field may hold several values between
    commas (RFC 3261 §7.3.1); IS_JOINED that all fields of the name make one value."""

    __slots__ = ()

    NAME: ClassVar[str]
    KEY: ClassVar[str]
    IS_LIST: ClassVar[bool] = False
    IS_JOINED: ClassVar[bool] = False
    IS_ALONE: ClassVar[bool] = True  # neither of the two
    IS_SHARED: ClassVar[bool] = True  # whether equal texts may share one value; False for one that holds secrets
    REMEMBERED: ClassVar[int] = 512  # how many values; few of a header that differs with every message
    VALUES: ClassVar[Memo[Any]]  # VALUES[text] is parse(text), remembered: the next hop reads the same From, To and Via

    def __init_subclass__(cls, *, name: str = "") -> None:
        if name:
            cls.NAME = name
            cls.KEY = name.lower()
        cls.IS_ALONE = not (cls.IS_LIST or cls.IS_JOINED)
        cls.VALUES = Memo(cls.parse, is_kept=cls.IS_SHARED, most=cls.REMEMBERED)

    @classmethod
    def parse(cls, text: str) -> Self:
        """One value, unfolded. Raises SipParseError."""
        raise NotImplementedError  # abstract: every subclass has its own

    @classmethod
    def values_of(cls, texts: Iterable[str]) -> tuple[Self, ...]:
        """The values of these fields, unfolded, in order. Raises SipParseError."""
        if cls.IS_LIST:
            texts = [value for text in texts if text for value in split_list(text)]
        return tuple([cls.VALUES[text] for text in texts])


def split_params(text: str) -> tuple[str, Params]:
    """What stands before the first ";" (trimmed), and the parameters from there on."""
    head, semicolon, rest = text.partition(";")
    return head.strip(" \t"), parse_header_params(semicolon + rest)


@dataclass(frozen=True, slots=True)
class TokenList(Header):
    """A header that is a set of tokens in order, such as Supported. All fields of its name are one value."""

    IS_JOINED = True
    tokens: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        text = text.strip(" \t")
        if not text:
            return cls()
        tokens = tuple([token for token in split_list(text) if token])
        for token in tokens:
            if not is_token(token):
                raise SipParseError(f"not a token in {cls.NAME}", raw=token, spec="RFC 3261 §25.1")
        return cls(tokens)

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and (token in self.tokens or token.lower() in map(str.lower, self.tokens))

    def __str__(self) -> str:
        return ", ".join(self.tokens)


@dataclass(frozen=True, slots=True)
class ParamValue(Header):
    """A header that is one token and parameters, such as Event or Reason."""

    value: str
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Self:
        value, params = split_params(text)
        if not is_token(value):
            raise SipParseError(f"{cls.NAME} does not begin with a token", raw=text, spec="RFC 3261 §25.1")
        return cls(value, params)

    def __str__(self) -> str:
        return f"{self.value}{self.params}"
