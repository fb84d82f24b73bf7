"""A session's connection goes: whether it was the session or the own link shows a moment later."""

from __future__ import annotations

import asyncio
from typing import cast

from ims_core.transport.virtual_loop import clock_of_running_loop, run
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.fallback import Column, RcsOutcome
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.session_doubts import DOUBT_S, SessionDoubts
from rcs_sim.client.session_sender import SessionOutcome

LOST = SessionOutcome(RcsOutcome.SESSION_LOST, Column.MSRP, is_by_connection=True)
ONE, TWO = (cast(SentMessage, object()) for _ in range(2))


class Rig:
    def __init__(self) -> None:
        self.settled: list[tuple[SentMessage, RcsOutcome]] = []
        self.doubts = SessionDoubts(Alarms(clock_of_running_loop()), self._settle)

    def _settle(self, message: SentMessage, outcome: SessionOutcome) -> None:
        assert isinstance(outcome.outcome, RcsOutcome)
        self.settled.append((message, outcome.outcome))


def test_with_the_link_standing_the_session_was_lost() -> None:
    async def story() -> None:
        rig = Rig()
        rig.doubts.lost(ONE, LOST)
        rig.doubts.lost(TWO, LOST)
        assert rig.settled == []
        await asyncio.sleep(DOUBT_S + 0.01)
        assert rig.settled == [(ONE, RcsOutcome.SESSION_LOST), (TWO, RcsOutcome.SESSION_LOST)]
        rig.doubts.link_lost()
        assert len(rig.settled) == 2

    run(story, clock="virtual")


def test_if_the_registration_goes_too_it_was_the_link_and_the_session_costs_no_try() -> None:
    async def story() -> None:
        rig = Rig()
        rig.doubts.lost(ONE, LOST)
        rig.doubts.link_lost()
        assert rig.settled == [(ONE, RcsOutcome.LINK_FAILED)]
        await asyncio.sleep(DOUBT_S + 0.01)
        assert len(rig.settled) == 1

    run(story, clock="virtual")


def test_a_phone_that_goes_off_settles_nothing() -> None:
    async def story() -> None:
        rig = Rig()
        rig.doubts.lost(ONE, LOST)
        rig.doubts.forget()
        await asyncio.sleep(DOUBT_S + 0.01)
        assert rig.settled == []

    run(story, clock="virtual")
