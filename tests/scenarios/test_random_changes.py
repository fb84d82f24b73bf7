"""Whatever two users do to each other's messages, and the network with that: both screens agree in the end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import rcs_sim
from rcs_sim.client.chat import Chat
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import ALICE, BOB

_NUMBERS = {"alice": ALICE, "bob": BOB}
_names = st.sampled_from(sorted(_NUMBERS))
_step = st.one_of(
    st.tuples(st.just("send"), _names, st.just(0), st.just("")),
    st.tuples(st.just("react"), _names, st.integers(0, 3), st.sampled_from(["👍", "❤️", "👩🏽‍🚒"])),
    st.tuples(st.just("react"), _names, st.integers(0, 3), st.sampled_from(["👍", "❤️", "👩🏽‍🚒"])),
    st.tuples(st.just("unreact"), _names, st.integers(0, 3), st.just("")),
    st.tuples(st.just("edit"), _names, st.integers(0, 3), st.sampled_from(["one way", "or another"])),
    st.tuples(st.just("recall"), _names, st.integers(0, 3), st.just("")),
    st.tuples(st.just("off and on"), _names, st.just(0), st.just("")),
)
Step = tuple[str, str, int, str]


class _Story:
    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._phones: dict[str, Phone] = {}
        self._changes: list[SentMessage] = []
        self._said: list[tuple[str, SentMessage]] = []

    async def play(self, devices: tuple[str, str], faults: tuple[str, ...], steps: list[tuple[Step, float]]) -> None:
        for (name, number), device, carrier in zip(_NUMBERS.items(), devices, ("red", "blue"), strict=True):
            self._phones[name] = await self._sim.add_phone(name, device, carrier, msisdn=number)
        await asyncio.sleep(2)
        await self._do(("send", "alice", 0, ""))
        await asyncio.sleep(10)  # under a lock from here on, where there is one
        running = [await self._sim.faults.begin(word, of=name) for word in faults for name in _NUMBERS]
        for step, pause_s in steps:
            await self._do(step)
            await asyncio.sleep(pause_s)
        for fault in running:
            await fault.end()
        await asyncio.sleep(600)

    async def _do(self, step: Step) -> None:
        verb, name, number, word = step
        phone, peer = self._phones[name], _NUMBERS["bob" if name == "alice" else "alice"]
        chat = phone.chat(peer)
        if verb == "send":
            self._said.append((name, chat.send(f"text {len(self._said)} of {name}")))
        elif verb == "off and on":
            await phone.power_off()
            await asyncio.sleep(1)
            await phone.power_on()
        elif number < len(self._said):
            author, said = self._said[number]
            target = chat.find(said.wire_id)
            if target is not None:
                self._change(chat, verb, target, word, is_own=author == name)

    def _change(self, chat: Chat, verb: str, target: SentMessage | ReceivedMessage, word: str, *, is_own: bool) -> None:
        if verb == "react":
            self._changes.append(chat.react(target, word))
        elif verb == "unreact" and "" in target.reactions:
            self._changes.append(chat.unreact(target))
        elif verb == "edit":
            self._changes.append(chat.edit(target, f"{word}, {len(self._changes)}", anyway=not is_own))
        elif verb == "recall":
            self._changes.append(chat.recall(target, anyway=not is_own))

    def judge(self) -> None:
        """What one has on the screen, the other has, whatever either would have liked to change."""
        for author, said in self._said:
            other = "bob" if author == "alice" else "alice"
            copy = self._phones[other].chat(_NUMBERS[author]).find(said.wire_id)
            assert copy is not None, said
            own, its = dict(said.reactions), dict(copy.reactions)
            mirrored = {("" if member == _NUMBERS[other] else _NUMBERS[author]): emoji for member, emoji in own.items()}
            assert mirrored == its, (said, own, its)
            assert (said.shown_text, said.is_recalled) == (copy.shown_text, copy.is_recalled), said
        assert self._sim.oracle.violations() == []


@pytest.mark.parametrize("network", ["two-carriers-plain", "two-carriers"])
@given(
    steps=st.lists(st.tuples(_step, st.sampled_from([0.0, 0.01, 0.1, 1.0, 5.0])), min_size=4, max_size=14),
    devices=st.sampled_from([("android", "android"), ("android", "strict-v3"), ("strict-v4", "android")]),
    faults=st.sampled_from([(), ("as.duplicate",), ("as.reorder",)]),
)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
def test_both_screens_agree_when_everything_has_arrived(
    network: str, steps: list[tuple[Step, float]], devices: tuple[str, str], faults: tuple[str, ...]
) -> None:
    async def main() -> None:
        async with Simulation(network) as sim:
            story = _Story(sim)
            await story.play(devices, faults, steps)
            story.judge()

    rcs_sim.run(main, clock="virtual")
