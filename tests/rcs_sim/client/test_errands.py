from __future__ import annotations

import asyncio

import pytest

from ims_core.transport.virtual_loop import run
from rcs_sim.client.errands import Errands


def test_tasks_are_named_and_cancelled_at_the_end() -> None:
    async def main() -> tuple[str, bool]:
        errands = Errands("alice")
        task = errands.create_task(asyncio.sleep(100), name="waits")
        await asyncio.sleep(0)
        await errands.close()
        return task.get_name(), task.cancelled()

    assert run(main(), clock="virtual") == ("alice waits", True)


def test_a_failure_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def main() -> None:
        errands = Errands("alice")
        errands.create_task(fail(), name="fails")
        await asyncio.sleep(1)
        await errands.close()

    run(main(), clock="virtual")
    assert "alice fails failed" in caplog.text
