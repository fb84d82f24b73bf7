"""Looks for lives that go wrong: ``python -m tests.support.lives.hunt KIND FIRST COUNT [shrink]``."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType

from tests.support.lives.plan import LifePlan, draw_plan
from tests.support.lives.verdict import Verdict, live

__all__ = ["hunt", "shrunk"]

_LONGEST_S = 240


class _TooLong(BaseException):
    """No handler of a callback may take it for an error of what it runs."""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise _TooLong(f"a life took more than {_LONGEST_S} s")


def outcome(plan: LifePlan) -> Verdict:
    """What `live` says, with what it raised as a violation."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(_LONGEST_S)
    try:
        return live(plan)
    except (Exception, _TooLong) as error:  # anything that gets out of a life is a finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict((f"crash: {error!r} at {where.filename}:{where.lineno}",), "", 0, 0, 0)
    finally:
        signal.alarm(0)


def kinds_of(verdict: Verdict) -> set[str]:
    return {each.partition(":")[0] for each in verdict.violations}


def shrunk(plan: LifePlan, wanted: str) -> LifePlan:
    """The smallest life that is found with a violation of this kind."""
    while True:
        smaller = next((each for each in _smaller(plan) if wanted in kinds_of(outcome(each))), None)
        if smaller is None:
            return plan
        plan = smaller
        print(f"  {len(plan.steps)} steps, {len(plan.devices)} phones\n{told(plan)}", flush=True)


def _smaller(plan: LifePlan) -> Iterator[LifePlan]:
    size = len(plan.steps)
    for length in (size // 2, size // 4, 2, 1):
        for start in range(0, size, length) if length else ():
            yield replace(plan, steps=(*plan.steps[:start], *plan.steps[start + length :]))
    named = {name for step in plan.steps for name in (step.who, step.whom)}
    for name in plan.devices:
        if name not in named:
            yield replace(plan, devices={key: value for key, value in plan.devices.items() if key != name})
    for name, (profile, changes) in plan.carriers.items():
        for key in changes:
            fewer = {each: value for each, value in changes.items() if each != key}
            yield replace(plan, carriers={**plan.carriers, name: (profile, fewer)})
        if profile != "rcc16-strict" and not changes:
            yield replace(plan, carriers={**plan.carriers, name: ("rcc16-strict", {})})
    for name, device in plan.devices.items():
        if device != "android":
            yield replace(plan, devices={**plan.devices, name: "android"})
    if plan.lag_s:
        yield replace(plan, lag_s=0.0)


def told(plan: LifePlan) -> str:
    lines = [f"  carriers {dict(plan.carriers)}", f"  devices {dict(plan.devices)} lag {plan.lag_s} seed {plan.seed}"]
    return "\n".join([*lines, *(f"  {step}" for step in plan.steps)])


def hunt(kind: str, first: int, count: int, *, shrinks: bool = False, twice: bool = False) -> None:
    lives = texts = locked = bad = 0
    for seed in range(first, first + count):
        plan, begun = draw_plan(kind, seed), time.monotonic()
        verdict = outcome(plan)
        lives, texts, locked = lives + 1, texts + verdict.texts, locked + verdict.locked
        if twice and verdict.digest != outcome(plan).digest:
            print(f"{kind} {seed}: OTHER OCTETS", flush=True)
        if verdict.violations:
            bad += 1
            print(f"{kind} {seed} ({time.monotonic() - begun:.1f} s):", flush=True)
            for each in verdict.violations:
                print(f"    {each}", flush=True)
            if shrinks:
                print(told(shrunk(plan, sorted(kinds_of(verdict))[0])), flush=True)
    print(f"== {kind} {first}..{first + count}: {lives} lives, {texts} texts, {locked} locked, {bad} bad", flush=True)


if __name__ == "__main__":
    flags = sys.argv[4:]
    hunt(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), shrinks="shrink" in flags, twice="twice" in flags)
