"""ts-mls as a member: suites 1 and 2, basic and X.509 credentials. It runs in Node.js; see ts_mls/peer.mjs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_math import direct_path, node_of
from tests.support.mls_exchange import EXPORT_CONTEXT, EXPORT_LABEL, EXPORT_OCTETS, Member, Sent

__all__ = ["TsKey", "TsMember", "TsStack", "takes_tree", "ts_mls_folder", "ts_stack"]

_PEER = Path(__file__).parent / "ts_mls" / "peer.mjs"
_STOP_S = 10.0


def ts_mls_folder() -> Path:
    """Where ``npm ci`` of ts_mls/package.json was run: in the virtual environment, unless RCS_SIM_TS_MLS says where."""
    return Path(os.environ.get("RCS_SIM_TS_MLS", Path(sys.prefix) / "share" / "ts_mls"))


def takes_tree(tree: RatchetTree) -> bool:
    """Whether ts-mls 1.6.4 joins a group with *tree*: it wants all nodes above an unmerged leaf to have the same list,
    where RFC 9420 §7.9 wants the leaf in the lists between it and the node."""
    for _, parent in tree.parents():
        for leaf in parent.unmerged_leaves:
            above = (tree.parent(node) for node in direct_path(node_of(leaf), tree.leaf_count))
            if any(other is not None and other.unmerged_leaves != parent.unmerged_leaves for other in above):
                return False
    return True


@dataclass(frozen=True, slots=True)
class TsKey:
    """A signature key made here, for ts-mls writes P-256 points compressed, as *is_compressed* has it."""

    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    is_compressed: bool = False

    @classmethod
    def for_suite(cls, suite: int) -> TsKey:
        return cls(ed25519.Ed25519PrivateKey.generate() if suite == 1 else ec.generate_private_key(ec.SECP256R1()))

    @property
    def private_octets(self) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.private_bytes_raw()
        return self.private.private_numbers().private_value.to_bytes(32, "big")

    @property
    def public_octets(self) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.public_key().public_bytes_raw()
        form = PublicFormat.CompressedPoint if self.is_compressed else PublicFormat.UncompressedPoint
        return self.private.public_key().public_bytes(Encoding.X962, form)


class TsStack:
    """The running Node.js."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._names = 0

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **given}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Node.js has ended"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, f"ts-mls, asked to {do}: {answer['error']}"
        return answer

    def next_name(self) -> str:
        self._names += 1
        return f"member {self._names}"


