"""The state table of a mobile terminated transfer."""

from __future__ import annotations

from itertools import product

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.nodes.ipsmgw_transfer import IGNORED, TABLE, Transfer, TransferAction, TransferInput, TransferState


@pytest.mark.parametrize(("state", "event"), list(product(TransferState, TransferInput)))
def test_every_pair_is_in_the_table_or_ignored_or_refused(state: TransferState, event: TransferInput) -> None:
    transfer = Transfer(1, 2, "+12025550101", 3, "c1", state)
    if (state, event) in TABLE:
        assert (state, event) not in IGNORED
        expected = TABLE[state, event]
        assert (transfer.step(event), transfer.state) == (expected[1], expected[0])
    elif (state, event) in IGNORED:
        assert transfer.step(event) is None
        assert transfer.state is state
    else:
        with pytest.raises(LocalProtocolError):
            transfer.step(event)


def test_every_action_is_used() -> None:
    assert {action for _, action in TABLE.values()} == set(TransferAction)
