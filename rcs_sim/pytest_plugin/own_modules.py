"""How the simulator is imported under pytest: as it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["OwnModules"]

_PACKAGES = ("ims_core", "rcs_sim")


class OwnModules(MetaPathFinder):
    """Finds our modules before pytest does.

    pytest takes the assert statements of every module of a distribution with a plugin apart. For a simulator of five
    hundred modules that takes seconds, in each run where Python may not write its cache, and tells nobody anything."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for what is not ours."""
        return PathFinder.find_spec(fullname, path, target) if fullname.partition(".")[0] in _PACKAGES else None

    def go_first(self) -> None:
        """From now on."""
        sys.meta_path.insert(0, self)

    def leave(self) -> None:
        """Ends what `go_first` began; nothing happens where somebody has put the old finders back."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
