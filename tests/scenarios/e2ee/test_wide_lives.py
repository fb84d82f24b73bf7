"""Random lives of every kind: devices and carriers of all profiles, faults of links and servers, kills, months.

A few lives of each kind run always. ``RCS_SIM_LIVES=100:160`` runs those of the seeds from 100 up to 160, of each kind;
``python -m tests.support.lives.hunt KIND FIRST COUNT shrink`` makes a life that goes wrong smaller."""

from __future__ import annotations

import os

import pytest

from tests.support.lives.kinds import KINDS
from tests.support.lives.plan import draw_plan
from tests.support.lives.verdict import live

_USUALLY = "0:2"
_TWICE = ("usual", "links", "servers", "trouble")  # kinds of which a life is lived twice


def _seeds() -> range:
    first, _, end = os.environ.get("RCS_SIM_LIVES", _USUALLY).partition(":")
    return range(int(first), int(end))


def _lives() -> list[tuple[str, int]]:
    """Months take as long as all others together: one life of them is enough where nobody asked for more."""
    is_asked_for = "RCS_SIM_LIVES" in os.environ
    return [(kind, seed) for kind in KINDS for seed in _seeds() if is_asked_for or kind != "months" or seed == 0]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed"), _lives())
def test_no_lock_lies_nothing_is_lost_and_everybody_can_talk_in_the_end(kind: str, seed: int) -> None:
    if KINDS[kind].needs_legacy:
        pytest.importorskip("x3dh")
        pytest.importorskip("doubleratchet")
    assert list(live(draw_plan(kind, seed)).violations) == []


@pytest.mark.parametrize("kind", _TWICE)
def test_the_same_life_has_the_same_octets(kind: str) -> None:
    plan = draw_plan(kind, 1)
    assert live(plan).digest == live(plan).digest
