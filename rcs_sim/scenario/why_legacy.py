"""The gates of the older one-to-one scheme, for phones that have it (digest RCC.16 §14.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rcs_sim.scenario.why_facts import Fact, FactKind
from rcs_sim.scenario.why_steps import LEGACY, GateOutcome, GateStep, Known, as_told, outcome_of, step_of

__all__ = ["legacy_gates"]

_CLAIM = "/legacy/v1/prekeys/claim"
_SCHEME = "the older scheme"  # as the facts about announcements call it


def legacy_gates(known: Known) -> list[GateStep]:
    """What had to be so for a lock with the older scheme. Ends with the first gate that stopped it; nothing for a phone
    that does not have the scheme."""
    steps: list[GateStep] = []
    if known.own(*_PREKEYS, machine=LEGACY) is None:
        return steps
    for gate in _GATES:
        steps += gate(known)
        if steps and steps[-1].outcome is GateOutcome.STOPPED:
            break
    return steps


def _published(known: Known) -> Iterator[GateStep]:
    fact = known.own(*_PREKEYS, machine=LEGACY)
    if fact is None:
        return
    is_good = known.own("ready", "off", machine=LEGACY)
    says = "ready: prekeys of the older scheme are served" if fact.word == "ready" else as_told(fact)
    is_ready = is_good is not None and is_good.word == "ready"  # those that were there before are served still
    yield step_of("own prekeys", fact, says, outcome_of(is_good=is_ready))


def _announced(known: Known) -> Iterator[GateStep]:
    fact = known.last(FactKind.OWN_TAGS)
    if fact is not None:
        yield step_of("own announcement", fact, f"{known.message.phone} {fact.says}", _has_scheme(fact))


def _peer_announced(known: Known) -> Iterator[GateStep]:
    fact = known.last(f"{FactKind.PEER_TAGS} {known.peer}")
    if fact is not None:
        is_locked = known.noted("encrypted", machine=LEGACY) is not None
        outcome = GateOutcome.NOTE if is_locked and _SCHEME not in fact.says else _has_scheme(fact)
        missing = "" if _SCHEME in fact.says or fact.says.endswith("no encryption") else f", and not {_SCHEME}"
        yield step_of("announcement of the peer", fact, f"{known.message.peer} {fact.says}{missing}", outcome)


def _has_scheme(fact: Fact) -> GateOutcome:
    return outcome_of(is_good=_SCHEME in fact.says)


def _claimed(known: Known) -> Iterator[GateStep]:
    fact = known.noted("claimed", "claim failed", machine=LEGACY)
    if fact is None:
        return
    is_good = fact.word == "claimed"
    call = None if is_good else known.last(_CLAIM, until=fact.number)
    if call is not None:
        yield step_of("prekeys", call, outcome=GateOutcome.NOTE)
    yield step_of("prekeys", fact, as_told(fact), outcome_of(is_good=is_good))


def _marked(known: Known) -> Iterator[GateStep]:
    fact = known.noted("encrypted", "superseded", machine=LEGACY)
    if fact is not None:
        says = "the conversation is encrypted with the older scheme" if fact.word == "encrypted" else as_told(fact)
        yield step_of("conversation", fact, says, outcome_of(is_good=fact.word == "encrypted"))


_PREKEYS = ("ready", "off", "not published")
_Gate = Callable[[Known], Iterator[GateStep]]
_GATES: tuple[_Gate, ...] = (_published, _announced, _peer_announced, _claimed, _marked)
