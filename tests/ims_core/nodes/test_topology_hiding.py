from __future__ import annotations

import itertools

from ims_core.nodes.topology_hiding import HiddenRoutes


def table() -> HiddenRoutes:
    numbers = itertools.count(1)
    return HiddenRoutes(lambda: f"token{next(numbers)}")


def test_routes_come_back_by_their_token() -> None:
    hidden = table()
    token = hidden.new_token()
    hidden.hide(token, ("<sip:s1>", "<sip:p1>"), 0.0)
    assert hidden.find(token, 1.0) == ("<sip:s1>", "<sip:p1>")
    assert hidden.find("other", 1.0) is None
    hidden.forget(token)
    hidden.forget(token)
    assert hidden.find(token, 1.0) is None


def test_a_dialog_that_is_used_stays_and_a_silent_one_is_forgotten() -> None:
    hidden = table()
    hidden.hide("a", (), 0.0)
    hidden.hide("b", (), 0.0)
    for hour in range(1, 10):
        assert hidden.find("a", hour * 3600.0) == ()
    assert hidden.find("b", 9 * 3600.0) is None
    hidden.hide("c", (), 9 * 3600.0)
    assert len(hidden) == 2
