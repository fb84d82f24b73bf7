"""MLS with several stacks in one group of suite 1: random histories, in which each commits and follows the others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rcs_sim.mls.crypto import CipherSuite
from tests.support.mls_agentvault import AgentvaultMember
from tests.support.mls_exchange import Member, OurMember, agree, establish, tell
from tests.support.mls_rine import RineMember
from tests.support.mls_ts import TsMember, TsStack, takes_tree, ts_mls_folder, ts_stack
from tests.support.peers import require, require_folder, require_package

pytestmark = pytest.mark.interop

SUITE = CipherSuite.of(1)
STEPS, MOST_MEMBERS = 14, 7
KINDS = ("ours", "agentvault", "rine", "ts-mls")


@pytest.fixture(scope="module")
def stack() -> Iterator[TsStack]:
    require_package("mls_rs_uniffi", "peers")
    require_package("rine_mls", "peers")
    node = require("node")
    require_folder(ts_mls_folder() / "node_modules" / "ts-mls", "npm ci; see .ci/run")
    with ts_stack(node) as running:
        yield running


class Crowd:
    """Who is in the group, and what happens to it. Our *watcher* stays in from the start."""

    def __init__(self, seed: int, stack: TsStack, folder: Path) -> None:
        self._random = random.Random(seed)
        self._stack, self._folder = stack, folder
        self._born = 0
        self.done: list[str] = []
        self.watcher = OurMember("watcher", SUITE, public=seed % 2 == 1)
        self.members: list[Member] = [self.watcher]

    def newcomer(self, kinds: tuple[str, ...] = KINDS) -> Member:
        self._born += 1
        kind = self._random.choice(kinds)
        name = f"{kind} {self._born}"
        match kind:
            case "agentvault":
                return AgentvaultMember(name)
            case "rine":
                return RineMember(self._folder / name, SUITE.id)
            case "ts-mls":
                return TsMember(self._stack, name, SUITE.id, public=self._random.random() < 0.5)
        return OurMember(name, SUITE, public=self._random.random() < 0.5)

    def found(self) -> None:
        """A group made by whoever it is, with our watcher in it."""
        creator = self.newcomer()
        establish(creator, self.watcher)
        self.members.append(creator)

    def step(self) -> None:
        options: list[Callable[[], None]] = [self._add, self._come_in, self._update, self._update]
        if len(self.members) > 2:
            options += [self._remove] * (4 if len(self.members) >= MOST_MEMBERS else 1)
        if len(self.members) >= MOST_MEMBERS:
            options = options[2:]
        self._random.choice(options)()
        agree(*self.members)
        for member in self.members:
            if isinstance(member, OurMember) and self._random.random() < 0.3:
                member.reload()

    def _add(self) -> None:
        committer = self._random.choice(self.members)
        joiners = [self.newcomer() for _ in range(self._random.randint(1, 2))]
        self._note("adds", committer, *joiners)
        sent = committer.add([joiner.key_package() for joiner in joiners])
        tell(sent, committer, self.members)
        for place, joiner in enumerate(joiners):
            if self._can_join(joiner):
                joiner.join(sent.welcomes[place if len(sent.welcomes) > 1 else 0], sent.tree)
                self.members.append(joiner)

    def _can_join(self, joiner: Member) -> bool:
        """Who cannot has a leaf, and never shows up."""
        return not isinstance(joiner, TsMember) or takes_tree(self.watcher.group.tree)

    def _update(self) -> None:
        committer = self._random.choice(self.members)
        self._note("renews", committer)
        sent = committer.update()
        if sent is not None:
            tell(sent, committer, self.members)

    def _remove(self) -> None:
        committer, removed = self._random.sample([each for each in self.members if each is not self.watcher], 2)
        if self._random.random() < 0.3:
            committer = self.watcher
        self._note("removes", committer, removed)
        sent = committer.remove(self.watcher.leaf_of(removed.identity), removed.identity)
        self.members.remove(removed)
        tell(sent, committer, self.members)

    def _come_in(self) -> None:
        hosts = [each for each in self.members if isinstance(each, (OurMember, RineMember, TsMember))]
        joiner, host = self.newcomer(("ours", "rine", "ts-mls")), self._random.choice(hosts)
        assert isinstance(joiner, (OurMember, RineMember, TsMember))
        if not self._can_join(joiner):
            return
        self._note("comes in by", joiner, host)
        commit = joiner.join_externally(host.group_info())
        for member in self.members:
            member.receive(commit, joiner)
        self.members.append(joiner)

    def _note(self, what: str, who: Member, *whom: Member) -> None:
        self.done.append(f"{type(who).__name__} {what} {[type(each).__name__ for each in whom]}")


@pytest.mark.parametrize("seed", range(8))
def test_a_random_history_of_four_stacks_keeps_all_in_one_epoch(seed: int, stack: TsStack, tmp_path: Path) -> None:
    crowd = Crowd(seed, stack, tmp_path)
    crowd.found()
    for _ in range(STEPS):
        crowd.step()
