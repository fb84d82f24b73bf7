"""Sessions over TLS on `rcs-sim up` where the carriers offer it, also with a phone that knows plain TCP only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy, MediaSecurity
from rcs_sim.scenario.loader import load_device
from tests.support.peers import network_file, rcs_sim_up
from tests.support.real_phones import RealPhones, real_phones, received

_ALICE, _BOB = "+12025550101", "+12025550152"
_IOS = load_device("ios")
_PLAIN = replace(_IOS, session=replace(_IOS.session, security=MediaSecurity.PLAIN))
_LINEAGE = load_device("lineage-like")
_LONG = "a long text " * 400


@pytest.fixture(scope="module")
def carriers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("tls")
    (folder / "sealed.yaml").write_text("name: sealed\nmsrp_tls: true\n", encoding="utf-8")
    network = network_file(folder, profile="sealed.yaml")
    with rcs_sim_up(folder, network=network, uses_own_ports=True) as (_, document):
        yield document["carriers"]


@pytest.mark.parametrize(
    ("first", "second", "protocols"),
    [
        (_IOS, _IOS, {"TLS"}),
        (_IOS, _PLAIN, {"TLS", "TCP"}),
        (_PLAIN, _IOS, {"TCP", "TLS"}),
        (_IOS, _LINEAGE, {"TLS", "TCP"}),
    ],
    ids=["both", "plain called", "plain calling", "lineage-like called"],
)
async def test_each_leg_is_sealed_as_its_phone_wants_it(
    carriers: dict[str, Any], first: DevicePolicy, second: DevicePolicy, protocols: set[str]
) -> None:
    async with real_phones() as phones:
        alice = await phones.add("alice", carriers["red"], _ALICE, first)
        bob = await phones.add("bob", carriers["blue"], _BOB, second)
        await _both_ways(alice, bob)
        assert _media(phones) == protocols, phones.ladder()


async def _both_ways(alice: Phone, bob: Phone) -> None:
    for sender, receiver in ((alice, bob), (bob, alice)):
        peer = _BOB if sender is alice else _ALICE
        message = sender.chat(peer).send(f"{sender.name}: {_LONG}")
        shown = await received(receiver, f"{sender.name}: {_LONG}")
        await message.delivered(15)
        assert shown.transport is MessageTransport.RCS


def _media(phones: RealPhones) -> set[str]:
    """Transports of the MSRP frames that the phones sent."""
    return {each.transport for each in phones.sink.records if each.protocol == "MSRP" and each.transport}


def test_with_one_switch_sessions_are_sealed_like_everything_else(tmp_path: Path) -> None:
    sink = ListSink()

    async def main() -> None:
        async with rcs_sim.Simulation(
            "two-carriers-plain", is_real=True, with_tls=True, state=tmp_path, sinks=[sink]
        ) as sim:
            alice = await sim.add_phone("alice", "android", "red")
            bob = await sim.add_phone("bob", "ios", "blue")
            message = await alice.chat(bob).send(_LONG)
            await message.delivered(within_s=20)

    rcs_sim.run(main, clock="real")
    frames = [each for each in sink.records if each.protocol == "MSRP" and each.kind is RecordKind.MESSAGE]
    assert {each.transport for each in frames} == {"TLS"}
