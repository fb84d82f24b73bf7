"""The store of a simulation: it lasts as long as the process, and waits for no thread."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ims_core.store.record_table import RecordTable, RecordType

__all__ = ["MemoryStore", "MemoryTable"]

T = TypeVar("T")


class MemoryTable(Generic[T]):
    """A `RecordTable` over a dict. Records are frozen, so they are kept as they are."""

    __slots__ = ("_record_type", "_records")

    def __init__(self, record_type: RecordType[T]) -> None:
        self._record_type = record_type
        self._records: dict[str, T] = {}

    async def load_all(self) -> list[T]:
        return [self._records[key] for key in sorted(self._records)]

    async def put(self, record: T) -> None:
        self._records[self._record_type.key(record)] = record

    async def delete(self, key: str) -> None:
        self._records.pop(key, None)


class MemoryStore:
    """A `Store` that forgets at the end. One object may be handed to a second core to play a restart."""

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        self._tables: dict[str, MemoryTable[Any]] = {}

    async def open(self) -> None:
        """Nothing to do: it is there."""

    async def close(self) -> None:
        """Nothing to do: a store that is opened again still has its records."""

    def table(self, record_type: RecordType[T]) -> RecordTable[T]:
        return self._tables.setdefault(record_type.name, MemoryTable(record_type))
