"""Which final response of a fork goes back (RFC 3261 §16.7 step 6, digest §15.3)."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.wire.sip.message import Response

__all__ = ["is_better", "with_all_challenges"]

_PREFERRED = frozenset((401, 407, 415, 420, 484))  # they tell the client how to do better
_LEAST = frozenset((408, 430))  # they tell about one device only: 408 stands if all time out
_CHALLENGES = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}


def is_better(one: int, other: int) -> bool:
    """Whether status *one* is to be preferred to *other*; both are final and not 2xx."""
    return _rank(one) < _rank(other)


def _rank(status: int) -> tuple[int, int]:
    """6xx first, then the lowest class; within 4xx what helps the client before the rest."""
    if status >= 600:
        return (0, 0)
    if status in _PREFERRED:
        return (status // 100, 0)
    return (status // 100, 2 if status in _LEAST else 1)


def with_all_challenges(best: Response, others: Iterable[Response]) -> Response:
    """*best* with the challenges of the other 401 and 407 responses below its own (RFC 3261 §16.7 step 7)."""
    if best.status not in _CHALLENGES:
        return best
    editor = best.edit()
    for response in others:
        name = _CHALLENGES.get(response.status)
        if name is not None and response is not best:
            for text in response.texts(name):
                editor.append(name, text)
    return editor.done()
