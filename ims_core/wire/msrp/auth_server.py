"""The relay's side of AUTH: who may use it, by which URI and how long (RFC 4976 §6.3, §9.1)."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest import (
    MD5,
    SHA_256,
    Algorithm,
    DigestChallenge,
    DigestCredentials,
    DigestParseError,
    authentication_info,
    is_authentic,
)
from ims_core.wire.msrp.auth import AUTH, read_seconds
from ims_core.wire.msrp.message import Field, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.uri import MsrpUri, MsrpUriError, encode_path, parse_msrp_uri
from ims_core.wire.nonce_book import NonceBook

__all__ = ["AuthAnswer", "Grant", "RelayConfig", "RelayRegistrar"]

_NONCE_OCTETS: Final = 16
_MOST_FAILURES: Final = 3  # wrong passwords on one connection (digest §18, reg.max_auth_failures)
_MOST_CONNECTIONS: Final = 10_000  # whose failures are counted
_SLACK: Final = 64  # deadlines of grants that were prolonged


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Policy of one relay. *uri* is its own, without a session id; *algorithms* in the order of preference."""

    uri: MsrpUri
    realm: str
    algorithms: tuple[Algorithm, ...] = (SHA_256, MD5)
    default_expires_s: int = 1800
    min_expires_s: int = 60
    max_expires_s: int = 3600
    max_grants: int = 100_000
    max_grants_per_connection: int = 64

    def __post_init__(self) -> None:
        """Raises LocalProtocolError for bounds that exclude each other."""
        if not 0 < self.min_expires_s <= self.default_expires_s <= self.max_expires_s or not self.algorithms:
            raise LocalProtocolError("expected min <= default <= max seconds", spec="RFC 4976 §6.3")


@dataclass(frozen=True, slots=True)
class Grant:
    """A URI of the relay that belongs to one client. *client* is the last URI of From-Path, *connection* where the
    client, or the relay before it, is reached."""

    uri: MsrpUri
    username: str
    client: MsrpUri
    connection: Hashable
    expires_at: float


@dataclass(frozen=True, slots=True)
class AuthAnswer:
    """What the relay answers. *grant* with a 200 only."""

    response: MsrpResponse
    grant: Grant | None = None


