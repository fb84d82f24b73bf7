"""RCS on an IMS: application servers, handsets, encryption and the test tool.

PYTEST_DONT_REWRITE (for pytest, which otherwise warns where this was imported before it)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ims_core.transport.virtual_loop import run
    from rcs_sim.scenario.simulation import Simulation

__all__ = ["Simulation", "run"]

_HOMES = {"Simulation": "rcs_sim.scenario.simulation", "run": "ims_core.transport.virtual_loop"}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for: a process with one phone loads no network."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
