"""The stranger of `test_outside_member` where nobody arbitrates, and over the end of the focus's process."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.encrypted_phones import rekey
from tests.support.mls_ts import TsStack
from tests.support.outside_line import OutsideLine, outside_line
from tests.support.outside_member import Account, enrolled
from tests.support.outside_pair import (
    CLIENT,
    KDS_OF,
    PULL,
    SERVER,
    OutsideNetwork,
    authenticator_of,
    encrypting_network,
    outside_network,
    outside_pair,
    outside_stack,
)
from tests.support.outside_wire import Cpim, compose, fields, first, identifier, read_framed, value
from tests.support.peers import Program, program
from tests.support.raw_phone import RawSubscriber
from tests.support.real_phones import until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def stack() -> Iterator[TsStack]:
    with outside_stack() as running:
        yield running


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideNetwork]:
    with outside_network(tmp_path_factory.mktemp("p2p"), "p2p") as running:
        yield running


@pytest.mark.parametrize("kind", [SERVER, CLIENT])
@pytest.mark.parametrize("form", ["tree inside", "nodes behind", "arm 2"])
async def test_without_a_focus_a_lone_welcome_and_a_lone_commit_are_enough(
    network: OutsideNetwork, stack: TsStack, form: str, kind: str
) -> None:
    """What the carrier leg of the reference sends (§4.7, §5.6, §14.4)."""
    async with outside_pair(network, stack, "blue", "android") as pair:  # the phone's carrier counts
        member = pair.member
        member.mls.sends_tree = form == "tree inside"
        member.create(member.claim(pair.theirs, 2), "mls-welcome-1")
        welcome, tree = member.last.welcomes[0], member.mls.tree()
        bodies = {
            "tree inside": welcome,
            "nodes behind": welcome + read_framed(tree)[0],
            "arm 2": value(2, value(1, value(1, value(1, welcome) + value(2, tree)))),
        }
        await pair.gives("mls-welcome-1", bodies[form], SERVER, member.state)
        await pair.says("no focus between us")
        await pair.reads("nor from me")
        member.mls.sends_tree, base = False, member.state
        member.commit("a-commit")
        await pair.gives("a-commit", member.last.commit, kind, base)
        await until(pair.phones, lambda: authenticator_of(pair) == member.state[2])
        await pair.says("after mine")
        rekey(pair.phone, pair.own)
        await pair.follows()
        await pair.reads("after yours")


# --- over the end of the process --------------------------------------------------------------------------------------


@asynccontextmanager
async def _line_at(carrier: dict[str, Any], own: str) -> AsyncIterator[OutsideLine]:
    subscriber = RawSubscriber.of(carrier, f"sip:{own}@")
    async with outside_line(carrier["pcscf"]["tcp"], subscriber, KDS_OF["red"]) as line:
        yield line


@contextmanager
def _running(folder: Path, network: Path) -> Iterator[tuple[Program, dict[str, Any]]]:
    command = [sys.executable, "-m", "rcs_sim", "up", "--json", "--ports", "free", "--state", str(folder / "state")]
    with program([*command, "--network", str(network)], cwd=folder) as running:
        yield running, json.loads(running.expect_line('{"ready"'))["carriers"]


async def test_what_the_focus_has_accepted_survives_a_kill_and_is_answered_alike(
    stack: TsStack, tmp_path: Path
) -> None:
    network = encrypting_network(tmp_path, "rcc16-strict", bulk=2)
    own, peer = "+12125550100", "+12125550101"
    with _running(tmp_path, network) as (process, carriers):
        account = Account.configured(carriers["red"], own)
        member, other = enrolled(account, stack, 2), enrolled(Account.configured(carriers["red"], peer), stack, 2)
        async with _line_at(carriers["red"], own) as line:
            talk = _Talk(line, peer)
            states, request = [], member.create([other.mls.key_package()], "create")
            assert (await talk.ask("create", request, member.state)).reason == ""
            for number in range(3):
                states.append(member.state)
                request = member.commit(f"commit-{number}")
                assert (await talk.ask(f"commit-{number}", request, states[-1])).reason == ""
            process.stop(signal.SIGKILL)
    with _running(tmp_path, network) as (_, carriers):
        async with _line_at(carriers["red"], own) as line:
            talk = _Talk(line, peer)
            again = await talk.ask("commit-2", request, states[-1])
            assert first(again.body, 4, 2, 1) == identifier(*member.state)
            stale = await talk.ask("commit-9", request, states[-1])
            assert stale.reason == "incorrect-epoch"
            pulled = await talk.ask("pull", identifier(*states[0]), member.state, PULL)
            listed = [held for number, held in fields(pulled.body) if number == 4 and isinstance(held, bytes)]
            assert [first(each, 1) for each in listed] == [b"commit-0", b"commit-1", b"commit-2"]
            base = member.state
            assert (await talk.ask("commit-3", member.commit("commit-3"), base)).reason == ""


@dataclass
class _Talk:
    """Requests without a phone at the other end."""

    line: OutsideLine
    peer: str

    async def ask(self, control_id: str, body: bytes, state: tuple[int, int, bytes], kind: str = CLIENT) -> Cpim:
        cpim = compose(control_id, kind, body, era=state[0], authenticator=state[2])
        assert await self.line.say(f"tel:{self.peer}", cpim) in (200, 202)
        return await self.line.cpim(lambda each: each.in_reply_to == control_id, 10.0)
