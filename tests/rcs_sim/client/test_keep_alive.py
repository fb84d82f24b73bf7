from __future__ import annotations

from rcs_sim.client.keep_alive import FlowCheck, KeepAliveTimer


def _timer() -> KeepAliveTimer:
    return KeepAliveTimer(120, lambda low, high: (low + high) / 2, 0)


def test_a_ping_is_due_at_80_to_100_percent_of_the_interval() -> None:
    timer = _timer()
    assert timer.next_deadline() == 108
    assert timer.handle_deadline(107) is None
    assert timer.handle_deadline(108) is FlowCheck.PING


def test_a_pong_starts_the_next_interval() -> None:
    timer = _timer()
    timer.handle_deadline(108)
    timer.pong(109)
    assert timer.next_deadline() == 217


def test_no_pong_within_10_s_means_that_the_flow_failed() -> None:
    timer = _timer()
    timer.handle_deadline(108)
    assert timer.handle_deadline(117) is None
    assert timer.handle_deadline(118) is FlowCheck.FAILED
