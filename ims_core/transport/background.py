"""The tasks of one element: few, named, owned, and ended with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from ims_core.errors import SimulatorError

__all__ = ["Background"]

_log = logging.getLogger(__name__)
_CLOSE_S = 2.0  # what is still being written when a node closes gets so long


class Background:
    """A TaskGroup that lives from `start` to `close`, whichever tasks those are called from."""

    __slots__ = ("_group", "_host", "_name", "_open", "_stop")

    def __init__(self, name: str) -> None:
        self._name = name
        self._group: asyncio.TaskGroup | None = None
        self._host: asyncio.Task[None] | None = None
        self._open = 0
        self._stop: asyncio.Event | None = None

    async def start(self) -> None:
        started = asyncio.Event()
        self._stop = asyncio.Event()
        # The one task outside a TaskGroup: it holds the group, and close() waits for it.
        self._host = asyncio.get_running_loop().create_task(self._hold(started, self._stop), name=f"{self._name} tasks")
        await started.wait()

    async def close(self) -> None:
        if self._host is None or self._stop is None:
            return
        self._stop.set()
        _, pending = await asyncio.wait((self._host,), timeout=_CLOSE_S)
        if pending:
            self._host.cancel()
            await asyncio.gather(self._host, return_exceptions=True)
        self._host = self._group = None

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> bool:
        """Runs *work* as a task of this node. False (and *work* is closed) when the node is not running."""
        if self._group is None or self._stop is None or self._stop.is_set():
            work.close()
            return False
        self._group.create_task(self._guarded(work), name=f"{self._name} {what}")
        return True

    async def _hold(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as self._group:
            started.set()
            await stop.wait()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """One failed job is logged; the node goes on."""
        try:
            await work
        except SimulatorError:
            _log.exception("%s: a background job failed", self._name)
