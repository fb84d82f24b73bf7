from __future__ import annotations

import pytest

from rcs_sim.server import rate_limit
from rcs_sim.server.rate_limit import RateLimit


def test_a_burst_and_then_the_rate() -> None:
    limit = RateLimit(2.0, 3)
    assert [limit.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.allows("a", 0.5), limit.allows("a", 0.5)] == [True, False]
    assert limit.allows("b", 0.5)


def test_a_long_pause_fills_the_bucket_no_further_than_the_burst() -> None:
    limit = RateLimit(1.0, 2)
    assert [limit.allows("a", 0.0), limit.allows("a", 1000.0), limit.allows("a", 1000.0)] == [True, True, True]
    assert not limit.allows("a", 1000.0)


def test_the_number_of_senders_is_bounded() -> None:
    limit = RateLimit(1.0, 1)
    for number in range(rate_limit._MAX_SENDERS + 100):
        limit.allows(str(number), 0.0)
    assert len(limit._buckets) == rate_limit._MAX_SENDERS


def test_the_sender_who_was_silent_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_SENDERS", 2)
    limit = RateLimit(0.0, 1)
    for sender in ("a", "b", "a", "c"):
        limit.allows(sender, 0.0)
    assert [limit.allows(sender, 0.0) for sender in ("c", "a", "b")] == [False, False, True]
