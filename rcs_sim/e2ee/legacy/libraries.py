"""Whether the libraries of the legacy scheme are there: they come with the extra ``legacy``, all else works without."""

from __future__ import annotations

from importlib.util import find_spec

from ims_core.errors import SimulatorError

__all__ = ["LegacyUnavailable", "has_legacy_libraries", "require_legacy_libraries"]

_LIBRARIES = ("x3dh", "doubleratchet")


class LegacyUnavailable(SimulatorError):
    """A library of the legacy scheme is not installed. The text is one sentence that says what to do."""


def _missing() -> tuple[str, ...]:
    return tuple(name for name in _LIBRARIES if find_spec(name) is None)


def has_legacy_libraries() -> bool:
    """Whether `rcs_sim.e2ee.legacy` can be used."""
    return not _missing()


def require_legacy_libraries() -> None:
    """Raises LegacyUnavailable."""
    missing = _missing()
    if missing:
        named = " and ".join(missing)
        raise LegacyUnavailable(f"the legacy scheme needs {named}: install them with pip install 'rcs-sim[legacy]'")
