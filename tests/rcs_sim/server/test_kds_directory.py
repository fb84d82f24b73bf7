"""The directory of clients and packages, and what of it survives a restart, also one in the middle of something."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ims_core.store.key_directory import (
    DIRECTORY_CLIENTS,
    KEY_PACKAGES,
    SPENT_KEY_PACKAGES,
    DirectoryClient,
)
from rcs_sim.server.kds_actions import Change, Drop, Keep
from rcs_sim.server.kds_directory import MAX_CLIENTS, SILENT_S, KeyDirectory, UploadedPackage

_NOW = 1_000_000
_LATER = _NOW + 60 * 86_400
_NUMBER = "12025550101"


def _client(name: str, not_after_s: int = _LATER) -> DirectoryClient:
    return DirectoryClient(msisdn=_NUMBER, client_id=name, leaf_key=b"key", not_after_s=not_after_s)


def _package(number: int) -> UploadedPackage:
    octets, pieces = b"package %d" % number, (b"ck", b"age")
    return UploadedPackage(octets=octets, reference=b"ref %d" % number, not_after_s=_LATER, credential=pieces)


class _Disk:
    """Records as a store keeps them."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}

    def write(self, changes: list[Change]) -> None:
        for change in changes:
            match change:
                case Keep(kind, record):
                    self.tables.setdefault(kind.name, {})[kind.key(record)] = record
                case Drop(kind, key):
                    self.tables.get(kind.name, {}).pop(key, None)

    def restored(self, now_s: int = _NOW) -> KeyDirectory:
        directory = KeyDirectory()
        kinds = (DIRECTORY_CLIENTS, KEY_PACKAGES, SPENT_KEY_PACKAGES)
        listed = [[record for _, record in sorted(self.tables.get(kind.name, {}).items())] for kind in kinds]
        self.write(directory.restore(listed[0], listed[1], listed[2], now_s))
        return directory


def test_an_upload_that_a_kill_cuts_off_leaves_the_old_packages() -> None:
    client = _client("one")
    changes = KeyDirectory().enrol(client, _NOW)
    for cut in range(1, 20):
        disk, directory = _Disk(), KeyDirectory()
        disk.write(changes)
        directory.enrol(client, _NOW)
        disk.write(directory.replace_packages(client, [_package(1), _package(2)], None, _NOW)[1])
        known = directory.client(_NUMBER, "one")
        assert known is not None
        _, second = directory.replace_packages(known, [_package(n) for n in range(3, 7)], _package(9), _NOW)
        disk.write(second[:cut])
        again = disk.restored()
        assert again.pool_sizes(_NUMBER) in ({"one": 2}, {"one": 5})
        served, _ = again.claim(_NUMBER, _NOW)
        first = 1 if again.pool_sizes(_NUMBER) == {"one": 1} else 3
        assert served[0].key_package == b"package %d" % first
        assert len(disk.tables["key_packages"]) == (2 if first == 1 else 5)


def test_what_was_served_before_a_kill_is_not_served_after_it() -> None:
    disk, directory = _Disk(), KeyDirectory()
    disk.write(directory.enrol(_client("one"), _NOW))
    known = directory.client(_NUMBER, "one")
    assert known is not None
    disk.write(directory.replace_packages(known, [_package(1), _package(2)], None, _NOW)[1])
    served, changes = directory.claim(_NUMBER, _NOW)
    disk.write(changes[:1])  # the kill comes before the package itself is dropped
    again, _ = disk.restored().claim(_NUMBER, _NOW)
    assert [served[0].key_package, again[0].key_package] == [b"package 1", b"package 2"]
    assert len(disk.tables["key_packages"]) == 1


def test_of_several_devices_one_that_is_silent_for_a_week_is_not_served() -> None:
    directory = KeyDirectory()
    for name in ("gone", "here"):
        directory.replace_packages(_client(name), [_package(1)], _package(9), _NOW)
    later = _NOW + SILENT_S
    assert len(directory.claim(_NUMBER, later)[0]) == 2  # nobody was heard of since: both may be off
    directory.replace_packages(_client("here"), [_package(2)], _package(8), later)
    assert [each.client_id for each in directory.claim(_NUMBER, later)[0]] == ["here"]
    directory.replace_packages(_client("gone"), [_package(3)], _package(7), later + 60)
    assert [each.client_id for each in directory.claim(_NUMBER, later + 60)[0]] == ["gone", "here"]


