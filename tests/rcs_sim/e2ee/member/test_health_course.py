"""Events of a conversation as ways through the table of health (RCC.16 §10)."""

from __future__ import annotations

from itertools import product

import pytest

from rcs_sim.e2ee.member.health import HealthEdge, HealthMachine, HealthState, IllegalTransition
from rcs_sim.e2ee.member.health_course import HealthCourse
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import OperationKind
from tests.support.member_devices import NOW_S

_MOMENT = Moment(1, 1)
_S = HealthState


def _at(state: HealthState) -> HealthCourse:
    return HealthCourse(HealthMachine(state))


@pytest.mark.parametrize("state", HealthState)
def test_every_state_settles_well_and_ended(state: HealthState) -> None:
    course = _at(state)
    course.settled(NOW_S, _MOMENT, has_ended=False)
    assert course.state is _S.HEALTHY
    course = _at(state)
    course.settled(NOW_S, _MOMENT, has_ended=True)
    assert course.state is _S.DONE_END_MLS


@pytest.mark.parametrize(("state", "kind"), [*product(HealthState, OperationKind)])
def test_an_operation_starts_exactly_where_it_may(state: HealthState, kind: OperationKind) -> None:
    course = _at(state)
    if not course.can_start(kind):
        return
    course.started(kind, NOW_S, _MOMENT)
    course.failed(kind, NOW_S, _MOMENT)
    course = _at(state)
    course.started(kind, NOW_S, _MOMENT)
    course.settled(NOW_S, _MOMENT, has_ended=kind in (OperationKind.END_MLS, OperationKind.PHOENIX))


@pytest.mark.parametrize("kind", [OperationKind.ERA_ADVANCE, OperationKind.EPOCH_ADVANCE, OperationKind.ADD])
def test_nothing_that_encrypts_begins_in_a_downgraded_conversation(kind: OperationKind) -> None:
    for state in (_S.DONE_END_MLS, _S.END_MLS_REQUESTED, _S.ONGOING_PHOENIX_MODE):
        assert not _at(state).can_start(kind)


def test_the_ways_of_the_usual_operations() -> None:
    course = HealthCourse()
    course.started(OperationKind.CREATE, NOW_S)
    course.settled(NOW_S, _MOMENT, has_ended=False)
    course.started(OperationKind.END_MLS, NOW_S, _MOMENT)
    course.settled(NOW_S, _MOMENT, has_ended=True)
    course.started(OperationKind.REVIVE, NOW_S, _MOMENT)
    course.settled(NOW_S, _MOMENT, has_ended=False)
    course.started(OperationKind.PHOENIX, NOW_S, _MOMENT)
    course.failed(OperationKind.PHOENIX, NOW_S, _MOMENT)
    course.started(OperationKind.ERA_ADVANCE_FOR_REVIVE, NOW_S, _MOMENT)
    course.failed(OperationKind.ERA_ADVANCE_FOR_REVIVE, NOW_S, _MOMENT)
    assert course.state is _S.DONE_END_MLS
    assert course.edges == [
        HealthEdge.GROUP_INITIALIZING,
        HealthEdge.GROUP_CREATED,
        HealthEdge.STARTED_DOWNGRADE_TO_END_MLS,
        HealthEdge.END_MLS_SUCCEEDED,
        HealthEdge.REVIVING_FROM_END_MLS_WITH_EPOCH_ADVANCEMENT,
        HealthEdge.REVIVED_FROM_END_MLS,
        HealthEdge.REQUESTED_PHOENIX_MODE,
        HealthEdge.STARTED_PHOENIX_MODE,
        HealthEdge.PHOENIX_MODE_FAILED_SO_DOWNGRADING_LOCALLY,
        HealthEdge.STARTED_ERA_ADVANCEMENT_FOR_REVIVAL,
        HealthEdge.REVIVAL_FAILED,
    ]


@pytest.mark.parametrize("state", HealthState)
def test_a_downgraded_conversation_is_not_healed(state: HealthState) -> None:
    course = _at(state)
    assert course.heal_requested(NOW_S, _MOMENT) == (not state.is_downgraded)
    if state.is_downgraded:
        assert course.state is state
    course.heal_failed(NOW_S, _MOMENT)
    assert state.is_downgraded or not course.state.parks_inbound


def test_an_end_is_asked_for_once_and_may_end_wedged() -> None:
    course = _at(_S.HEALTHY)
    course.end_requested(NOW_S, _MOMENT)
    course.wedged(NOW_S, _MOMENT)
    assert course.state is _S.CANNOT_HEAL_DURING_END_MLS
    with pytest.raises(IllegalTransition):
        _at(_S.PHOENIX_MODE_REQUESTED).end_requested(NOW_S, _MOMENT)
