"""The small words of the SIP grammar (RFC 3261 §25.1): tokens, quoted strings, lists, what may be sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ims_core.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from ims_core.wire.sip.message import Request

__all__ = [
    "MAX_DELTA_SECONDS",
    "QUOTED",
    "TOKEN",
    "SipParseError",
    "end_of_value",
    "is_quoted",
    "is_token",
    "parse_delta_seconds",
    "quote",
    "refuse_injection",
    "split_list",
    "unfold",
    "unquote",
]

MAX_DELTA_SECONDS = 2**32 - 1  # RFC 3261 §20.19; a larger number is taken as this one (RFC 4475 §3.1.2.4)

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
TOKEN = r"[-.!%*_+`'~0-9A-Za-z]+"
# quoted-string = DQUOTE *(qdtext / quoted-pair) DQUOTE; one way to match each character, so matching is linear
QUOTED = r'"[^"\\\x00-\x08\x0a-\x1f\x7f]*(?:\\[\x00-\x09\x0b\x0c\x0e-\x7f][^"\\\x00-\x08\x0a-\x1f\x7f]*)*"'

_TOKEN = re.compile(TOKEN)
_QUOTED = re.compile(QUOTED)
_QUOTED_PAIR = re.compile(r"\\(.)", re.S)
_TO_ESCAPE = re.compile(r'(["\\])')
_DIGITS = re.compile(r"[0-9]+")
_LIST_STOP = re.compile(r'[,"<]')
_LONGEST_NUMBER = 10  # digits of 2**32: longer numbers are never converted, only capped


class SipParseError(RemoteProtocolError):
    """Octets that are not a SIP message, or a header value that breaks its grammar.

    *status* is what a UAS answers. *request* is set when the message was a request that can be answered at all.
    After a fatal one the framing of its stream is lost: answer, then close."""

    def __init__(
        self,
        message: str,
        *,
        spec: str = "RFC 3261 §25.1",
        raw: bytes | str = b"",
        status: int = 400,
        request: Request | None = None,
        is_fatal: bool = False,
    ) -> None:
        octets = _octets_of(raw) if isinstance(raw, str) else raw
        super().__init__(message, spec=spec, raw=octets)
        self.status = status
        self.request = request
        self.is_fatal = is_fatal


def _octets_of(text: str) -> bytes:
    """What *text* was on the wire; a text that never was there is taken too."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def is_token(text: str) -> bool:
    """Whether *text* is a token: a method, a header name, an option tag."""
    return _TOKEN.fullmatch(text) is not None


def unfold(text: str) -> str:
    """A header value with each fold replaced by one space (RFC 3261 §7.3.1), trimmed."""
    if "\r" not in text:
        return text.strip(" \t")
    return " ".join([line.strip(" \t") for line in text.split("\r\n")]).strip(" ")


def unquote(text: str) -> str:
    """The content of a quoted-string; other text as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    """*text* as a quoted-string. A NUL that a peer escaped (RFC 4475 §3.1.1.2) is left out: none is sent."""
    return '"' + _TO_ESCAPE.sub(r"\\\1", text.replace("\0", "")) + '"'


def is_quoted(text: str) -> bool:
    """Whether *text* is one whole quoted-string."""
    return text[:1] == '"' and _QUOTED.fullmatch(text) is not None


def refuse_injection(text: str, what: str) -> str:
    """*text*, unless it would end its line early: CR, LF and NUL are never written (LocalProtocolError)."""
    if "\n" in text or "\r" in text or "\0" in text:
        raise LocalProtocolError(f"{what} holds a CR, LF or NUL: {text[:64]!r}", spec="RFC 3261 §7.3.1")
    return text


def parse_delta_seconds(text: str, what: str) -> int:
    """delta-seconds, capped at 2**32 - 1; raises SipParseError unless it is all digits."""
    if _DIGITS.fullmatch(text) is None:
        raise SipParseError(f"{what} is not a number of seconds", raw=text, spec="RFC 3261 §25.1")
    digits = text.lstrip("0")
    return MAX_DELTA_SECONDS if len(digits) > _LONGEST_NUMBER else min(int(digits or "0"), MAX_DELTA_SECONDS)


def split_list(text: str) -> list[str]:
    """The values of a comma-separated header, trimmed; commas within quotes and <> do not count.

    Empty elements are kept, so that the value's own parser refuses them."""
    if "," not in text:
        return [text.strip(" \t")]
    if '"' not in text and "<" not in text:
        return [value.strip(" \t") for value in text.split(",")]
    values = []
    start = 0
    while start <= len(text):
        end = end_of_value(text, start)
        values.append(text[start:end].strip(" \t"))
        start = end + 1
    return values


def end_of_value(text: str, start: int = 0) -> int:
    """Where the comma is that ends the value beginning at *start*; the text's end if it is the last."""
    while (stop := _LIST_STOP.search(text, start)) is not None:
        if stop[0] == ",":
            return stop.start()
        start = _end_of_bracket(text, stop.start())
    return len(text)


def _end_of_bracket(text: str, start: int) -> int:
    """Where the quoted-string or <> that begins at *start* ends; the text's end if it does not."""
    if text[start] == "<":
        end = text.find(">", start)
        return len(text) if end < 0 else end + 1
    quoted = _QUOTED.match(text, start)
    return len(text) if quoted is None else quoted.end()
