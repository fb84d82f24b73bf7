"""The table of health: every pair is walked."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.member.health import EDGES, HealthEdge, HealthMachine, HealthState, IllegalTransition
from rcs_sim.e2ee.member.moment import Moment

_NOW_S = 1_790_000_000
_EDGE_NAMES = {
    "heal": 1, "epoch": 2, "epochOk": 3, "epochFailed": 4, "era": 5, "eraOk": 6, "restart": 7, "killed": 8, "healed": 9,
    "down": 10, "downStart": 11, "endOk": 12, "remote": 13, "cancelled": 14, "revive": 15, "revived": 16, "rera": 17,
    "revivedEra": 18, "reviveFailed": 19, "created": 20, "init": 21, "srvRevived": 22, "reviveRejected": 23,
    "unstable": 24, "retryExceeded": 25, "phx": 26, "phxStart": 27, "phxOk": 28, "phxFailed": 29, "phxRestart": 30,
    "reqRera": 31,
}  # fmt: skip  # a table is read by rows
_ROWS = """
0: 1 heal, 2 epoch, 4 era, 10 remote, 12 rera, 13 created, 14 init, 15 unstable, 17 phx
1: 2 epoch, 4 era, 6 killed, 7 epochFailed, 8 down, 9 downStart, 10 remote, 12 rera, 13 healed, 15 unstable, 17 phx
2: 1 restart, 4 era, 6 killed, 7 epochFailed, 8 down, 9 downStart, 12 rera, 13 epochOk, 15 unstable, 17 phx
4: 1 restart, 4 era, 6 killed, 7 era, 8 down, 9 downStart, 12 rera, 13 eraOk, 17 phx
6: 1 heal, 4 era, 8 down, 9 downStart, 10 remote, 12 rera, 13 healed, 15 unstable, 17 phx
7: 1 restart, 4 era, 6 killed, 8 down, 9 downStart, 10 remote, 12 rera, 13 healed, 17 phx
8: 1 heal, 9 downStart, 10 remote, 13 cancelled, 15 retryExceeded, 17 phx
9: 1 heal, 4 era, 10 endOk, 12 rera, 13 cancelled, 15 retryExceeded, 17 phx
10: 1 heal, 2 srvRevived, 11 revive, 12 rera, 13 healed, 15 unstable
11: 1 heal, 2 reviveRejected, 7 reqRera, 12 rera, 13 revived, 15 unstable
12: 1 heal, 2 srvRevived, 7 era, 10 reviveFailed, 13 revivedEra, 15 unstable
13: 1 heal, 2 epoch, 4 era, 7 era, 8 down, 9 downStart, 10 remote, 12 rera, 15 unstable, 17 phx
14: 1 heal, 2 epoch, 4 era, 7 era, 8 down, 9 downStart, 10 remote, 12 rera, 13 created, 15 unstable, 17 phx
15: 1 heal, 2 srvRevived, 6 killed, 7 era, 10 endOk, 12 rera, 13 healed
16: 1 heal, 2 srvRevived, 10 phxOk, 13 revivedEra, 15 phxFailed, 17 phxRestart
17: 1 heal, 10 remote, 13 healed, 15 unstable, 16 phxStart
"""


def _expected() -> dict[tuple[int, int], int]:
    rows = [row.split(": ") for row in _ROWS.strip().splitlines()]
    cells = [(int(source), cell.split()) for source, cells in rows for cell in cells.split(", ")]
    return {(source, int(target)): _EDGE_NAMES[name] for source, (target, name) in cells}


_EXPECTED = _expected()


def test_there_are_sixteen_states_and_127_legal_pairs() -> None:
    assert sorted(HealthState) == [0, 1, 2, 4, *range(6, 18)]
    assert {pair: int(edge) for pair, edge in EDGES.items()} == _EXPECTED
    degrees = [sum(source == state for source, _ in EDGES) for state in sorted(HealthState)]
    assert degrees == [9, 11, 10, 9, 9, 9, 6, 7, 6, 6, 6, 10, 11, 7, 6, 5]
    assert len(EDGES) == 127


@pytest.mark.parametrize(("source", "target"), [*product(HealthState, repeat=2)])
def test_every_pair_moves_stays_or_is_refused(source: HealthState, target: HealthState) -> None:
    machine = HealthMachine(source)
    machine.requested = Moment(1, 1)
    if source is target:
        assert machine.can_move(target)
        assert machine.move(target, _NOW_S, Moment(1, 2)) is None
    elif (source, target) in _EXPECTED:
        assert machine.can_move(target)
        assert machine.move(target, _NOW_S, Moment(1, 2)) == _EXPECTED[source, target]
    else:
        assert not machine.can_move(target)
        with pytest.raises(IllegalTransition):
            machine.move(target, _NOW_S, Moment(1, 2))
        assert (machine.state, machine.requested, machine.last_healthy) == (source, Moment(1, 1), None)
        return
    assert machine.state is target
    recovered = source in (1, 2, 4, 6, 7, 12) and target == 13
    assert machine.recovered_at_s == (_NOW_S if recovered else None)
    assert (machine.requested is None) == (recovered or target in (2, 4, 12, 16))
    assert machine.last_healthy == (Moment(1, 2) if target == 13 else None)


def test_the_invalid_edge_is_never_produced() -> None:
    assert HealthEdge.INVALID_TRANSITION not in EDGES.values()
    assert set(EDGES.values()) == set(HealthEdge) - {HealthEdge.INVALID_TRANSITION}


@pytest.mark.parametrize("state", HealthState)
def test_only_an_advancement_of_the_era_can_be_wedged_by_force(state: HealthState) -> None:
    machine = HealthMachine(state)
    if state in (4, 7):
        machine.force_wedge()
        assert machine.state is HealthState.CANNOT_HEAL_DURING_END_MLS
        return
    with pytest.raises(IllegalTransition):
        machine.force_wedge()
    assert machine.state is state


def test_predicates_name_their_states() -> None:
    assert {s for s in HealthState if s.has_end_mls} == {10, 11, 12, 15, 16}
    assert {s for s in HealthState if s.is_downgraded} == {8, 9, 10, 11, 12, 15, 16, 17}
    assert {s for s in HealthState if s.is_phoenix_ongoing} == {16, 17}
    assert {s for s in HealthState if s.is_healing} == {1, 2, 4, 6, 7, 12}
    assert {s for s in HealthState if s.parks_inbound} == {1, 2, 4, 7, 12, 14, 16, 17}
    assert {s for s in HealthState if s.leaves_mls} == {8, 10, 15, 17}


@pytest.mark.parametrize("state", HealthState)
def test_only_an_ended_conversation_is_revived(state: HealthState) -> None:
    machine = HealthMachine(state)
    assert machine.can_revive(has_extension=True) == state.is_downgraded
    assert machine.can_revive(has_extension=False) == (state == 15)


@given(st.lists(st.sampled_from(sorted(EDGES)), max_size=30))
def test_a_machine_survives_its_octets(pairs: list[tuple[HealthState, HealthState]]) -> None:
    machine = HealthMachine()
    for _, target in pairs:
        if machine.can_move(target):
            machine.move(target, _NOW_S, Moment(2, 3))
    again = HealthMachine.decode(machine.encode())
    assert (again.state, again.requested, again.recovered_at_s, again.last_healthy) == (
        machine.state,
        machine.requested,
        machine.recovered_at_s,
        machine.last_healthy,
    )
