"""Commits where every node of the tree has a key, in a small and in a large group, and joining the large one.

Run as `python -m rcs_sim.bench.mls_tree_load SMALL LARGE SAMPLES`; prints one JSON object: CPU milliseconds a Commit,
CPU and wall seconds a join.
"""

from __future__ import annotations

import json
import secrets
import sys
import time

from rcs_sim.bench.mls_commit_load import create_commit, follow_commit
from rcs_sim.bench.mls_members import NOW_S, client_of, joined, key_package_of, populated_group
from rcs_sim.bench.row import median
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group import Group
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add
from rcs_sim.mls.welcome import Welcome

__all__ = ["measure"]

_SUITE_ID = 2


def measure(small: int, large: int, samples: int) -> dict[str, dict[str, float]]:
    """Medians over *samples*; the groups take turns."""
    suite = CipherSuite.of(_SUITE_ID)
    groups = {count: populated_group(suite, count, (0, count - 1)) for count in (small, large)}
    taken: dict[int, tuple[list[float], list[float]]] = {count: ([], []) for count in groups}
    for number in range(samples + 1):
        for count, (committer, follower) in groups.items():
            created, followed = _commit_ms(committer, follower)
            if number:  # the first one warms up
                taken[count][0].append(created)
                taken[count][1].append(followed)
    found = {
        str(count): {"create_ms": median(created), "process_ms": median(followed)}
        for count, (created, followed) in taken.items()
    }
    return {**found, "join": _join_s(groups[large][0], samples)}


def _commit_ms(committer: Group, follower: Group) -> tuple[float, float]:
    start = time.process_time()
    octets = create_commit(committer)
    created = time.process_time()
    follow_commit(follower, octets)
    followed = time.process_time()
    committer.clear_pending()
    return (created - start) * 1e3, (followed - created) * 1e3


def _join_s(group: Group, samples: int) -> dict[str, float]:
    """Joining by a Welcome with the tree inside, all of which is validated."""
    package = key_package_of(client_of(group.suite, "the new one"))
    request = CommitRequest(proposals=(Add(package.key_package),))
    pending = group.commit(request, secrets.token_bytes, NOW_S)
    assert pending.welcome is not None
    octets = pending.welcome.encode()
    cpu, wall = [], []
    for _ in range(samples):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        welcome = MLSMessage.decode(octets).body
        assert isinstance(welcome, Welcome)
        joined(welcome, package)
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    return {"cpu_s": median(cpu), "wall_s": median(wall)}


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
