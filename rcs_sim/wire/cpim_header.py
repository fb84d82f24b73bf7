"""Headers of the CPIM message format (RFC 3862 §2.2, §2.3, §3): names, namespaces, escapes, addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ims_core.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "CORE",
    "CPM",
    "GSMA",
    "IMDN",
    "MAAP",
    "MLS",
    "SIM",
    "USUAL_PREFIXES",
    "CpimAddress",
    "CpimHeader",
    "CpimParseError",
    "Parameters",
    "declare_namespace",
    "escape_value",
    "is_name",
    "is_uri",
    "scan_parameters",
    "split_header_name",
    "split_parameters",
    "unescape_value",
    "write_header",
]

CORE = ""  # stands for urn:ietf:params:cpim-headers:, in force where nothing else is declared (RFC 3862 §3.4)
IMDN = "urn:ietf:params:imdn"
CPM = "http://www.openmobilealliance.org/cpm/"
GSMA = "http://www.gsma.com"
MAAP = "http://www.gsma.com/rcs/maap/"
MLS = "http://www.gsma.com/rcs/mls"
SIM = "urn:rcs-sim:mls"  # (choice): headers that this simulator's MLS focus adds
USUAL_PREFIXES = {IMDN: "imdn", CPM: "cpm", GSMA: "rcs", MAAP: "maap", MLS: "mls", SIM: "sim"}  # digest §4.3

_MAX_CACHED = 128  # characters of an NS header; those in use repeat and are shorter
_CORE_URI = "urn:ietf:params:cpim-headers:"
# RFC 3862 §3.6: Name = 1*NAMECHAR; NAMECHAR has no "." and no ":"
_NAME = re.compile(r"[!#-'*+\-^-`|~A-Za-z0-9]+")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_MUST_ESCAPE = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff]")
_ESCAPED = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}
_NOT_RAW = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # what may not stand in a value as written
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNESCAPED = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PARAMETER = re.compile(r';([^\s;="]+)=("(?:[^"\\]|\\.)*"|[^\s;"]*)')
_URI = re.compile(r"[^\x00-\x20<>\x7f]+")

Parameters = tuple[tuple[str, str], ...]


class CpimParseError(RemoteProtocolError):
    """The peer's octets are no CPIM message."""


@dataclass(frozen=True, slots=True)
class CpimHeader:
    """CPIM header (RFC 3862 §2.2). *raw* is the value as on the wire; *parameters* stood before it (``;lang=fr``)."""

    namespace: str
    name: str
    raw: str
    parameters: Parameters = ()

    @classmethod
    def of(cls, namespace: str, name: str, value: str, parameters: Parameters = ()) -> CpimHeader:
        """A header with the text *value*, which is escaped as needed."""
        return cls(namespace, name, escape_value(value), parameters)

    @property
    def value(self) -> str:
        """The value with its escapes resolved (RFC 3862 §2.3)."""
        return unescape_value(self.raw)


@dataclass(frozen=True, slots=True)
class CpimAddress:
    """Value of From, To and cc: ``[ Formal-name ] "<" URI ">"`` (RFC 3862 §3.1)."""

    uri: str
    display_name: str = ""

    @classmethod
    def parse(cls, raw: str) -> CpimAddress:
        """*raw* is still escaped. A bare URI without angle brackets is accepted (choice). Raises CpimParseError."""
        text = raw.strip()
        quoted = _QUOTED.match(text)
        if quoted is not None:
            name, rest = unescape_value(quoted[1]), text[quoted.end() :].lstrip()
        else:
            name, bracket, rest = text.partition("<")
            name, rest = unescape_value(name.rstrip()), bracket + rest
            if not bracket:
                name, rest = "", f"<{name}>"
        if rest[:1] != "<" or rest[-1:] != ">" or not _URI.fullmatch(rest, 1, len(rest) - 1):
            raise CpimParseError("malformed address", spec="RFC 3862 §3.1", raw=raw[:80].encode("utf-8", "replace"))
        return cls(rest[1:-1], name)

    def encode(self) -> str:
        """The raw header value. Raises LocalProtocolError if the URI cannot stand between angle brackets."""
        if not is_uri(self.uri):
            raise LocalProtocolError(f"no URI for a CPIM address: {self.uri!r}", spec="RFC 3862 §3.1")
        if not self.display_name:
            return f"<{self.uri}>"
        return f"{_quoted(self.display_name)} <{self.uri}>"


