"""What one member keeps of a group: in memory and as a snapshot.

Run as `python -m rcs_sim.bench.mls_member_memory MEMBERS CERTIFICATE_OCTETS`; prints one JSON object, in KiB. A process
of its own, for counting every allocation takes time.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Iterator, Sequence

from rcs_sim.bench.mls_commit_load import create_commit, follow_commit
from rcs_sim.bench.mls_members import fresh_group
from rcs_sim.mls.credential import forget_shared_certificates
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group import Group
from rcs_sim.mls.snapshot import snapshot

__all__ = ["measure"]

_SUITE_ID = 2


def measure(members: int, certificate_octets: int = 0) -> dict[str, float]:
    """A member that has joined, and the same after some epochs, of which it keeps what its policy says. The leaves have
    credentials of *certificate_octets*, or basic ones."""
    made = fresh_group(CipherSuite.of(_SUITE_ID), members, certificate_octets)
    commits = list(_commits(made.creator))
    _follow(made.join(1), commits)  # what is kept once per process, by whomsoever, is there then
    forget_shared_certificates()  # those of the leaves are the member's own
    tracemalloc.start()
    try:
        before = _traced()
        group = made.join(0)
        found = {"joined_kib": _traced() - before, "joined_serialised_kib": len(snapshot(group)) / 1024}
        group = _follow(group, commits)
        return {**found, "later_kib": _traced() - before, "later_serialised_kib": len(snapshot(group)) / 1024}
    finally:
        tracemalloc.stop()


def _follow(group: Group, commits: Sequence[bytes]) -> Group:
    for octets in commits:
        group = follow_commit(group, octets)
    return group


def _commits(group: Group) -> Iterator[bytes]:
    """As many in a row as fill the past epochs that a member keeps, and one more."""
    for _ in range(group.policy.past_epochs + 1):
        yield create_commit(group)
        group = group.merge_pending()


def _traced() -> float:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:3]))))
