"""Clients of a carrier and their key packages (RCC.16 §5.1): stored, claimed once, withheld under the 30-day floor.

Each method that changes something also says what the store has to keep or drop, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ims_core.store.key_directory import (
    DIRECTORY_CLIENTS,
    KEY_PACKAGES,
    SPENT_KEY_PACKAGES,
    DirectoryClient,
    SpentKeyPackage,
    StoredKeyPackage,
    directory_client_key,
    key_package_key,
    spent_key_package_key,
)
from rcs_sim.e2ee.key_package_parts import KeyPackageParts
from rcs_sim.server.kds_actions import Change, Drop, Keep
from rcs_sim.wire.key_directory import ClaimedKeyPackage

__all__ = ["MAX_CLIENTS", "SILENT_S", "KeyDirectory", "UploadedPackage"]

MAX_CLIENTS = 16  # devices of one participant; the one whose certificate ends first gives way (choice)
SILENT_S = 7 * 86_400  # phones publish every day: of several devices of a number one that has not is gone (choice)
_FLOOR_S = 2_592_000  # 30 days (RCC.16 A.4.2.2)
_SPENT_BETWEEN_SWEEPS = 1024
_KEPT_HANDED_OUT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedPackage:
    """A package that passed the checks: *octets* of the MLSMessage, KeyPackageRef, end of its certificate, and octets
    of its credential in pieces."""

    octets: bytes
    reference: bytes
    not_after_s: int
    credential: tuple[bytes, ...] = ()


class _Pool:
    """Packages of one client, the oldest one-time package first."""

    __slots__ = ("last_resort", "one_time")

    def __init__(self) -> None:
        self.one_time: list[StoredKeyPackage] = []
        self.last_resort: StoredKeyPackage | None = None

    def __len__(self) -> int:
        return len(self.one_time) + (self.last_resort is not None)

    def add(self, package: StoredKeyPackage) -> None:
        if package.is_last_resort:
            self.last_resort = package
        else:
            self.one_time.append(package)

    def discard(self, package: StoredKeyPackage) -> None:
        if package is self.last_resort:
            self.last_resort = None
        else:
            self.one_time.remove(package)

    def all(self) -> tuple[StoredKeyPackage, ...]:
        return (*self.one_time, *(() if self.last_resort is None else (self.last_resort,)))


class KeyDirectory:
    """The directory of one carrier. Numbers are bare digits, times Unix seconds."""

    __slots__ = ("_clients", "_handed_out", "_owners", "_pools", "_spent")

    def __init__(self) -> None:
        self._clients: dict[str, dict[str, DirectoryClient]] = {}
        self._owners: dict[str, str] = {}
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._spent: dict[bytes, int] = {}
        self._handed_out: dict[
            bytes, None
        ] = {}  # last-resort packages: not spent, but no secret of their owner's either

    def restore(
        self,
        clients: Iterable[DirectoryClient],
        packages: Iterable[StoredKeyPackage],
        spent: Iterable[SpentKeyPackage],
        now_s: int,
    ) -> list[Change]:
        """Takes over what an earlier process kept, and says what of it is void: packages of an upload that was not
        finished or is replaced, and ended memories."""
        for client in clients:
            self._put(client)
        changes: list[Change] = []
        for each in spent:
            if each.until_s > now_s:
                self._spent[each.reference] = each.until_s
            else:
                changes.append(Drop(SPENT_KEY_PACKAGES, spent_key_package_key(each.reference)))
        credentials: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}
        for kept in packages:
            package = replace(kept, credential=credentials.setdefault(kept.credential, kept.credential))
            owner = self.client(package.msisdn, package.client_id)
            if owner is None or owner.upload != package.upload or package.reference in self._spent:
                changes.append(Drop(KEY_PACKAGES, key_package_key(package)))
            else:
                self._pool(owner).add(package)
        return changes

    def client(self, msisdn: str, client_id: str) -> DirectoryClient | None:
        return self._clients.get(msisdn, {}).get(client_id)

    def clients(self, msisdn: str) -> tuple[DirectoryClient, ...]:
        """In the order of their names."""
        return tuple(client for _, client in sorted(self._clients.get(msisdn, {}).items()))

    def owner(self, client_id: str) -> str | None:
        """The number that a client belongs to."""
        return self._owners.get(client_id)

    def pool_sizes(self, msisdn: str) -> dict[str, int]:
        """How many packages each client has, the last resort included."""
        return {client.client_id: len(self._pool(client)) for client in self.clients(msisdn)}

    def enrol(self, client: DirectoryClient, now_s: int) -> list[Change]:
        """Adds a client, or replaces what is known of it; its packages stay."""
        known = self.client(client.msisdn, client.client_id)
        changes: list[Change] = [] if known is not None else self._make_room(client.msisdn, now_s)
        client = replace(client, upload=0 if known is None else known.upload, heard_at_s=now_s)
        self._put(client)
        return [*changes, Keep(DIRECTORY_CLIENTS, client)]

    def is_replay(self, references: Iterable[bytes]) -> bool:
        """Whether all of these packages have been handed out before: whoever claimed them has them too, and an upload
        has no other proof of whose it is (choice)."""
        return all(each in self._spent or each in self._handed_out for each in references)

    def replace_packages(
        self,
        client: DirectoryClient,
        one_time: Sequence[UploadedPackage],
        last_resort: UploadedPackage | None,
        now_s: int,
    ) -> tuple[int, list[Change]]:
        """Puts these in the place of all that *client* had. One that was served before is left out. Returns how many
        there are now.

        The store gets the new ones first, then word that they count: what ends in between leaves the old ones."""
        old, client = self._pool(client).all(), replace(client, upload=client.upload + 1, heard_at_s=now_s)
        one_time, last_resort = _with_one_credential(one_time, last_resort)
        fresh = {each.reference: each for each in one_time if each.reference not in self._spent}
        listed = [self._stored(client, number, each, False) for number, each in enumerate(fresh.values())]
        if last_resort is not None:
            listed.append(self._stored(client, len(listed), last_resort, True))
        is_known = self.client(client.msisdn, client.client_id) is not None
        changes: list[Change] = [] if is_known else self._make_room(client.msisdn, now_s)
        self._put(client)
        pool = self._pools[client.msisdn, client.client_id] = _Pool()
        for package in listed:
            pool.add(package)
        changes += [Keep(KEY_PACKAGES, package) for package in listed]
        changes.append(Keep(DIRECTORY_CLIENTS, client))
        return len(listed), [*changes, *(Drop(KEY_PACKAGES, key_package_key(package)) for package in old)]

    def claim(
        self,
        msisdn: str,
        now_s: int,
        *,
        exclude: str | None = None,
        last_resort_only: bool = False,
        ignores_floor: bool = False,
        keeps_one_time: bool = False,
    ) -> tuple[list[ClaimedKeyPackage], list[Change]]:
        """One package of each client but *exclude*: the oldest one-time one, which is spent then, else the last
        resort. A client whose certificate ends in less than 30 days is left out (A.4.2.2), and one that has been silent
        for a week while another of the number was not: a handset that was reset or given away would stay in every
        group."""
        served: list[ClaimedKeyPackage] = []
        changes: list[Change] = []
        clients = self.clients(msisdn)
        since_s = min(now_s, max((client.heard_at_s for client in clients), default=0)) - SILENT_S
        for client in clients:
            is_silent = 0 < client.heard_at_s <= since_s
            if client.client_id == exclude or is_silent:
                continue
            package = self._next(self._pool(client), now_s, last_resort_only, ignores_floor)
            if package is None:
                continue
            served.append(
                ClaimedKeyPackage(
                    client_id=client.client_id, key_package=package.message, is_last_resort=package.is_last_resort
                )
            )
            if package.is_last_resort:
                self._hand_out(package)
            elif not keeps_one_time:
                changes += self._spend(client, package, now_s)
        return served, changes

    def withheld(self, msisdn: str, now_s: int) -> int:
        """How many clients have packages that the floor keeps back."""
        pools = (self._pool(client).all() for client in self.clients(msisdn))
        return sum(bool(pool) and not any(_is_above_floor(each, now_s) for each in pool) for pool in pools)

    def withdraw(self, is_bad: Callable[[StoredKeyPackage], bool]) -> list[Change]:
        """Packages that are not to be served any more go, such as those under a revoked certificate."""
        changes: list[Change] = []
        for pool in self._pools.values():
            bad = [package for package in pool.all() if is_bad(package)]
            for package in bad:
                pool.discard(package)
            changes += [Drop(KEY_PACKAGES, key_package_key(package)) for package in bad]
        return changes

    def forget(self, msisdn: str) -> list[Change]:
        """The operator's: the number has another owner now; what the former one left is not served any more."""
        return [change for client in self.clients(msisdn) for change in self._remove(client)]

    def _next(self, pool: _Pool, now_s: int, last_resort_only: bool, ignores_floor: bool) -> StoredKeyPackage | None:
        candidates = () if last_resort_only else tuple(pool.one_time)
        usable = (each for each in candidates if ignores_floor or _is_above_floor(each, now_s))
        found = next(usable, None)
        last = pool.last_resort
        if found is None and last is not None and (ignores_floor or _is_above_floor(last, now_s)):
            return last
        return found

    def _hand_out(self, package: StoredKeyPackage) -> None:
        self._handed_out[package.reference] = None
        if len(self._handed_out) > _KEPT_HANDED_OUT:
            del self._handed_out[next(iter(self._handed_out))]

    def _spend(self, client: DirectoryClient, package: StoredKeyPackage, now_s: int) -> list[Change]:
        self._pool(client).one_time.remove(package)
        self._spent[package.reference] = package.not_after_s
        ended = self._ended_memories(now_s) if len(self._spent) % _SPENT_BETWEEN_SWEEPS == 0 else []
        return [
            *ended,
            Keep(SPENT_KEY_PACKAGES, SpentKeyPackage(package.reference, package.not_after_s)),
            Drop(KEY_PACKAGES, key_package_key(package)),
        ]

    def _ended_memories(self, now_s: int) -> list[Change]:
        ended = [reference for reference, until_s in self._spent.items() if until_s <= now_s]
        for reference in ended:
            del self._spent[reference]
        return [Drop(SPENT_KEY_PACKAGES, spent_key_package_key(reference)) for reference in ended]

    def _make_room(self, msisdn: str, now_s: int) -> list[Change]:
        """For one more client: those whose certificate has ended go, and one more if that is not enough."""
        ended = [client for client in self.clients(msisdn) if client.not_after_s <= now_s]
        changes = [change for client in ended for change in self._remove(client)]
        clients = self.clients(msisdn)
        if len(clients) >= MAX_CLIENTS:
            changes += self._remove(min(clients, key=lambda client: client.not_after_s))
        return changes

    def _remove(self, client: DirectoryClient) -> list[Change]:
        packages = self._pool(client).all()
        del self._clients[client.msisdn][client.client_id]
        self._owners.pop(client.client_id, None)
        self._pools.pop((client.msisdn, client.client_id), None)
        dropped = [Drop(KEY_PACKAGES, key_package_key(package)) for package in packages]
        return [Drop(DIRECTORY_CLIENTS, directory_client_key(client.msisdn, client.client_id)), *dropped]

    def _put(self, client: DirectoryClient) -> None:
        self._clients.setdefault(client.msisdn, {})[client.client_id] = client
        self._owners[client.client_id] = client.msisdn

    def _pool(self, client: DirectoryClient) -> _Pool:
        return self._pools.setdefault((client.msisdn, client.client_id), _Pool())

    def _stored(
        self, client: DirectoryClient, number: int, package: UploadedPackage, is_last_resort: bool
    ) -> StoredKeyPackage:
        parts = KeyPackageParts.of(package.octets, package.credential)
        return StoredKeyPackage(
            msisdn=client.msisdn,
            client_id=client.client_id,
            upload=client.upload,
            number=number,
            octets=parts.rest,
            reference=package.reference,
            not_after_s=package.not_after_s,
            is_last_resort=is_last_resort,
            credential=tuple(parts.credential),
            credential_at=parts.credential_at,
        )


def _with_one_credential(
    one_time: Sequence[UploadedPackage], last_resort: UploadedPackage | None
) -> tuple[list[UploadedPackage], UploadedPackage | None]:
    """The same; credentials that are equal are one object."""
    known: dict[tuple[bytes, ...], tuple[bytes, ...]] = {}

    def same(package: UploadedPackage) -> UploadedPackage:
        return replace(package, credential=known.setdefault(package.credential, package.credential))

    return [same(each) for each in one_time], None if last_resort is None else same(last_resort)


def _is_above_floor(package: StoredKeyPackage, now_s: int) -> bool:
    return package.not_after_s - now_s >= _FLOOR_S
