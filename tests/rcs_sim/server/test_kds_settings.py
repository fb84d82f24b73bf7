"""Which directory has a number."""

from __future__ import annotations

import pytest

from rcs_sim.server.kds_settings import KdsPeer, PeerTable, Way

_BLUE = KdsPeer(
    kds=1, host="kds.blue", url="http://b", vendor_id=1, prefixes=("1202555015", "13"), address="127.0.2.41"
)
_WHOLE = KdsPeer(kds=3, host="KDS.third", url="http://t", vendor_id=3, prefixes=("+12025550102",))
_TABLE = PeerTable(2, ["+1202555010", "12"], [_BLUE, _WHOLE])


@pytest.mark.parametrize(
    ("digits", "kds", "way", "host", "is_stale"),
    [
        ("12025550101", None, Way.HOME, None, False),
        ("12025550152", None, Way.PEER, "kds.blue", False),
        ("12025550102", None, Way.PEER, "KDS.third", False),
        ("12999", None, Way.HOME, None, False),
        ("49301", None, Way.NOWHERE, None, False),
        ("49301", 1, Way.PEER, "kds.blue", False),
        ("12025550101", 1, Way.PEER, "kds.blue", True),
        ("12025550152", 2, Way.HOME, None, True),
        ("12025550152", 9, Way.NOWHERE, None, True),
    ],
)
def test_the_tag_wins_over_the_longest_prefix(
    digits: str, kds: int | None, way: Way, host: str | None, is_stale: bool
) -> None:
    chosen = _TABLE.select(digits, kds, is_subscriber=False)
    assert (chosen.way, chosen.peer and chosen.peer.host, chosen.is_stale) == (way, host, is_stale)


def test_an_own_subscriber_without_a_tag_is_at_home() -> None:
    assert _TABLE.select("12025550102", None, is_subscriber=True).way is Way.HOME


def test_peers_are_known_by_name_and_by_address() -> None:
    assert _TABLE.by_host("KDS.BLUE") is _BLUE
    assert _TABLE.by_address("127.0.2.41") is _BLUE
    assert _TABLE.by_address("") is None
    assert list(_TABLE) == [_BLUE, _WHOLE]
