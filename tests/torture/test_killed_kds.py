"""A key distribution server that is killed in the middle of claims, again and again: after each start it knows what it
has given away (RCC.16 digest §2.3, §14.5, §14.7)."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from rcs_sim.wire.key_directory import EnrolmentResponse, KdsPath
from tests.support.kds import ALICE, BLUE, BOB, RED, Device

_ONE_TIME = 150
_KILLS_AFTER = (10, 25, 45, 70)  # answers
_ROOT = Path(__file__).parents[2]


class _Server:
    """The process, its ports, and what everybody was given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.phones: dict[str, bytes] = {}
        self.partner: dict[str, set[bytes]] = {}
        self.repeated = 0
        self.wanted = 0
        self.has_enough = asyncio.Event()
        self.is_up = asyncio.Event()
        self.ports: list[int] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """What it says on its error stream if it does not start."""
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.kds_process", str(self.path)),
            cwd=_ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        self.ports = [int(each) for each in (await process.stdout.readline()).split()]
        if self.ports:
            self.is_up.set()
            return ""
        return (await process.communicate())[1].decode()

    async def kill(self) -> None:
        self.is_up.clear()
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()

    def answered(self) -> None:
        if len(self.phones) + len(self.partner) >= self.wanted:
            self.has_enough.set()

    async def answers(self, count: int) -> None:
        """Returns when so many were had."""
        self.has_enough.clear()
        self.wanted = count
        self.answered()
        await self.has_enough.wait()


async def _post(server: _Server, which: int, path: str, body: bytes, local: str | None = None) -> Any:
    """The members of the answer. Raises OSError or aiohttp.ClientError where there is none."""
    connector = aiohttp.TCPConnector(force_close=True, local_addr=(local, 0) if local else None)
    url = f"http://127.0.0.1:{server.ports[which]}{path}"
    async with aiohttp.ClientSession(connector=connector) as session, session.post(url, data=body) as answer:
        return json.loads(await answer.read())


def _one_time(members: Any) -> bytes | None:
    (package,) = members["key_packages"]
    return None if package["is_last_resort"] else base64.b64decode(package["key_package"])


async def _phone(server: _Server) -> None:
    """Claims until the pool is empty. An answer that is lost was a package that is lost."""
    body = json.dumps({"target_msisdn": f"tel:+{ALICE}"}).encode()
    while True:
        await server.is_up.wait()
        with suppress(OSError, aiohttp.ClientError):
            package = _one_time(await _post(server, 0, KdsPath.CLAIM, body))
            if package is None:
                return
            server.phones[uuid.uuid4().hex] = package
            server.answered()


async def _partner(server: _Server) -> None:
    """The other carrier's directory: asks again with the same id until there is an answer, and once more after it."""
    while True:
        request_id = str(uuid.uuid4())
        members = {"version": 1, "request_id": request_id, "origin": BLUE.host, "kds": 1, "cipher_suite": 2}
        body = json.dumps(members | {"requester_msisdn": f"tel:+{BOB}", "target_msisdn": f"tel:+{ALICE}"}).encode()
        got: list[bytes] = []
        while len(got) < 2:
            await server.is_up.wait()
            with suppress(OSError, aiohttp.ClientError):
                package = _one_time(await _post(server, 1, KdsPath.FEDERATION_CLAIM, body, BLUE.address))
                if package is None:
                    return
                got.append(package)
                server.partner.setdefault(request_id, set()).add(package)
                server.answered()
        server.repeated += 1


async def _killed(server: _Server) -> None:
    for count in _KILLS_AFTER:
        await server.answers(count)
        await server.kill()
        assert await server.start() == ""


async def _enrolled(server: _Server) -> None:
    device = Device(ALICE)
    answer = await _post(server, 0, KdsPath.CERTIFICATE, device.request(RED).encode())
    device.certified(EnrolmentResponse.parse(json.dumps(answer).encode()))
    stored = await _post(server, 0, KdsPath.KEY_PACKAGES, device.upload(_ONE_TIME).encode())
    assert stored == {"stored": _ONE_TIME + 1}


def _overwrite(path: Path) -> None:
    for log in path.parent.glob(f"{path.name}-*"):
        log.unlink()
    path.write_bytes(b"no store at all" + path.read_bytes()[15:])


async def test_a_kill_in_the_middle_of_claims_gives_no_package_to_two(tmp_path: Path) -> None:
    server = _Server(tmp_path / "kds.sqlite")
    assert await server.start() == ""
    try:
        await _enrolled(server)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_killed(server))
            for _ in range(4):
                tasks.create_task(_phone(server))
                tasks.create_task(_partner(server))
    finally:
        await server.kill()
    assert all(len(packages) == 1 for packages in server.partner.values())  # an id always gets the same one
    given = [*server.phones.values(), *(next(iter(each)) for each in server.partner.values())]
    assert len(given) == len(set(given))
    assert _ONE_TIME - 16 * len(_KILLS_AFTER) <= len(given) <= _ONE_TIME  # the rest was on its way when it was killed
    assert server.repeated


async def test_a_damaged_store_is_said_in_one_sentence_and_nothing_is_served(tmp_path: Path) -> None:
    server = _Server(tmp_path / "kds.sqlite")
    assert await server.start() == ""
    await _enrolled(server)
    await server.kill()
    connection = sqlite3.connect(server.path)  # which writes the log into the file
    connection.execute("UPDATE key_packages SET record = x'7b7b'")
    connection.commit()
    connection.close()
    said = await server.start()
    assert "StoreError" in said
    assert "restore the file from a copy" in said
    _overwrite(server.path)
    said = await server.start()
    assert "StoreError" in said
    assert "not a store" in said
