"""Phones, carriers and hosts that a scope names."""

from __future__ import annotations

import pytest

from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.places import carriers_of, home_of, hosts_of, links_of, one_phone, subscriber_of
from tests.scenarios.stage import ALICE, Stage, scenario


@scenario()
async def test_the_home_of_a_phone_is_where_its_number_is(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, is_on=False)
    assert home_of(stage.sim, "alice").name == "red"
    assert subscriber_of(stage.sim, "alice").msisdn == ALICE
    with pytest.raises(FaultError, match="no carrier"):
        home_of(stage.sim, "nobody")
    fault = await stage.sim.begin_fault("ims.auth_fail", of="alice")
    assert one_phone(fault) is alice
    assert [carrier.name for carrier in carriers_of(fault)] == ["red"]
    assert hosts_of(fault) == frozenset({alice.config.host})
    assert links_of(fault) is stage.sim.links


@scenario()
async def test_a_carrier_has_its_elements_and_its_phones(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE, is_on=False)
    red = hosts_of(await stage.sim.begin_fault("net.latency", carrier="red"))
    blue = hosts_of(await stage.sim.begin_fault("net.latency", carrier="blue"))
    assert red is not None
    assert blue is not None
    assert alice.config.host in red - blue
    assert stage.sim.host_of("red.pcscf") in red - blue
    nobody = await stage.sim.begin_fault("net.latency")
    assert hosts_of(nobody) is None
    assert [carrier.name for carrier in carriers_of(nobody)] == ["red", "blue"]
