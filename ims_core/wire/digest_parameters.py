"""Challenges and credentials of the scheme Digest as values (RFC 7616 §3, RFC 3310 §3.2, TS 24.229 §7.2A.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import itemgetter
from typing import Any, Final, Literal, Self

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.digest_algorithm import MD5, Algorithm
from ims_core.wire.secret import Secret

__all__ = [
    "DigestAuthenticationInfo",
    "DigestChallenge",
    "DigestCredentials",
    "DigestParseError",
    "parse_challenges",
    "plain_authentication_info",
    "plain_challenge",
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
# What nearly all peers send: one Digest, a comma between parameters, nothing escaped. The rest is read by the above.
_PLAIN = re.compile(
    rf'[ \t]*+({_TOKEN}+)[ \t]*+=[ \t]*+(")?((?(2)[^"\\\r\n\0]*|[^\s",\0]*))(?(2)")[ \t]*+'
)  # name, the quote, value
_PLAIN_SCHEMES: Final = ("Digest ", "digest ")
_AFTER_SCHEME: Final = len("Digest ")
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


def _scan_digest(text: str) -> _Parameters:
    """The parameters of one field value of the scheme Digest, as `_scan` gives them. Raises DigestParseError."""
    if len(text) <= MAX_FIELD_CHARACTERS and text[:_AFTER_SCHEME] in _PLAIN_SCHEMES:
        parts = _PLAIN.split(text[_AFTER_SCHEME:])  # a comma between two parameters
        count = len(parts) // 4
        if 0 < count <= MAX_PARAMETERS and not parts[0] and not parts[-1] and parts[4:-1:4].count(",") == count - 1:
            parameters = dict(zip(map(str.lower, parts[1::4]), parts[3::4], strict=True))
            if len(parameters) == count:
                return parameters
    return _scan_one(text, "digest")


def _scan_one(text: str, scheme: str) -> _Parameters:
    found = list(_scan(text))
    if len(found) != 1 or found[0][0] != scheme:
        raise _malformed(f"expected one {scheme or 'parameter list'}", text)
    return found[0][1]


def _malformed(message: str, text: str) -> DigestParseError:
    return DigestParseError(message, spec="RFC 7616 §3", raw=text.encode("utf-8", "backslashreplace"))


def plain_challenge(realm: str, nonce: str, algorithm: Algorithm, *, is_stale: bool = False) -> str:
    """The text of the challenge with nothing but these, as `DigestChallenge` writes it."""
    stale = ", stale=true" if is_stale else ""
    if "\\" in realm or '"' in realm:
        realm = _quote(realm)[1:-1]
    return _safe(f'Digest realm="{realm}", nonce={_quote(nonce)}{stale}, algorithm={algorithm.name}, qop="auth"')


def plain_authentication_info(qop: str | None, rspauth: str, cnonce: str | None, nc: str | None) -> str:
    """The text of an Authentication-Info, as `DigestAuthenticationInfo` writes it."""
    if qop is None or cnonce is None or nc is None:
        return str(DigestAuthenticationInfo(qop, rspauth, cnonce, nc))
    return _safe(f"qop={qop}, rspauth={_quote(rspauth)}, cnonce={_quote(cnonce)}, nc={nc}")


def _quote(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _finished(text: str, others: Iterable[tuple[str, str]]) -> str:
    """*text* with the parameters that have no field. Raises LocalProtocolError for a line end inside."""
    for name, value in others:
        text += f", {name}={_quote(value)}"
    return _safe(text)


def _safe(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise LocalProtocolError("a line end or NUL inside an authentication parameter", spec="RFC 7616 §3")
    return text


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
        return cls._of(_scan_digest(text), text)

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
        text = f"Digest realm={_quote(self.realm)}"
        if self.domain is not None:
            text += f", domain={_quote(self.domain)}"
        text += f", nonce={_quote(self.nonce)}"
        if self.opaque is not None:
            text += f", opaque={_quote(self.opaque)}"
        if self.stale:
            text += ", stale=true"
        if self.algorithm is not None:
            text += f", algorithm={self.algorithm.name}"
        if self.qop and (offered := ",".join(self.qop)):
            text += f", qop={_quote(offered)}"
        if self.charset is not None:
            text += f", charset={self.charset}"
        if self.userhash:
            text += ", userhash=true"
        if self.ck is not None:
            text += f', ck="{self.ck.octets.hex()}"'
        if self.ik is not None:
            text += f', ik="{self.ik.octets.hex()}"'
        return _finished(text, self.others)


@dataclass(frozen=True, slots=True, init=False)
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

    def __init__(
        self,
        username: str,
        realm: str,
        uri: str,
        nonce: str = "",
        response: str = "",
        algorithm: Algorithm | None = None,
        qop: str | None = None,
        nc: str | None = None,
        cnonce: str | None = None,
        opaque: str | None = None,
        auts: str | None = None,
        integrity_protected: str | None = None,
        userhash: bool = False,
        others: tuple[tuple[str, str], ...] = (),
    ) -> None:
        # Written out, because the __init__ of a frozen dataclass takes twice as long.
        _set_username(self, username)
        _set_realm(self, realm)
        _set_uri(self, uri)
        _set_nonce(self, nonce)
        _set_response(self, response)
        _set_algorithm(self, algorithm)
        _set_qop(self, qop)
        _set_nc(self, nc)
        _set_cnonce(self, cnonce)
        _set_opaque(self, opaque)
        _set_auts(self, auts)
        _set_integrity_protected(self, integrity_protected)
        _set_userhash(self, userhash)
        _set_others(self, others)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Only the user name has to be there. Raises DigestParseError, also for another scheme than Digest."""
        parts = text.split('"')
        form = _forms.get(tuple(parts[0::2]))
        if form and not _is_unplain(text):
            return cls(*form.pick(parts[1::2] + form.constants))
        credentials = cls._parse_whole(text)
        if form is None:
            _remember_form(text, parts, credentials)
        return credentials

    @classmethod
    def _parse_whole(cls, text: str) -> Self:
        parameters = _scan_digest(text)
        if "username" not in parameters:
            raise _malformed("credentials need a username", text)
        take = parameters.pop
        return cls(
            take("username"),
            take("realm", ""),
            take("uri", ""),
            take("nonce", ""),
            take("response", ""),
            _take_algorithm(parameters) if "algorithm" in parameters else None,
            take("qop", None) or None,
            take("nc", None),
            take("cnonce", None),
            take("opaque", None),
            take("auts", None),
            take("integrity-protected", None),
            "userhash" in parameters and _is_true(take("userhash")),
            tuple(parameters.items()) if parameters else (),
        )

    @property
    def hash_algorithm(self) -> Algorithm:
        return self.algorithm or MD5

    @property
    def nonce_count(self) -> int | None:
        """Value of ``nc``, None if absent or malformed, or if without qop the response does not cover it."""
        nc = self.nc
        return int(nc, 16) if nc is not None and self.qop is not None and _NONCE_COUNT.fullmatch(nc) else None

    @property
    def is_answer(self) -> bool:
        """Whether this answers a challenge rather than only naming the user."""
        return bool(self.nonce and (self.response or self.auts))

    def __str__(self) -> str:
        text = f"Digest username={_quote(self.username)}, realm={_quote(self.realm)}, uri={_quote(self.uri)}"
        text += f", nonce={_quote(self.nonce)}, response={_quote(self.response)}"
        if self.algorithm is not None:
            text += f", algorithm={self.algorithm.name}"
        if self.qop is not None:
            text += f", qop={self.qop}"
        if self.nc is not None:
            text += f", nc={self.nc}"
        if self.cnonce is not None:
            text += f", cnonce={_quote(self.cnonce)}"
        if self.opaque is not None:
            text += f", opaque={_quote(self.opaque)}"
        if self.auts is not None:
            text += f", auts={_quote(self.auts)}"
        if self.userhash:
            text += ", userhash=true"
        if self.integrity_protected is not None:
            text += f", integrity-protected={_quote(self.integrity_protected)}"
        return _finished(text, self.others)