def test_memories_of_spent_packages_end_with_their_certificate() -> None:
    disk, directory = _Disk(), KeyDirectory()
    disk.write(directory.enrol(_client("one"), _NOW))
    known = directory.client(_NUMBER, "one")
    assert known is not None
    disk.write(directory.replace_packages(known, [_package(1)], None, _NOW)[1])
    disk.write(directory.claim(_NUMBER, _NOW)[1])
    assert len(disk.tables["spent_key_packages"]) == 1
    disk.restored(_LATER + 1)
    assert disk.tables["spent_key_packages"] == {}


def test_the_client_whose_certificate_ends_first_gives_way() -> None:
    directory = KeyDirectory()
    for number in range(MAX_CLIENTS):
        directory.enrol(_client(f"{number:02d}", _LATER - number), _NOW)
    directory.enrol(_client("one more"), _NOW)
    names = [client.client_id for client in directory.clients(_NUMBER)]
    assert len(names) == MAX_CLIENTS
    assert f"{MAX_CLIENTS - 1:02d}" not in names
    assert directory.owner(f"{MAX_CLIENTS - 1:02d}") is None


def test_clients_whose_certificate_has_ended_go_when_another_comes() -> None:
    directory = KeyDirectory()
    directory.enrol(_client("old", _NOW + 10), _NOW)
    directory.enrol(_client("young"), _NOW)
    changes = directory.enrol(_client("new"), _NOW + 10)
    assert [client.client_id for client in directory.clients(_NUMBER)] == ["new", "young"]
    assert Drop(DIRECTORY_CLIENTS, f"{_NUMBER} old") in changes


def test_memories_are_swept_while_the_server_runs() -> None:
    directory, packages = KeyDirectory(), 1024
    directory.enrol(_client("one"), _NOW)
    known = directory.client(_NUMBER, "one")
    assert known is not None
    short = [replace(_package(n), not_after_s=_NOW + 40 * 86_400) for n in range(packages - 1)]
    directory.replace_packages(known, [*short, _package(packages)], None, _NOW)
    for _ in range(packages - 1):
        directory.claim(_NUMBER, _NOW)
    _, changes = directory.claim(_NUMBER, _NOW + 40 * 86_400, ignores_floor=True)
    assert len([each for each in changes if isinstance(each, Drop) and each.kind is SPENT_KEY_PACKAGES]) == 1023


def test_withdrawn_packages_are_not_served() -> None:
    disk, directory = _Disk(), KeyDirectory()
    disk.write(directory.enrol(_client("one"), _NOW))
    known = directory.client(_NUMBER, "one")
    assert known is not None
    disk.write(directory.replace_packages(known, [_package(1), _package(2)], _package(3), _NOW)[1])
    disk.write(directory.withdraw(lambda package: package.reference != b"ref 2"))
    assert directory.pool_sizes(_NUMBER) == {"one": 1} == disk.restored().pool_sizes(_NUMBER)


class Directories(RuleBasedStateMachine):
    """Uploads, claims and restarts in any order: no one-time package is served twice."""

    def __init__(self) -> None:
        super().__init__()
        self.disk, self.directory = _Disk(), KeyDirectory()
        self.minted = 0
        self.served: list[bytes] = []

    @rule(name=st.sampled_from("abc"), count=st.integers(0, 4), with_last=st.booleans())
    def upload(self, name: str, count: int, with_last: bool) -> None:
        known = self.directory.client(_NUMBER, name)
        if known is None:
            self.disk.write(self.directory.enrol(_client(name), _NOW))
            known = self.directory.client(_NUMBER, name)
            assert known is not None
        again = [UploadedPackage(octets=o, reference=b"ref" + o[7:], not_after_s=_LATER) for o in self.served[-2:]]
        fresh = [_package(self.minted + n) for n in range(count)]
        self.minted += count + 1
        last = _package(self.minted - 1) if with_last else None
        stored, changes = self.directory.replace_packages(known, [*again, *fresh], last, _NOW)
        assert stored == count + with_last
        self.disk.write(changes)

    @rule(exclude=st.sampled_from(["a", None]))
    def claim(self, exclude: str | None) -> None:
        served, changes = self.directory.claim(_NUMBER, _NOW, exclude=exclude)
        assert exclude not in {each.client_id for each in served}
        fresh = [each.key_package for each in served if not each.is_last_resort]
        assert not set(fresh) & set(self.served)
        self.served += fresh
        self.disk.write(changes)

    @rule()
    def restart(self) -> None:
        self.directory = self.disk.restored()

    @invariant()
    def the_disk_has_what_the_directory_has(self) -> None:
        total = sum(self.directory.pool_sizes(_NUMBER).values())
        assert len(self.disk.tables.get("key_packages", {})) == total


TestDirectories = Directories.TestCase
TestDirectories.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
