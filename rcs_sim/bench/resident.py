"""Resident memory of this process and of others, and the network that the memory and pager rows stand on."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import BulkEntry, NetworkFile

__all__ = [
    "FIRST_NUMBER",
    "bulk_network",
    "peak_resident_kb",
    "reset_peak_resident",
    "resident_kb",
    "resident_kb_of",
]

FIRST_NUMBER = 12125550000  # of the bulk subscribers, without "+"
_FIRST_OF_BLUE = 13125550000
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def resident_kb() -> int:
    """Resident set size in kB after a full collection (proc(5), statm)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KB


def resident_kb_of(pid: int) -> int:
    """Resident set size in kB of another process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KB


def peak_resident_kb(pid: int) -> int:
    """The highest that it was since it began or was reset (proc(5), VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def reset_peak_resident(pid: int) -> None:
    """From now on the peak counts anew (proc(5), clear_refs). Raises OSError where that is not allowed."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def bulk_network(subscribers: int, *, blue: int = 0) -> NetworkFile:
    """The network of every example, with *subscribers* more on red, and so many on *blue*."""
    network = load_network("two-carriers-plain")
    bulk = {"red": (FIRST_NUMBER, subscribers), "blue": (_FIRST_OF_BLUE, blue)}
    carriers = {
        name: carrier.model_copy(update={"bulk": [BulkEntry(first=f"+{bulk[name][0]}", count=bulk[name][1])]})
        if bulk[name][1]
        else carrier
        for name, carrier in network.carriers.items()
    }
    return network.model_copy(update={"carriers": carriers})
