"""The calls that others build on: design of the Python API."""

from __future__ import annotations

import pytest

import rcs_sim
from ims_core.errors import SimulatorError


def test_a_phone_can_be_named_by_the_phone_itself() -> None:
    async def main() -> None:
        async with rcs_sim.Simulation(network="two-carriers-plain", seed=7) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red")
            bob = await sim.add_phone("bob", device="ios", carrier="blue")
            message = await alice.chat(bob).send("hello")
            await message.delivered(within_s=5)
            assert alice.chat(bob).label == "RCS"
            await (await alice.send_sms(bob, "by sms")).delivered(within_s=30)
            texts = [(each.text, each.transport.value) for each in bob.chat(alice).messages]
            assert texts == [("hello", "RCS"), ("by sms", "SMS")]

    rcs_sim.run(main, clock="virtual")


def test_a_virtual_simulation_on_a_foreign_loop_names_what_to_use() -> None:
    async def main() -> None:
        with pytest.raises(SimulatorError, match=r"use rcs_sim\.run"):
            await rcs_sim.Simulation().__aenter__()

    rcs_sim.run(main, clock="real")


def test_the_package_offers_what_it_lists_and_nothing_by_accident() -> None:
    assert rcs_sim.__all__ == ["Simulation", "run"]
    with pytest.raises(AttributeError, match="no attribute 'simulation_of_everything'"):
        _ = rcs_sim.simulation_of_everything  # type: ignore[attr-defined]  # that is the point
