"""What every store must do; runs over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ims_core.store.deferred_messages import DEFERRED_MESSAGES, DELIVERY_CURSORS, DeferredMessage, DeliveryCursor
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import Store
from ims_core.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "state" / "red.sqlite")
    await made.open()
    yield made
    await made.close()


def message(order: int, owner: str = "tel:+12025550152") -> DeferredMessage:
    return DeferredMessage(owner, order, b"MESSAGE\r\n\x00\xff", 1.0, 604801.0)


async def test_a_table_returns_what_was_put_in_the_order_of_its_keys(store: Store) -> None:
    table = store.table(DEFERRED_MESSAGES)
    for order in (10, 9, 100):
        await table.put(message(order))
    assert [found.order for found in await table.load_all()] == [9, 10, 100]


async def test_a_record_with_the_same_key_replaces_the_old_one(store: Store) -> None:
    table = store.table(DELIVERY_CURSORS)
    await table.put(DeliveryCursor("a", "x", 1))
    await table.put(DeliveryCursor("a", "x", 2))
    await table.put(DeliveryCursor("a", "y", 1))
    assert await table.load_all() == [DeliveryCursor("a", "x", 2), DeliveryCursor("a", "y", 1)]


async def test_a_deleted_record_is_gone_and_deleting_it_again_is_no_error(store: Store) -> None:
    table = store.table(DEFERRED_MESSAGES)
    await table.put(message(1))
    for _ in range(2):
        await table.delete(DEFERRED_MESSAGES.key(message(1)))
    assert await table.load_all() == []


async def test_operations_take_effect_in_the_order_in_which_they_began(store: Store) -> None:
    table = store.table(DELIVERY_CURSORS)
    async with asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(table.put(DeliveryCursor("a", "x", number)), name="put")
        tasks.create_task(table.delete("a x"), name="delete")
        tasks.create_task(table.put(DeliveryCursor("a", "x", 77)), name="put")
    assert await table.load_all() == [DeliveryCursor("a", "x", 77)]


async def test_concerns_do_not_mix_and_a_table_is_made_once(store: Store) -> None:
    await store.table(DEFERRED_MESSAGES).put(message(1))
    assert await store.table(DELIVERY_CURSORS).load_all() == []
    assert store.table(DEFERRED_MESSAGES) is store.table(DEFERRED_MESSAGES)
