"""Who connects where: setup roles and connection establishment for media anchoring (RFC 6135, RFC 6714)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.media import NO_PORT, MediaRefused, MsrpMedia, Setup
from ims_core.wire.msrp.uri import MsrpUri

__all__ = [
    "ConnectionDecision",
    "ConnectionPlan",
    "Outcome",
    "Party",
    "Target",
    "answer_setup",
    "can_answer_with_cema",
    "decide_connection",
    "plan_connection",
]


class Party(Enum):
    OFFERER = "offerer"
    ANSWERER = "answerer"


class Target(Enum):
    """Where the active side connects to."""

    OFFER_CM = "offer c=/m="
    OFFER_PATH = "offer a=path"
    ANSWER_CM = "answer c=/m="
    ANSWER_PATH = "answer a=path"


class Outcome(Enum):
    """What an offer and its answer come to."""

    CONNECT = "connect"
    OFFER_WITHOUT_CEMA = "offerer sends a new offer without msrp-cema"
    REJECT = "answerer rejects the media (port 0) or answers 488"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ConnectionDecision:
    """Who opens the connection, is TLS client and sends the first SEND, and to where; or why nobody does."""

    outcome: Outcome
    active: Party | None = None
    target: Target | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPlan:
    """What one side has to do for a session to be connected.

    *is_active*: it sends the first SEND and, unless *is_own_relay*, connects to *host* and *port*; otherwise it is
    connected to there. *is_own_relay*: the place is its own relay, which it connects to in either role (RFC 6135 §4.5),
    so that no *fingerprints*, which are the peer's, apply. Without *is_tls* they prove nothing."""

    is_active: bool
    host: str
    port: int
    is_tls: bool
    fingerprints: tuple[Fingerprint, ...]
    is_own_relay: bool = False


# RFC 6135 §4.2, RFC 4145 §4.1: offer, answer -> active side. None is no attribute: an RFC 4975 peer, whose offerer
# connects; holdconn, which RFC 6135 never sends, counts as none. A pair is here or among the clashes.
_ACTIVE: Mapping[tuple[Setup | None, Setup | None], Party] = {
    (Setup.ACTPASS, Setup.ACTIVE): Party.ANSWERER,
    (Setup.ACTPASS, Setup.PASSIVE): Party.OFFERER,
    (Setup.ACTPASS, None): Party.OFFERER,
    (Setup.ACTIVE, Setup.PASSIVE): Party.OFFERER,
    (Setup.ACTIVE, None): Party.OFFERER,
    (Setup.PASSIVE, Setup.ACTIVE): Party.ANSWERER,
    (None, Setup.PASSIVE): Party.OFFERER,
    (None, None): Party.OFFERER,
}
_NO_ANSWER = "actpass is not an answer"
_CLASHES: Mapping[tuple[Setup | None, Setup | None], str] = {
    (Setup.ACTPASS, Setup.ACTPASS): _NO_ANSWER,
    (Setup.ACTIVE, Setup.ACTPASS): _NO_ANSWER,
    (Setup.PASSIVE, Setup.ACTPASS): _NO_ANSWER,
    (None, Setup.ACTPASS): _NO_ANSWER,
    (Setup.ACTIVE, Setup.ACTIVE): "both sides are active",
    (Setup.PASSIVE, Setup.PASSIVE): "both sides are passive",
    (Setup.PASSIVE, None): "a passive offer, which RFC 6135 forbids, to an RFC 4975 peer: nobody connects",
    (None, Setup.ACTIVE): "an offer without setup makes the offerer active, and the answer is active too",
}
# RFC 6714 §4.2, §4.3: active side, whether the offer and the answer have a=msrp-cema -> where it connects to.
_TARGETS: Mapping[tuple[Party, bool, bool], Target] = {
    (Party.OFFERER, True, True): Target.ANSWER_CM,
    (Party.OFFERER, True, False): Target.ANSWER_CM,
    (Party.OFFERER, False, False): Target.ANSWER_PATH,
    (Party.ANSWERER, True, True): Target.OFFER_CM,
    (Party.ANSWERER, True, False): Target.OFFER_PATH,
    (Party.ANSWERER, False, False): Target.OFFER_PATH,
}


