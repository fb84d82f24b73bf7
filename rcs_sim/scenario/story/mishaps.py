"""Faults of rcs-sim itself that a run did not notice: what timers, tasks and listeners raised and logged."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Self

__all__ = ["MishapLog"]

_LOGGERS = ("asyncio", "ims_core", "rcs_sim")
_MAX_KEPT = 20
_MAX_CHARACTERS = 2000  # of a traceback, from its end


class MishapLog(logging.Handler):
    """While it is entered, every logged error that comes from an exception is kept in `mishaps`: one text each, at most
    20. Nothing else is: that a disk is full, or that a peer misbehaves, is no fault of this program."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.mishaps: list[str] = []

    def __enter__(self) -> Self:
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """One log line."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None or len(self.mishaps) >= _MAX_KEPT:
            return
        lines = "".join(traceback.format_exception(error))
        self.mishaps.append(f"{record.getMessage()}: {lines[-_MAX_CHARACTERS:]}")