class RelayRegistrar:
    """Challenges clients, verifies them and keeps what was granted.

    *ha1_of* gives H(user:realm:password) for an algorithm, None if there is no such user or the algorithm is not known
    for it. *octets* is the randomness of nonces, *word* that of session ids (80 bits or more)."""

    __slots__ = (
        *("_book", "_by_connection", "_config", "_deadlines", "_failures", "_grants", "_ha1_of"),
        *("_octets", "_word"),
    )

    def __init__(
        self,
        config: RelayConfig,
        ha1_of: Callable[[str, Algorithm], str | None],
        octets: Callable[[int], bytes],
        word: Callable[[], str],
        book: NonceBook | None = None,
    ) -> None:
        self._config = config
        self._ha1_of = ha1_of
        self._octets = octets
        self._word = word
        self._book = NonceBook(used_life_s=float(config.max_expires_s)) if book is None else book
        self._grants: dict[str, Grant] = {}
        self._by_connection: dict[Hashable, set[str]] = {}
        self._deadlines: list[tuple[float, str]] = []  # a heap; entries of grants that were prolonged are passed over
        self._failures: OrderedDict[Hashable, int] = OrderedDict()

    # --- what was granted --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._grants)

    def lookup(self, session_id: str, now: float) -> Grant | None:
        """Whose URI that is, None if nobody's or no more."""
        grant = self._grants.get(session_id)
        return grant if grant is not None and grant.expires_at > now else None

    def forget_connection(self, connection: Hashable) -> list[Grant]:
        """The connection is gone: what its clients had been granted ends."""
        self._failures.pop(connection, None)
        return [self._grants.pop(key) for key in sorted(self._by_connection.pop(connection, ()))]

    def next_deadline(self) -> float | None:
        """When to call `handle_deadline`; None = never."""
        while self._deadlines:
            at, key = self._deadlines[0]
            grant = self._grants.get(key)
            if grant is not None and grant.expires_at == at:
                return at
            heapq.heappop(self._deadlines)
        return None

    def handle_deadline(self, now: float) -> list[Grant]:
        """What has expired, and is forgotten."""
        ended: list[Grant] = []
        while (at := self.next_deadline()) is not None and at <= now:
            ended.append(self._remove(heapq.heappop(self._deadlines)[1]))
        return ended

    def _remove(self, key: str) -> Grant:
        grant = self._grants.pop(key)
        keys = self._by_connection[grant.connection]
        keys.discard(key)
        if not keys:
            del self._by_connection[grant.connection]
        return grant

    def _add(self, grant: Grant) -> None:
        key = grant.uri.key
        self._grants[key] = grant
        self._by_connection.setdefault(grant.connection, set()).add(key)
        heapq.heappush(self._deadlines, (grant.expires_at, key))
        if len(self._deadlines) > 2 * len(self._grants) + _SLACK:
            self._deadlines = sorted((each.expires_at, each.uri.key) for each in self._grants.values())

    # --- requests ----------------------------------------------------------------------------------------------------

    def handle(self, request: MsrpRequest, connection: Hashable, now: float) -> AuthAnswer:
        """Answers an AUTH whose only hop is this relay; one with more in To-Path is for the relay to forward.

        Never raises for what a client may send."""
        text = request.text("Authorization")
        if request.method != AUTH:
            return _refusal(request, 501)
        if len(request.to_path) != 1 or not self._is_here(request.to_path[0], now):
            return _refusal(request, 481, "no such URI at this relay")
        if text is None:
            return self._challenge(request, now)
        try:
            credentials = DigestCredentials.parse(text)
        except DigestParseError:
            return _refusal(request, 400, "malformed Authorization")
        return self._examine(request, credentials, connection, now)

    def _is_here(self, uri: MsrpUri, now: float) -> bool:
        """Whether it is the relay's own URI, or one that it has granted."""
        return uri.session_id is None or self.lookup(uri.session_id, now) is not None

    def _examine(
        self, request: MsrpRequest, credentials: DigestCredentials, connection: Hashable, now: float
    ) -> AuthAnswer:
        config = self._config
        if not _is_same_uri(credentials.uri, request.to_path[0]):
            return _refusal(request, 400, "the digest-uri is not the relay in To-Path")
        algorithm = credentials.hash_algorithm
        is_ours = credentials.realm == config.realm and algorithm in config.algorithms
        ha1 = self._ha1_of(credentials.username, algorithm) if is_ours else None
        if ha1 is None or not is_authentic(credentials, ha1, AUTH):
            return self._count_failure(request, connection, now)
        if self._book.use(credentials.nonce, credentials.nonce_count, now).is_stale:
            return self._challenge(request, now, stale=True)
        self._failures.pop(connection, None)
        return self._admit(request, credentials, ha1, connection, now)

    def _challenge(self, request: MsrpRequest, now: float, *, stale: bool = False) -> AuthAnswer:
        nonce = self._book.issue(now, self._octets(_NONCE_OCTETS))
        headers = [
            ("WWW-Authenticate", str(DigestChallenge(self._config.realm, nonce, algorithm, stale=stale)))
            for algorithm in self._config.algorithms
        ]
        return AuthAnswer(MsrpResponse.to(request, 401, headers=headers))

    def _count_failure(self, request: MsrpRequest, connection: Hashable, now: float) -> AuthAnswer:
        """A wrong password and an unknown user look the same."""
        count = self._failures.pop(connection, 0) + 1
        self._failures[connection] = count
        if len(self._failures) > _MOST_CONNECTIONS:
            self._failures.popitem(last=False)
        return _refusal(request, 403) if count >= _MOST_FAILURES else self._challenge(request, now)

    def _admit(
        self, request: MsrpRequest, credentials: DigestCredentials, ha1: str, connection: Hashable, now: float
    ) -> AuthAnswer:
        text = request.text("Expires")
        expires_s = self._config.default_expires_s if text is None else read_seconds(text)
        if expires_s is None:
            return _refusal(request, 400, "malformed Expires")
        if expires_s < self._config.min_expires_s:
            return _out_of_bounds(request, "Min-Expires", self._config.min_expires_s)
        if expires_s > self._config.max_expires_s:
            return _out_of_bounds(request, "Max-Expires", self._config.max_expires_s)
        grant = self._grant(request, credentials.username, connection, now + expires_s)
        if grant is None:
            return _refusal(request, 403)
        headers: tuple[Field, ...] = (
            ("Use-Path", encode_path((grant.uri, *request.from_path[:-1]))),
            ("Expires", str(expires_s)),
            ("Authentication-Info", str(authentication_info(credentials, ha1))),
        )
        return AuthAnswer(MsrpResponse.to(request, 200, headers=headers), grant)

    def _grant(self, request: MsrpRequest, username: str, connection: Hashable, expires_at: float) -> Grant | None:
        """A new URI, or a longer life for the one that is had. None if that is another's, or there is no room."""
        client = request.from_path[-1]
        config = self._config
        keys = self._by_connection.get(connection, set())
        named = request.to_path[0].key
        known = self._grants[named] if named else next((each for each in self._of(keys, username, client)), None)
        if known is not None:
            if known.username != username or not known.client.same_as(client):
                return None
            self._remove(known.uri.key)
            uri = known.uri
        elif len(self._grants) >= config.max_grants or len(keys) >= config.max_grants_per_connection:
            return None
        else:
            uri = replace(config.uri, session_id=self._word())
        grant = Grant(uri, username, client, connection, expires_at)
        self._add(grant)
        return grant

    def _of(self, keys: set[str], username: str, client: MsrpUri) -> list[Grant]:
        grants = [self._grants[key] for key in keys]
        return [each for each in grants if each.username == username and each.client.same_as(client)]


def _refusal(request: MsrpRequest, status: int, comment: str | None = None) -> AuthAnswer:
    return AuthAnswer(MsrpResponse.to(request, status, comment))


def _out_of_bounds(request: MsrpRequest, name: str, bound_s: int) -> AuthAnswer:
    return AuthAnswer(MsrpResponse.to(request, 423, headers=((name, str(bound_s)),)))


def _is_same_uri(text: str, uri: MsrpUri) -> bool:
    try:
        return parse_msrp_uri(text).same_as(uri)
    except MsrpUriError:
        return False
