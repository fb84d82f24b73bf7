"""Finds the outside test vectors, which live beside the project and are not part of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

__all__ = ["load_vectors", "vectors"]

_WHERE = "set RCS_SIM_VECTORS, or place them in ../shared/vectors (RFC 4475, 3GPP TS 35.207, mlswg/mls-implementations)"


def vectors(relative: str) -> Path:
    """Path of a vector file or folder; skips the test with one line where the vectors are absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "vectors"
    root = Path(os.environ.get("RCS_SIM_VECTORS", default))
    path = root / relative
    if not path.exists():
        pytest.skip(f"no test vectors at hand for {relative}: {_WHERE}", allow_module_level=True)
    return path


def load_vectors(relative: str) -> Any:
    """The parsed JSON of a vector file."""
    return json.loads(vectors(relative).read_text(encoding="utf-8"))
