"""The network of the memory rows, and the size of this process."""

from __future__ import annotations

from rcs_sim.bench.resident import bulk_network, resident_kb


def test_the_size_of_a_python_process_is_some_megabytes() -> None:
    assert 5_000 < resident_kb() < 50_000_000


def test_the_bulk_stands_on_red_only() -> None:
    network = bulk_network(10)
    assert [entry.count for entry in network.carriers["red"].bulk] == [10]
    assert network.carriers["blue"].bulk == []


def test_no_bulk_is_the_plain_network() -> None:
    assert bulk_network(0).carriers["red"].bulk == []
