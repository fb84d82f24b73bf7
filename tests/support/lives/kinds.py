"""Kinds of random lives: how often what happens, with which devices and carriers, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KINDS", "Kind"]

_DEVICES = ("android", "ios", "strict-v3", "strict-v4", "lineage-like")
_WITH_LEGACY = (*_DEVICES, "android-legacy", "android-both", "android-both")
_DAY_S = 86_400.0
_QUICK_S = (0.0, 0.0, 0.01, 0.05, 0.1, 0.3, 0.6, 1.0, 5.0)
_USUAL_S = (0.0, 0.01, 0.1, 0.3, 1.0, 5.0, 31.0, 70.0, 400.0, 4000.0)
_LONG_S = (60.0, 3600.0, _DAY_S, 3 * _DAY_S, 8 * _DAY_S, 16 * _DAY_S, 33 * _DAY_S, 50 * _DAY_S)
_TALK = {"send": 12, "send long": 4, "send odd": 4, "send twice": 2, "cross": 3}
_CHANGES = {"reply": 2, "react": 2, "unreact": 1, "edit": 2, "recall": 2}
_LOCK = {"end encryption": 1, "revive": 1, "rekey": 2, "look at code": 1, "consent": 1, "send again": 1}
_POWER = {"off": 2, "on": 3, "lose power": 2, "airplane on": 1, "airplane off": 2}
_RESETS = {"wipe": 1, "reinstall": 2, "new owner": 1, "swap": 1}
_NETWORK = {"cut": 3, "restore": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """*verbs* with their weights; *counts* of devices of a user, *changes* of the carriers' profiles. Lives with the
    older scheme (*needs_legacy*) do not repeat their octets: its libraries draw for themselves."""

    verbs: Mapping[str, int]
    devices: tuple[str, ...] = _DEVICES
    pauses_s: tuple[float, ...] = _USUAL_S
    counts: tuple[int, ...] = (1, 1, 1, 2)
    most_steps: int = 25
    changes: Mapping[str, object] = field(default_factory=dict)
    profiles: tuple[tuple[str, str], ...] = ()  # of both carriers; any without
    needs_legacy: bool = False


KINDS: Mapping[str, Kind] = {
    "usual": Kind(verbs=_TALK | _CHANGES | _LOCK | _POWER | _RESETS | _NETWORK | {"end session": 1, "key service": 2}),
    "links": Kind(verbs=_TALK | _CHANGES | {"link fault": 8, "leg fault": 8, "session fault": 5, "on": 2, "off": 1}),
    "setup": Kind(
        verbs={"cross": 6, "send": 3, "lose power": 5, "on": 8, "off": 2, "cut": 2, "restore": 3, "key service": 2}
        | {"link fault": 2, "leg fault": 2, "reinstall": 2, "mls fault": 2, "restart node": 1},
        pauses_s=_QUICK_S,
    ),
    "devices": Kind(
        verbs=_TALK | _POWER | _RESETS | {"add device": 4, "give away": 3, "rekey": 2, "cut": 1, "restore": 1},
        counts=(1, 2, 2, 3),
        pauses_s=(*_USUAL_S, _DAY_S),
    ),
    "servers": Kind(
        verbs=_TALK
        | _CHANGES
        | {"restart carrier": 4, "kill carrier": 6, "restart node": 5, "kill messaging": 4}
        | {"rekey": 3, "on": 2, "off": 1, "lose power": 1, "end encryption": 1, "revive": 1, "reinstall": 1},
    ),
    "trouble": Kind(
        verbs=_TALK
        | _CHANGES
        | _LOCK
        | _POWER
        | _RESETS
        | _NETWORK
        | {"link fault": 3, "leg fault": 3, "session fault": 2, "sms fault": 2, "kds fault": 3, "acs fault": 2}
        | {"ims fault": 3, "mls fault": 4, "server fault": 2, "caps fault": 1, "kill carrier": 1, "add device": 1},
        most_steps=35,
    ),
    "all": Kind(
        verbs=_TALK
        | _CHANGES
        | _LOCK
        | _POWER
        | _RESETS
        | _NETWORK
        | {"link fault": 2, "leg fault": 2, "session fault": 2, "sms fault": 1, "kds fault": 2, "acs fault": 1}
        | {"ims fault": 2, "mls fault": 3, "server fault": 1, "caps fault": 1, "cert fault": 2, "key service": 1}
        | {"restart carrier": 1, "kill carrier": 2, "kill messaging": 2, "restart node": 2, "end session": 1}
        | {"add device": 3, "give away": 2, "skew": 2, "revoke": 1, "everybody off": 1, "everybody on": 1},
        pauses_s=(*_USUAL_S, _DAY_S),
        counts=(1, 1, 2, 3),
        most_steps=45,
        changes={"granted_s": 604_800},
    ),
    "months": Kind(
        verbs=_TALK
        | _LOCK
        | {"off": 3, "on": 4, "kds fault": 3, "cert fault": 3, "revoke": 2, "skew": 2}
        | {"reinstall": 1, "key service": 2, "add device": 1, "everybody off": 4, "everybody on": 4},
        pauses_s=_LONG_S,
        counts=(1,),
        most_steps=12,
        changes={"granted_s": 604_800},
    ),
    "peer to peer": Kind(
        verbs=_TALK | _CHANGES | _LOCK | _POWER | _RESETS | {"cut": 2, "restore": 2, "mls fault": 1, "add device": 1},
        counts=(1, 1, 2, 3),
        profiles=(("p2p", "p2p"), ("p2p", "p2p"), ("p2p", "rcc16-strict"), ("google-like", "p2p")),
    ),
    "legacy": Kind(
        verbs=_TALK | _CHANGES | _LOCK | _POWER | _RESETS | _NETWORK | {"swap": 4, "key service": 2, "kds fault": 1},
        devices=_WITH_LEGACY,
        needs_legacy=True,
    ),
}