_SETTERS: Final = tuple(vars(DigestCredentials)[each.name].__set__ for each in fields(DigestCredentials))
_set_username, _set_realm, _set_uri, _set_nonce, _set_response, _set_algorithm, _set_qop = _SETTERS[:7]
_set_nc, _set_cnonce, _set_opaque, _set_auts, _set_integrity_protected, _set_userhash, _set_others = _SETTERS[7:]

_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{1,8}")


class _Form:
    """How one sort of client writes its credentials: everything but the quoted values, which alone differ between its
    users. *pick* takes these and *constants*, and gives the fields of `DigestCredentials`."""

    __slots__ = ("constants", "pick")

    def __init__(self, fields_in_order: Sequence[object], places: Mapping[object, int]) -> None:
        self.constants: list[Any] = []
        chosen = []
        for value in fields_in_order:
            if value in places:
                chosen.append(places[value])
            else:
                chosen.append(len(places) + len(self.constants))
                self.constants.append(value)
        self.pick: Callable[[list[Any]], tuple[Any, ...]] = itemgetter(*chosen)


_forms: dict[tuple[str, ...], _Form | Literal[False]] = {}  # False: what is written so is not read by its form
_seen_once: set[tuple[str, ...]] = set()
_MOST_FORMS: Final = 1024  # of either sort, then all are forgotten; nc is in them
_LONGEST_FORM: Final = 512  # characters of its text
_MARK: Final = "\1"


