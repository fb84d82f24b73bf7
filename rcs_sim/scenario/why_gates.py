"""The gates that a message passes, in their order, each with the record that shows how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from rcs_sim.client.display import Shown
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.scenario.oracle_readings import Passage
from rcs_sim.scenario.oracle_screens import Screens, UserMessage
from rcs_sim.scenario.why_facts import BAD_KEY_PACKAGE, FAILED_CALL, Fact, FactKind, TraceFacts
from rcs_sim.scenario.why_legacy import legacy_gates
from rcs_sim.scenario.why_steps import ENCRYPTION, LEGACY, GateOutcome, GateStep, Known, as_told, outcome_of, step_of

__all__ = ["GateOutcome", "GateStep", "agreed_to_the_end", "encryption_gates", "message_gates"]

_FALLBACK, _CHANGE = "fallback", "change"
_SCHEMES = (ENCRYPTION, LEGACY)
_CLAIM = "/mls/v1/keypackages/claim"
_STOPS = ("refuse", "fail", "ask")
_NOT_READ = ("not opened", "dropped", "parked")
_SENT_PLAIN = FallbackReason.NONE.value


# --- why there is a lock, or none -------------------------------------------------------------------------------------


def encryption_gates(message: UserMessage, facts: TraceFacts, until: int) -> list[GateStep]:
    """What had to be so for the conversation to be encrypted, as it stood at record *until*. Ends with the first gate
    that stopped it; of a phone with the older scheme, with that scheme's where MLS was not possible (digest RCC.16
    §14.12)."""
    known = Known(message, facts, until)
    steps = _mls_gates(known)
    legacy = [] if steps and steps[-1].gate == _MARKED else legacy_gates(known)
    if not legacy:
        return steps
    is_of_mls = steps and steps[-1].outcome is not GateOutcome.STOPPED
    return steps if is_of_mls else [*(_as_note(step) for step in steps), *legacy]


def _as_note(step: GateStep) -> GateStep:
    if step.outcome is not GateOutcome.STOPPED:
        return step
    return replace(step, outcome=GateOutcome.NOTE, says=f"not with MLS: {step.says}")


def _mls_gates(known: Known) -> list[GateStep]:
    steps: list[GateStep] = []
    for gate in _GATES:
        steps += gate(known)
        if steps and steps[-1].outcome is GateOutcome.STOPPED:
            break
    return steps


def _configured(known: Known) -> Iterator[GateStep]:
    fact = known.last(FactKind.CONFIGURATION)
    if fact is not None:
        yield step_of("configuration", fact)


def _certified(known: Known) -> Iterator[GateStep]:
    fact = known.own(*_ENROLMENT)
    if fact is None:
        says = "this phone never asked for a certificate"
        yield GateStep("own enrolment", GateOutcome.STOPPED, says, element=known.message.phone)
    elif _ENROLMENT[fact.word]:
        yield step_of("own enrolment", fact, f"{fact.word}: a certificate and key packages", GateOutcome.PASSED)
    else:
        call = known.last(FAILED_CALL) or known.unanswered()
        if call is not None:
            yield step_of("own directory", call, outcome=GateOutcome.NOTE)
        why = known.own("not enrolled") or fact
        says = "enrolment has begun, and is not over" if why.word == "enrolling" else as_told(why)
        yield step_of("own enrolment", why, says, GateOutcome.STOPPED)


def _announced(known: Known) -> Iterator[GateStep]:
    fact = known.last(FactKind.OWN_TAGS)
    if fact is not None:
        yield step_of("own announcement", fact, f"{known.message.phone} {fact.says}")


def _peer_announced(known: Known) -> Iterator[GateStep]:
    gate, peer = "announcement of the peer", known.message.peer
    fact = known.last(f"{FactKind.PEER_TAGS} {known.peer}")
    if fact is not None:
        outcome = GateOutcome.NOTE if known.is_established and not fact.is_good else None
        yield step_of(gate, fact, f"{peer} {fact.says}", outcome)
    elif not known.is_established:
        says = f"{peer} never said what it can do"
        yield GateStep(gate, GateOutcome.STOPPED, says, element=known.message.phone)
        return
    latest = known.noted("not eligible", "set-up", "encrypted", "ended", "claimed")
    if latest is not None and latest.word == "not eligible":
        yield step_of("eligibility", latest, f"the peer is not eligible: {latest.reason}", GateOutcome.STOPPED)


def _claimed(known: Known) -> Iterator[GateStep]:
    fact = known.noted("claimed", "claim failed")
    if fact is None:
        return
    is_good = fact.word == "claimed"
    is_over = known.is_established and not is_good  # the peer has let this phone in since then, or it has claimed again
    call = None if is_good else known.last(_CLAIM, until=fact.number)
    for each in (known.at_directory(call), call, known.last(BAD_KEY_PACKAGE, until=fact.number)):
        if each is not None:
            yield step_of("key packages", each, outcome=GateOutcome.NOTE)
    yield step_of(
        "key packages",
        fact,
        f"{fact.word}: {fact.reason}",
        GateOutcome.NOTE if is_over else outcome_of(is_good=is_good),
    )


def _accepted(known: Known) -> Iterator[GateStep]:
    fact = known.noted("accepted", "refused", "no answer", "no request")
    if fact is None:
        return
    if fact.word == "accepted":
        yield step_of("focus", fact, f"the focus accepted: {fact.reason}", GateOutcome.PASSED)
        return
    refusal = known.refusal(fact.message_id)
    if refusal is not None:
        yield step_of("focus", refusal, outcome=GateOutcome.NOTE)
    outcome = GateOutcome.NOTE if known.is_established else GateOutcome.STOPPED
    yield step_of("focus", fact, f"{fact.word}: {fact.reason}", outcome)


def _marked(known: Known) -> Iterator[GateStep]:
    fact = known.noted(*_CONVERSATION)
    if fact is not None:
        says, outcome = _CONVERSATION[fact.word]
        yield step_of(_MARKED, fact, f"{says}: {fact.reason}" if fact.reason else says, outcome)


_MARKED = "conversation"
_ENROLMENT = {
    "certified": True,
    "ready": True,
    "enrolling": False,
    "not enrolled": False,
    "waiting": False,
    "off": False,
}
_CONVERSATION = {
    "encrypted": ("the conversation is encrypted", GateOutcome.PASSED),
    "ended": ("the encryption of the conversation has ended", GateOutcome.STOPPED),
    "set-up": ("the encryption was still being set up", GateOutcome.STOPPED),
    "set-up failed": ("the set-up failed", GateOutcome.STOPPED),
    "locked out": (
        "the focus or the peer holds an encrypted conversation that this phone is not in",
        GateOutcome.STOPPED,
    ),
    "Welcome asked for": ("a Welcome was asked for, and had not come", GateOutcome.STOPPED),
    "unexpected member": ("the conversation has an unexpected member", GateOutcome.STOPPED),
}
_Gate = Callable[[Known], Iterator[GateStep]]
_GATES: tuple[_Gate, ...] = (_configured, _certified, _announced, _peer_announced, _claimed, _accepted, _marked)


def agreed_to_the_end(gates: Sequence[GateStep], message: UserMessage, facts: TraceFacts, screens: Screens) -> int:
    """The record in which the user of its sender agreed that the encryption ends that *gates* say has ended; 0 if the
    other side ended it, or if it has not."""
    stop = gates[-1] if gates else None
    if stop is None or stop.gate != _MARKED or stop.outcome is not GateOutcome.STOPPED or stop.number is None:
        return 0
    begun = Known(message, facts, stop.number).noted("encrypted")
    since = 0 if begun is None else begun.number
    agreed = (way.number for way in screens.ways_out(message) if way.is_of_user)
    return max((number for number in agreed if since < number <= stop.number), default=0)


# --- what became of the message ---------------------------------------------------------------------------------------


def message_gates(
    message: UserMessage, facts: TraceFacts, screens: Screens, passages: Sequence[Passage], ids: Iterable[str]
) -> list[GateStep]:
    """Everything about one message, in the order of the trace."""
    wanted = set(ids)
    steps = [*_decisions(message, facts, wanted), *_passages(message, passages), *_ticks(message)]
    taken = {step.number for step in steps}
    steps += [
        GateStep("consent", GateOutcome.NOTE, way.what, way.number, None, message.phone)
        for way in screens.ways_out(message)
        if way.number >= message.number and way.number not in taken
    ]
    for showing in message.showings:
        label = " · encrypted" if showing.tick.has_lock else ""
        says = f"{showing.phone} showed it, {showing.tick.transport or 'RCS'}{label}"
        steps.append(GateStep("receiver", GateOutcome.PASSED, says, showing.number, showing.at, showing.phone))
    for phone in screens.phones_of(message.peer, message.number):
        steps += [step for each in wanted for step in _at_receiver(facts.about(phone, each))]
    last = max((step.number for step in steps if step.number is not None), default=message.number)
    steps += _faults(facts.faults, message.number, last)
    return sorted(steps, key=lambda step: step.number or 0)


def _decisions(message: UserMessage, facts: TraceFacts, wanted: set[str]) -> Iterator[GateStep]:
    told = ""
    for fact in sorted((f for each in wanted for f in facts.about(message.phone, each)), key=lambda each: each.number):
        if fact.kind in (FactKind.ANSWER, FactKind.REFUSAL):
            yield step_of("answer", fact)
        elif fact.machine == _FALLBACK:
            if fact.says != told:  # a decision that is only confirmed says nothing new
                outcome = GateOutcome.STOPPED if fact.word in _STOPS else GateOutcome.NOTE
                yield step_of("decision", fact, as_told(fact), outcome)
            told = fact.says
        elif fact.machine in _SCHEMES:
            is_bad = fact.word in ("not sealed", "message refused", "peer could not read", "receipt ignored")
            outcome = GateOutcome.STOPPED if is_bad else GateOutcome.NOTE
            yield step_of("encryption", fact, as_told(fact), outcome)
        elif fact.kind in (FactKind.STATE, FactKind.ERROR):
            yield step_of("phone", fact)


def _passages(message: UserMessage, passages: Sequence[Passage]) -> Iterator[GateStep]:
    """The first and the last hop of each protocol."""
    by_way: dict[tuple[str, str], list[Passage]] = {}
    for passage in passages:
        by_way.setdefault((passage.hop.protocol, passage.verdict.value), []).append(passage)
    for (protocol, verdict), found in by_way.items():
        first, last = found[0].hop, found[-1].hop
        says = f"left by {protocol}, {verdict}: {first.source} to {first.target}"
        yield GateStep("link", GateOutcome.PASSED, says, first.number, first.at, first.source)
        if last is not first:
            says = f"came as far as {last.target} by {protocol}, {verdict} on {len(found)} hops"
            yield GateStep("link", GateOutcome.PASSED, says, last.number, last.at, last.target)


def _ticks(message: UserMessage) -> Iterator[GateStep]:
    for tick in message.ticks:
        says = f"shown as {tick.what}"
        if tick.reason and tick.reason != _SENT_PLAIN:
            says += f": {tick.reason}"
        outcome = GateOutcome.STOPPED if tick.what == Shown.FAILED else GateOutcome.PASSED
        yield GateStep("sender's screen", outcome, says, tick.number, tick.at, message.phone)


def _at_receiver(facts: Iterable[Fact]) -> Iterator[GateStep]:
    for fact in facts:
        if fact.machine in _SCHEMES and fact.word in _NOT_READ:
            outcome = GateOutcome.NOTE if fact.word == "parked" else GateOutcome.STOPPED
            yield step_of("receiver", fact, f"{fact.word}: {fact.reason}", outcome)
        elif fact.machine == "duplicate":
            yield step_of("receiver", fact)
        elif fact.machine == _CHANGE:
            outcome = GateOutcome.STOPPED if fact.word == "dropped" else GateOutcome.NOTE
            yield step_of("receiver", fact, as_told(fact), outcome)


def _faults(faults: Sequence[Fact], first: int, last: int) -> Iterator[GateStep]:
    """Those that were in force in the life of the message, or began in it."""
    open_faults: dict[tuple[str, str], Fact] = {}
    for fault in faults:
        name, _, phase = fault.says.rpartition(" ")
        key = (fault.element, name)
        if phase == "ends":
            begun = open_faults.pop(key, None)
            if fault.number >= first and begun is not None and begun.number <= last:
                yield step_of("fault", begun, f"{begun.says} at {begun.element}")
        elif fault.number <= last:
            open_faults[key] = fault
    for fault in open_faults.values():
        yield step_of("fault", fault, f"{fault.says} at {fault.element}")
