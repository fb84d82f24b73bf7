"""Any life of encrypted conversations ends well: no lock lies, nothing is lost or seen twice, nothing that was written
under a lock goes in clear."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.display import Shown, ShownEvent
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.stage import ALICE, AMY, BOB, Stage

_NUMBERS = {"alice": ALICE, "amy": AMY, "bob": BOB, "tablet": BOB}
_ELEMENTS = (
    *("red.pcscf", "red.scscf", "red.ibcf", "red.messaging_server", "red.msrp_relay", "red.kds"),
    *("blue.pcscf", "blue.icscf", "blue.messaging_server", "blue.msrp_relay", "blue.kds"),
)
_MAY_WAIT_S = 300.0  # what could not be opened was asked for by then
_LONG = ", and so on" * 400
_names = st.sampled_from(sorted(_NUMBERS))
_carriers = st.sampled_from(("red", "blue"))
_devices = st.sampled_from(("android", "ios", "strict-v3", "strict-v4", "lineage-like"))
_pauses = st.sampled_from((0.0, 0.01, 0.1, 0.3, 1.0, 5.0, 31.0, 70.0, 400.0, 4000.0))
_step = st.one_of(
    st.tuples(st.just("send"), _names, _names),
    st.tuples(st.just("send"), _names, _names),
    st.tuples(st.just("send"), _names, _names),
    st.tuples(st.just("send long"), _names, _names),
    st.tuples(st.just("end session"), _names, _names),
    st.tuples(st.just("end encryption"), _names, _names),
    st.tuples(st.just("revive encryption"), _names, _names),
    st.tuples(st.just("power_off"), _names, st.none()),
    st.tuples(st.just("power_on"), _names, st.none()),
    st.tuples(st.just("lose_power"), _names, st.none()),
    st.tuples(st.just("wipe"), _names, st.none()),
    st.tuples(st.just("reinstall"), _names, st.none()),
    st.tuples(st.just("new owner"), st.sampled_from(("alice", "amy", "bob")), st.none()),
    st.tuples(st.just("airplane on"), _names, st.none()),
    st.tuples(st.just("airplane off"), _names, st.none()),
    st.tuples(st.just("key service down"), _carriers, st.none()),
    st.tuples(st.just("key service up"), _carriers, st.none()),
    st.tuples(st.just("key packages gone"), _carriers, st.none()),
    st.tuples(st.just("cut"), st.sampled_from((*_ELEMENTS, *_NUMBERS)), st.none()),
    st.tuples(st.just("restore"), st.sampled_from((*_ELEMENTS, *_NUMBERS)), st.none()),
)
Step = tuple[str, str, str | None]


class _Life:
    """Plays the steps and remembers what was said."""

    def __init__(self, stage: Stage, devices: Sequence[str | None]) -> None:
        """*devices* in the order of the numbers; there may be no tablet."""
        self.stage = stage
        self._devices = dict(zip(_NUMBERS, devices, strict=True))
        self.said: list[tuple[SentMessage, str, str]] = []
        self._cut: set[str] = set()
        self._ended: set[frozenset[str]] = set()
        self.downgraded: list[str] = []
        self._written = 0
        self._resets: Counter[str] = Counter()
        self._gone_with_a_phone: list[SentMessage] = []
        self._seen: dict[tuple[str, int], Counter[str | None]] = {}

    async def play(self, steps: list[tuple[Step, float]]) -> None:
        for name, number in _NUMBERS.items():
            device = self._devices[name]
            if device is not None:
                await self.stage.sim.add_phone(name, device, _carrier_of(number), msisdn=number)
                self.stage.sim.phones[name].display.watchers.append(partial(self._watch, name))
        for (verb, who, whom), pause_s in steps:
            await self._do(verb, who, whom)
            await asyncio.sleep(pause_s)
        await self._end()

    def _watch(self, name: str, event: ShownEvent) -> None:
        """What a phone has shown since it was reset last; what comes in clear under a lock that nobody has ended."""
        message = event.message
        if event.what is not Shown.MESSAGE or not isinstance(message, ReceivedMessage):
            return
        self._seen.setdefault((name, self._resets[name]), Counter())[message.text] += 1
        is_locked = message.scheme is None and message.conversation.is_encrypted
        is_locked &= message.transport is MessageTransport.RCS
        if is_locked and frozenset((_NUMBERS[name], message.conversation.peer)) not in self._ended:
            self.downgraded.append(f"{name}: {message.text[:40]}")

    async def _do(self, verb: str, who: str, whom: str | None) -> None:
        phones = self.stage.sim.phones
        if who in _NUMBERS and who not in phones:
            return
        if verb.startswith("key "):
            self._trouble_keys(verb, who)
        elif verb == "cut":
            self._cut.add(who)
            await self.stage.sim.cut(who)
        elif verb == "restore":
            self._cut.discard(who)
            await self.stage.sim.restore(who)
        elif whom is not None:
            self._in_chat(verb, phones[who], who, whom)
        else:
            await self._with_phone(verb, phones[who], who)

    def _trouble_keys(self, verb: str, carrier: str) -> None:
        service = self.stage.sim.lab.carriers[carrier].key_service
        assert service is not None
        down, gone = verb == "key service down", verb == "key packages gone"
        service.server.fault = KdsFault(is_down=down, empty_pool=gone)

    def _in_chat(self, verb: str, phone: Phone, who: str, whom: str) -> None:
        if _NUMBERS[who] == _NUMBERS[whom] or not phone.is_on:
            return
        chat = phone.chat(_NUMBERS[whom])
        match verb:
            case "send" | "send long":
                self._written += 1
                text = f"{self._written} from {who} to {whom}{_LONG if verb == 'send long' else ''}"
                self.said.append((chat.send(text), who, whom))
            case "end session":
                chat.end_session()
            case "end encryption":
                self._ended.add(frozenset((_NUMBERS[who], _NUMBERS[whom])))
                chat.end_encryption()
            case "revive encryption":
                chat.revive_encryption()

    async def _with_phone(self, verb: str, phone: Phone, who: str) -> None:
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "power_off": phone.power_off,
            "power_on": phone.power_on,
            "lose_power": phone.lose_power,
            "wipe": phone.wipe,
            "reinstall": partial(self._reinstall, phone),
            "new owner": partial(self._give_away, phone, who),
            "airplane on": lambda: phone.airplane(True),
            "airplane off": lambda: phone.airplane(False),
        }
        is_reset = verb in ("wipe", "reinstall", "new owner")
        if is_reset:
            self._reset(who)
        await acts[verb]()
        if is_reset:  # who wrote does not have his messages any more, and cannot be told
            self.said = [each for each in self.said if each[1] != who]

    def _reset(self, who: str) -> None:
        """What the phone has got and could not open yet is gone with it, and nobody can tell its sender."""
        self._resets[who] += 1
        since = self.stage.sim.clock.now() - _MAY_WAIT_S
        for message, _, whom in self.said:
            is_there = message.state is MessageState.SENT and message.history[-1].at >= since
            if is_there and who in _devices_of(whom):
                self._gone_with_a_phone.append(message)

    @staticmethod
    async def _reinstall(phone: Phone) -> None:
        await phone.wipe()
        await phone.power_on()

    async def _give_away(self, phone: Phone, who: str) -> None:
        """The number gets a new owner, with a phone of the same kind; the operator forgets the old one's keys. Not
        while the old one has a tablet that is in use."""
        number = _NUMBERS[who]
        if who == "bob" and "tablet" in self.stage.sim.phones:
            return
        await phone.power_off()
        service = self.stage.sim.lab.carriers[_carrier_of(number)].key_service
        assert service is not None
        await service.listener.forget(number[1:])
        await self._reinstall(phone)

    async def _end(self) -> None:
        """Everything is repaired, and a day goes by."""
        for element in sorted(self._cut):
            await self.stage.sim.restore(element)
        for carrier in ("red", "blue"):
            self._trouble_keys("key service up", carrier)
        for phone in self.stage.sim.phones.values():
            await phone.power_on()
            await phone.airplane(False)
        for _ in range(4):
            await asyncio.sleep(3 * 3600)
            for message, _, _ in self.said:
                message.send_as_sms()
        await asyncio.sleep(12 * 3600)

    def check(self) -> None:
        assert not self.downgraded, f"in clear under a lock: {self.downgraded}"
        links = [one.raw for one in self.stage.sink.records if one.kind is RecordKind.MESSAGE]
        for message, _, whom in self.said:
            devices = _devices_of(whom)
            times = [seen[message.text] for (name, _), seen in self._seen.items() if name in devices] or [0]
            assert max(times) <= 1, f"{message} was shown {times} times: {message.history}"
            is_excused = message.state is MessageState.SENT and message in self._gone_with_a_phone
            is_known = message.state is MessageState.FAILED or is_excused
            assert any(times) or is_known, f"{message} was lost: {message.history}"
            octets = message.text[:40].encode()
            is_readable = message.transport is MessageTransport.SMS or any(octets in raw for raw in links)
            is_locked = message.scheme is not None
            assert not (is_locked and is_readable), f"the lock on {message} lies"
            assert not (message.was_locked and is_readable), f"{message} was written under a lock"


def _carrier_of(number: str) -> str:
    return "red" if number in (ALICE, AMY) else "blue"


def _devices_of(name: str) -> list[str]:
    return [other for other, number in _NUMBERS.items() if number == _NUMBERS[name]]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(_step, _pauses), min_size=3, max_size=25),
    st.integers(0, 10_000),
    st.tuples(_devices, _devices, _devices, st.one_of(st.none(), _devices)),
)
def test_no_lock_lies_and_each_text_is_seen_once_or_its_sender_knows(
    steps: list[tuple[Step, float]], seed: int, devices: tuple[str, str, str, str | None]
) -> None:
    async def main() -> None:
        sink = ListSink()
        async with Simulation("two-carriers", seed, sinks=[sink]) as sim:
            life = _Life(Stage(sim, sink), devices)
            await life.play(steps)
            life.check()

    rcs_sim.run(main, clock="virtual")
