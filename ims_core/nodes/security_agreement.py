"""Security mechanism agreement at the P-CSCF (RFC 3329, TS 24.229 §5.2.2, TS 33.203 §7).

The headers are negotiated and checked; no ESP is run (choice)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from ims_core.nodes.header_group import HeaderGroup
from ims_core.wire.sip.core_headers import ProxyRequire, Require
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.grammar import split_list
from ims_core.wire.sip.ims_headers import SecurityClient, SecurityServer, SecurityVerify
from ims_core.wire.sip.message import Request

__all__ = ["AgreementVerdict", "SecurityAgreements", "asks_for_agreement", "strip_agreement"]

AWAIT_AUTH_S = 240.0  # TS 24.229 §5.2.2: reg-await-auth
_MAX_OFFERED = 10_000
_SECURITY = HeaderGroup("Security-Client", "Security-Verify")
_MECHANISM = "ipsec-3gpp"
_INTEGRITY = ("hmac-sha-1-96", "hmac-md5-96")  # TS 33.203 §7.1; the first is preferred
_ENCRYPTION = ("aes-cbc", "null")
_FIRST_SPI = 0x2000
_LAST_SPI = 2**32 - 1


@dataclass(frozen=True, slots=True)
class AgreementVerdict:
    """What a request's security headers come to. *status* refuses it: 494, with *server* as Security-Server."""

    status: int | None = None
    server: str = ""
    is_protected: bool = False  # Security-Verify was there and right


class _Agreement:
    """Security-Client as received and Security-Server as sent. *protects* the REGISTER that came last."""

    __slots__ = ("client", "expires_at", "protects", "server")

    def __init__(self, client: str, server: str, expires_at: float) -> None:
        self.client = client
        self.server = server
        self.expires_at = expires_at
        self.protects = False


class SecurityAgreements:
    """The agreements of all UEs. A key is whatever tells one UE from another: its flow.

    Anybody can ask for an offer, so those that no registration has taken up yet are bounded: the oldest go first."""

    __slots__ = ("_kept", "_offered", "_port", "_spi")

    def __init__(self, port: int) -> None:
        """*port* is named as port-c and port-s: the UE goes on using the one connection."""
        self._port = port
        self._spi = _FIRST_SPI
        self._offered: OrderedDict[Hashable, _Agreement] = OrderedDict()  # all with one lifetime: the oldest end first
        self._kept: dict[Hashable, _Agreement] = {}

    def __len__(self) -> int:
        return len(self._offered) + len(self._kept)

    def examine_register(self, key: Hashable, request: Request, now: float) -> AgreementVerdict:
        """A REGISTER: a first one makes an offer, a second has to repeat both sides' headers unchanged.

        A re-REGISTER verifies the agreement in force and may offer new SPIs for the next one (TS 24.229 §5.1.1.4.1,
        §5.2.2): the old one stands until the new one, which its challenge tells, is verified."""
        client, verify = _texts(request, SecurityClient), _texts(request, SecurityVerify)
        if not client and not verify:
            return AgreementVerdict()
        offered, kept = self._live(self._offered, key, now), self._live(self._kept, key, now)
        for known in (offered, kept):
            if known is not None:
                known.protects = bool(verify) and _same(verify, known.server)
        if offered is not None and offered.protects and (not client or _same(client, offered.client)):
            return AgreementVerdict(server=offered.server, is_protected=True)
        if kept is not None and kept.protects:
            is_renewed = bool(client) and not _same(client, kept.client)
            server = self._offer(key, client, now) if is_renewed else kept.server
            if server:
                return AgreementVerdict(server=server, is_protected=True)
        server = self._offer(key, client, now)
        if verify or not server:
            return AgreementVerdict(494, server or self._any_server())
        return AgreementVerdict(server=server)

    def examine(self, key: Hashable, request: Request, now: float) -> AgreementVerdict:
        """Any other request of a UE that has an agreement repeats Security-Verify (RFC 3329 §2.3.1)."""
        known = self._live(self._kept, key, now) or self._live(self._offered, key, now)
        if known is None:
            return AgreementVerdict()
        if not _same(_texts(request, SecurityVerify), known.server):
            return AgreementVerdict(494, known.server)
        return AgreementVerdict(server=known.server, is_protected=True)

    def keep(self, key: Hashable, until: float) -> None:
        """The UE is registered: the agreement that its REGISTER verified lives as long as the registration.

        One that no challenge told the UE does not replace that which is in force; a REGISTER that verified neither
        leaves the UE without any."""
        offered, kept = self._offered.pop(key, None), self._kept.pop(key, None)
        if offered is not None and (offered.protects or kept is None):
            known: _Agreement | None = offered
        else:
            known = kept if kept is not None and (kept.protects or offered is None) else None
        if known is not None:
            known.expires_at = until
            self._kept[key] = known

    def forget(self, key: Hashable) -> None:
        """The flow, or the last registration over it, has ended."""
        self._offered.pop(key, None)
        self._kept.pop(key, None)

    def _live(self, agreements: dict[Hashable, _Agreement], key: Hashable, now: float) -> _Agreement | None:
        known = agreements.get(key)
        if known is not None and known.expires_at <= now:
            del agreements[key]
            return None
        return known

    def _offer(self, key: Hashable, client: str, now: float) -> str:
        """Security-Server for what the UE can do, empty if nothing fits. It replaces an offer that was there."""
        chosen = _choose(client)
        if chosen is None:
            return ""
        server = self._server(*chosen)
        self._offered.pop(key, None)
        self._offered[key] = _Agreement(client, server, now + AWAIT_AUTH_S)
        while len(self._offered) > _MAX_OFFERED or next(iter(self._offered.values())).expires_at <= now:
            self._offered.popitem(last=False)
        return server

    def _server(self, integrity: str, encryption: str) -> str:
        first = self._spi
        self._spi = _FIRST_SPI if first + 2 >= _LAST_SPI else first + 2
        return (
            f"{_MECHANISM};q=0.5;alg={integrity};ealg={encryption};prot=esp;mod=trans;spi-c={first};spi-s={first + 1};"
            f"port-c={self._port};port-s={self._port}"
        )

    def _any_server(self) -> str:
        return self._server(_INTEGRITY[0], _ENCRYPTION[0])


