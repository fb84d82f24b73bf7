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
from tests.scenarios.e2ee.test_peer_to_peer import p2p
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import pair_locked, rekey
from tests.support.outside_wire import first, identifier, read_framed, value

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


# --- where nobody arbitrates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), [("ios", "ios"), ("android", "ios"), ("ios", "android")])
@scenario(p2p, is_read_by_others=False)
async def test_phones_that_send_welcomes_and_commits_to_each_other_show_who_is_in_the_group(
    stage: Stage, ours: str, theirs: str
) -> None:
    """iPhones write the nodes of the tree behind the Welcome; after a commit there is no tree at all."""
    alice, bob = await pair_locked(stage, ours, theirs)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        rekey(phone, peer)
        await asyncio.sleep(30)
        await (await phone.chat(peer).send(f"after a commit of {phone.name}")).delivered(within_s=60)
    readings = Oracle(stage.sink.records).readings
    sealed = [each.carried for message in readings.messages for each in readings.passages(message) if each.carried]
    states = {each.epoch_authenticator for each in sealed if each.media_type == MlsContentType.MESSAGE}
    assert len(states) == 3
    for each in sealed:
        roster = readings.rosters.of(each)
        assert roster is not None
        assert roster.numbers == {_ALICE[1:], _BOB[1:]}


def _request_to(contents: Sequence[Carried], authenticator: bytes) -> Carried:
    """The request that leads to this state."""
    requests = [each for each in contents if each.media_type == MlsContentType.CLIENT]
    return next(each for each in requests if first(each.octets, 9, 4) == authenticator)


def test_a_ghost_that_a_lone_commit_lets_in_is_in_the_group(records: Sequence[TraceRecord]) -> None:
    """The commit is that of the ghost, without the tree that a focus would have got beside it."""
    reader = ContentReader()
    contents = [each for record in records for each in reader.read(record)]
    (before, _), (after, _) = _authenticators(records)
    request = _request_to(contents, after)
    commit = first(request.octets, 6)
    bundle = value(2, value(1, value(2, value(1, commit))) + value(2, identifier(1, 2, after)) + value(4, after))
    made = [each for each in contents if each.epoch_authenticator == before]
    lone = Carried(hop=_HOP, media_type=MlsContentType.SERVER, octets=bundle, epoch_authenticator=before)
    sealed = Carried(hop=_HOP, media_type=MlsContentType.MESSAGE, epoch_authenticator=after)
    roster = GroupRosters([each for each in made if each is not request] + [lone]).of(sealed)
    assert roster is not None
    assert roster.numbers == {_ALICE[1:], _BOB[1:], _MALLORY[1:]}
    assert GroupRosters([lone]).of(sealed) is None  # who was in before, nobody knows


@pytest.mark.parametrize("is_behind", [True, False])
def test_the_tree_of_a_lone_welcome_is_behind_it(records: Sequence[TraceRecord], is_behind: bool) -> None:
    reader = ContentReader()
    contents = [each for record in records for each in reader.read(record)]
    (before, _), _ = _authenticators(records)
    request = _request_to(contents, before)
    welcome, tree = first(request.octets, 8), first(request.octets, 9, 2)
    octets = welcome + (read_framed(tree)[0] if is_behind else b"")
    for kind in (MlsContentType.SERVER, MlsContentType.CLIENT):
        lone = Carried(hop=_HOP, media_type=kind, octets=octets, epoch_authenticator=before)
        roster = GroupRosters([lone]).of(lone)
        assert (roster is not None) is is_behind
        assert roster is None or roster.numbers == {_ALICE[1:], _BOB[1:]}


@given(st.binary(max_size=200))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    for media_type in (MlsContentType.CLIENT, MlsContentType.SERVER):
        carried = Carried(hop=_HOP, media_type=media_type, octets=octets)
        assert GroupRosters([carried]).of(carried) is None