def _is_unplain(text: str) -> bool:
    """Whether *text* holds what no quoted value of a form does."""
    return "\\" in text or "\r" in text or "\n" in text or "\0" in text or len(text) > MAX_FIELD_CHARACTERS


def _remember_form(text: str, parts: list[str], credentials: DigestCredentials) -> None:
    """*parts* of a *text* that was read, at its quotes: its form, if nothing but quoted values differs with the user,
    and not before it is seen for the second time."""
    outside, quoted = tuple(parts[0::2]), parts[1::2]
    personal = (credentials.username, credentials.nonce, credentials.response, credentials.cnonce)
    if len(text) > _LONGEST_FORM or _is_unplain(text) or _MARK in text or any(p and p not in quoted for p in personal):
        return
    known: dict[tuple[str, ...], _Form | Literal[False]] | set[tuple[str, ...]]
    known = _forms if outside in _seen_once else _seen_once
    if len(known) >= _MOST_FORMS:
        known.clear()
    if known is _forms:
        _forms[outside] = _form_of(parts)
    else:
        _seen_once.add(outside)


def _form_of(parts: list[str]) -> _Form | Literal[False]:
    marks = [f"{_MARK}{number}" for number in range(len(parts) // 2)]
    texts = [*parts]
    texts[1::2] = marks
    marked = DigestCredentials._parse_whole('"'.join(texts))
    values = [getattr(marked, each.name) for each in fields(DigestCredentials)]
    algorithm = "" if marked.algorithm is None else marked.algorithm.name
    if marked.others or _MARK in algorithm or marked.qop in marks or not set(marks) <= set(values):
        return False
    return _Form(values, {mark: place for place, mark in enumerate(marks)})


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
        text = "" if self.qop is None else f", qop={self.qop}"
        if self.rspauth is not None:
            text += f", rspauth={_quote(self.rspauth)}"
        if self.cnonce is not None:
            text += f", cnonce={_quote(self.cnonce)}"
        if self.nc is not None:
            text += f", nc={self.nc}"
        if self.nextnonce is not None:
            text += f", nextnonce={_quote(self.nextnonce)}"
        return _finished(text, self.others).removeprefix(", ")


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
