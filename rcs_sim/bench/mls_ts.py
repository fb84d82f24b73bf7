"""ts-mls in Node.js, as the stack that ours is measured against: two of its members send messages to each other.

Its packages are in the virtual environment, as `.ci/run` puts them there, or where RCS_SIM_TS_MLS says.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from rcs_sim.bench.processes import running

__all__ = ["find_node_modules", "measure_ts_mls"]

_WITHIN_S = 300.0


def find_node_modules() -> Path | None:
    """The folder with node_modules in it; None if Node.js or the packages are not there."""
    folder = Path(os.environ.get("RCS_SIM_TS_MLS", Path(sys.prefix) / "share" / "ts_mls"))
    is_there = shutil.which("node") is not None and (folder / "node_modules" / "ts-mls").is_dir()
    return folder if is_there else None


def measure_ts_mls(folder: Path, count: int, octets: int) -> dict[str, Any]:
    """CPU microseconds for each of *count* messages of *octets*, suite 2. Raises BenchError."""
    with as_file(files("rcs_sim.bench") / "data" / "ts_mls.mjs") as script:
        command = ["node", str(script), str(folder), str(count), str(octets)]
        with running(command) as child:
            return child.read_json(_WITHIN_S)
