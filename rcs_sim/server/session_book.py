"""Which sessions there are: by the pair of users, for replacement and glare, and counted for limits (digest §4.5)."""

from __future__ import annotations

from typing import Protocol, TypeAlias

__all__ = ["Pair", "PendingInvite", "Replaceable", "SessionBook"]

Pair: TypeAlias = tuple[str, str]
"""Identity keys of the served user and of the other party."""


class Replaceable(Protocol):
    """A session that stands."""

    def retire(self, now: float) -> None:
        """A new one has taken its place: it ends as soon as nothing is under way in it."""
        ...


class PendingInvite(Protocol):
    """A session of the served user that nobody has taken yet."""

    @property
    def has_rung(self) -> bool:
        """Whether the other side is known to have it."""
        ...


class SessionBook:
    """The sessions of one server. *max_per_user* and *max_total* bound them, those that are being set up included."""

    __slots__ = (
        "_counts",
        "_is_closed",
        "_max_per_user",
        "_max_total",
        "_pending",
        "_setting_up",
        "_standing",
        "_total",
    )

    def __init__(self, max_per_user: int, max_total: int) -> None:
        self._max_per_user = max_per_user
        self._max_total = max_total
        self._counts: dict[str, int] = {}
        self._total = 0
        self._is_closed = False
        self._standing: dict[Pair, Replaceable] = {}
        self._pending: dict[Pair, PendingInvite] = {}
        self._setting_up: dict[Pair, int] = {}

    def __len__(self) -> int:
        return self._total

    # -- limits ------------------------------------------------------------------------------------------------------

    def has_room(self, user: str) -> bool:
        """Whether that user may have one more."""
        return not self._is_closed and self._total < self._max_total and self._counts.get(user, 0) < self._max_per_user

    def close(self) -> None:
        """No session begins any more."""
        self._is_closed = True

    def enter(self, user: str) -> None:
        """A session begins; `leave` is called once for it."""
        self._total += 1
        self._counts[user] = self._counts.get(user, 0) + 1

    def leave(self, user: str) -> None:
        self._total -= 1
        count = self._counts.pop(user) - 1
        if count:
            self._counts[user] = count

    # -- being set up ------------------------------------------------------------------------------------------------

    def setting_up(self, pair: Pair) -> int:
        """How many sessions between the two wait for an answer."""
        return self._setting_up.get(pair, 0)

    def set_up(self, pair: Pair) -> None:
        """One more; `answered` is called once for it."""
        self._setting_up[pair] = self._setting_up.get(pair, 0) + 1

    def answered(self, pair: Pair) -> None:
        count = self._setting_up.pop(pair) - 1
        if count:
            self._setting_up[pair] = count

    # -- pairs -------------------------------------------------------------------------------------------------------

    def stand(self, pair: Pair, session: Replaceable, now: float) -> None:
        """A session stands: the one before it ends (S15)."""
        before = self._standing.get(pair)
        self._standing[pair] = session
        if before is not None and before is not session:
            before.retire(now)

    def fall(self, pair: Pair, session: Replaceable) -> None:
        """It does not stand any more."""
        if self._standing.get(pair) is session:
            del self._standing[pair]

    def standing(self, pair: Pair) -> Replaceable | None:
        return self._standing.get(pair)

    def begin(self, pair: Pair, invite: PendingInvite) -> None:
        """The served user invites the other."""
        self._pending[pair] = invite

    def settle(self, pair: Pair, invite: PendingInvite) -> None:
        """That INVITE has its answer."""
        if self._pending.get(pair) is invite:
            del self._pending[pair]

    def is_glare(self, pair: Pair) -> bool:
        """Whether an INVITE of the other party crosses one of the served user which has to be kept: that of the lower
        identity key, so that the servers of both users decide alike (choice)."""
        pending = self._pending.get(pair)
        return pending is not None and not pending.has_rung and pair[0] < pair[1]
