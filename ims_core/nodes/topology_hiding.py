"""Topology hiding at the border: own Record-Route entries behind one token (TS 24.229 §5.10.4, digest §17.1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

__all__ = ["TOKEN_BITS", "HiddenRoutes"]

TOKEN_BITS: Final = 128  # 16 octets of randomness
_LIFE_S: Final = 6 * 3600.0  # a dialog that sends nothing for so long is forgotten
_CAPACITY: Final = 100_000


class HiddenRoutes:
    """Route sets of dialogs that cross the border, each behind a token in the own Record-Route.

    A token is used again within *_LIFE_S* or forgotten; there are at most *_CAPACITY*, the least used go first."""

    __slots__ = ("_new_token", "_routes")

    def __init__(self, new_token: Callable[[], str]) -> None:
        self._new_token = new_token
        self._routes: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._routes)

    def new_token(self) -> str:
        return self._new_token()

    def hide(self, token: str, routes: tuple[str, ...], now: float) -> None:
        """*routes* are the hidden Route values, in the order in which a request from outside has to take them."""
        self._forget_old(now)
        self._routes[token] = (now + _LIFE_S, routes)
        self._routes.move_to_end(token)
        if len(self._routes) > _CAPACITY:
            self._routes.popitem(last=False)

    def find(self, token: str, now: float) -> tuple[str, ...] | None:
        """The routes behind *token*; None if it is not known."""
        entry = self._routes.get(token)
        if entry is None or entry[0] <= now:
            return None
        self.hide(token, entry[1], now)
        return entry[1]

    def forget(self, token: str) -> None:
        """Its dialog has ended."""
        self._routes.pop(token, None)

    def _forget_old(self, now: float) -> None:
        while self._routes and next(iter(self._routes.values()))[0] <= now:
            self._routes.popitem(last=False)
