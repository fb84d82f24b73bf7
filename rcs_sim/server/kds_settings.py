"""Settings of a key distribution server, its faults, and the other carriers' servers that it knows.

All of it is RCC.16 digest §14.5 and §14.7 (choice)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.profile import DirectoryLifetime
from rcs_sim.wire.key_directory import ClaimedKeyPackage

__all__ = ["KdsFault", "KdsPeer", "KdsSettings", "PeerTable", "Selection", "Way"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KdsSettings:
    """One carrier's. *kds* is the number of its directory, *vendor_id* that of its certificates, *host* its name in the
    federation, *network* the name that its trust-anchor lists carry.

    With *accepts_empty_proof* clients may enrol without an ACS proof (development only): the trace marks them."""

    kds: int
    vendor_id: int
    host: str
    network: str = "rcs-sim"
    modes: tuple[DirectoryLifetime, ...] = tuple(
        DirectoryLifetime
    )  # rules for lifetimes, one of which a package keeps (§2.3)
    strictness: Strictness = Strictness.TOLERANT  # of what packages are held against
    accepts_empty_proof: bool = False

    claims_per_minute: int = 6_000  # of one requester from one address (choice)
    changes_per_minute: int = 60  # enrolments and uploads for one number from one address (choice)
    federation_claims_per_minute: int = 60_000  # of one other KDS (choice)

    answer_timeout_s: float = 5.0  # of another KDS (§14.7)
    answer_tries: int = 3
    answer_kept_s: float = 600.0
    refusal_kept_s: float = 10.0
    anchors_poll_s: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KdsFault:
    """What is wrong with the server itself, for scenarios. The usual value is that nothing is.

    is_down              every call gets 503
    retry_after_s        every call gets 429 with that Retry-After
    delay_s              answers come so much later
    peers_down           numbers of other directories that cannot be reached from here
    empty_pool           claims find nothing
    last_resort_only     claims get last-resort packages even if there are one-time ones
    reuses_one_time      a one-time package that is served stays in the pool
    serves_stale         packages are served although their certificate is inside the 30-day floor
    wrong_directory      claims get 421, as if the number were homed elsewhere
    wrong_identity       claims of any number get the packages of this one (bare digits)
    equivocation         every second requester gets these instead of what is stored: another identity for one number
    stale_anchors        the trust-anchor list of this generation is served for every generation
    revocation_list      these octets are served for the list of revoked certificates
    """

    is_down: bool = False
    retry_after_s: int | None = None
    delay_s: float = 0.0
    peers_down: frozenset[int] = frozenset()
    empty_pool: bool = False
    last_resort_only: bool = False
    reuses_one_time: bool = False
    serves_stale: bool = False
    wrong_directory: bool = False
    wrong_identity: str | None = None
    equivocation: tuple[ClaimedKeyPackage, ...] = ()
    stale_anchors: int | None = None
    revocation_list: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KdsPeer:
    """The KDS of another carrier: its number, host name, base URL (``https://host:port``) and vendor, the prefixes
    (digits, whole numbers too) that are homed there, and its *address*, by which a link without TLS knows it."""

    kds: int
    host: str
    url: str
    vendor_id: int
    prefixes: tuple[str, ...] = ()
    address: str = ""


class Way(Enum):
    """Where a claim is answered."""

    HOME = auto()
    PEER = auto()
    NOWHERE = auto()


@dataclass(frozen=True, slots=True)
class Selection:
    """The directory for a number. *is_stale*: the tag of the claim and the prefix table disagree, and the tag won."""

    way: Way
    peer: KdsPeer | None = None
    is_stale: bool = False


class PeerTable:
    """Which directory has a number (§14.7): the one whose number the claim names, else the one with the longest
    matching prefix."""

    __slots__ = ("_by_host", "_by_kds", "_own", "_prefixes")

    def __init__(self, own: int, own_prefixes: Iterable[str], peers: Iterable[KdsPeer]) -> None:
        self._own = own
        self._by_kds: dict[int, KdsPeer] = {}
        self._prefixes: dict[str, int] = {prefix.lstrip("+"): own for prefix in own_prefixes}
        for peer in peers:
            self._by_kds[peer.kds] = peer
            self._prefixes.update((prefix.lstrip("+"), peer.kds) for prefix in peer.prefixes)
        self._by_host = {peer.host.lower(): peer for peer in self._by_kds.values()}

    def __iter__(self) -> Iterator[KdsPeer]:
        return iter(tuple(self._by_kds.values()))

    def by_kds(self, kds: int) -> KdsPeer | None:
        return self._by_kds.get(kds)

    def by_host(self, host: str) -> KdsPeer | None:
        return self._by_host.get(host.lower())

    def by_address(self, address: str) -> KdsPeer | None:
        return next((peer for peer in self._by_kds.values() if peer.address and peer.address == address), None)

    def select(self, digits: str, kds: int | None, *, is_subscriber: bool) -> Selection:
        """*kds* is the number that the claim names; *is_subscriber* whether the number is homed here, which without a
        *kds* counts before any prefix (choice)."""
        by_prefix = self._own if is_subscriber else self._longest(digits)
        chosen = by_prefix if kds is None else kds
        is_stale = None not in (kds, by_prefix) and kds != by_prefix
        if chosen == self._own:
            return Selection(Way.HOME, None, is_stale)
        peer = self._by_kds.get(chosen) if chosen is not None else None
        return Selection(Way.NOWHERE if peer is None else Way.PEER, peer, is_stale)

    def _longest(self, digits: str) -> int | None:
        for length in range(len(digits), 0, -1):
            kds = self._prefixes.get(digits[:length])
            if kds is not None:
                return kds
        return None
