"""Resident memory of this process, and the network that the memory and pager rows stand on."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import BulkEntry, NetworkFile

__all__ = ["FIRST_NUMBER", "bulk_network", "resident_kb"]

FIRST_NUMBER = 12125550000  # of the bulk subscribers, without "+"
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def resident_kb() -> int:
    """Resident set size in kB after a full collection (proc(5), statm)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KB


def bulk_network(subscribers: int) -> NetworkFile:
    """The network of every example, with *subscribers* more on red."""
    network = load_network("two-carriers")
    bulk = [BulkEntry(first=f"+{FIRST_NUMBER}", count=subscribers)] if subscribers else []
    red = network.carriers["red"].model_copy(update={"bulk": bulk})
    return network.model_copy(update={"carriers": {**network.carriers, "red": red}})
