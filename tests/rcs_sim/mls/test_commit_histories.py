"""Random histories: whatever members do, all who are in end in one epoch, and who is out reads nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rcs_sim.mls.identifiers import WireFormat
from tests.support.mls_history import KINDS, MOST_MEMBERS, History, Step

_FORMS = pytest.mark.parametrize(
    "wire_format", [WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE], ids=["pub", "priv"]
)
_STEP = st.builds(Step, st.sampled_from(sorted(KINDS)), st.integers(0, 63), st.integers(0, 63), st.integers(0, 5))
_EACH_ONCE = [Step(kind, 1 + place, place, place) for place, kind in enumerate(sorted(KINDS))]


def _run(wire_format: WireFormat, count: int, steps: list[Step]) -> None:
    history = History(wire_format, count)
    for step in steps:
        history.do(step)
    history.end()


@_FORMS
@given(steps=st.lists(_STEP, max_size=16))
@example(steps=_EACH_ONCE)
@settings(max_examples=60, deadline=None)
def test_all_members_end_in_one_epoch(wire_format: WireFormat, steps: list[Step]) -> None:
    _run(wire_format, 3, steps)


@pytest.mark.slow
@_FORMS
@given(
    count=st.sampled_from([MOST_MEMBERS // 2 + 1, MOST_MEMBERS - 2, MOST_MEMBERS]),
    steps=st.lists(_STEP, min_size=8, max_size=12),
)
@example(count=MOST_MEMBERS - 2, steps=_EACH_ONCE)
@settings(max_examples=5, deadline=None)
def test_all_members_of_a_large_group_end_in_one_epoch(wire_format: WireFormat, count: int, steps: list[Step]) -> None:
    _run(wire_format, count, steps)
