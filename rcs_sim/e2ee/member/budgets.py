"""Bounds on what a device does by itself in a given time (choice: the numbers of the reference client).

All of them roll: a use counts until its window has gone by. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from rcs_sim.mls.codec import Reader, TlsStruct, encode_u32, encode_u64, encode_vector

__all__ = [
    "CLAIMS_PER_PEER",
    "ERA_ADVANCES_PER_DAY",
    "ERA_ADVANCES_PER_HOUR",
    "EXTERNAL_COMMITS",
    "REBUILDS",
    "RESENDS_PER_PEER",
    "SELF_HEALS",
    "SERVER_READS",
    "WELCOME_REQUESTS",
    "Budget",
    "RollingBudget",
    "retry_delay_s",
    "revive_delay_s",
]

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_FAST_RETRIES = 3
_FAST_RETRY_S = 30
_SLOW_RETRY_S = 300
_REVIVE_STEP_S = 60
_LARGEST_REVIVE_SHIFT = 8


@dataclass(frozen=True, slots=True)
class Budget:
    """*limit* uses in *window_s* seconds."""

    limit: int
    window_s: int


SELF_HEALS = Budget(5, _DAY_S)
"""Starts anew only with progress: see `RollingBudget.clear`."""
ERA_ADVANCES_PER_HOUR = Budget(2, _HOUR_S)
ERA_ADVANCES_PER_DAY = Budget(5, _DAY_S)
REBUILDS = Budget(3, 6 * _HOUR_S)
EXTERNAL_COMMITS = Budget(50, _DAY_S)
"""The one number here that is RCC.16's own (§11.2.2)."""
CLAIMS_PER_PEER = Budget(4, 600)
SERVER_READS = Budget(8, 200)
RESENDS_PER_PEER = Budget(2, _HOUR_S)
WELCOME_REQUESTS = Budget(4, 600)
"""The first and three repeats; ten minutes are the reference's pause between two attempts to establish anew."""


class RollingBudget(TlsStruct):
    """What is left of a `Budget`."""

    __slots__ = ("_uses_s", "budget")

    def __init__(self, budget: Budget, uses_s: Iterable[int] = ()) -> None:
        self.budget = budget
        used = tuple(uses_s)
        self._uses_s = used[max(0, len(used) - budget.limit) :]  # a tuple: most stay empty, and there are many

    def __repr__(self) -> str:
        return f"RollingBudget({self.budget}, used {len(self._uses_s)})"

    def is_left(self, now_s: int) -> bool:
        """Whether `take` would succeed."""
        self._forget(now_s)
        return len(self._uses_s) < self.budget.limit

    def take(self, now_s: int) -> bool:
        """Uses it once; False, and nothing is used, if it is exhausted."""
        if not self.is_left(now_s):
            return False
        self._uses_s = (*self._uses_s, now_s)
        return True

    def next_free_s(self, now_s: int) -> int:
        """When `take` succeeds again."""
        return now_s if self.is_left(now_s) else self._uses_s[0] + self.budget.window_s

    def clear(self) -> None:
        """As if it had never been used."""
        self._uses_s = ()

    def _forget(self, now_s: int) -> None:
        uses_s, window_s = self._uses_s, self.budget.window_s
        if uses_s and uses_s[0] + window_s <= now_s:
            first = next((at for at, use_s in enumerate(uses_s) if use_s + window_s > now_s), len(uses_s))
            self._uses_s = uses_s[first:]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        budget = Budget(reader.u32(), reader.u32())
        return cls(budget, reader.vector(Reader.u64))

    def encode(self) -> bytes:
        uses = encode_vector([encode_u64(each) for each in self._uses_s])
        return encode_u32(self.budget.limit) + encode_u32(self.budget.window_s) + uses


def retry_delay_s(attempt: int) -> int:
    """Pause before the attempt of this number, the first being 1: three times 30 s, then five minutes longer each
    time."""
    return _FAST_RETRY_S if attempt <= _FAST_RETRIES else _SLOW_RETRY_S * (attempt - _FAST_RETRIES)


def revive_delay_s(attempts: int) -> int:
    """Pause since the downgrade before a conversation is encrypted again by itself, after so many *attempts*."""
    return _REVIVE_STEP_S << min(attempts, _LARGEST_REVIVE_SHIFT)
