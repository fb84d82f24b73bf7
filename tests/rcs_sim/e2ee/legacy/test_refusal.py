"""A refusal says what is wrong, and by which clause."""

from __future__ import annotations

import pytest

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.legacy.refusal import SPEC, LegacyRefusal, LegacyRefused


@pytest.mark.parametrize("refusal", LegacyRefusal)
def test_a_refusal_names_its_reason_and_clause(refusal: LegacyRefusal) -> None:
    refused = LegacyRefused(refusal, "more about it")
    assert isinstance(refused, RemoteProtocolError)
    assert refused.refusal is refusal
    assert str(refused) == f"{refusal.value}: more about it ({SPEC})"
