"""Fields that several faults may hold: the last one counts, the usual value comes back."""

from __future__ import annotations

import itertools

import pytest

from rcs_sim.scenario.faults.switches import Switches
from rcs_sim.server.kds_settings import KdsFault


class Server:
    def __init__(self) -> None:
        self.fault = KdsFault()
        self.is_full = False


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_they_end_in_any_order(order: tuple[int, ...]) -> None:
    server, switches = Server(), Switches()
    held = {number: switches.hold(server, "delay_s", float(number + 1)) for number in range(3)}
    for number in order:
        assert server.fault.delay_s == max(held) + 1
        held.pop(number)()
    assert server.fault == KdsFault()


def test_fields_do_not_disturb_each_other() -> None:
    server, switches = Server(), Switches()
    down, slow = switches.hold(server, "is_down", True), switches.hold(server, "delay_s", 2.0)
    down()
    assert server.fault == KdsFault(delay_s=2.0)
    slow()
    assert server.fault == KdsFault()


def test_a_flag_of_anything() -> None:
    server, switches = Server(), Switches()
    one, two = switches.hold_flag(server, "is_full"), switches.hold_flag(server, "is_full")
    one()
    assert server.is_full
    two()
    assert not server.is_full
