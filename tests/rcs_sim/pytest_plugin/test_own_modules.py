"""The simulator is imported as it is, whatever pytest would make of it."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader

from rcs_sim.pytest_plugin.own_modules import OwnModules


def test_only_our_modules_are_found() -> None:
    finder = OwnModules()
    import rcs_sim

    spec = finder.find_spec("rcs_sim.cli", rcs_sim.__path__)
    assert spec is not None
    assert type(spec.loader) is SourceFileLoader
    assert finder.find_spec("rcs_simulated", None) is None
    assert finder.find_spec("json", None) is None


def test_who_goes_first_leaves_again() -> None:
    finder, before = OwnModules(), list(sys.meta_path)
    finder.go_first()
    assert sys.meta_path == [finder, *before]
    finder.leave()
    finder.leave()
    assert sys.meta_path == before
