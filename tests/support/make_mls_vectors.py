"""Makes tests/vectors/mls: live exchanges that an outside stack has accepted, with all that our member said and heard.

``python -m tests.support.make_mls_vectors`` wants the extra ``peers`` and ts-mls, and writes the files anew.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import ExternalSenders
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add, Remove
from tests.support.mls_agentvault import AgentvaultMember
from tests.support.mls_davey import CHANNEL, DaveyMember, Gateway, user_identity
from tests.support.mls_exchange import GROUP_ID, agree, tell, walk
from tests.support.mls_recording import RecordedMember
from tests.support.mls_rine import RineMember
from tests.support.mls_ts import TsMember, TsStack, ts_mls_folder, ts_stack

__all__ = ["FOLDER", "main"]

FOLDER = Path(__file__).parents[1] / "vectors" / "mls"
_ABOUT = (
    "Our half of a live exchange of MLS (RFC 9420) that an outside stack has accepted, step by step. From the seed, "
    "the engine makes the same octets again; what the peer sent is in it. Made by tests/support/make_mls_vectors.py."
)


def _ours(*, public: bool = False, sends_tree: bool = True, suite: int = 1) -> RecordedMember:
    seed = secrets.token_hex(8)
    return RecordedMember("ours", suite, seed=seed, clock_s=int(time.time()), public=public, sends_tree=sends_tree)


def _write(name: str, peer: str, member: RecordedMember) -> None:
    FOLDER.mkdir(exist_ok=True)
    content = {"about": _ABOUT, "peer": peer, **member.recording}
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(member.recording['calls'])} calls, {path.stat().st_size} octets")


def _agentvault() -> None:
    peer = f"agentvault-mls-rs-uniffi {version('agentvault-mls-rs-uniffi')}"
    member = _ours(public=True)
    walk(AgentvaultMember("bob"), member, AgentvaultMember("carol"))
    _write("agentvault-suite-1-joiner", peer, member)


def _rine(folder: Path) -> None:
    peer = f"rine-mls {version('rine-mls')}"
    member = _ours()
    walk(member, RineMember(folder / "bob", 1), RineMember(folder / "carol", 1))
    _write("rine-suite-1-creator", peer, member)


def _ts(stack: TsStack) -> None:
    installed = json.loads((ts_mls_folder() / "node_modules" / "ts-mls" / "package.json").read_text())["version"]
    peer = f"ts-mls {installed}"
    for suite in (1, 2):
        member = _ours(suite=suite, public=suite == 1, sends_tree=suite == 1)
        walk(member, TsMember(stack, "bob", suite), TsMember(stack, "carol", suite))
        _write(f"ts-mls-suite-{suite}-creator", peer, member)
        member = _ours(suite=suite)
        walk(TsMember(stack, "bob", suite), member, TsMember(stack, "carol", suite, public=True))
        _write(f"ts-mls-suite-{suite}-joiner", peer, member)
        member = _ours(suite=suite)
        _external(member, TsMember(stack, "bob", suite), TsMember(stack, "carol", suite))
        _write(f"ts-mls-suite-{suite}-external", peer, member)


def _external(member: RecordedMember, first: TsMember, second: TsMember) -> None:
    """*member* comes in and back in by external Commits, then *second* does, and proposals by reference go through."""
    first.create(GROUP_ID)
    for resync in (False, True):
        first.receive(member.join_externally(first.group_info(), resync=resync), member)
        agree(member, first)
    commit = second.join_externally(member.group_info())
    for other in (member, first):
        other.receive(commit, second)
    agree(member, first, second)
    octets = member.propose_update()
    for other in (first, second):
        other.receive(octets, member)
    tell(first.update(), first, (member, second))
    agree(member, first, second)


def _davey() -> None:
    suite = CipherSuite.of(2)
    member = RecordedMember("ours678.", 2, seed=secrets.token_hex(8), clock_s=int(time.time()), public=True)
    gateway = Gateway(suite, secrets.token_bytes)
    peer, third = DaveyMember(7, gateway), DaveyMember(9, gateway)
    users = (7, 9, int.from_bytes(member.identity, "big"))
    member.create(user_identity(CHANNEL), (ExternalSenders((gateway.sender,)).as_extension(),))
    member.receive(gateway.propose(member.group.epoch, _add(peer.key_package())), member)
    peer.join(member.update().welcomes[0])
    _agree(member, peer)
    octets = gateway.propose(member.group.epoch, _add(third.key_package()))
    member.receive(octets, member)
    sent = peer.take_proposals([octets], users)
    assert sent is not None
    member.receive(sent.commit, member)
    peer.follow(sent.commit)
    third.join(sent.welcomes[0])
    _agree(member, peer, third)
    removal = gateway.propose(member.group.epoch, Remove(LeafIndex(member.leaf_of(third.identity))))
    member.receive(removal, member)
    peer.take_proposals([removal], users)
    peer.follow(member.update().commit)
    _agree(member, peer)
    _write("davey-suite-2-creator", f"davey {version('davey')}", member)


def _agree(member: RecordedMember, *peers: DaveyMember) -> None:
    marks = member.marks()
    assert all((peer.epoch, peer.authenticator) == (marks["epoch"], marks["authenticator"]) for peer in peers)


def _add(key_package: bytes) -> Add:
    body = MLSMessage.decode(key_package).body
    assert isinstance(body, KeyPackage)
    return Add(body)


def main() -> None:
    """Writes all files."""
    node = shutil.which("node")
    if node is None:
        sys.exit("Node.js is not installed")
    _agentvault()
    with tempfile.TemporaryDirectory() as folder:
        _rine(Path(folder))
    with ts_stack(node) as stack:
        _ts(stack)
    _davey()


if __name__ == "__main__":
    main()
