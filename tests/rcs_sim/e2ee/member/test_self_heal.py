"""The machine of self-heal: every pair is walked (RCC.16 §10.1)."""

from __future__ import annotations

from itertools import product

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.enhanced_group_info import ControlMessage, MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.self_heal import (
    IGNORED,
    TRANSITIONS,
    Deployment,
    HealInput,
    HealPhase,
    HealStep,
    SelfHeal,
    fallback_input,
    input_of_pull,
)
from tests.support.member_devices import NOW_S

_OWN = EpochIdentifier(1, 3, b"\x01" * 32)
_SERVER = EpochIdentifier(1, 5, b"\x02" * 32)
_FOCUS = Deployment(arbitrates_era=True, has_group_info=True, takes_member_external_commit=True)
_ENTRY = (ControlMessage("c1", b""),)


def _in(phase: HealPhase) -> SelfHeal:
    heal = SelfHeal()
    heal.phase = phase
    return heal


@pytest.mark.parametrize(("phase", "happened"), [*product(HealPhase, HealInput)])
def test_every_pair_moves_is_ignored_or_is_illegal(phase: HealPhase, happened: HealInput) -> None:
    heal, pair = _in(phase), (phase, happened)
    if pair in TRANSITIONS:
        assert pair not in IGNORED
        after, step = TRANSITIONS[pair]
        assert heal.feed(happened, NOW_S) is step
        assert heal.phase is after
        assert heal.is_running == (after is not HealPhase.IDLE)
    elif pair in IGNORED:
        assert heal.feed(happened, NOW_S) is None
        assert heal.phase is phase
    else:
        with pytest.raises(LocalProtocolError):
            heal.feed(happened, NOW_S)
        assert heal.phase is phase


def test_each_waiting_phase_has_an_end() -> None:
    heal = SelfHeal()
    assert heal.next_deadline_s() is None
    heal.feed(HealInput.START, NOW_S)
    assert heal.next_deadline_s() == NOW_S + 20
    assert heal.feed(HealInput.DEADLINE, NOW_S + 20) is HealStep.WAIT
    assert heal.next_deadline_s() == NOW_S + 220
    assert heal.feed(HealInput.DEADLINE, NOW_S + 220) is HealStep.GIVE_UP
    assert heal.next_deadline_s() is None


@pytest.mark.parametrize(
    ("answer", "own", "expected"),
    [
        (None, _OWN, HealInput.UNREADABLE),
        (MlsEnhancedGroupInfo(), _OWN, HealInput.UNREADABLE),
        (MlsEnhancedGroupInfo(latest=_OWN), _OWN, HealInput.SAME),
        (MlsEnhancedGroupInfo(_SERVER, MlsGroupInfo(), _ENTRY, _SERVER), _OWN, HealInput.PAGE),
        (MlsEnhancedGroupInfo(_SERVER, MlsGroupInfo(), _ENTRY, None), _OWN, HealInput.MAY_REJOIN),
        (MlsEnhancedGroupInfo(_SERVER, MlsGroupInfo(), (), _SERVER), _OWN, HealInput.MAY_REJOIN),
        (MlsEnhancedGroupInfo(_SERVER, MlsGroupInfo(), _ENTRY, _SERVER), None, HealInput.MAY_REJOIN),
    ],
)
def test_a_pull_means_replay_only_with_a_log_and_a_place_in_it(
    answer: MlsEnhancedGroupInfo | None, own: EpochIdentifier | None, expected: HealInput
) -> None:
    found = input_of_pull(answer, own, has_end_mls=False, deployment=_FOCUS, is_elected=False)
    assert found is expected


def test_an_ended_group_is_never_healed() -> None:
    answer = MlsEnhancedGroupInfo(_SERVER, MlsGroupInfo(), _ENTRY, _SERVER)
    found = input_of_pull(answer, _OWN, has_end_mls=True, deployment=_FOCUS, is_elected=True)
    assert found is HealInput.ENDED


def test_members_come_from_outside_only_where_that_is_taken() -> None:
    google = Deployment(arbitrates_era=True, has_group_info=True, requires_convergence=True)
    assert fallback_input(google, is_member=False, is_elected=False) is HealInput.MAY_REJOIN
    assert fallback_input(google, is_member=True, is_elected=True) is HealInput.MAY_ADVANCE
    assert fallback_input(google, is_member=True, is_elected=False) is HealInput.NOT_ELECTED
    assert fallback_input(Deployment(), is_member=False, is_elected=False) is HealInput.NOT_ELECTED
