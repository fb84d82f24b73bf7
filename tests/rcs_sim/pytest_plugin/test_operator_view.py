"""What an operator can read, and what it learns without reading."""

from __future__ import annotations

import pytest

import rcs_sim
from ims_core.errors import SimulatorError
from rcs_sim.pytest_plugin.operator_view import OperatorView
from rcs_sim.scenario.oracle import UnknownMessage
from rcs_sim.scenario.simulation import Simulation


def test_operators_read_what_is_in_clear_and_only_that() -> None:
    async def main() -> None:
        async with Simulation("two-carriers") as sim:
            alice = await sim.add_phone("alice", "android", "red")
            bob = await sim.add_phone("bob", "ios", "blue")
            view = OperatorView(sim)
            assert view.carriers == ("red", "blue")
            sealed = await alice.chat(bob).send("nobody else")
            await sealed.delivered(within_s=5)
            assert view.could_read(sealed) == set()
            clear = alice.send_sms(await sim.add_phone("carol", "android", "blue"), "anybody")
            await clear.sent(within_s=30)
            assert view.could_read(clear) == {"red", "blue"}
            assert view.readable("red") == view.readable("blue") == ["anybody"]
            assert set(view.learned(sealed)) == {"red", "blue"}
            assert view.learned(sealed)["red"]
            assert view.sentences["red"].startswith("red could read 1 of 2 messages")
            assert str(view).splitlines() == [*view.sentences.values()]
            assert view.violations == sim.oracle.violations()
            with pytest.raises(SimulatorError, match="green"):
                view.readable("green")
            with pytest.raises(UnknownMessage, match="unsaid"):
                view.could_read("unsaid")

    rcs_sim.run(main)
