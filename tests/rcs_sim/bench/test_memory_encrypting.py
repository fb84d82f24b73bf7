"""Phones of the row have their conversations under a lock, or the row fails."""

from __future__ import annotations

from ims_core.transport.virtual_loop import run
from rcs_sim.bench.memory_encrypting import measure


def test_a_phone_that_encrypts_has_a_size() -> None:
    found = run(lambda: measure(2), clock="virtual")
    assert set(found) == {"enrolled_kb", "conversation_kb"}
