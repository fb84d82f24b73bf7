"""Reference points of the IMS: how the trace names the link between two elements (TS 23.002, TS 23.228, TS 23.204)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

__all__ = ["reference_point"]

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
        ("msrp_relay", "msrp_relay"): "Mb",
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
