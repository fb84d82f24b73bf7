"""Prekeys of a phone reach the directory, stay enough, and are tried again when it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from ims_core.trace import ListSink, Trace
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display
from rcs_sim.client.e2ee.legacy_account import LOOK_EVERY_S, LegacyAccount
from rcs_sim.client.errands import Errands
from rcs_sim.e2ee.legacy.prekeys import ONE_TIME_KEYS, SIGNED_PREKEY_LIFE_S
from rcs_sim.wire.prekey_directory import PrekeyPath
from tests.support.kds import ALICE
from tests.support.legacy_phones import Directory

OTHER = "12025550102"


class Rig:
    def __init__(self) -> None:
        clock, trace = VirtualClock(), Trace()
        self.sink = ListSink()
        trace.add_sink(self.sink)
        self.directory = Directory()
        self.changes = 0
        self.errands = Errands("alice")
        self.account = LegacyAccount(
            Tokens("alice"), Alarms(clock), self.errands, Display("alice", clock, trace), self._changed
        )

    def _changed(self) -> None:
        self.changes += 1

    def left(self, msisdn: str = ALICE) -> int | None:
        return self.directory.side.server.prekeys.left(msisdn)

    @property
    def uploads(self) -> int:
        return self.directory.calls.count(PrekeyPath.PREKEYS)


def _play(story: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        rig = Rig()
        await story(rig)
        rig.account.unconfigured()
        await rig.errands.close()

    run(main(), clock="virtual")


def test_it_is_ready_when_its_prekeys_can_be_claimed() -> None:
    async def story(rig: Rig) -> None:
        assert not rig.account.is_ready
        assert not rig.account.configured(rig.directory.client(), ALICE)
        await rig.account.first_verdict(10)
        assert rig.account.is_ready
        assert (rig.left(), rig.changes) == (ONE_TIME_KEYS, 1)
        assert repr(rig.account) == f"LegacyAccount(ready, +{ALICE})"

    _play(story)


def test_a_directory_that_is_down_is_asked_again_until_it_answers() -> None:
    async def story(rig: Rig) -> None:
        rig.directory.is_down = True
        rig.account.configured(rig.directory.client(), ALICE)
        await rig.account.first_verdict(10)
        assert not rig.account.is_ready
        await asyncio.sleep(95)
        assert rig.uploads == 4
        rig.directory.is_down = False
        await asyncio.sleep(301)
        assert rig.account.is_ready
        assert rig.left() == ONE_TIME_KEYS

    _play(story)


def test_the_first_verdict_is_not_waited_for_longer_than_said() -> None:
    async def story(rig: Rig) -> None:
        began_at = asyncio.get_running_loop().time()
        rig.directory.request = _never  # type: ignore[method-assign]  # an HTTP server that hangs
        rig.account.configured(rig.directory.client(), ALICE)
        await rig.account.first_verdict(10)
        assert asyncio.get_running_loop().time() - began_at == 10
        rig.account.stop()

    _play(story)


async def _never(*_: object, **__: object) -> None:
    await asyncio.sleep(1e6)


def test_prekeys_are_published_again_when_few_are_left_and_when_the_signed_one_is_old() -> None:
    async def story(rig: Rig) -> None:
        rig.account.configured(rig.directory.client(), ALICE)
        await rig.account.first_verdict(10)
        rig.account.refill()
        await asyncio.sleep(1)
        assert rig.uploads == 1
        for key in rig.account.keys.mint(ALICE, 0).one_time:
            rig.account.keys.spend(key)
        rig.account.refill()
        await asyncio.sleep(1)
        assert rig.uploads == 2
        await asyncio.sleep(SIGNED_PREKEY_LIFE_S + LOOK_EVERY_S)
        assert rig.uploads == 3

    _play(story)


def test_without_a_directory_it_is_not_announced_and_asks_nobody() -> None:
    async def story(rig: Rig) -> None:
        rig.account.configured(rig.directory.client(), ALICE)
        await rig.account.first_verdict(10)
        rig.account.unconfigured()
        assert not rig.account.is_ready
        assert rig.changes == 2
        await asyncio.sleep(30 * LOOK_EVERY_S)
        assert rig.uploads == 1

    _play(story)


def test_another_number_gets_other_keys_and_the_same_number_keeps_them() -> None:
    async def story(rig: Rig) -> None:
        first = rig.account.keys.identity_key
        rig.account.configured(rig.directory.client(), ALICE)
        await rig.account.first_verdict(10)
        assert not rig.account.configured(rig.directory.client(), ALICE)
        assert rig.account.keys.identity_key == first
        assert rig.account.configured(rig.directory.client(), OTHER)
        await rig.account.first_verdict(10)
        assert rig.account.keys.identity_key != first
        assert (rig.account.is_ready, rig.left(OTHER)) == (True, ONE_TIME_KEYS)

    _play(story)
