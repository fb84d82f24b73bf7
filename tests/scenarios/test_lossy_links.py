"""Access links that lose, delay, reorder and double datagrams: phones that signal over UDP lose and double nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.loader import load_network, profile_folder
from rcs_sim.scenario.model import LinkEntry
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import ALICE, BOB, Stage
from tests.support.traces import recorded

_LINKS = {
    "lossy": LinkEntry(latency_s=0.05, loss=0.2),
    "jittery": LinkEntry(latency_s=0.02, jitter_s=0.3),
    "reordering": LinkEntry(latency_s=0.02, reorder=0.4, duplicate=0.3),
    "all-at-once": LinkEntry(latency_s=0.05, jitter_s=0.1, loss=0.1, reorder=0.2, duplicate=0.2),
}


def _udp_network(folder: Path, link: LinkEntry) -> str:
    """The two carriers whose documents tell their phones to signal over UDP, as files of their own."""
    for name in ("google-like", "rcc16-strict"):
        text = (profile_folder() / "carriers" / f"{name}.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(text + "signalling: SIPoUDP\n", encoding="utf-8")
    text = (profile_folder() / "networks" / "two-carriers-plain.yaml").read_text(encoding="utf-8")
    for name in ("google-like", "rcc16-strict"):
        text = text.replace(f"profile: {name}", f"profile: {name}.yaml")
    text += f"access: {link.model_dump_json()}\n"
    device = (profile_folder() / "devices" / "android.yaml").read_text(encoding="utf-8")
    (folder / "udp-phone.yaml").write_text(device.replace("transport: tcp", "transport: document"), encoding="utf-8")
    (folder / "udp.yaml").write_text(text, encoding="utf-8")
    return str(folder / "udp.yaml")


@pytest.mark.parametrize(
    ("link", "seed"), [("lossy", 1), ("jittery", 1), ("reordering", 1), *(("all-at-once", seed) for seed in (1, 2))]
)
def test_nothing_is_lost_or_doubled(link: str, seed: int, tmp_path: Path) -> None:
    network = load_network(_udp_network(tmp_path, _LINKS[link]))

    async def main() -> None:
        sink = ListSink()
        async with Simulation(network, seed, sinks=[sink]) as sim:
            await _talk(Stage(sim, sink), str(tmp_path / "udp-phone.yaml"))
        recorded(sink)

    rcs_sim.run(main, clock="virtual")


async def _talk(stage: Stage, device: str) -> None:
    alice = await stage.phone("alice", ALICE, device)
    bob = await stage.phone("bob", BOB, device, reads_after_s=2.0)
    transports = {
        record.transport
        for record in stage.sink.records
        if record.kind is RecordKind.MESSAGE and record.reference_point == "Gm"
    }
    assert transports == {"UDP"}
    messages = []
    for number in range(12):
        messages.append(alice.chat(BOB).send(f"to bob {number}"))
        messages.append(bob.chat(ALICE).send(f"to alice {number}"))
        await asyncio.sleep(3)
    await asyncio.sleep(900)
    assert sorted(stage.arrivals(bob)) == sorted(f"to bob {number}" for number in range(12))
    assert sorted(stage.arrivals(alice)) == sorted(f"to alice {number}" for number in range(12))
    for message in messages:
        assert message.state in (MessageState.DELIVERED, MessageState.DISPLAYED), (message, message.history)


def test_a_message_above_the_size_for_udp_finds_its_way(tmp_path: Path) -> None:
    """With its headers it is larger than an Ethernet frame (RFC 3261 §18.1.1)."""
    network = load_network(_udp_network(tmp_path, LinkEntry(latency_s=0.03)))
    text = "x" * 900

    async def main() -> None:
        sink = ListSink()
        async with Simulation(network, sinks=[sink]) as sim:
            stage = Stage(sim, sink)
            device = str(tmp_path / "udp-phone.yaml")
            alice = await stage.phone("alice", ALICE, device)
            bob = await stage.phone("bob", BOB, device)
            await (await alice.chat(BOB).send(text)).delivered(within_s=10)
            await (await bob.chat(ALICE).send(text)).delivered(within_s=10)
            assert (stage.arrivals(bob), stage.arrivals(alice)) == ([text], [text])
            assert max(len(one.encode()) for one in stage.requests("MESSAGE", "alice")) > 1500
        recorded(sink)

    rcs_sim.run(main, clock="virtual")
