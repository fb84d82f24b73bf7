"""A leaf of somebody else is a reader, and makes every lock over what was sealed to its group a lie."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rcs_sim
from ims_core.trace import ListSink, TraceRecord
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_contents import ContentReader
from rcs_sim.scenario.oracle_hops import Carried, Hop
from rcs_sim.scenario.oracle_rosters import GroupRosters
from rcs_sim.scenario.simulation import Simulation

_ALICE, _BOB, _MALLORY = "+12025550101", "+12025550152", "+12025550153"
_HOP = Hop(1, 0.0, "alice", "red.messaging_server", "", "SIP", "TCP")


@pytest.fixture(scope="module")
def records() -> Sequence[TraceRecord]:
    """Bob asks for a leaf of Mallory; the focus refuses, and all goes on as it should."""
    sink = ListSink()

    async def main() -> None:
        async with Simulation("two-carriers", sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
            await sim.add_phone("bob", device="ios", carrier="blue", msisdn=_BOB)
            await sim.add_phone("mallory", device="ios", carrier="blue", msisdn=_MALLORY)
            await asyncio.sleep(3)
            await (await alice.chat(_BOB).send("just the two of us, to begin with")).delivered(within_s=30)
            async with sim.fault("mls.ghost_member", of="bob", ghost="mallory", peer="alice"):
                await asyncio.sleep(20)
            await (await alice.chat(_BOB).send("and still the two of us")).delivered(within_s=30)

    rcs_sim.run(main, clock="virtual")
    return list(sink.records)


def _authenticators(records: Sequence[TraceRecord]) -> list[tuple[bytes, frozenset[str]]]:
    reader = ContentReader()
    contents = [each for record in records for each in reader.read(record)]
    rosters = GroupRosters(contents)
    return [(key, roster.numbers) for key, roster in rosters._by_authenticator.items()]


def test_every_state_of_a_group_has_its_members(records: Sequence[TraceRecord]) -> None:
    two, three = {_ALICE[1:], _BOB[1:]}, {_ALICE[1:], _BOB[1:], _MALLORY[1:]}
    assert [numbers for _, numbers in _authenticators(records)] == [two, three]


def test_a_ghost_that_was_refused_reads_nothing(records: Sequence[TraceRecord]) -> None:
    oracle = Oracle(records)
    assert oracle.violations() == []
    assert all(oracle.readers(message) == {"alice", "bob"} for message in oracle.messages)


def test_what_was_sealed_to_a_group_with_a_ghost_is_under_a_lock_that_lies(records: Sequence[TraceRecord]) -> None:
    """As it would be if the focus and both phones had let her in: the octets are those of a run but for the epoch."""
    (before, _), (ghost, _) = _authenticators(records)
    honest, bad = b64encode(before), b64encode(ghost)
    second = next(record.number for record in records if record.details.get("text") == "and still the two of us")
    changed = [
        replace(record, raw=record.raw.replace(honest, bad)) if record.number > second else record for record in records
    ]
    oracle = Oracle(changed)
    assert [(each.kind.value, each.message.name, each.phone) for each in oracle.violations()] == [
        ("lying lock", "m2", "alice"),
        ("lying lock", "m2", "bob"),
    ]
    assert _MALLORY in oracle.violations()[0].why
    assert oracle.readers("m1") == {"alice", "bob"}
    assert oracle.readers("m2") == {"alice", "bob", "mallory"}


@given(st.binary(max_size=200))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    for media_type in (MlsContentType.CLIENT, MlsContentType.SERVER):
        carried = Carried(hop=_HOP, media_type=media_type, octets=octets)
        assert GroupRosters([carried]).of(carried) is None
