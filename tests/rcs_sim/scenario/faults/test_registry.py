"""Words, and the near ones of a word that is none."""

from __future__ import annotations

import pytest

from rcs_sim.scenario.faults.fault_kind import FaultError
from rcs_sim.scenario.faults.registry import FAULTS, fault_kind, near_words


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("kds.dwn", "kds.down"),
        ("KDS.Down", "kds.down"),
        ("mls.stale-epoch", "mls.stale_epoch"),
        ("sip.dropp", "sip.drop"),
        ("net.down", "kds.down"),
    ],
)
def test_a_near_word_is_named(word: str, near: str) -> None:
    assert near in near_words(word)
    with pytest.raises(FaultError, match=near.replace(".", r"\.")):
        fault_kind(word)


def test_a_word_that_is_like_none_tells_where_they_are() -> None:
    assert near_words("zzz") == []
    with pytest.raises(FaultError, match="rcs-sim faults"):
        fault_kind("zzz")


def test_every_word_is_found() -> None:
    assert all(fault_kind(word) is kind for word, kind in FAULTS.items())
