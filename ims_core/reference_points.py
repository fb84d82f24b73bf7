"""Reference points of the IMS: how the trace names the link between two elements (TS 23.002, TS 23.228, TS 23.204), and
the one between an application server and the media anchor that carries its message sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, OutgoingMessage, Reported
from ims_core.wire.msrp.uri import MsrpUri

__all__ = [
    "Bridge",
    "BridgeUser",
    "LegEnd",
    "LegEndKind",
    "MediaAnchor",
    "MediaLeg",
    "MediaLegUser",
    "MediaSide",
    "reference_point",
]

_UE = "ue"
_APPLICATION_SERVERS = ("messaging_server", "focus", "ipsmgw", "chatbot_platform")
_CSCFS = ("pcscf", "icscf", "scscf")


def _pairs() -> dict[frozenset[str], str]:
    points = {
        (_UE, "pcscf"): "Gm",
        (_UE, "ibcf"): "Ici",  # a foreign address at the border is another network
        ("ibcf", "ibcf"): "Ici",
        (_UE, "acs"): "ACS",
        (_UE, "content_server"): "Ut",
        (_UE, "kds"): "Ut",
        (_UE, "smsc"): "CS",
        (_UE, "msrp_relay"): "Mb",
        ("msrp_relay", "msrp_relay"): "Izi",
        ("ipsmgw", "smsc"): "E/Gd",
        ("smsc", "smsc"): "NNI",
        ("kds", "kds"): "NNI",
        ("icscf", "hss"): "Cx",
        ("scscf", "hss"): "Cx",
    }
    points |= {(one, other): "Mw" for one in _CSCFS for other in _CSCFS}
    points |= {(cscf, "ibcf"): "Mx" for cscf in _CSCFS}
    for server in _APPLICATION_SERVERS:
        points |= {
            (server, "scscf"): "ISC",
            (server, "icscf"): "Ma",
            (server, "hss"): "Sh",
            (server, "msrp_relay"): "Mb",
        }
    return {frozenset(pair): point for pair, point in points.items()}


_POINTS: Mapping[frozenset[str], str] = _pairs()


@lru_cache(4096)
def reference_point(source: str, target: str) -> str:
    """Name of the reference point between two elements, by the roles in their names; empty where none is standardised.

    The role is the last part of the name (``red.pcscf``). A name without a carrier (``alice``) and a foreign transport
    address (``tcp:192.0.2.1:5060``) count as a UE."""
    return _POINTS.get(frozenset((_role(source), _role(target))), "")


def _role(name: str) -> str:
    carrier, dot, role = name.rpartition(".")
    return role if dot and carrier and ":" not in name else _UE


# --------------------------------------------------------------------------------------------------- the media anchor


class LegEndKind(Enum):
    """Why a leg ended by itself."""

    LOST = "connection lost"
    NOT_CONNECTED = "not connected"  # refused, unreachable, or nobody connected in time
    FINGERPRINT = "fingerprint mismatch"  # RFC 8122 §5: the peer is not who signalled
    FAILED = "session failed"  # the peer knows no such session, or does not answer


@dataclass(frozen=True, slots=True)
class LegEnd:
    """How a leg ended. *status* is the MSRP status of a session that failed, 481 for a connection that is gone."""

    kind: LegEndKind
    why: str
    status: int = 481


class MediaSide(Protocol):
    """One side of a message session as far as SDP knows it: its own URI, what it offers, what it makes of an answer."""

    @property
    def path(self) -> MsrpUri:
        """Own URI; its session id is new for each side."""
        ...

    def media(self, *, is_tls: bool, setup: Setup, like: MsrpMedia | None = None) -> MsrpMedia:
        """What the own SDP says: own address, path, fingerprint and CEMA; types, size and direction as *like* has them
        (digest §17.3), or all."""
        ...

    def expect(self, local: MsrpMedia) -> None:
        """The offer *local* is on its way: who answers it may connect before the answer arrives."""
        ...

    def open(self, local: MsrpMedia, remote: MsrpMedia, *, is_offerer: bool) -> None:
        """Offer and answer are known: connects, or waits to be connected to. Raises MediaRefused."""
        ...

    def close(self) -> None:
        """Ends it, after what is under way; its user is not called any more."""
        ...


class MediaLeg(MediaSide, Protocol):
    """A side that ends here: whole messages go in and out."""

    @property
    def is_bound(self) -> bool:
        """Whether the peer has shown that it is there."""
        ...

    def send(self, message: OutgoingMessage) -> None:
        """Queues a message, also before the leg is open."""
        ...

    def settle(self, delivery: Delivery, status: int = 200, *, reports: bool = True) -> None:
        """Answers the chunk that completed a received message. If its sender wants a REPORT of success that follows at
        once, unless *reports* is False: then `report` sends it."""
        ...

    def report(self, delivery: Delivery, status: int = 200) -> None:
        """A REPORT about a received message, if its sender wants one of that kind and had none."""
        ...


class MediaLegUser(Protocol):
    """Whoever a leg belongs to. Called from the event loop, one call after the other, never from within a call of the
    leg."""

    def bound(self, leg: MediaLeg) -> None: ...

    def received(self, leg: MediaLeg, message: MessageReceived) -> None:
        """To be settled."""
        ...

    def sent(self, leg: MediaLeg, message_id: str) -> None:
        """The next MSRP node has all of it."""
        ...

    def failed(self, leg: MediaLeg, failure: MessageFailed) -> None: ...

    def reported(self, leg: MediaLeg, report: Reported) -> None: ...

    def ended(self, leg: MediaLeg, end: LegEnd) -> None:
        """It ended by itself, once; `failed` was called for every message that has no answer."""
        ...


class BridgeUser(Protocol):
    """Whoever a bridge belongs to."""

    def passed(self, bridge: Bridge, message_id: str) -> None:
        """A whole message went through, and the side that it went to has it."""
        ...

    def bridge_ended(self, bridge: Bridge, end: LegEnd) -> None:
        """One of its sides ended by itself, once; the other is to be closed by `Bridge.close`."""
        ...


class Bridge(Protocol):
    """Two sides that stream chunks to each other, whatever their length (digest §17.3)."""

    @property
    def near(self) -> MediaSide: ...

    @property
    def far(self) -> MediaSide: ...

    def close(self) -> None: ...


class MediaAnchor(Protocol):
    """Carries the message sessions of application servers (design §14.6)."""

    @property
    def offers_tls(self) -> bool:
        """Whether it can be connected to by TLS."""
        ...

    @property
    def is_in_service(self) -> bool:
        """Whether it can be connected to at all; without, no session is to be begun."""
        ...

    def leg(self, user: MediaLegUser, *, max_octets: int) -> MediaLeg: ...

    def bridge(self, user: BridgeUser) -> Bridge: ...
