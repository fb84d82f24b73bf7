"""Challenges and credentials of the scheme Digest as values (RFC 7616 §3, RFC 3310 §3.2, TS 24.229 §7.2A.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.digest_algorithm import MD5, Algorithm
from ims_core.wire.secret import Secret

__all__ = [
    "DigestAuthenticationInfo",
    "DigestChallenge",
    "DigestCredentials",
    "DigestParseError",
    "parse_challenges",
]

MAX_FIELD_CHARACTERS: Final = 16 * 1024  # one header field: no real one comes near, and hostile ones stay cheap
MAX_PARAMETERS: Final = 64  # in one challenge or in one set of credentials, for the same reason


class DigestParseError(RemoteProtocolError):
    """A challenge, credentials or Authentication-Info that is not what RFC 7616 describes."""


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 7235 §2.1: credentials = auth-scheme 1*SP #auth-param
_SCHEME = re.compile(rf"[\s,]*+({_TOKEN})[ \t]++[\s,]*+(?={_TOKEN}[ \t]*+=)")
# auth-param = token BWS "=" BWS ( token / quoted-string ); unquoted values are taken up to a comma or white space,
# because peers leave the quotes away from values that are no tokens (base64 nonces, URIs)
_PARAMETER = re.compile(
    rf'[\s,]*+({_TOKEN})\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^\s",]*+))\s*+(?=,|$)', re.DOTALL
)
_END = re.compile(r"[\s,]*+\Z")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNSAFE = re.compile(r"[\r\n\0]")

_Parameters = dict[str, str]


def _scan(text: str) -> Iterator[tuple[str, _Parameters]]:
    """Each scheme (lower case) with its parameters (lower-case names, unquoted values), of one field value.

    A field without a scheme (Authentication-Info) yields the scheme ``""``. Linear in the length of *text*.
    """
    if len(text) > MAX_FIELD_CHARACTERS:
        raise _malformed(f"more than {MAX_FIELD_CHARACTERS} characters", text)
    if _UNSAFE.search(text):
        raise _malformed("a line end or NUL inside", text)
    at = 0
    while not _END.match(text, at):
        scheme, parameters = "", _Parameters()
        if match := _SCHEME.match(text, at):
            scheme, at = match[1].lower(), match.end()
        elif at:
            raise _malformed("malformed parameter", text[at:])
        while not _END.match(text, at) and (match := _PARAMETER.match(text, at)):
            _add_parameter(parameters, match, text)
            at = match.end()
        if not parameters:
            raise _malformed("expected a parameter list", text[at:])
        yield scheme, parameters


def _add_parameter(parameters: _Parameters, match: re.Match[str], text: str) -> None:
    name, quoted = match[1].lower(), match[2]
    if name in parameters:
        raise _malformed(f"parameter {name} occurs twice", text)
    if len(parameters) >= MAX_PARAMETERS:
        raise _malformed(f"more than {MAX_PARAMETERS} parameters", text)
    if quoted is None:
        parameters[name] = match[3]
    else:
        parameters[name] = _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted


def _scan_one(text: str, scheme: str) -> _Parameters:
    found = list(_scan(text))
    if len(found) != 1 or found[0][0] != scheme:
        raise _malformed(f"expected one {scheme or 'parameter list'}", text)
    return found[0][1]


def _malformed(message: str, text: str) -> DigestParseError:
    return DigestParseError(message, spec="RFC 7616 §3", raw=text.encode("utf-8", "backslashreplace"))


def _quote(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _format(parameters: Iterable[tuple[str, str | None, bool]], others: Iterable[tuple[str, str]]) -> str:
    """Joins (name, value, is quoted); a value of None is left out. Raises LocalProtocolError for a line end inside."""
    parts = [f"{name}={_quote(value) if quoted else value}" for name, value, quoted in parameters if value is not None]
    text = ", ".join(parts + [f"{name}={_quote(value)}" for name, value in others])
    if _UNSAFE.search(text):
        raise LocalProtocolError("a line end or NUL inside an authentication parameter", spec="RFC 7616 §3")
    return text


def _name_of(algorithm: Algorithm | None) -> str | None:
    return None if algorithm is None else algorithm.name


def _hex_of(key: Secret | None) -> str | None:
    return None if key is None else key.octets.hex()


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() == "true"


def _take_secret(parameters: _Parameters, name: str) -> Secret | None:
    """A key in hexadecimal, perhaps written with a leading ``0x``; None if absent. Raises DigestParseError."""
    text = parameters.pop(name, None)
    if text is None:
        return None
    try:
        return Secret.of_hex(text.removeprefix("0x"))
    except ValueError:
        raise DigestParseError(f"{name} is not hexadecimal", spec="TS 24.229 §7.2A.1") from None


def _take_algorithm(parameters: _Parameters) -> Algorithm | None:
    text = parameters.pop("algorithm", None)
    return None if text is None else Algorithm.parse(text)


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """WWW-Authenticate or Proxy-Authenticate of the scheme Digest (RFC 7616 §3.3).

    *qop* is empty if the parameter is absent; *algorithm* None means the default, MD5. *ck* and *ik* travel between
    S-CSCF and P-CSCF only (TS 24.229 §7.2A.1). *others* keeps unknown parameters, names in lower case.
    """

    realm: str
    nonce: str
    algorithm: Algorithm | None = None
    qop: tuple[str, ...] = ("auth",)
    opaque: str | None = None
    stale: bool = False
    domain: str | None = None
    userhash: bool = False
    charset: str | None = None
    ck: Secret | None = None
    ik: Secret | None = None
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises DigestParseError, also for another scheme than Digest."""
        return cls._of(_scan_one(text, "digest"), text)

    @classmethod
    def _of(cls, parameters: _Parameters, text: str) -> Self:
        if "realm" not in parameters or "nonce" not in parameters:
            raise _malformed("a challenge needs realm and nonce", text)
        take = parameters.pop
        return cls(
            realm=take("realm"),
            nonce=take("nonce"),
            algorithm=_take_algorithm(parameters),
            qop=tuple(take("qop", "").replace(",", " ").split()),
            opaque=take("opaque", None),
            stale=_is_true(take("stale", None)),
            domain=take("domain", None),
            userhash=_is_true(take("userhash", None)),
            charset=take("charset", None),
            ck=_take_secret(parameters, "ck"),
            ik=_take_secret(parameters, "ik"),
            others=tuple(parameters.items()),
        )

    @property
    def hash_algorithm(self) -> Algorithm:
        return self.algorithm or MD5

    @property
    def chosen_qop(self) -> str | None:
        """``auth`` if offered, else ``auth-int``, None to answer without; unknown ones are ignored (RFC 7616 §3.3)."""
        offers = [offer.lower() for offer in self.qop]
        return next((known for known in ("auth", "auth-int") if known in offers), None)

    @property
    def is_answerable(self) -> bool:
        """Whether hash and qop are known here: otherwise the challenge has to be skipped."""
        return self.hash_algorithm.is_supported and (not self.qop or self.chosen_qop is not None)

    def without_keys(self) -> Self:
        """What the P-CSCF forwards to the UE: no CK, no IK (TS 24.229 §5.2.2)."""
        return replace(self, ck=None, ik=None)

    def __str__(self) -> str:
        return "Digest " + _format(
            (
                ("realm", self.realm, True),
                ("domain", self.domain, True),
                ("nonce", self.nonce, True),
                ("opaque", self.opaque, True),
                ("stale", "true" if self.stale else None, False),
                ("algorithm", _name_of(self.algorithm), False),
                ("qop", ",".join(self.qop) or None, True),
                ("charset", self.charset, False),
                ("userhash", "true" if self.userhash else None, False),
                ("ck", _hex_of(self.ck), True),
                ("ik", _hex_of(self.ik), True),
            ),
            self.others,
        )