@lru_cache(maxsize=256)
def split_header_name(written: str) -> tuple[str, str, str]:
    """Prefix ("" without one), name, and name in lower case, of a header name as written (RFC 3862 §2.2). ``ns`` comes
    back as ``NS``.

    Raises CpimParseError."""
    prefix, dot, name = written.partition(".")
    if not dot:
        prefix, name = "", prefix
    if not _NAME.fullmatch(name.replace(".", "-")) or (dot and not _NAME.fullmatch(prefix)):
        raise CpimParseError("malformed header name", spec="RFC 3862 §2.2", raw=written[:80].encode())
    return prefix, "NS" if name.upper() == "NS" else name, name.lower()


def split_parameters(rest: str) -> tuple[str, str] | None:
    """Parameters as written, and the value, of what follows the colon: ``;lang=fr salut``. None if there are none."""
    position = 0
    while (match := _PARAMETER.match(rest, position)) is not None:
        position = match.end()
    if position and rest[position : position + 1] in ("", " "):
        return rest[:position], rest[position + 1 :]
    return None


def scan_parameters(written: str) -> Parameters:
    """Names and unescaped values of the parameters that `split_parameters` cut off."""
    return tuple((match[1], _unquoted(match[2])) for match in _PARAMETER.finditer(written))


def declare_namespace(value: str, declared: dict[str, str]) -> None:
    """Takes an NS header into force for the lines after it (RFC 3862 §3.4). Raises CpimParseError."""
    prefix, uri = _read_declaration(value) if len(value) > _MAX_CACHED else _cached_declaration(value)
    declared[prefix] = uri


def _read_declaration(value: str) -> tuple[str, str]:
    prefix, bracket, rest = value.partition("<")
    uri, closing, _ = rest.partition(">")
    prefix = prefix.strip()
    if not (bracket and closing and uri) or (prefix and not _NAME.fullmatch(prefix)):
        raise CpimParseError("malformed NS header", spec="RFC 3862 §3.4", raw=value[:80].encode())
    return prefix, CORE if uri == _CORE_URI else uri


_cached_declaration = lru_cache(maxsize=256)(_read_declaration)


def is_name(text: str) -> bool:
    """Whether *text* is a Name (RFC 3862 §3.6), as prefixes and header names are."""
    return _NAME.fullmatch(text) is not None


def is_uri(text: str) -> bool:
    """Whether *text* can stand between angle brackets."""
    return _URI.fullmatch(text) is not None


def unescape_value(raw: str) -> str:
    """*raw* with its escapes resolved (RFC 3862 §2.3). An unknown escape stays as written (choice)."""
    if "\\" not in raw:
        return raw
    text = _ESCAPE.sub(_unescape, raw)
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # escapes count UTF-16 code units


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    return _UNESCAPED.get(escape, match[0])


def escape_value(text: str) -> str:
    """*text* with control characters and backslashes escaped (RFC 3862 §2.3.1)."""
    if _MUST_ESCAPE.search(text) is None:
        return text
    return _MUST_ESCAPE.sub(lambda match: _ESCAPED.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def write_header(header: CpimHeader) -> str:
    """The header without prefix and line end. Raises LocalProtocolError where RFC 3862 §2.2 cannot carry it."""
    raw = header.raw
    is_printable = raw.isascii() and raw.isprintable()  # nearly always, and known at once
    if not _is_header_name(header.name) or (not is_printable and _NOT_RAW.search(raw)):
        raise LocalProtocolError(f"no CPIM header: {header!r}", spec="RFC 3862 §2.2")
    if not header.parameters:
        return f"{header.name}: {raw}"
    return f"{header.name}:{''.join(_write_parameter(*pair) for pair in header.parameters)} {raw}"


@lru_cache(maxsize=256)
def _is_header_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.upper() != "NS"


def _write_parameter(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise LocalProtocolError(f"no CPIM parameter name: {name!r}", spec="RFC 3862 §2.2")
    if _NAME.fullmatch(value.replace(".", "-")):
        return f";{name}={value}"
    return f";{name}={_quoted(value)}"


def _quoted(text: str) -> str:
    return '"' + escape_value(text).replace('"', '\\"') + '"'


def _unquoted(value: str) -> str:
    return unescape_value(value[1:-1]) if value[:1] == '"' else value
