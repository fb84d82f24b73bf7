"""Servers of a running simulation that are restarted, or killed: what they had not stored is gone."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordTable, RecordType, StoreError
from rcs_sim.scenario.lab import Carrier
from rcs_sim.scenario.model import NetworkFile
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.world import MemoryWorld, World

__all__ = ["Killed", "LaggingStore", "LifeSimulation", "kill_messaging", "restart_carrier", "restart_node"]


class Killed(StoreError):
    """Who would have written this is gone."""


class LaggingStore:
    """A store as a disk is: records are octets, a write takes *lag_s*, and a kill loses what was not written yet."""

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._rows: dict[str, dict[str, bytes]] = {}
        self._waiting: list[tuple[Callable[[], None], asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = self._is_killed = False

    async def open(self) -> None:
        self._is_open, self._is_killed = True, False

    async def close(self) -> None:
        self._write()
        self._is_open = False

    def kill(self) -> None:
        """The process is gone."""
        self._is_open, self._is_killed = False, True
        waiting, self._waiting = self._waiting, []
        for _, outcome in waiting:
            if not outcome.done():
                outcome.set_exception(Killed("killed"))

    def table(self, record_type: RecordType[Any]) -> RecordTable[Any]:
        return _LaggingTable(self, record_type, self._rows.setdefault(record_type.name, {}))

    async def apply(self, operation: Callable[[], None]) -> None:
        """Raises StoreError."""
        if self._is_killed:
            raise Killed("killed")
        if not self._is_open:
            raise StoreError("not open")
        if not self._lag_s:
            operation()
            return
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()
        self._waiting.append((operation, outcome))
        if self._timer is None:
            self._timer = loop.call_later(self._lag_s, self._write)
        await outcome

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for operation, outcome in waiting:
            operation()
            if not outcome.done():
                outcome.set_result(None)


class _LaggingTable:
    def __init__(self, store: LaggingStore, record_type: RecordType[Any], rows: dict[str, bytes]) -> None:
        self._store, self._key, self._codec, self._rows = store, record_type.key, RecordCodec(record_type), rows

    async def load_all(self) -> list[Any]:
        return [self._codec.decode(self._rows[key]) for key in sorted(self._rows)]

    async def put(self, record: Any) -> None:
        key, octets = self._key(record), self._codec.encode(record)
        await self._store.apply(lambda: self._rows.update({key: octets}))

    async def delete(self, key: str) -> None:

        def remove() -> None:
            self._rows.pop(key, None)

        await self._store.apply(remove)


class LifeSimulation(Simulation):
    """With stores that lag."""

    def __init__(self, network: NetworkFile, seed: int, *, lag_s: float, **more: Any) -> None:
        super().__init__(network, seed, **more)
        self._lag_s = lag_s
        self.starts = 0

    def _make_world(self) -> Any:
        world, secrets = super()._make_world()
        assert isinstance(world, MemoryWorld)
        stores: dict[str, Any] = {name: LaggingStore(self._lag_s) for name in self.network.carriers}
        world._stores.update(stores)
        return world, secrets

    def store_of(self, carrier: str) -> LaggingStore:
        store: Any = self.world.store(carrier)
        assert isinstance(store, LaggingStore)
        return store

    def anew(self, carrier: str) -> World:
        """The world of a server that is started again: what it draws names another run."""
        self.starts += 1
        world = copy.copy(self.world)
        world.tokens = self.world.tokens.child(f"{carrier} start {self.starts}")
        return world


async def restart_carrier(sim: LifeSimulation, name: str, down_s: float, *, is_killed: bool) -> None:
    """All servers of a carrier end, in an orderly way or not, and are there again after *down_s*."""
    old, hosts = sim.lab.carriers[name], tuple(sim.lab.carriers[name].hosts().values())
    if is_killed:
        for host in hosts:
            sim.links.cut(host)
            sim.links.reset(host)
        sim.store_of(name).kill()
    else:
        await old.end_sessions()
    await old.stop_listening()
    await old.close()
    await asyncio.sleep(down_s)
    if is_killed:
        for host in hosts:
            sim.links.restore(host)
    plans = {each.name: each._plan for each in sim.lab.carriers.values()}
    fresh = Carrier(old._plan, plans, sim.anew(name), sim.network)
    sim.lab.carriers[name] = fresh
    sim.lab._running = [fresh if each is old else each for each in sim.lab._running]
    await fresh.start()
    await fresh.open_access()


async def kill_messaging(sim: LifeSimulation, name: str, down_s: float) -> None:
    """The messaging server and its media anchor are gone without a word, and there again after *down_s*."""
    carrier = sim.lab.carriers[name]
    old, roles = carrier.messaging_server, carrier.hosts()
    hosts = roles["messaging_server"], roles["msrp_relay"]
    for host in hosts:
        sim.links.cut(host)
        sim.links.reset(host)
    old._store = killed = LaggingStore(0.0)
    killed.kill()
    await carrier.msrp_relay.fail()
    await old.close()
    await asyncio.sleep(down_s)
    for host in hosts:
        sim.links.restore(host)
    plans = {each.name: each._plan for each in sim.lab.carriers.values()}
    carrier._tokens = sim.anew(name).tokens
    carrier.messaging_server = carrier._make_messaging_server(plans)
    carrier._running = [carrier.messaging_server if each is old else each for each in carrier._running]
    await carrier.msrp_relay.start()
    await carrier.messaging_server.start()


async def restart_node(sim: LifeSimulation, element: str, down_s: float) -> None:
    """A CSCF, an IBCF or the MSRP relay."""
    name, _, role = element.partition(".")
    carrier = sim.lab.carriers[name]
    if role == "msrp_relay":
        await carrier.msrp_relay.fail()
        await asyncio.sleep(down_s)
        await carrier.msrp_relay.start()
        return
    await carrier.core.stop_node(role)
    await asyncio.sleep(down_s)
    await carrier.core.start_node(role)
