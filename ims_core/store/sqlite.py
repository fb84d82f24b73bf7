"""The store on disk: one SQLite file, one writer thread. What was awaited survives a kill of the process.

Only for real loops: a virtual clock does not wait for a thread. Writes that come while a commit runs share the next.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordTable, RecordType, StoreError

__all__ = ["SqliteStore", "SqliteTable"]

T = TypeVar("T")

SCHEMA_VERSION = 1  # PRAGMA user_version; a table per concern: key TEXT, record BLOB (JSON)
_APPLICATION_ID = 0x52435353  # "RCSS": so that another program's file is not taken for ours
_MAX_BATCH = 1000  # operations in one commit: bounds how long the first of them waits
_MAX_WAITING = 100_000  # operations queued while the disk is slow
_TABLE_NAME = re.compile("[a-z][a-z_]{0,62}")

_Operation: TypeAlias = "Callable[[sqlite3.Connection], Any]"

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk or the store's size limit is full: free some space, or raise the limit",
    sqlite3.SQLITE_BUSY: "another process is using it: stop that one, or choose another state folder",
    sqlite3.SQLITE_LOCKED: "another process is using it: stop that one, or choose another state folder",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a copy, or move it away to start empty",
    sqlite3.SQLITE_NOTADB: "the file is not a store: restore it from a copy, or move it away to start empty",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened: check that its folder exists and may be written",
    sqlite3.SQLITE_READONLY: "the file may not be written: check its permissions and those of its folder",
    sqlite3.SQLITE_PERM: "the file may not be written: check its permissions and those of its folder",
    sqlite3.SQLITE_IOERR: "the disk reports an error: check the disk and its free space",
    sqlite3.SQLITE_TOOBIG: "a record is larger than SQLite takes: lower the size limits of the message it holds",
}
_OTHER_ADVICE = "restore the file from a copy, or move it away to start empty"


@dataclass(slots=True)
class _Job:
    operation: _Operation
    outcome: asyncio.Future[Any]


class SqliteTable(Generic[T]):
    """A `RecordTable` in a SQLite file."""

    __slots__ = ("_codec", "_key", "_run", "_table")

    def __init__(self, record_type: RecordType[T], run: Callable[[_Operation], asyncio.Future[Any]]) -> None:
        if not _TABLE_NAME.fullmatch(record_type.name):
            raise ValueError(f"no table name: {record_type.name!r}")
        self._table = record_type.name
        self._key = record_type.key
        self._codec = RecordCodec(record_type)
        self._run = run

    async def load_all(self) -> list[T]:
        def select(connection: sqlite3.Connection) -> list[T]:
            self._create(connection)
            rows = connection.execute(f"SELECT record FROM {self._table} ORDER BY key")
            return [self._codec.decode(octets) for (octets,) in rows]

        found: list[T] = await self._run(select)
        return found

    async def put(self, record: T) -> None:
        row = (self._key(record), self._codec.encode(record))

        def replace(connection: sqlite3.Connection) -> None:
            self._create(connection)
            connection.execute(f"REPLACE INTO {self._table} (key, record) VALUES (?, ?)", row)

        await self._run(replace)

    async def delete(self, key: str) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            self._create(connection)
            connection.execute(f"DELETE FROM {self._table} WHERE key = ?", (key,))

        await self._run(remove)

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (key TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID"
        )


class SqliteStore:
    """A `Store` in one file of mode 0600, locked for as long as it is open.

    *max_octets* bounds the file. `close` ends within *close_timeout_s*."""

    def __init__(
        self,
        path: Path | str,
        *,
        max_octets: int | None = None,
        lock_timeout_s: float = 1.0,
        close_timeout_s: float = 1.5,
    ) -> None:
        self._path = Path(path)
        self._max_octets = max_octets
        self._lock_timeout_s = lock_timeout_s
        self._close_timeout_s = close_timeout_s
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_MAX_WAITING)
        self._tables: dict[str, SqliteTable[Any]] = {}
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[Any]

    def table(self, record_type: RecordType[T]) -> RecordTable[T]:
        found = self._tables.get(record_type.name)
        if found is None:
            found = self._tables[record_type.name] = SqliteTable(record_type, self._run)
        return found

    async def open(self) -> None:
        """Opens or creates the file. Raises StoreError; the store can then be opened again."""
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()
        self._ended = loop.create_future()
        self._thread = threading.Thread(
            target=self._work, args=(opened, self._ended), name=f"store-writer {self._path.name}", daemon=True
        )
        self._thread.start()
        try:
            await opened
        except StoreError:
            self._thread = None
            raise

    async def close(self) -> None:
        """Writes what is queued, then lets the file go. Raises StoreError if that takes longer than it may."""
        if self._thread is None:
            return
        self._thread = None
        try:
            self._jobs.put_nowait(None)
            async with asyncio.timeout(self._close_timeout_s):
                await self._ended
        except (queue.Full, TimeoutError):
            advice = "the disk is too slow to finish: what was acknowledged is safe, what was still waiting is lost"
            raise self._failure(advice) from None

    def _run(self, operation: _Operation) -> asyncio.Future[Any]:
        """Queues *operation* for the writer. Raises StoreError if the store is closed or too far behind."""
        if self._thread is None:
            raise self._failure("it is not open: open it before it is used")
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._jobs.put_nowait(_Job(operation, outcome))
        except queue.Full:
            raise self._failure("too many writes are waiting: use a faster disk, or lower the load") from None
        return outcome

    def _failure(self, advice: str) -> StoreError:
        return StoreError(f"store {self._path}: {advice}")

    def _advise(self, error: BaseException) -> StoreError:
        if isinstance(error, StoreError):
            return error
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
            return self._failure(f"{_ADVICE.get(code, _OTHER_ADVICE)} ({error})")
        if isinstance(error, OSError):
            return self._failure(f"{error.strerror}: check that its folder may be written and has space")
        return self._failure(f"{_OTHER_ADVICE} ({type(error).__name__}: {error})")

    # -- the writer thread -------------------------------------------------------------------------------------------

    def _work(self, opened: asyncio.Future[Any], ended: asyncio.Future[Any]) -> None:
        try:
            connection = self._connect()
        except (sqlite3.Error, OSError, StoreError) as error:
            _settle([(opened, None, self._advise(error))])
            return
        _settle([(opened, None, None)])
        try:
            while (batch := self._next_batch()) is not None:
                _settle(self._perform(connection, batch))
        finally:
            connection.close()
            _settle([(ended, None, None)])

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(self._path, 0o600)
        connection = sqlite3.connect(self._path, timeout=self._lock_timeout_s, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")  # takes the lock, which is kept until the connection closes
        self._check_version(connection)
        connection.execute("COMMIT")
        if self._max_octets is not None:
            page_octets = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {max(1, self._max_octets // page_octets)}")

    def _check_version(self, connection: sqlite3.Connection) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != _APPLICATION_ID and connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise self._failure("the file belongs to another program: choose another state folder")
        if version > SCHEMA_VERSION:
            raise self._failure(f"a newer version wrote it (schema {version}): use that one, or another state folder")
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise self._failure(_ADVICE[sqlite3.SQLITE_CORRUPT])
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _next_batch(self) -> list[_Job] | None:
        """All that waits, at most `_MAX_BATCH` jobs; None at the end of the store's life."""
        job = self._jobs.get()
        batch: list[_Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) == _MAX_BATCH or self._jobs.empty():
                return batch
            job = self._jobs.get_nowait()
        if batch:
            self._jobs.put(None)  # the end comes after these
        return batch or None

    def _perform(self, connection: sqlite3.Connection, batch: list[_Job]) -> list[_Settled]:
        """Runs *batch* in one transaction; if that fails, each job in its own, so that only the guilty one fails."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            settled: list[_Settled] = [(job.outcome, job.operation(connection), None) for job in batch]
            connection.execute("COMMIT")
        except Exception as error:  # the edge of this thread: every outcome is told, the thread goes on
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(batch) > 1:
                return [outcome for job in batch for outcome in self._perform(connection, [job])]
            return [(batch[0].outcome, None, self._advise(error))]
        return settled


_Settled: TypeAlias = tuple["asyncio.Future[Any]", Any, "StoreError | None"]


def _settle(settled: list[_Settled]) -> None:
    """Hands outcomes to the loops that wait for them, one wake-up per loop; a loop that has ended waits no more."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Settled]] = {}
    for entry in settled:
        by_loop.setdefault(entry[0].get_loop(), []).append(entry)
    for loop, entries in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell, entries)
        except RuntimeError:  # the loop is closed
            continue


def _tell(settled: list[_Settled]) -> None:
    for future, result, error in settled:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
