"""The network of the memory rows, and the size of this process."""

from __future__ import annotations

import os

from rcs_sim.bench.resident import (
    bulk_network,
    peak_resident_kb,
    reset_peak_resident,
    resident_kb,
    resident_kb_of,
)


def test_the_size_of_a_python_process_is_some_megabytes() -> None:
    assert 5_000 < resident_kb() < 50_000_000


def test_the_peak_counts_anew_when_it_is_reset() -> None:
    own = os.getpid()
    reset_peak_resident(own)
    before = peak_resident_kb(own)
    assert bytes(50_000_000).count(1) == 0
    assert bytearray(b"x") * 50_000_000 != b""
    assert peak_resident_kb(own) > before + 40_000
    reset_peak_resident(own)
    assert peak_resident_kb(own) - resident_kb_of(own) < 20_000


def test_the_bulk_stands_on_red_only() -> None:
    network = bulk_network(10)
    assert [entry.count for entry in network.carriers["red"].bulk] == [10]
    assert network.carriers["blue"].bulk == []


def test_a_bulk_of_blue_has_numbers_of_blue() -> None:
    network = bulk_network(0, blue=5)
    (entry,) = network.carriers["blue"].bulk
    assert entry.count == 5
    assert any(entry.first.startswith(prefix) for prefix in network.carriers["blue"].prefixes)
    assert network.carriers["red"].bulk == []


def test_no_bulk_is_the_plain_network() -> None:
    assert bulk_network(0).carriers["red"].bulk == []
