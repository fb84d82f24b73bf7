"""``net.``: what links do to octets, and who is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase

from ims_core.transport.memory_link import LinkProfile
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import LINK_KEYS, OF
from rcs_sim.scenario.faults.places import hosts_of, links_of

__all__ = ["NET_FAULTS"]

_Change = Callable[[LinkProfile], LinkProfile]
_REVERSAL = "the links are again as the network file says"


def _rate(meaning: str, default: float) -> ScopeKey:
    return ScopeKey(name="rate", kind=KeyKind.RATIO, meaning=meaning, default=default)


def _link_fault(
    word: str, meaning: str, key: ScopeKey, change: Callable[[LinkProfile, float], LinkProfile], clause: str
) -> FaultKind:
    """A word that changes the profile of links by one number."""

    async def begin(fault: ActiveFault) -> None:
        value = float(fault.scope[key.name])
        _change_links(fault, lambda profile: change(profile, value))
        fault.acted(f"links changed: {key.name} {value:g}")

    return FaultKind(
        word=word,
        meaning=meaning,
        clause=clause,
        reversal=_REVERSAL,
        begin=begin,
        keys=(key, *LINK_KEYS),
        example={"of": "bob", key.name: key.default},
        reach=Reach.BOTH,
    )


def _change_links(fault: ActiveFault, change: _Change) -> None:
    links, is_meant = links_of(fault), _links_meant(fault)

    def changed(source: str, target: str, profile: LinkProfile) -> LinkProfile:
        return change(profile) if is_meant(source, target) else profile

    fault.undo.callback(links.change_links(changed))


def _links_meant(fault: ActiveFault) -> Callable[[str, str], bool]:
    """Whether the link from a host to another one is within the scope."""
    ends = hosts_of(fault)
    senders, receivers = _places(fault, "from"), _places(fault, "to")

    def is_meant(source: str, target: str) -> bool:
        if ends is not None and source not in ends and target not in ends:
            return False
        return (senders is None or source in senders) and (receivers is None or target in receivers)

    return is_meant


def _places(fault: ActiveFault, key: str) -> frozenset[str] | None:
    pattern, sim = fault.scope.get(key), fault.sim
    if pattern is None:
        return None
    names = (name for name in (*sim.elements(), *sim.phones) if fnmatchcase(name, pattern))
    return frozenset(sim.host_of(name) for name in names)


def _slower(profile: LinkProfile, add_s: float) -> LinkProfile:
    return replace(profile, latency_s=profile.latency_s + add_s)


def _jittery(profile: LinkProfile, jitter_s: float) -> LinkProfile:
    return replace(profile, jitter_s=max(profile.jitter_s, jitter_s))


def _lossy(profile: LinkProfile, rate: float) -> LinkProfile:
    return replace(profile, loss=1 - (1 - profile.loss) * (1 - rate))


def _reordering(profile: LinkProfile, rate: float) -> LinkProfile:
    return replace(profile, reorder=max(profile.reorder, rate))


def _duplicating(profile: LinkProfile, rate: float) -> LinkProfile:
    return replace(profile, duplicate=max(profile.duplicate, rate))


def _narrow(profile: LinkProfile, octets_per_s: float) -> LinkProfile:
    own = profile.bandwidth_octets_per_s
    return replace(profile, bandwidth_octets_per_s=octets_per_s if own is None else min(own, octets_per_s))


async def _begin_partition(fault: ActiveFault) -> None:
    scope, sim = fault.scope, fault.sim
    whole = [scope[key] for key in ("of", "element") if scope.get(key) is not None]
    if scope.get("carrier") is not None:
        whole += [name for name in sim.elements() if name.startswith(f"{scope['carrier']}.")]
    if scope.get("from") is not None or scope.get("to") is not None:
        _change_links(fault, lambda profile: replace(profile, is_up=False))
        fault.acted("link down")
        return
    if not whole:
        raise FaultError(f"{fault.word} has to be told whom: of, element, carrier, or a link by from and to")
    for name in whole:
        if any(other is not fault and name in _cut_by(other) for other in sim.faults.active):
            continue  # it is off already, and comes back with the fault that cut it off
        await sim.take_away(name)
        fault.undo.push_async_callback(sim.give_back, name)
        fault.acted("cut off", name)


def _cut_by(fault: ActiveFault) -> tuple[str, ...]:
    if fault.word != "net.partition" or not fault.has_begun:
        return ()
    return tuple(fault.scope.text(key) for key in ("of", "element") if fault.scope.get(key) is not None)


async def _begin_handover(fault: ActiveFault) -> None:
    """Another access: nothing passes for a moment, and the connections of before are gone (RFC 5626 §4.4)."""
    name = fault.scope["of"]
    host, links = fault.sim.host_of(name), links_of(fault)
    links.cut(host)
    fault.acted("left the cell", name)
    try:
        await asyncio.sleep(fault.scope.seconds("gap_s"))
    finally:
        links.reset(host)
        links.restore(host)
    fault.acted("came into another cell", name)


NET_FAULTS: tuple[FaultKind, ...] = (
    _link_fault(
        "net.latency",
        "octets take longer",
        ScopeKey(name="add_s", kind=KeyKind.SECONDS, meaning="so much longer, each way", default=0.5),
        _slower,
        "RFC 3261 §17.1.1.1 (T1)",
    ),
    _link_fault(
        "net.jitter",
        "octets take a time that varies",
        ScopeKey(name="jitter_s", kind=KeyKind.SECONDS, meaning="up to so much longer", default=0.3),
        _jittery,
        "RFC 3261 §17",
    ),
    _link_fault(
        "net.loss",
        "datagrams are lost; a stream repeats what was lost, which takes time",
        _rate("part of the datagrams or segments", 0.2),
        _lossy,
        "RFC 3261 §17, RFC 9293 §3.8",
    ),
    _link_fault(
        "net.reorder",
        "datagrams are overtaken by later ones; a stream keeps its order",
        _rate("part of the datagrams that is held back", 0.3),
        _reordering,
        "RFC 3261 §18",
    ),
    _link_fault(
        "net.duplicate",
        "datagrams come twice; nothing does on a stream",
        _rate("part of the datagrams", 0.3),
        _duplicating,
        "RFC 3261 §17.2",
    ),
    _link_fault(
        "net.bandwidth",
        "a narrow line: what is sent waits until what was sent before is through",
        ScopeKey(name="octets_per_s", kind=KeyKind.COUNT, meaning="so much passes, each way", default=2000),
        _narrow,
        "RFC 4975 §5.1 (chunks)",
    ),
    FaultKind(
        word="net.partition",
        meaning="an element, a phone or a link is cut off; connections live on for 30 s, but on sockets a CSCF, an IBCF"
        " or a relay is stopped",
        clause="TS 23.228 §5.3, RFC 5626 §4.4",
        reversal="it is back, with the state that it had; on sockets what was stopped is started again",
        begin=_begin_partition,
        keys=LINK_KEYS,
        example={"element": "blue.ibcf", "for_s": 60},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="net.handover",
        meaning="a phone changes its access: a gap, then all its connections are broken",
        clause="TS 24.229 §5.1.1.2, RFC 5626 §4.4",
        reversal="none needed: the phone is in its new cell after the gap",
        begin=_begin_handover,
        keys=(
            replace(OF, is_required=True),
            ScopeKey(name="gap_s", kind=KeyKind.SECONDS, meaning="without any access", default=0.5),
        ),
        example={"of": "bob", "gap_s": 2},
        reach=Reach.BOTH,
    ),
)
