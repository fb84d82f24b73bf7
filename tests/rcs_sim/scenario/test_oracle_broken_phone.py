"""The negative control on whole runs: a phone that is broken on purpose is found out, by its octets and its screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

import rcs_sim
from rcs_sim.client.messages import NotSeenInTime
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from tests.support.broken_phone import Defect, add_broken_phone, break_encryption

_ALICE, _BOB = "+12025550101", "+12025550152"
_FIRST, _SECOND = "the first one, as it should be", "the second one, which is the test"
_SCREENS = (Defect.SHOWS_NO_LOCK, Defect.SHOWS_NOTHING, Defect.SHOWS_SOMETHING_ELSE, Defect.SHOWS_TWICE)

Found = list[tuple[str, str, str]]


def _play(story: Callable[[Simulation], Awaitable[Found]]) -> Found:
    async def main() -> Found:
        async with Simulation("two-carriers") as sim:
            return await story(sim)

    return rcs_sim.run(main, clock="virtual")


async def _say(phone: Phone, text: str) -> None:
    message = await phone.chat(_BOB).send(text)
    with suppress(NotSeenInTime):  # what was shown instead is what the oracle judges
        await message.final(60)
    await asyncio.sleep(60)


async def _found(sim: Simulation, defect: Defect | None) -> Found:
    alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
    options = {"device": "ios", "carrier": "blue", "msisdn": _BOB, "reads_after_s": 0.5}
    if defect in _SCREENS and defect is not None:
        await add_broken_phone(sim, "bob", defect, **options)
    else:
        await sim.add_phone("bob", device="ios", carrier="blue", msisdn=_BOB, reads_after_s=0.5)
    await asyncio.sleep(3)
    await _say(alice, _FIRST)
    if defect is not None and defect not in _SCREENS:
        break_encryption(alice, defect)
    await _say(alice, _SECOND)
    return [(each.kind.value, each.message.name, each.phone) for each in sim.oracle.violations()]


@pytest.mark.parametrize(
    ("defect", "violation"),
    [
        (Defect.SEALS_NOTHING, ("lying lock", "m2", "alice")),
        (Defect.MASKS, ("lying lock", "m2", "alice")),
        (Defect.ENDS_WITHOUT_A_WORD, ("silent downgrade", "m2", "alice")),
        (Defect.FORGETS_TO_SEAL, ("silent downgrade", "m2", "alice")),
        (Defect.SHOWS_NO_LOCK, ("missing lock", "m2", "bob")),
        (Defect.SHOWS_NOTHING, ("silent loss", "m2", "alice")),
        (Defect.SHOWS_SOMETHING_ELSE, ("silent loss", "m2", "alice")),
        (Defect.SHOWS_TWICE, ("duplicate", "m2", "bob")),
    ],
)
def test_each_defect_is_found_as_the_violation_that_it_is(defect: Defect, violation: tuple[str, str, str]) -> None:
    async def story(sim: Simulation) -> Found:
        return await _found(sim, defect)

    found = _play(story)
    assert violation in found
    if defect not in _SCREENS:
        assert {name for _, name, _ in found} == {"m2"}, "what was said before the defect is as it was"


def test_whole_phones_do_nothing_of_it() -> None:
    async def story(sim: Simulation) -> Found:
        found = await _found(sim, None)
        assert [sim.oracle.readers(name) for name in ("m1", "m2")] == [{"alice", "bob"}] * 2
        assert [sim.oracle.verdict(name) for name in ("m1", "m2")] == ["sealed", "sealed"]
        return found

    assert _play(story) == []


def _react(defect: Defect | None) -> Found:
    """Alice reacts to what Bob has said under the lock."""

    async def story(sim: Simulation) -> Found:
        alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
        bob = await sim.add_phone("bob", device="android", carrier="blue", msisdn=_BOB)
        await asyncio.sleep(3)
        await _say(alice, _FIRST)
        await (await bob.chat(_ALICE).send(_SECOND)).delivered(within_s=60)
        if defect is not None:
            break_encryption(alice, defect)
        reaction = await alice.chat(_BOB).react(alice.chat(_BOB).messages[-1], "🎉")
        with suppress(NotSeenInTime):
            await reaction.final(60)
        await asyncio.sleep(60)
        return [(each.kind.value, each.message.name, each.phone) for each in sim.oracle.violations()]

    return _play(story)


def test_a_reaction_in_clear_under_a_lock_is_a_lie_like_any_other() -> None:
    assert ("lying lock", "m3", "alice") in _react(Defect.SEALS_NOTHING)


def test_a_reaction_to_what_was_sealed_is_not_even_sent_by_a_phone_that_forgets_to_seal() -> None:
    assert _react(Defect.FORGETS_TO_SEAL) == []
    assert _react(None) == []