def _choose(client: str) -> tuple[str, str] | None:
    """Integrity and encryption algorithm out of what *client* lists; None if there is no ipsec-3gpp that fits."""
    for mechanism in _mechanisms(client):
        params = mechanism.params
        ports = [params.get(name) or "" for name in ("spi-c", "spi-s", "port-c", "port-s")]
        integrity = params.get("alg") or ""
        encryption = params.get("ealg") or "null"
        is_sound = all(text.isascii() and text.isdigit() and len(text) <= 10 for text in ports)
        if mechanism.mechanism == _MECHANISM and integrity in _INTEGRITY and encryption in _ENCRYPTION and is_sound:
            return integrity, encryption
    return None


def _mechanisms(text: str) -> Iterable[SecurityServer]:
    return [SecurityServer.parse(each) for each in split_list(text) if each]


def _same(one: str, other: str) -> bool:
    """Whether two lists name the same mechanisms with the same parameters, in whatever order of these."""

    def normal(text: str) -> list[tuple[str, frozenset[tuple[str, str | None]]]]:
        return [
            (each.mechanism, frozenset((name.lower(), value) for name, value in each.params))
            for each in _mechanisms(text)
        ]

    return one == other or normal(one) == normal(other)


def _texts(request: Request, header: type[SecurityClient] | type[SecurityVerify]) -> str:
    return ", ".join(request.texts(header.NAME))


def asks_for_agreement(request: Request) -> bool:
    """Whether Require or Proxy-Require has sec-agree."""
    return any(
        value is not None and "sec-agree" in value for value in (request.get(Require), request.get(ProxyRequire))
    )


def strip_agreement(editor: Editor[Request], request: Request) -> None:
    """Takes the security headers and the sec-agree tags away: they end at the P-CSCF (TS 24.229 §5.2.2)."""
    _SECURITY.strip(editor, request)
    for header in (Require, ProxyRequire):
        value = request.get(header) if request.has(header.KEY) else None
        if value is None or "sec-agree" not in value:
            continue
        rest = tuple(token for token in value.tokens if token.lower() != "sec-agree")
        if rest:
            editor.set(header(rest))
        else:
            editor.remove(header)
