"""What a timer raises is no secret: the run that it happened in is broken."""

from __future__ import annotations

import asyncio
import logging

import pytest

import rcs_sim
from rcs_sim.scenario.story.mishaps import MishapLog


def test_what_a_timer_or_a_listener_raises_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("in a timer")

    async def main() -> None:
        asyncio.get_running_loop().call_later(1, fail)
        await asyncio.sleep(2)
        try:
            fail()
        except ValueError:
            logging.getLogger("ims_core.transport.sip_stack").exception("the transaction user failed")

    with MishapLog() as log:
        rcs_sim.run(main)
    first, second = log.mishaps
    assert first.startswith("Exception in callback ")
    assert "ValueError: in a timer" in first
    assert second.startswith("the transaction user failed: Traceback")
    assert caplog.records


def test_what_is_no_exception_is_none_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with MishapLog() as log:
        logging.getLogger("ims_core.trace").error("the disk is full")
        logging.getLogger("rcs_sim.client").warning("a peer misbehaves", exc_info=ValueError("x"))
        logging.getLogger("another").error("none of ours", exc_info=ValueError("x"))
    assert log.mishaps == []
    logging.getLogger("ims_core").error("afterwards", exc_info=ValueError("x"))
    assert log.mishaps == []
    assert len(caplog.records) == 4


def test_a_flood_is_bounded() -> None:
    logger = logging.getLogger("rcs_sim")
    logger.propagate = False
    try:
        with MishapLog() as log:
            for number in range(100):
                logger.error("again", exc_info=ValueError(f"{'x' * 9000} {number}"))
    finally:
        logger.propagate = True
    assert len(log.mishaps) == 20
    assert max(map(len, log.mishaps)) < 2100
