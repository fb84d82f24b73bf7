from __future__ import annotations

from rcs_sim.server.duplicate_filter import DuplicateFilter, MessageKey, Sighting


def key(number: int) -> MessageKey:
    return ("tel:+1", str(number), "tel:+2")


def test_what_was_put_is_known_until_its_time_is_over() -> None:
    seen = DuplicateFilter(10.0, 100)
    seen.put(key(1), Sighting.ACCEPTED, 0.0)
    assert seen.get(key(1), 9.9) is Sighting.ACCEPTED
    assert seen.get(key(1), 10.0) is None
    seen.put(key(2), Sighting.ACCEPTED, 20.0)
    assert len(seen) == 1


def test_the_oldest_go_when_it_is_full() -> None:
    seen = DuplicateFilter(1000.0, 3)
    for number in range(10):
        seen.put(key(number), Sighting.ACCEPTED, float(number))
    assert [number for number in range(10) if seen.get(key(number), 10.0)] == [7, 8, 9]


def test_a_later_sighting_replaces_the_earlier() -> None:
    seen = DuplicateFilter(10.0, 2)
    seen.put(key(1), Sighting.ACCEPTED, 0.0)
    seen.put(key(2), Sighting.ACCEPTED, 1.0)
    seen.put(key(1), Sighting.REVOKED, 2.0)
    seen.put(key(3), Sighting.ACCEPTED, 3.0)
    assert [seen.get(key(number), 3.0) for number in (1, 2, 3)] == [Sighting.REVOKED, None, Sighting.ACCEPTED]
