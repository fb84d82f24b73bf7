"""Commits in a group that was just made: ours, and mls-rs where it is installed.

Run as `python -m rcs_sim.bench.mls_commit_load MEMBERS SAMPLES`; prints one JSON object, CPU milliseconds a Commit.
"""

from __future__ import annotations

import gc
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from rcs_sim.bench.mls_members import NOW_S, FreshGroup, fresh_group
from rcs_sim.bench.mls_rs import MlsRsMember, is_installed
from rcs_sim.bench.row import median
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group import Group
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.public_state import VerifiedCommit

__all__ = ["create_commit", "follow_commit", "measure"]

_AT_A_TURN = 5

Operation: TypeAlias = Callable[[], object]


def _spread(members: int, samples: int) -> list[int]:
    """Numbers of members all over the tree, each with a neighbour: how far sender and reader are apart decides how many
    keys of a path the reader derives."""
    return [number * (members - 2) // samples for number in range(samples)]


class _Stack(Protocol):
    """Gives a Commit by a member that has made none, and the following of one by a member that has followed none."""

    def samples(self, count: int) -> Iterator[tuple[Operation, Operation]]: ...


def create_commit(group: Group) -> bytes:
    """A Commit of *group* with nothing but a path, which stays pending."""
    return group.commit(CommitRequest(), secrets.token_bytes, NOW_S).message.encode()


def follow_commit(group: Group, octets: bytes) -> Group:
    """The group after a Commit."""
    verified = group.verify(MLSMessage.decode(octets), NOW_S)
    assert isinstance(verified, VerifiedCommit)
    return group.merge(group.stage_commit(verified, NOW_S))


class _Ours:
    def __init__(self, suite_id: int, count: int) -> None:
        self._count = count
        self._made: FreshGroup = fresh_group(CipherSuite.of(suite_id), count)
        self._octets = create_commit(self._made.creator)

    def samples(self, count: int) -> Iterator[tuple[Operation, Operation]]:
        for number in _spread(self._count, count):
            committer, follower = self._made.join(number), self._made.join(number + 1)
            yield lambda one=committer: create_commit(one), lambda one=follower: follow_commit(one, self._octets)  # type: ignore[misc]  # default binds the loop variable


class _MlsRs:
    def __init__(self, count: int) -> None:
        creator, self._others = MlsRsMember("creator"), [MlsRsMember(f"member {number}") for number in range(1, count)]
        self._welcome = creator.create([each.key_package() for each in self._others])
        self._octets = creator.commit()

    def samples(self, count: int) -> Iterator[tuple[Operation, Operation]]:
        for number in _spread(len(self._others) + 1, count):
            committer, follower = self._others[number : number + 2]
            committer.join(self._welcome)
            follower.join(self._welcome)
            yield committer.commit, lambda one=follower: one.receive(self._octets)  # type: ignore[misc]  # default binds the loop variable


def measure(members: int, samples: int) -> dict[str, dict[str, float]]:
    """Medians over *samples* Commits, each by another member and followed by another; the stacks take turns."""
    stacks: dict[str, _Stack] = {"ours_1": _Ours(1, members), "ours_2": _Ours(2, members)}
    if is_installed():
        stacks["mls_rs"] = _MlsRs(members)
    ready = {name: list(stack.samples(samples)) for name, stack in stacks.items()}
    gc.collect()
    gc.freeze()  # a member has no other sixty groups in its process that the garbage collector has to look through
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in stacks}
    for start in range(0, samples, _AT_A_TURN):
        for name, waiting in ready.items():
            turn = waiting[start : start + _AT_A_TURN]
            taken[name][0].extend([_cpu_ms(create) for create, _ in turn])
            taken[name][1].extend([_cpu_ms(follow) for _, follow in turn])
    gc.unfreeze()
    return {
        name: {"create_ms": median(created), "process_ms": median(followed)}
        for name, (created, followed) in taken.items()
    }


def _cpu_ms(operation: Operation) -> float:
    start = time.process_time()
    operation()
    return (time.process_time() - start) * 1e3


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