def decide_connection(
    *,
    offer_setup: Setup | None,
    answer_setup: Setup | None,
    offer_cema: bool,
    answer_cema: bool,
    offer_cm_equals_path: bool,
    answer_cm_equals_path: bool,
) -> ConnectionDecision:
    """What an offer and its answer come to, neither side behind a relay (RFC 6135 §4.2, RFC 6714 §4.2, §4.3).

    An answer with a=msrp-cema to an offer without counts as one without."""
    if not offer_cema and not offer_cm_equals_path:
        return ConnectionDecision(
            Outcome.REJECT, why="an anchor without CEMA changed c= or m=, and a=path goes past it"
        )
    setups = _sound(offer_setup), _sound(answer_setup)
    if setups in _CLASHES:
        return ConnectionDecision(Outcome.ERROR, why=_CLASHES[setups])
    active = _ACTIVE[setups]
    is_answer_cema = offer_cema and answer_cema
    is_anchored = offer_cema and not is_answer_cema and not answer_cm_equals_path
    if active is Party.ANSWERER and is_anchored:
        why = "an anchor without CEMA is in the path of the answer, and the answerer connects"
        return ConnectionDecision(Outcome.OFFER_WITHOUT_CEMA, active, why=why)
    return ConnectionDecision(Outcome.CONNECT, active, _TARGETS[active, offer_cema, is_answer_cema])


def _sound(setup: Setup | None) -> Setup | None:
    return None if setup is Setup.HOLDCONN else setup


def answer_setup(offered: Setup | None, *, prefers_active: bool = False, is_reachable: bool = True) -> Setup:
    """The a=setup of an answer (RFC 6135 §4.2): passive where the offer lets us choose, unless we would rather connect
    or cannot be connected to. Raises MediaRefused if the offerer connects and cannot reach us."""
    if offered is Setup.PASSIVE:
        return Setup.ACTIVE
    if offered is Setup.ACTPASS:
        return Setup.ACTIVE if prefers_active or not is_reachable else Setup.PASSIVE
    if not is_reachable:
        raise MediaRefused("the offerer wants to connect, and cannot reach us", spec="RFC 6135 §4.2")
    return Setup.PASSIVE


def can_answer_with_cema(offer: MsrpMedia, *, setup: Setup, is_behind_relay: bool = False) -> bool:
    """Whether the answer to *offer* with this *setup* has a=msrp-cema (RFC 6714 §4.3).

    A relay routes by path and knows no c= or m=, so whoever is behind one must be the side that is connected to; with
    both behind relays nobody can be active."""
    if not offer.has_cema:
        return False
    is_offerer_behind_relay = len(offer.path) > 1
    if is_offerer_behind_relay and setup is not Setup.ACTIVE:
        return False
    return not is_behind_relay or setup is Setup.PASSIVE


def plan_connection(offer: MsrpMedia, answer: MsrpMedia, *, is_offerer: bool) -> ConnectionPlan:
    """What we do after offer and answer, as offerer or answerer. Raises MediaRefused if nobody could connect; its
    is_cema_in_the_way says that a new offer without CEMA may help."""
    # An answerer behind its relay who leaves CEMA out goes by path alone, as RFC 4976 has it (RFC 6714 §4.3).
    is_relayed = len(answer.path) > 1 and not answer.has_cema
    decision = decide_connection(
        offer_setup=offer.setup,
        answer_setup=answer.setup,
        offer_cema=offer.has_cema and not is_relayed,
        answer_cema=answer.has_cema,
        offer_cm_equals_path=offer.has_cema or offer.cm_equals_path,
        answer_cm_equals_path=answer.cm_equals_path,
    )
    if decision.target is None:
        is_cema_in_the_way = decision.outcome is Outcome.OFFER_WITHOUT_CEMA
        raise MediaRefused(decision.why, spec="RFC 6714 §4.2", is_cema_in_the_way=is_cema_in_the_way)
    mine, theirs = (offer, answer) if is_offerer else (answer, offer)
    is_active = decision.active is (Party.OFFERER if is_offerer else Party.ANSWERER)
    if len(mine.path) > 1:
        return _to_own_relay(mine.path[0], is_active=is_active)
    if not is_active:
        host, port = mine.host, mine.port
    elif decision.target in (Target.OFFER_CM, Target.ANSWER_CM):
        host, port = _reachable(theirs.host, theirs.port)
    else:
        host, port = _reachable(theirs.path[0].address, theirs.path[0].connect_port)
    return ConnectionPlan(
        is_active=is_active, host=host, port=port, is_tls=theirs.is_tls, fingerprints=theirs.fingerprints
    )


def _to_own_relay(relay: MsrpUri, *, is_active: bool) -> ConnectionPlan:
    return ConnectionPlan(
        is_active=is_active,
        host=relay.address,
        port=relay.connect_port,
        is_tls=relay.is_tls,
        fingerprints=(),
        is_own_relay=True,
    )


def _reachable(host: str, port: int) -> tuple[str, int]:
    """Raises MediaRefused for a place where nobody listens: connecting to 0.0.0.0 would reach ourselves."""
    try:
        is_nowhere = ip_address(host).is_unspecified
    except ValueError:
        is_nowhere = False
    if is_nowhere or port in (0, NO_PORT):
        raise MediaRefused(f"nobody can be connected to at {host} port {port}", spec="RFC 4145 §4.1")
    return host, port
