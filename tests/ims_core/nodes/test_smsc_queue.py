"""The state table of a destination's queue."""

from __future__ import annotations

from itertools import product

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.nodes.smsc_queue import (
    IGNORED,
    TABLE,
    Destination,
    DestinationKind,
    DestinationQueue,
    QueueAction,
    QueueInput,
    QueueState,
)


@pytest.mark.parametrize(("state", "event"), list(product(QueueState, QueueInput)))
def test_every_pair_is_in_the_table_or_ignored_or_refused(state: QueueState, event: QueueInput) -> None:
    queue = DestinationQueue(Destination(DestinationKind.NUMBER, "+1"))
    queue.state = state
    if (state, event) in TABLE:
        assert (state, event) not in IGNORED
        expected = TABLE[state, event]
        assert (queue.step(event), queue.state) == (expected[1], expected[0])
    elif (state, event) in IGNORED:
        assert queue.step(event) is None
        assert queue.state is state
    else:
        with pytest.raises(LocalProtocolError):
            queue.step(event)


def test_every_state_can_be_reached_and_left() -> None:
    assert {state for state, _ in TABLE} == {state for state, _ in TABLE.values()} == set(QueueState)
    assert {action for _, action in TABLE.values()} == set(QueueAction)
