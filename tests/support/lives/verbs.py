"""What can happen in a random life, and how each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

__all__ = ["VERBS", "Cast", "Step"]

_ROLES = ("pcscf", "icscf", "scscf", "ibcf", "messaging_server", "msrp_relay", "ipsmgw", "smsc", "acs", "kds")
_ELEMENTS = tuple(f"{carrier}.{role}" for carrier in ("red", "blue") for role in _ROLES)
_NODES = tuple(
    f"{carrier}.{role}" for carrier in ("red", "blue") for role in ("pcscf", "icscf", "scscf", "ibcf", "msrp_relay")
)
_LASTING_S = (0.5, 3.0, 20.0, 120.0, 900.0, 7200.0)
_ODD = ("x", "?", "🎉", "👩🏽‍🚒👍", "e\u0301", " ", "line\nbreak", "Ω" * 80, "8 kB " * 1600, "<a>&amp;", "--boundary--")
_EMOJI = ("👍", "❤️", "👩🏽‍🚒")
_DEVICES = ("android", "ios", "strict-v3", "strict-v4", "lineage-like")


@dataclass(frozen=True, slots=True)
class Cast:
    """The users, and the names of the phones that there are at the beginning."""

    users: tuple[str, ...]
    phones: tuple[str, ...]

    def phone(self, random: Random) -> str:
        return random.choice(self.phones)


@dataclass(frozen=True, slots=True)
class Step:
    """*who* is a phone, a carrier or an element, *whom* a user; *word* and *scope* say the rest."""

    verb: str
    who: str = ""
    whom: str = ""
    word: str = ""
    scope: tuple[tuple[str, object], ...] = ()
    pause_s: float = 0.0


_Draw = Callable[[Random, Cast, float], Step]


def _user_of(phone: str) -> str:
    return phone.rstrip("0123456789")


def _chat(verb: str, words: tuple[str, ...] = ("",)) -> _Draw:
    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        who = cast.phone(random)
        others = [each for each in cast.users if each != _user_of(who)]
        number = random.randint(0, 5)
        return Step(verb, who, random.choice(others), random.choice(words), (("number", number),), pause_s)

    return draw


def _phone(verb: str, words: tuple[str, ...] = ("",)) -> _Draw:
    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        return Step(verb, cast.phone(random), "", random.choice(words), (), pause_s)

    return draw


def _user(verb: str, words: tuple[str, ...] = ("",)) -> _Draw:
    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        return Step(verb, random.choice(cast.users), "", random.choice(words), (), pause_s)

    return draw


def _at(verb: str, places: tuple[str, ...], words: tuple[str, ...] = ("",)) -> _Draw:
    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        return Step(verb, random.choice(places), "", random.choice(words), (), pause_s)

    return draw


def _place(verb: str) -> _Draw:
    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        return Step(verb, random.choice((*_ELEMENTS, *cast.phones)), "", "", (), pause_s)

    return draw


def _down(verb: str, places: tuple[str, ...]) -> _Draw:
    """Something is away for a while, which is part of the step."""

    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        down_s = random.choice((0.0, 0.5, 5.0, 40.0, 600.0))
        return Step(verb, random.choice(places), "", "", (("down_s", down_s),), pause_s)

    return draw


# --- faults -----------------------------------------------------------------------------------------------------------

_Scope = Callable[[Random, Cast], dict[str, object]]


def _of_phone(random: Random, cast: Cast) -> dict[str, object]:
    return {"of": cast.phone(random)}


def _of_carrier(random: Random, cast: Cast) -> dict[str, object]:
    return {"carrier": random.choice(("red", "blue"))}


def _of_anything(random: Random, cast: Cast) -> dict[str, object]:
    return random.choice((_of_phone, _of_carrier, _of_element))(random, cast)


def _of_element(random: Random, cast: Cast) -> dict[str, object]:
    return {"element": random.choice(_ELEMENTS)}


def _of_leg(random: Random, cast: Cast) -> dict[str, object]:
    """One direction of one link."""
    phone = cast.phone(random)
    home = "red" if _user_of(phone) in ("alice", "amy") else "blue"
    carrier, other = random.choice((("red", "blue"), ("blue", "red")))
    legs = (
        (phone, f"{home}.pcscf"),
        (phone, f"{home}.msrp_relay"),
        (f"{carrier}.pcscf", f"{carrier}.scscf"),
        (f"{carrier}.scscf", f"{carrier}.messaging_server"),
        (f"{carrier}.scscf", f"{carrier}.ibcf"),
        (f"{carrier}.ibcf", f"{other}.ibcf"),
        (f"{carrier}.msrp_relay", f"{other}.msrp_relay"),
    )
    ends = random.choice(legs)
    source, target = ends if random.random() < 0.5 else (ends[1], ends[0])
    return {"from": source, "to": target}


_Fault = tuple[str, _Scope, Mapping[str, tuple[object, ...]]]

_LINK: tuple[_Fault, ...] = (
    ("net.latency", _of_anything, {"add_s": (0.2, 1.0, 4.0, 12.0)}),
    ("net.jitter", _of_anything, {"jitter_s": (0.3, 2.0, 9.0)}),
    ("net.loss", _of_anything, {"rate": (0.1, 0.3, 0.7)}),
    ("net.reorder", _of_anything, {"rate": (0.3, 0.7)}),
    ("net.duplicate", _of_anything, {"rate": (0.3, 1.0)}),
    ("net.bandwidth", _of_phone, {"octets_per_s": (200, 2000)}),
    ("net.partition", _of_anything, {}),
    ("net.handover", _of_phone, {"gap_s": (0.5, 10.0)}),
)
_LEG: tuple[_Fault, ...] = (
    ("net.latency", _of_leg, {"add_s": (0.2, 1.0, 4.0, 12.0)}),
    ("net.jitter", _of_leg, {"jitter_s": (0.3, 2.0, 9.0)}),
    ("net.loss", _of_leg, {"rate": (0.3, 0.7)}),
    ("net.reorder", _of_leg, {"rate": (0.7,)}),
    ("net.duplicate", _of_leg, {"rate": (1.0,)}),
    ("net.partition", _of_leg, {}),
    ("sip.drop", _of_leg, {"what": ("request", "response", "both"), "probability": (1.0, 0.5, 0.2)}),
    ("sip.drop", _of_leg, {"method": ("MESSAGE", "INVITE", "BYE", "ACK"), "count": (1, 2)}),
    ("sip.retransmit", _of_leg, {"times": (1, 3), "interval_s": (0.01, 1.0, 40.0)}),
    ("sip.status", _of_leg, {"status": (408, 480, 486, 500, 503, 403, 404), "count": (1, 3)}),
    ("sip.half_open", _of_phone, {}),
)
_SESSION: tuple[_Fault, ...] = (
    ("msrp.lose_report", _of_phone, {"count": (1, 3)}),
    ("msrp.lose_200", _of_phone, {"count": (1, 3)}),
    ("msrp.cut_mid_chunk", _of_phone, {"count": (1, 2)}),
    ("msrp.cut_mid_chunk", _of_leg, {"count": (1, 2)}),
    ("msrp.relay_down", _of_carrier, {}),
    ("msrp.lose_200", _of_leg, {"count": (1, 3)}),
    ("msrp.lose_report", _of_leg, {"count": (1, 3)}),
)
_SMS: tuple[_Fault, ...] = (
    ("sms.delay", _of_phone, {"delay_s": (10.0, 600.0)}),
    ("sms.lose_report", _of_phone, {}),
    ("net.partition", lambda random, cast: {"element": random.choice(("red.smsc", "blue.smsc", "red.ipsmgw"))}, {}),
)
_KDS: tuple[_Fault, ...] = (
    ("kds.down", _of_carrier, {}),
    ("kds.slow", _of_carrier, {"delay_s": (1.0, 8.0, 40.0)}),
    ("kds.peer_down", _of_carrier, {}),
    ("kds.empty_pool", _of_carrier, {}),
    ("kds.last_resort", _of_carrier, {}),
    ("kds.wrong_directory", _of_carrier, {}),
    ("kds.forged_revocations", _of_carrier, {}),
)
_ACS: tuple[_Fault, ...] = (
    ("acs.disabled", _of_carrier, {}),
    ("acs.unreachable", _of_carrier, {}),
    ("acs.otp_required", _of_carrier, {}),
    ("acs.stale", _of_carrier, {}),
)
_IMS: tuple[_Fault, ...] = (
    ("ims.deregister", _of_phone, {"reason": ("rejected", "deactivated", "probation", "unregistered")}),
    ("ims.reregister", _of_phone, {}),
    ("ims.pcscf_failover", _of_carrier, {"gap_s": (1.0, 20.0)}),
    ("ims.auth_fail", _of_phone, {}),
)
_MLS: tuple[_Fault, ...] = (
    ("mls.drop_commit", _of_phone, {"count": (1, 3)}),
    ("mls.drop_welcome", _of_phone, {"count": (1, 3)}),
    ("mls.late_welcome", _of_phone, {"delay_s": (2.0, 10.0, 100.0)}),
    ("mls.stale_epoch", _of_phone, {"count": (1, 2)}),
    ("mls.era_gap", _of_phone, {"count": (1, 2), "eras": (1, 3)}),
    ("mls.fork", _of_phone, {"count": (1, 2)}),
    ("mls.bad_signature", _of_phone, {"what": ("commit", "receipt"), "count": (1, 2)}),
    ("mls.bad_aad", _of_phone, {"what": ("message", "commit"), "count": (1, 2)}),
    ("mls.replay", _of_phone, {"delay_s": (0.1, 5.0, 100.0), "id": ("new", "same"), "count": (1, 2)}),
    ("adversary.replay", _of_carrier, {"delay_s": (0.1, 5.0), "id": ("new", "same"), "count": (1, 2)}),
    ("adversary.strip_caps", _of_carrier, {}),
    (
        "adversary.evil_member",
        _of_phone,
        {"does": ("result_authenticator", "welcome", "confirmation_tag", "signature")},
    ),
)
_SERVER: tuple[_Fault, ...] = (
    ("as.duplicate", _of_phone, {"count": (1, 5)}),
    ("as.reorder", _of_phone, {"count": (1, 5), "hold_s": (1.0, 20.0)}),
    ("as.store_full", _of_carrier, {}),
)
_CAPS: tuple[_Fault, ...] = (
    ("caps.strip_mls", _of_phone, {}),
    ("caps.unknown", _of_phone, {}),
    ("caps.lie", _of_phone, {}),
)
_CERT: tuple[_Fault, ...] = (
    ("cert.expire", _of_phone, {"in_s": (60.0, 90_000.0)}),
    ("cert.age", _of_phone, {"days_left": (5, 20, 31)}),
    ("cert.wrong_root", _of_phone, {}),
)


def _fault(faults: tuple[_Fault, ...]) -> _Draw:
    def draw(random: Random, cast: Cast, pause_s: float) -> Step:
        word, where, more = random.choice(faults)
        scope = where(random, cast) | {name: random.choice(values) for name, values in more.items()}
        scope["for_s"] = random.choice(_LASTING_S)
        return Step("fault", "", "", word, tuple(scope.items()), pause_s)

    return draw


VERBS: Mapping[str, _Draw] = {
    "send": _chat("send"),
    "send long": _chat("send long"),
    "send odd": _chat("send odd", _ODD),
    "send twice": _chat("send twice"),
    "cross": _chat("cross"),
    "reply": _chat("reply"),
    "react": _chat("react", _EMOJI),
    "unreact": _chat("unreact"),
    "edit": _chat("edit"),
    "recall": _chat("recall"),
    "end session": _chat("end session"),
    "end encryption": _chat("end encryption"),
    "revive": _chat("revive"),
    "rekey": _chat("rekey"),
    "look at code": _chat("look at code"),
    "consent": _phone("consent"),
    "send again": _phone("send again"),
    "off": _phone("off"),
    "on": _phone("on"),
    "lose power": _phone("lose power"),
    "airplane on": _phone("airplane on"),
    "airplane off": _phone("airplane off"),
    "wipe": _phone("wipe"),
    "reinstall": _phone("reinstall"),
    "swap": _user("swap", _DEVICES),
    "new owner": _user("new owner", _DEVICES),
    "add device": _user("add device", _DEVICES),
    "give away": _phone("give away"),
    "everybody off": _user("everybody off"),
    "everybody on": _user("everybody on"),
    "skew": _phone("skew", ("-90000", "-3600", "-120", "120", "3600", "90000", "3000000")),
    "revoke": _phone("revoke"),
    "cut": _place("cut"),
    "restore": _place("restore"),
    "key service": _at("key service", ("red", "blue"), ("up", "down", "gone")),
    "restart node": _down("restart node", _NODES),
    "restart carrier": _down("restart carrier", ("red", "blue")),
    "kill carrier": _down("kill carrier", ("red", "blue")),
    "kill messaging": _down("kill messaging", ("red", "blue")),
    "link fault": _fault(_LINK),
    "leg fault": _fault(_LEG),
    "session fault": _fault(_SESSION),
    "sms fault": _fault(_SMS),
    "kds fault": _fault(_KDS),
    "acs fault": _fault(_ACS),
    "ims fault": _fault(_IMS),
    "mls fault": _fault(_MLS),
    "server fault": _fault(_SERVER),
    "caps fault": _fault(_CAPS),
    "cert fault": _fault(_CERT),
}
