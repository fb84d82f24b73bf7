from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ims_core.store.deferred_messages import DEFERRED_MESSAGES, DeferredMessage
from ims_core.store.record_table import RecordType, StoreError
from ims_core.store.sqlite import SqliteStore


def message(order: int, octets: bytes = b"x") -> DeferredMessage:
    return DeferredMessage("tel:+1", order, octets, 1.0, 2.0)


async def orders(path: Path) -> list[int]:
    store = SqliteStore(path)
    await store.open()
    found = await store.table(DEFERRED_MESSAGES).load_all()
    await store.close()
    return [record.order for record in found]


_WRITER = """
import asyncio, sys
from ims_core.store.deferred_messages import DEFERRED_MESSAGES, DeferredMessage
from ims_core.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    table = store.table(DEFERRED_MESSAGES)

    async def write(first):
        for order in range(first, 10**9, 8):
            await table.put(DeferredMessage("tel:+1", order, b"x" * 500, 1.0, 2.0))
            print(order, flush=True)

    async with asyncio.TaskGroup() as tasks:
        for first in range(8):
            tasks.create_task(write(first))

asyncio.run(main())
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "red.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITER), str(path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(200)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    assert set(acknowledged) <= set(asyncio.run(orders(path)))


async def test_close_writes_what_is_queued_and_a_second_store_reads_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite")
    await store.open()
    table = store.table(DEFERRED_MESSAGES)
    async with asyncio.TaskGroup() as tasks:
        for order in range(300):
            tasks.create_task(table.put(message(order)), name="put")
        await asyncio.sleep(0)
        tasks.create_task(store.close(), name="close")
    await store.close()
    assert await orders(tmp_path / "s.sqlite") == list(range(300))


async def test_a_store_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite")
    for order in (1, 2):
        await store.open()
        await store.open()
        await store.table(DEFERRED_MESSAGES).put(message(order))
        await store.close()
    assert await orders(tmp_path / "s.sqlite") == [1, 2]


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "deep" / "s.sqlite")
    await store.open()
    await store.table(DEFERRED_MESSAGES).put(message(1))
    modes = {stat.S_IMODE(os.stat(file).st_mode) for file in (tmp_path / "deep").iterdir()}
    await store.close()
    assert modes == {0o600}


async def test_a_full_store_says_so_and_takes_records_again_when_there_is_room(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite", max_octets=64 * 1024)
    await store.open()
    table = store.table(DEFERRED_MESSAGES)
    await table.put(message(1))
    with pytest.raises(StoreError, match="full: free some space"):
        await table.put(message(2, b"x" * 200_000))
    await table.put(message(3))
    await store.close()
    assert await orders(tmp_path / "s.sqlite") == [1, 3]


async def test_one_record_that_does_not_fit_does_not_take_the_others_of_its_commit_with_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite", max_octets=64 * 1024)
    await store.open()
    table = store.table(DEFERRED_MESSAGES)
    outcomes = await asyncio.gather(
        *(table.put(message(order, b"x" * (200_000 if order == 5 else 10))) for order in range(10)),
        return_exceptions=True,
    )
    await store.close()
    assert [type(outcome) for outcome in outcomes].count(StoreError) == 1
    assert await orders(tmp_path / "s.sqlite") == [0, 1, 2, 3, 4, 6, 7, 8, 9]


async def test_a_file_in_use_is_refused_with_one_sentence(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "s.sqlite"), SqliteStore(tmp_path / "s.sqlite", lock_timeout_s=0.05)
    await first.open()
    with pytest.raises(StoreError, match="another process is using it: stop that one"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


@pytest.mark.parametrize("octets", [b"not a database at all, just text" * 40, b"\x00" * 5000])
async def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(octets)
    with pytest.raises(StoreError, match=r"s\.sqlite: the file is not a store: restore it"):
        await SqliteStore(path).open()
    assert path.read_bytes() == octets


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = SqliteStore(path)
    await store.open()
    for order in range(200):
        await store.table(DEFERRED_MESSAGES).put(message(order, b"x" * 400))
    await store.close()
    octets = bytearray(path.read_bytes())
    octets[8192:60000] = os.urandom(60000 - 8192)
    path.write_bytes(octets)
    with pytest.raises(StoreError, match="damaged: restore it from a copy"):
        await SqliteStore(path).open()


async def test_the_file_of_another_program_and_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    foreign = sqlite3.connect(tmp_path / "foreign.sqlite")
    foreign.execute("CREATE TABLE photos (id)")
    foreign.close()
    with pytest.raises(StoreError, match="belongs to another program"):
        await SqliteStore(tmp_path / "foreign.sqlite").open()
    await orders(tmp_path / "s.sqlite")
    newer = sqlite3.connect(tmp_path / "s.sqlite")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="newer version wrote it"):
        await SqliteStore(tmp_path / "s.sqlite").open()


async def test_a_folder_that_cannot_be_made_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file/s\.sqlite: .*check that its folder"):
        await SqliteStore(tmp_path / "file" / "s.sqlite").open()


async def test_a_record_that_cannot_be_read_is_a_store_error(tmp_path: Path) -> None:
    await orders(tmp_path / "s.sqlite")
    raw = sqlite3.connect(tmp_path / "s.sqlite")
    raw.execute("INSERT INTO deferred_messages VALUES ('k', x'FF00')")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="'deferred_messages' that cannot be read"):
        await orders(tmp_path / "s.sqlite")


async def test_a_closed_store_and_a_bad_table_name_are_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite")
    with pytest.raises(StoreError, match="not open"):
        await store.table(DEFERRED_MESSAGES).put(message(1))
    with pytest.raises(ValueError, match="no table name"):
        store.table(RecordType("drop table", DeferredMessage, lambda record: ""))
