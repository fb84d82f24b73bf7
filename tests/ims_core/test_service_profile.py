from __future__ import annotations

from ims_core.service_profile import DefaultHandling, FilterCriteria, ServiceProfile, SessionCase


def test_a_criterion_lets_the_session_go_on_unless_it_says_otherwise() -> None:
    criterion = FilterCriteria(
        name="x", priority=1, session_cases=frozenset((SessionCase.ORIGINATING,)), methods=frozenset(), as_uri="sip:as"
    )
    assert criterion.default_handling is DefaultHandling.SESSION_CONTINUED
    assert ServiceProfile("empty").criteria == ()


def test_values_are_those_of_ts_29_228() -> None:
    assert (DefaultHandling.SESSION_CONTINUED.value, DefaultHandling.SESSION_TERMINATED.value) == (0, 1)
