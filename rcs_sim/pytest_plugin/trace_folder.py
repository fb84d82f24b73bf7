"""Where the traces of tests are kept, and which ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ims_core.trace import TraceRecord

__all__ = ["Keeping", "TraceFolder"]

_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._]+")
_NAME_CHARACTERS = 120  # with the ending below what any file system takes


class Keeping(Enum):
    """Values of the option ``--rcs-trace``."""

    OFF = "off"
    ON = "on"
    RETAIN_ON_FAILURE = "retain-on-failure"


class TraceFolder:
    """Has one file for each test, whose name follows from the test's. *keeping* says for which."""

    def __init__(self, path: Path, keeping: Keeping) -> None:
        self.path = path
        self.keeping = keeping

    def file_of(self, test: str) -> Path:
        """*test* is a node id of pytest; no two of them have the same file."""
        name = _NO_FILE_NAME.sub("-", test).strip("-")[-_NAME_CHARACTERS:]
        digest = hashlib.sha256(test.encode()).hexdigest()[:8]
        return self.path / f"{name}-{digest}.rcstrace"

    def ended(self, test: str, records: Iterable[TraceRecord], *, has_failed: bool) -> Path | None:
        """Writes the trace of *test*, or removes the one of an earlier run: the file, if there is one. Raises
        OSError."""
        file = self.file_of(test)
        if self.keeping is Keeping.OFF:
            return None
        if self.keeping is Keeping.RETAIN_ON_FAILURE and not has_failed:
            file.unlink(missing_ok=True)
            return None
        self.path.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(record.to_json() + "\n" for record in records)
        return file
