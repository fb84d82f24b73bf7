"""What must hold at the end of a random life, by our own count and by the oracle's reading of the octets."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from dataclasses import dataclass

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import SentMessage
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_rules import Violation
from rcs_sim.scenario.oracle_screens import UserMessage
from rcs_sim.wire.message_reference import ReferenceType
from tests.support.lives.bare import is_honest
from tests.support.lives.life import Life, network_of, user_of
from tests.support.lives.plan import NUMBERS, LifePlan
from tests.support.lives.servers import Killed, LifeSimulation

__all__ = ["Verdict", "judge", "live"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """*violations* begin with a word that says of which kind; *digest* is of all octets on all links."""

    violations: tuple[str, ...]
    digest: str
    records: int
    texts: int
    locked: int
    shown: str = ""


class _Errors(logging.Handler):
    """Nothing may be logged as an error: tasks that died, handlers that raised."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" {record.exc_info[1]!r}"
        arguments = record.args if isinstance(record.args, tuple) else ()
        if not any(isinstance(each, Killed) for each in (*arguments, *(record.exc_info or ()))):
            self.lines.append(text)


def live(plan: LifePlan, sink: ListSink | None = None) -> Verdict:
    """Plays the life from its beginning to its end. Its records go into *sink*."""
    kept = sink or ListSink()
    errors = _Errors()

    async def main() -> Verdict:
        async with LifeSimulation(network_of(plan), plan.seed, lag_s=plan.lag_s, sinks=[kept]) as sim:
            life = Life(sim, kept, plan)
            await life.play()
            await asyncio.sleep(0)
            return judge(life)

    root = logging.getLogger()
    root.addHandler(errors)
    try:
        verdict = rcs_sim.run(main, clock="virtual")
    finally:
        root.removeHandler(errors)
    if not errors.lines:
        return verdict
    logged = tuple(f"logged: {line}" for line in dict.fromkeys(errors.lines))
    return Verdict(
        (*verdict.violations, *logged), verdict.digest, verdict.records, verdict.texts, verdict.locked, verdict.shown
    )


def judge(life: Life) -> Verdict:
    found = [f"downgrade: {each.phone}: {each.text[:40]}" for each in life.bare if not is_honest(life, each)]
    found += [f"stuck: {each}" for each in life.stuck]
    found += _misplaced(life) + _readable(life) + _unfinished(life) + _errors(life) + _seen_by_oracle(life)
    digest = hashlib.sha256()
    for record in life.sink.records:
        if record.kind is RecordKind.MESSAGE:
            digest.update(f"{record.at!r} {record.source} {record.target}\n".encode() + record.raw)
    locked = sum(each.message.scheme is not None for each in life.said)
    return Verdict(tuple(found), digest.hexdigest(), len(life.sink.records), len(life.said), locked)


def _errors(life: Life) -> list[str]:
    words = ("Traceback", "raised", "exception", "Error(")
    lines = [each.summary for each in life.sink.records if each.kind is RecordKind.ERROR]
    return [f"error: {line}" for line in dict.fromkeys(lines) if any(word in line for word in words)]


def _misplaced(life: Life) -> list[str]:
    """Texts that were seen more often than they were written, or never though their sender was told nothing."""
    found = []
    written = Counter((each.whom, each.message.text) for each in life.said)
    for said in life.said:
        message, key = said.message, (said.whom, said.message.text)
        screens = {name: seen for name, seen in life.seen.items() if user_of(name[0]) == said.whom}
        times = [seen[message.text or ""] for seen in screens.values()] or [0]
        if max(times) > written[key] and not said.is_odd:
            found.append(f"duplicate: {message} was shown {times} times: {_history(message)}")
        is_known = message.state is MessageState.FAILED or said.is_excused
        if not any(times) and not is_known:
            found.append(f"loss: {message} of {said.who}: {_history(message)}")
    return found


def _readable(life: Life) -> list[str]:
    found = []
    links = [one.raw for one in life.sink.records if one.kind is RecordKind.MESSAGE]
    for said in life.said:
        message = said.message
        octets = (message.text or "")[:40].encode()
        if said.is_odd or (message.scheme is None and not message.was_locked):
            continue
        is_short = message.transport is MessageTransport.SMS
        if is_short or any(octets in raw for raw in links):
            what = "lying lock" if message.scheme is not None else "downgrade: written under a lock"
            found.append(f"{what}: {message} {_history(message)}")
    return found


def _unfinished(life: Life) -> list[str]:
    """A day after everything was repaired nothing is under way."""
    waiting = (MessageState.QUEUED, MessageState.SENDING, MessageState.REVOKING)
    return [
        f"waits: {each} {_history(each)}"
        for each in (*(said.message for said in life.said), *(message for _, message in life.changes))
        if each.state in waiting
    ]


def _seen_by_oracle(life: Life) -> list[str]:
    oracle = Oracle(life.sink.records)
    violations = [each for each in oracle.violations() if not _cannot_be_known(life, each)]
    return [f"oracle {each.kind.value}: {_named(each.message)} at {each.phone}: {each.why}" for each in violations]


def _cannot_be_known(life: Life, violation: Violation) -> bool:
    """A phone without recalls takes one and shows nothing, and says nothing of that beforehand."""
    user = next((name for name, number in NUMBERS.items() if number == f"+{violation.message.peer.lstrip('+')}"), "")
    return violation.message.kind == ReferenceType.RECALL and user in life.without_recalls


def _named(message: UserMessage) -> str:
    return f"{message.id} {message.kind} {message.text[:40]!r}"


def _history(message: SentMessage) -> str:
    since = message.created_at
    steps = ", ".join(f"{each.state.value}/{each.transport.value}@{each.at - since:.1f}" for each in message.history)
    return f"[{steps}; {message.reason.value}]"
