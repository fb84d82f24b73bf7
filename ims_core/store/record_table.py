"""The building block of the store: a keyed table of records of one type, and what every store offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ims_core.errors import SimulatorError

__all__ = ["RecordTable", "RecordType", "Store", "StoreError"]

T = TypeVar("T")


class StoreError(SimulatorError):
    """The store cannot keep or return a record. The text is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class RecordType(Generic[T]):
    """A concern of the store: the *name* of its table, the frozen dataclass of its records, and their *key*.

    A record is made of texts, numbers, booleans, octets, `Secret`, enum members, tuples, frozensets, mappings with text
    keys, and dataclasses of those; None where the annotation has it. A member added later needs a default."""

    name: str
    record: type[T]
    key: Callable[[T], str]


class RecordTable(Protocol[T]):
    """One concern. What was awaited here survives the end of the process, if the store is one that lasts.

    Operations take effect in the order in which they began, whether or not the earlier one has ended."""

    async def load_all(self) -> list[T]:
        """Every record, in the order of the keys. Raises StoreError."""
        ...

    async def put(self, record: T) -> None:
        """Adds *record*, or replaces the one with its key. Raises StoreError; the old one then stands."""
        ...

    async def delete(self, key: str) -> None:
        """Removes the record with *key*; nothing happens if there is none. Raises StoreError."""
        ...


class Store(Protocol):
    """All concerns of one carrier. `open` first; `close` writes out what is queued, in bounded time."""

    async def open(self) -> None:
        """Raises StoreError."""
        ...

    async def close(self) -> None: ...

    def table(self, record_type: RecordType[Any]) -> RecordTable[Any]:
        """The table of a concern; the same object each time."""
        ...
