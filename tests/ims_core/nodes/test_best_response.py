from __future__ import annotations

import pytest

from ims_core.nodes.best_response import is_better, with_all_challenges
from ims_core.wire.sip.message import Response


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (600, 404),  # 6xx ends the search
        (302, 404),  # the lowest class
        (404, 503),
        (401, 404),  # what helps the client
        (407, 480),
        (415, 486),
        (420, 403),
        (484, 404),
        (480, 408),  # a time-out only if all time out
        (408, 500),
        (404, 430),
    ],
)
def test_one_response_is_preferred_to_the_other(one: int, other: int) -> None:
    assert is_better(one, other)
    assert not is_better(other, one)


def test_the_first_of_two_equals_stays() -> None:
    assert not is_better(404, 404)
    assert not is_better(404, 480)


def test_challenges_of_the_losers_are_added() -> None:
    best = Response.new(401, headers=[("WWW-Authenticate", 'Digest realm="a", nonce="1"')])
    other = Response.new(407, headers=[("Proxy-Authenticate", 'Digest realm="b", nonce="2"')])
    merged = with_all_challenges(best, [best, other])
    assert merged.texts("WWW-Authenticate") == ('Digest realm="a", nonce="1"',)
    assert merged.texts("Proxy-Authenticate") == ('Digest realm="b", nonce="2"',)
    refusal = Response.new(404)
    assert with_all_challenges(refusal, [other]) is refusal
