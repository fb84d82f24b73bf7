"""Any story of sends, switched-off phones and cut networks ends well: each text is seen once, or its sender knows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rcs_sim
from ims_core.trace import ListSink
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, network
from tests.support.traces import recorded

_NUMBERS = {"alice": ALICE, "amy": AMY, "bob": BOB, "tablet": BOB}
_ELEMENTS = (
    *("red.pcscf", "red.scscf", "red.ibcf", "red.messaging_server", "red.msrp_relay"),
    *("blue.pcscf", "blue.scscf", "blue.icscf", "blue.messaging_server", "blue.msrp_relay"),
)
_LONG = ", and so on" * 400  # more than pager mode takes: some chunks of a session
_names = st.sampled_from(sorted(_NUMBERS))
_devices = st.sampled_from(("android", "ios", "lineage-like"))  # pager mode first, sessions first, a world of its own
_pauses = st.sampled_from((0.0, 0.01, 0.1, 1.0, 5.0, 31.0, 70.0, 400.0, 4000.0))
_step = st.one_of(
    st.tuples(st.just("send"), _names, _names),
    st.tuples(st.just("send"), _names, _names),
    st.tuples(st.just("send long"), _names, _names),
    st.tuples(st.just("send long"), _names, _names),
    st.tuples(st.just("end session"), _names, _names),
    st.tuples(st.just("sms"), _names, _names),
    st.tuples(st.just("power_off"), _names, st.none()),
    st.tuples(st.just("power_on"), _names, st.none()),
    st.tuples(st.just("lose_power"), _names, st.none()),
    st.tuples(st.just("airplane on"), _names, st.none()),
    st.tuples(st.just("airplane off"), _names, st.none()),
    st.tuples(st.just("cut"), st.sampled_from((*_ELEMENTS, *_NUMBERS)), st.none()),
    st.tuples(st.just("restore"), st.sampled_from((*_ELEMENTS, *_NUMBERS)), st.none()),
)
Step = tuple[str, str, str | None]


class _Story:
    """Plays the steps and remembers what was said."""

    def __init__(self, stage: Stage, devices: Sequence[str | None]) -> None:
        """*devices* in the order of the numbers; there may be no tablet."""
        self.stage = stage
        self._devices = dict(zip(_NUMBERS, devices, strict=True))
        self.said: list[tuple[SentMessage, str]] = []
        self._cut: set[str] = set()

    async def play(self, steps: list[tuple[Step, float]]) -> None:
        for name, number in _NUMBERS.items():
            if self._devices[name] is not None:
                await self.stage.phone(name, number, self._devices[name])
        for (verb, who, whom), pause_s in steps:
            await self._do(verb, who, whom)
            await asyncio.sleep(pause_s)
        await self._end()

    async def _do(self, verb: str, who: str, whom: str | None) -> None:
        phones = self.stage.sim.phones
        if who in _NUMBERS and who not in phones:
            return
        if verb in ("send", "send long", "sms") and whom is not None:
            self._say(phones[who], verb, who, whom)
        elif verb == "end session" and whom is not None:
            if _NUMBERS[who] != _NUMBERS[whom] and phones[who].is_on:
                phones[who].chat(_NUMBERS[whom]).end_session()
        elif verb == "cut":
            self._cut.add(who)
            await self.stage.sim.cut(who)
        elif verb == "restore":
            self._cut.discard(who)
            await self.stage.sim.restore(who)
        else:
            phone = phones[who]
            acts: dict[str, Callable[[], Awaitable[None]]] = {
                "power_off": phone.power_off,
                "power_on": phone.power_on,
                "lose_power": phone.lose_power,
                "airplane on": lambda: phone.airplane(True),
                "airplane off": lambda: phone.airplane(False),
            }
            await acts[verb]()

    def _say(self, sender: Phone, verb: str, who: str, whom: str) -> None:
        if _NUMBERS[who] == _NUMBERS[whom] or not sender.is_on:
            return
        text = f"{len(self.said)} from {who} to {whom}{_LONG if verb == 'send long' else ''}"
        peer = _NUMBERS[whom]
        message = sender.send_sms(peer, text) if verb == "sms" else sender.chat(peer).send(text)
        self.said.append((message, whom))

    async def _end(self) -> None:
        """Everything is repaired; whoever is asked says yes."""
        for element in sorted(self._cut):
            await self.stage.sim.restore(element)
        for phone in self.stage.sim.phones.values():
            await phone.power_on()
            await phone.airplane(False)
        for _ in range(4):
            await asyncio.sleep(3 * 3600)
            for message, _ in self.said:
                message.send_as_sms()
        await asyncio.sleep(6 * 3600)

    def check(self) -> None:
        shown = {name: Counter(self.stage.arrivals(phone)) for name, phone in self.stage.sim.phones.items()}
        for message, whom in self.said:
            times = [shown[name][message.text] for name in _devices_of(whom) if name in shown]
            assert max(times) <= 1, f"{message} was shown {times} times: {message.history}"
            assert any(times) or message.state is MessageState.FAILED, f"{message} was lost: {message.history}"
        for name, counter in shown.items():
            assert set(counter) <= {message.text for message, whom in self.said if name in _devices_of(whom)}


def _devices_of(name: str) -> list[str]:
    return [other for other, number in _NUMBERS.items() if number == _NUMBERS[name]]


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(_step, _pauses), min_size=3, max_size=25),
    st.integers(0, 10_000),
    st.booleans(),
    st.tuples(_devices, _devices, _devices, st.one_of(st.none(), _devices)),
)
def test_each_text_is_seen_once_or_its_sender_knows(
    steps: list[tuple[Step, float]], seed: int, is_stored: bool, devices: tuple[str, str, str, str | None]
) -> None:
    async def main() -> None:
        sink = ListSink()
        chosen = network() if is_stored else network(red="no-store", blue="no-store")
        async with Simulation(chosen, seed, sinks=[sink]) as sim:
            story = _Story(Stage(sim, sink), devices)
            await story.play(steps)
            story.check()
        recorded(sink)

    rcs_sim.run(main, clock="virtual")
