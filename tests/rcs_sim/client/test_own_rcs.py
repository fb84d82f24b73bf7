from __future__ import annotations

from rcs_sim.client.fallback import OwnRcs
from rcs_sim.client.own_rcs import OwnRcsState


def _state() -> OwnRcsState:
    own = OwnRcsState()
    own.guard_s = 10
    return own


def test_after_the_first_registration_rcs_is_up_at_once() -> None:
    own = _state()
    assert own.state(0) is OwnRcs.DOWN
    own.registered(1)
    assert own.state(1) is OwnRcs.UP


def test_a_short_loss_is_bridged_and_a_long_one_is_not() -> None:
    own = _state()
    own.registered(0)
    own.is_trying = True
    own.lost(100)
    assert own.state(105) is OwnRcs.RECONNECTING
    assert own.next_change(105) == 110
    own.registered(106)
    assert own.state(106) is OwnRcs.UP
    own.lost(200)
    assert own.state(210) is OwnRcs.DOWN


def test_after_a_long_loss_the_guard_passes_before_rcs_is_used_again() -> None:
    own = _state()
    own.registered(0)
    own.lost(100)
    own.registered(200)
    assert own.state(209) is OwnRcs.JUST_BACK
    assert own.next_change(209) == 210
    assert own.state(210) is OwnRcs.UP


def test_without_a_registration_under_way_nothing_is_waited_for() -> None:
    own = _state()
    own.registered(0)
    own.lost(100)
    assert own.state(101) is OwnRcs.DOWN


def test_a_hold_lasts_as_long_as_the_network_said() -> None:
    own = _state()
    own.registered(0)
    own.hold(60)
    own.hold(30)
    assert own.state(59) is OwnRcs.ON_HOLD
    assert own.state(60) is OwnRcs.UP


def test_three_refusals_in_ten_minutes_cast_doubt_on_the_configuration() -> None:
    own = _state()
    assert [own.refused(at) for at in (0, 400, 700)] == [False, False, False]
    assert own.refused(900)
    assert not own.refused(901)


def test_what_the_user_ends_is_no_loss() -> None:
    own = _state()
    own.registered(0)
    own.ended()
    own.registered(500)
    assert own.state(500) is OwnRcs.UP
