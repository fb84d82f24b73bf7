"""Phones, carriers and hosts that a scope names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ims_core.errors import SimulatorError
from ims_core.transport.link_table import LinkTable
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.lab import Carrier
from rcs_sim.scenario.subscribers import LabSubscriber

if TYPE_CHECKING:
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["carriers_of", "home_of", "hosts_of", "links_of", "one_phone", "subscriber_of"]


def home_of(sim: Simulation, name: str) -> Carrier:
    """The carrier of a phone. Raises FaultError for one without a number here."""
    number = sim.numbers.get(name, "")
    for carrier in sim.lab.carriers.values():
        if number and carrier.subscriber(number) is not None:
            return carrier
    raise FaultError(f"{name} has no carrier in this network")


def subscriber_of(sim: Simulation, name: str) -> LabSubscriber:
    """Raises FaultError."""
    found = home_of(sim, name).subscriber(sim.numbers[name])
    assert found is not None
    return found


def one_phone(fault: ActiveFault, key: str = "of") -> Phone:
    """The phone that the scope names. Raises SimulatorError if it is gone."""
    name = fault.scope.text(key)
    phone = fault.sim.phones.get(name)
    if phone is None:
        raise SimulatorError(f"{fault.word}: there is no phone {name!r} any more")
    return phone


def carriers_of(fault: ActiveFault) -> list[Carrier]:
    """The one that the scope names, the home of its phone, or all."""
    scope, sim = fault.scope, fault.sim
    if scope.get("carrier") is not None:
        return [sim.carrier(scope["carrier"])]
    if scope.get("of") is not None:
        return [home_of(sim, scope["of"])]
    return list(sim.lab.carriers.values())


def hosts_of(fault: ActiveFault) -> frozenset[str] | None:
    """IP addresses that the keys of, element and carrier name; None if they name none."""
    scope, sim = fault.scope, fault.sim
    named: Iterable[str] = [scope[key] for key in ("of", "element") if scope.get(key) is not None]
    hosts = {sim.host_of(name) for name in named}
    carrier = scope.get("carrier")
    if carrier is not None:
        hosts.update(sim.carrier(carrier).hosts().values())
        hosts.update(sim.host_of(name) for name in sim.phones if _is_at(sim, name, carrier))
    return frozenset(hosts) or None


def _is_at(sim: Simulation, name: str, carrier: str) -> bool:
    return sim.carrier(carrier).subscriber(sim.numbers.get(name, "")) is not None


def links_of(fault: ActiveFault) -> LinkTable:
    """The links between the hosts of its simulation, in memory or on sockets."""
    return fault.sim.links