@contextmanager
def ts_stack(node: str) -> Iterator[TsStack]:
    """Node.js with ts-mls in it, for as long as the context lasts."""
    command = [node, str(_PEER), str(ts_mls_folder())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield TsStack(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


class TsMember:
    """*public* makes its handshakes PublicMessages; *sends_tree* puts the tree into a Welcome. *certificates* make its
    credential an X.509 one; *extensions* and *proposals* are the types beyond RFC 9420 that it is told it knows.
    *lifetime*, in Unix seconds, is that of its leaves: a week where nobody says it."""

    def __init__(
        self,
        stack: TsStack,
        identity: str,
        suite: int,
        *,
        public: bool = False,
        sends_tree: bool = True,
        key: TsKey | None = None,
        certificates: Sequence[bytes] = (),
        extensions: Sequence[int] = (),
        leaf_extensions: Extensions = (),
        proposals: Sequence[int] = (),
        psks: Mapping[bytes, bytes] | None = None,
        lifetime: tuple[int, int] | None = None,
    ) -> None:
        self._stack = stack
        self._name = stack.next_name()
        self.identity = identity.encode()
        self.public, self.sends_tree = public, sends_tree
        self.authenticated_data = b"sent by " + self.identity
        self.heard = b""
        key = key or TsKey.for_suite(suite)
        own = [each.hex() for each in certificates]
        self._ask(
            "client",
            suite=suite,
            credential={"certificates": own} if own else {"identity": self.identity.hex()},
            private_key=key.private_octets.hex(),
            public_key=key.public_octets.hex(),
            extensions=list(extensions),
            leaf_extensions=_as_json(leaf_extensions),
            proposals=list(proposals),
            psks=[(psk_id.hex(), psk.hex()) for psk_id, psk in (psks or {}).items()],
            lifetime=lifetime,
        )

    def key_package(self, extensions: Extensions = ()) -> bytes:
        return _octets(self._ask("key_package", extensions=_as_json(extensions)))

    def create(self, group_id: bytes, extensions: Extensions = ()) -> None:
        self._ask("create", group_id=group_id.hex(), extensions=_as_json(extensions))

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        beside = {} if tree is None else {"tree": tree.hex()}
        self._ask("join", welcome=welcome.hex(), **beside)

    def join_externally(self, group_info: bytes, *, tree: bytes | None = None, resync: bool = False) -> bytes:
        """The external Commit by which it comes in, or back in."""
        beside = {} if tree is None else {"tree": tree.hex()}
        data = self.authenticated_data.hex()
        made = self._ask(
            "join_externally", group_info=group_info.hex(), resync=resync, authenticated_data=data, **beside
        )
        return _octets(made)

    def add(self, key_packages: Sequence[bytes]) -> Sent:
        return self.commit(*({"type": "add", "key_package": octets.hex()} for octets in key_packages))

    def update(self) -> Sent:
        return self.commit()

    def remove(self, leaf: int, identity: bytes) -> Sent:
        return self.commit({"type": "remove", "leaf": leaf})

    def commit(self, *proposals: Mapping[str, Any], welcome_extensions: Extensions = ()) -> Sent:
        made = self._ask(
            "commit",
            public=self.public,
            tree=self.sends_tree,
            proposals=list(proposals),
            authenticated_data=self.authenticated_data.hex(),
            welcome_extensions=_as_json(welcome_extensions),
        )
        return _sent(made, tree_beside=not self.sends_tree)

    def propose(self, **proposal: Any) -> bytes:
        data = self.authenticated_data.hex()
        return _octets(self._ask("propose", public=self.public, proposal=proposal, authenticated_data=data))

    def seal(self, text: bytes) -> bytes:
        return _octets(self._ask("seal", text=text.hex(), authenticated_data=self.authenticated_data.hex()))

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        found = self._ask("receive", octets=octets.hex())
        self.heard = bytes.fromhex(found["authenticated_data"])
        return None if found["text"] is None else bytes.fromhex(found["text"])

    def group_info(self, *, with_tree: bool = True, extensions: Extensions = ()) -> bytes:
        return _octets(self._ask("group_info", tree=with_tree, extensions=_as_json(extensions)))

    def keep(self) -> None:
        """Remembers the state for `go_back`."""
        self._ask("keep")

    def go_back(self) -> None:
        self._ask("go_back")

    def tree(self) -> bytes:
        """The ratchet tree of its group, as ``ratchet_tree<V>``."""
        return _octets(self._ask("tree"))

    def headless_group_info(self) -> bytes:
        """As ts-mls makes it itself: external_pub lacks its length header."""
        return _octets(self._ask("headless_group_info"))

    def marks(self) -> Mapping[str, object]:
        shown = self._ask("marks", label=EXPORT_LABEL, context=EXPORT_CONTEXT.hex(), length=EXPORT_OCTETS)
        return {
            "epoch": shown["epoch"],
            "authenticator": bytes.fromhex(shown["authenticator"]),
            "exporter": bytes.fromhex(shown["exporter"]),
            "tree hash": bytes.fromhex(shown["tree_hash"]),
        }

    def group_id(self) -> bytes:
        shown = self._ask("marks", label=EXPORT_LABEL, context=EXPORT_CONTEXT.hex(), length=EXPORT_OCTETS)
        return bytes.fromhex(shown["group_id"])

    def context_extensions(self) -> list[tuple[int | str, bytes]]:
        """Those of the group; the types of RFC 9420 have names in ts-mls."""
        shown = self._ask("marks", label=EXPORT_LABEL, context=EXPORT_CONTEXT.hex(), length=EXPORT_OCTETS)
        return [(number, bytes.fromhex(body)) for number, body in shown["extensions"]]

    # --- groups that come out of a group: *origin* is its member in the old one ---------------------------------------

    def end(self, group_id: bytes, suite: int, extensions: Extensions = ()) -> Sent:
        """A Commit of a ReInit."""
        made = self._ask("end", group_id=group_id.hex(), suite=suite, extensions=_as_json(extensions))
        return _sent(made, tree_beside=True)

    def branch(self, origin: TsMember, group_id: bytes, key_packages: Sequence[bytes]) -> Sent:
        """Makes a subgroup."""
        packages = [octets.hex() for octets in key_packages]
        made = self._ask("branch", origin=origin._name, group_id=group_id.hex(), key_packages=packages)
        return _sent(made, tree_beside=True)

    def reinitialize(self, origin: TsMember, key_packages: Sequence[bytes]) -> Sent:
        """Makes the group that a ReInit has asked for."""
        packages = [octets.hex() for octets in key_packages]
        return _sent(self._ask("reinitialize", origin=origin._name, key_packages=packages), tree_beside=True)

    def join_successor(self, origin: TsMember, welcome: bytes) -> None:
        self._ask("join_successor", origin=origin._name, welcome=welcome.hex())

    def _ask(self, do: str, **given: Any) -> dict[str, Any]:
        return self._stack.ask(do, name=self._name, **given)


def _sent(made: Mapping[str, Any], *, tree_beside: bool) -> Sent:
    welcomes = () if made["welcome"] is None else (bytes.fromhex(made["welcome"]),)
    return Sent(bytes.fromhex(made["commit"]), welcomes, bytes.fromhex(made["tree"]) if tree_beside else None)


def _octets(answer: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(answer["octets"])


def _as_json(extensions: Extensions) -> list[tuple[int, str]]:
    return [(int(each.extension_type), each.extension_data.hex()) for each in extensions]
