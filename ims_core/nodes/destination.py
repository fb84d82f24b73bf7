"""Where a request goes after the originating services: the number table and the domains (digest §15.3, §17.2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from ims_core.nodes.number_table import NumberTable
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.uri import OtherUri, SipUri, TelUri, Uri, identity_key, parse_uri, sip_uri_of_tel, tel_of_sip

__all__ = ["Destination", "DestinationKind", "Destinations"]

_MAX_REMEMBERED: Final = 16_384  # Request-URIs whose destination is kept; then all are forgotten


class DestinationKind(enum.Enum):
    """Whose user or service a Request-URI names."""

    OWN = "own"  # *key* is what to ask the HSS for
    FOREIGN = "foreign"  # of the carrier *domain*; *request_uri* is what crosses the border
    UNKNOWN = "unknown"  # nobody's: 404


@dataclass(frozen=True, slots=True)
class Destination:
    """*instance* is the device that a GRUU names, "" if it is none."""

    kind: DestinationKind
    key: str = ""
    domain: str = ""
    request_uri: str = ""
    instance: str = ""


_NOWHERE: Final = Destination(DestinationKind.UNKNOWN)


class Destinations:
    """Pure look-up from Request-URIs to destinations, remembered."""

    __slots__ = ("_generation", "_home", "_numbers", "_remembered")

    def __init__(self, home_domain: str, numbers: NumberTable) -> None:
        self._home = (home_domain.lower(),)
        self._numbers = numbers
        self._generation = numbers.generation
        self._remembered: dict[str, Destination] = {}

    def of(self, request_uri: str) -> Destination:
        """Raises SipParseError if *request_uri* is no URI."""
        if self._generation != self._numbers.generation:
            self._remembered.clear()
            self._generation = self._numbers.generation
        found = self._remembered.get(request_uri)
        if found is None:
            found = self._look_up(parse_uri(request_uri), request_uri)
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[request_uri] = found
        return found

    def key_of(self, uri: Uri) -> str:
        """Identity key in this carrier."""
        return identity_key(uri, self._home)

    def _look_up(self, uri: Uri, text: str) -> Destination:
        if isinstance(uri, OtherUri):
            return _NOWHERE
        if isinstance(uri, SipUri):
            host = uri.host.lower()
            if host == self._home[0] or host.endswith(f".{self._home[0]}"):
                return self._own(uri)
            if not _is_phone(uri):
                return Destination(DestinationKind.FOREIGN, domain=host, request_uri=text)
        tel = tel_of_sip(uri)
        return _NOWHERE if tel is None else self._of_number(tel, text)

    def _own(self, uri: SipUri) -> Destination:
        """A number in the own domain may have been ported away."""
        instance = uri.params.get("gr") or ""
        tel = tel_of_sip(uri)
        if not instance and tel is not None and tel.is_global and uri.host.lower() == self._home[0]:
            domain = self._numbers.domain_of(tel.digits)
            if domain is not None and domain.lower() != self._home[0]:
                return self._foreign_number(tel, domain)
        return Destination(DestinationKind.OWN, key=identity_key(uri, self._home), instance=instance)

    def _of_number(self, tel: TelUri, text: str) -> Destination:
        domain = self._numbers.domain_of(tel.digits) if tel.is_global else None
        if domain is None:
            try:
                uri = parse_uri(text)
            except SipParseError:
                return _NOWHERE
            if isinstance(uri, SipUri):  # a number in a domain of its own: that domain decides
                return Destination(DestinationKind.FOREIGN, domain=uri.host.lower(), request_uri=text)
            return _NOWHERE
        if domain.lower() == self._home[0]:
            return Destination(DestinationKind.OWN, key=identity_key(tel, self._home))
        return self._foreign_number(tel, domain)

    def _foreign_number(self, tel: TelUri, domain: str) -> Destination:
        request_uri = str(sip_uri_of_tel(tel, domain))
        return Destination(DestinationKind.FOREIGN, domain=domain.lower(), request_uri=request_uri)


def _is_phone(uri: SipUri) -> bool:
    return (uri.params.get("user") or "").lower() == "phone"
