from __future__ import annotations

import pytest

from rcs_sim.client.encryption import SEALING, NotSealed, SealingPower, SealStep, seal_step
from rcs_sim.client.fallback import FallbackReason


@pytest.mark.parametrize("power", SealingPower)
@pytest.mark.parametrize("is_marked", [True, False])
def test_a_marked_conversation_is_never_carried_in_clear(power: SealingPower, is_marked: bool) -> None:
    decision = seal_step(power, is_marked=is_marked)
    assert (power, is_marked) in SEALING
    assert not (is_marked and decision.step is SealStep.PLAIN)
    assert (decision.reason is FallbackReason.NONE) is (decision.step in (SealStep.SEAL, SealStep.PLAIN))


def test_an_unmarked_one_goes_in_clear_where_nothing_can_seal_it() -> None:
    plain = {power for power in SealingPower if seal_step(power, is_marked=False).step is SealStep.PLAIN}
    assert plain == {
        SealingPower.NO_STATE,
        SealingPower.DOWNGRADED,
        SealingPower.UNAVAILABLE,
        SealingPower.NO_IDENTITY,
    }


def test_what_could_not_be_sealed_says_why() -> None:
    assert NotSealed("no group", FallbackReason.NO_ENCRYPTION_STATE).reason is FallbackReason.NO_ENCRYPTION_STATE
