"""The digest row, with few users."""

from __future__ import annotations

import pytest

from rcs_sim.bench.digest_registration import measure_digest_registration
from rcs_sim.bench.row import Measured
from tests.support.peers import require


@pytest.mark.interop
def test_users_register() -> None:
    require("sipp")
    (row,) = measure_digest_registration(1, lambda done, of: None, count=20, rate=100)
    assert isinstance(row, Measured)
    assert row.value >= 0
    assert row.what.startswith("registration with Digest")
