"""The relay row, with few messages."""

from __future__ import annotations

import shutil

import pytest

from rcs_sim.bench.relay import measure_relay
from rcs_sim.bench.row import Measured
from tests.support.peers import require


@pytest.mark.interop
def test_messages_reach_the_registered_phone() -> None:
    require("sipp")
    (row,) = measure_relay(1, lambda done, of: None, count=20, rate=100)
    assert isinstance(row, Measured)
    assert row.value >= 0
    assert (row.peer_value is None) == (shutil.which("kamailio", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None)
