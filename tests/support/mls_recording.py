"""Our half of a live exchange, written down call by call, and played again without the peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import Extension, Extensions
from rcs_sim.mls.identifiers import ExtensionType
from tests.support.mls_exchange import Member, OurMember, Sent
from tests.support.mls_tree_views import seeded

__all__ = ["RecordedMember", "Recording", "replay"]

Recording = dict[str, Any]
"""What a vector file holds: how our member was made, and its ``calls`` with what they gave."""

_Call = dict[str, Any]


class RecordedMember(OurMember):
    """Draws its octets from a seed and has a clock that stands, so that it does the same again."""

    def __init__(
        self, name: str, suite: int, *, seed: str, clock_s: int, public: bool = False, sends_tree: bool = True
    ) -> None:
        self.recording: Recording = {
            "name": name,
            "suite": suite,
            "seed": seed,
            "clock_s": clock_s,
            "public": public,
            "sends_tree": sends_tree,
            "calls": [],
        }
        super().__init__(
            name,
            CipherSuite.of(suite),
            public=public,
            sends_tree=sends_tree,
            random=seeded(seed),
            clock_s=lambda: clock_s,
        )

    def create(self, group_id: bytes, extensions: Extensions = ()) -> None:
        super().create(group_id, extensions)
        listed = [[int(each.extension_type), each.extension_data.hex()] for each in extensions]
        self._record("create", {"group_id": group_id.hex(), "extensions": listed})

    def key_package(self) -> bytes:
        return self._gives("key_package", {}, super().key_package())

    def join(self, welcome: bytes, tree: bytes | None) -> None:
        super().join(welcome, tree)
        self._record("join", {"welcome": welcome.hex(), "tree": _hex(tree)})

    def join_externally(self, group_info: bytes, *, tree: bytes | None = None, resync: bool = False) -> bytes:
        commit = super().join_externally(group_info, tree=tree, resync=resync)
        given = {"group_info": group_info.hex(), "tree": _hex(tree), "resync": resync}
        return self._gives("join_externally", given, commit)

    def add(self, key_packages: Sequence[bytes]) -> Sent:
        return self._sends(
            "add", {"key_packages": [octets.hex() for octets in key_packages]}, super().add(key_packages)
        )

    def update(self) -> Sent:
        return self._sends("update", {}, super().update())

    def remove(self, leaf: int, identity: bytes) -> Sent:
        return self._sends("remove", {"leaf": leaf, "identity": identity.hex()}, super().remove(leaf, identity))

    def propose_update(self) -> bytes:
        return self._gives("propose_update", {}, super().propose_update())

    def group_info(self, *, with_tree: bool = True, extensions: Extensions = ()) -> bytes:
        assert not extensions
        return self._gives("group_info", {"with_tree": with_tree}, super().group_info(with_tree=with_tree))

    def seal(self, text: bytes) -> bytes:
        return self._gives("seal", {"text": text.hex()}, super().seal(text))

    def receive(self, octets: bytes, sender: Member) -> bytes | None:
        text = super().receive(octets, sender)
        self._record("receive", {"octets": octets.hex()}, {"text": _hex(text), "authenticated_data": self.heard.hex()})
        return text

    def marks(self) -> Mapping[str, object]:
        found = super().marks()
        shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in found.items()}
        self._record("marks", {}, shown)
        return found

    def _record(self, call: str, given: _Call, gives: object = None) -> None:
        self.recording["calls"].append({"call": call, "given": given, "gives": gives})

    def _gives(self, call: str, given: _Call, octets: bytes) -> bytes:
        self._record(call, given, octets.hex())
        return octets

    def _sends(self, call: str, given: _Call, sent: Sent) -> Sent:
        welcomes = [octets.hex() for octets in sent.welcomes]
        self._record(call, given, {"commit": sent.commit.hex(), "welcomes": welcomes, "tree": _hex(sent.tree)})
        return sent


def _nothing(_member: RecordedMember, _octets: bytes) -> None:
    """What comes before a message, if nobody asks for anything."""


def replay(recording: Recording, before: Callable[[RecordedMember, bytes], None] = _nothing) -> Recording:
    """What the same calls give now. *before* is called with each message just before it is received."""
    settings = {name: recording[name] for name in ("name", "suite", "seed", "clock_s", "public", "sends_tree")}
    member = RecordedMember(**settings)
    for each in recording["calls"]:
        if each["call"] == "receive":
            before(member, bytes.fromhex(each["given"]["octets"]))
        _call(member, each["call"], each["given"])
    return member.recording


def _call(member: RecordedMember, call: str, given: _Call) -> None:
    match call:
        case "create":
            listed = (Extension(ExtensionType(number), bytes.fromhex(body)) for number, body in given["extensions"])
            member.create(bytes.fromhex(given["group_id"]), tuple(listed))
        case "add":
            member.add([bytes.fromhex(octets) for octets in given["key_packages"]])
        case "remove":
            member.remove(given["leaf"], bytes.fromhex(given["identity"]))
        case "join":
            member.join(bytes.fromhex(given["welcome"]), _octets(given["tree"]))
        case "join_externally":
            info = bytes.fromhex(given["group_info"])
            member.join_externally(info, tree=_octets(given["tree"]), resync=given["resync"])
        case "group_info":
            member.group_info(with_tree=given["with_tree"])
        case "seal":
            member.seal(bytes.fromhex(given["text"]))
        case "receive":
            member.receive(bytes.fromhex(given["octets"]), member)
        case "key_package" | "update" | "propose_update" | "marks":
            getattr(member, call)()
        case _:
            raise AssertionError(f"nobody knows the call {call}")


def _hex(octets: bytes | None) -> str | None:
    return None if octets is None else octets.hex()


def _octets(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
