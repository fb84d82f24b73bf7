"""What Wireshark needs beside a capture to show what was sealed: our dissector, and a key log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TextIO

from rcs_sim.mls.key_log import KEY_LOG_HEADER, WriteLine

__all__ = ["KEY_LOG_SUFFIX", "dissector_text", "key_log_file", "write_private"]

KEY_LOG_SUFFIX = ".keylog"  # beside the trace that it is for


def dissector_text() -> str:
    """The Lua script for ``-X lua_script:``; its preference ``rcc16.keylog`` names the key log."""
    return (files("rcs_sim") / "scenario" / "dissector" / "rcc16.lua").read_text(encoding="utf-8")


@contextmanager
def key_log_file(path: Path) -> Iterator[WriteLine]:
    """A new key log, which its owner alone may read; each line is in the file when the call returns. Raises OSError."""
    with _private(path) as stream:

        def write(line: str) -> None:
            stream.write(line + "\n")
            stream.flush()

        write(KEY_LOG_HEADER)
        yield write


def write_private(path: Path, text: str) -> None:
    """A new file that its owner alone may read. Raises OSError."""
    with _private(path) as stream:
        stream.write(text + "\n")


def _private(path: Path) -> TextIO:
    path.unlink(missing_ok=True)
    return open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600))