@dataclass(frozen=True, slots=True)
class DigestCredentials:
    """Authorization or Proxy-Authorization of the scheme Digest (RFC 7616 §3.4).

    The first REGISTER carries them with empty *nonce* and *response* to tell the IMPI (TS 24.229 §5.1.1.2). *nc* is the
    text as sent, because it is hashed; `nonce_count` is its value. *auts* is base64 (RFC 3310 §3.2).
    """

    username: str
    realm: str
    uri: str
    nonce: str = ""
    response: str = ""
    algorithm: Algorithm | None = None
    qop: str | None = None
    nc: str | None = None
    cnonce: str | None = None
    opaque: str | None = None
    auts: str | None = None
    integrity_protected: str | None = None
    userhash: bool = False
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Only the user name has to be there. Raises DigestParseError, also for another scheme than Digest."""
        parameters = _scan_one(text, "digest")
        if "username" not in parameters:
            raise _malformed("credentials need a username", text)
        take = parameters.pop
        return cls(
            username=take("username"),
            realm=take("realm", ""),
            uri=take("uri", ""),
            nonce=take("nonce", ""),
            response=take("response", ""),
            algorithm=_take_algorithm(parameters),
            qop=take("qop", None) or None,
            nc=take("nc", None),
            cnonce=take("cnonce", None),
            opaque=take("opaque", None),
            auts=take("auts", None),
            integrity_protected=take("integrity-protected", None),
            userhash=_is_true(take("userhash", None)),
            others=tuple(parameters.items()),
        )

    @property
    def hash_algorithm(self) -> Algorithm:
        return self.algorithm or MD5

    @property
    def nonce_count(self) -> int | None:
        """Value of ``nc``, None if absent or malformed, or if without qop the response does not cover it."""
        is_covered = self.qop is not None and self.nc is not None and _NONCE_COUNT.fullmatch(self.nc)
        return int(self.nc, 16) if is_covered and self.nc else None

    @property
    def is_answer(self) -> bool:
        """Whether this answers a challenge rather than only naming the user."""
        return bool(self.nonce and (self.response or self.auts))

    def __str__(self) -> str:
        return "Digest " + _format(
            (
                ("username", self.username, True),
                ("realm", self.realm, True),
                ("uri", self.uri, True),
                ("nonce", self.nonce, True),
                ("response", self.response, True),
                ("algorithm", _name_of(self.algorithm), False),
                ("qop", self.qop, False),
                ("nc", self.nc, False),
                ("cnonce", self.cnonce, True),
                ("opaque", self.opaque, True),
                ("auts", self.auts, True),
                ("userhash", "true" if self.userhash else None, False),
                ("integrity-protected", self.integrity_protected, True),
            ),
            self.others,
        )


_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class DigestAuthenticationInfo:
    """Authentication-Info or Proxy-Authentication-Info (RFC 7616 §3.5). It has no scheme in front."""

    qop: str | None = None
    rspauth: str | None = None
    cnonce: str | None = None
    nc: str | None = None
    nextnonce: str | None = None
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises DigestParseError."""
        parameters = _scan_one(text, "")
        take = parameters.pop
        return cls(
            qop=take("qop", None),
            rspauth=take("rspauth", None),
            cnonce=take("cnonce", None),
            nc=take("nc", None),
            nextnonce=take("nextnonce", None),
            others=tuple(parameters.items()),
        )

    def __str__(self) -> str:
        return _format(
            (
                ("qop", self.qop, False),
                ("rspauth", self.rspauth, True),
                ("cnonce", self.cnonce, True),
                ("nc", self.nc, False),
                ("nextnonce", self.nextnonce, True),
            ),
            self.others,
        )


def parse_challenges(texts: Iterable[str]) -> tuple[DigestChallenge, ...]:
    """Digest challenges of all the WWW-Authenticate (or Proxy-Authenticate) values of a response, in their order.

    Other schemes and malformed values are passed over: the server may offer what we do not know (RFC 7235 §4.1).
    """
    found: list[DigestChallenge] = []
    for text in texts:
        try:
            found += [DigestChallenge._of(parameters, text) for scheme, parameters in _scan(text) if scheme == "digest"]
        except DigestParseError:
            continue
    return tuple(found)
