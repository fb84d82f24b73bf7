"""State tables of autoconfiguration at the client."""

from __future__ import annotations

import itertools

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from rcs_sim.client.provisioning import Provisioning
from rcs_sim.client.provisioning_table import IGNORED, PROCEDURE, STARTS, Action, Input, Procedure, Start, Trigger
from rcs_sim.client.provisioning_values import ProvisioningSettings, ServiceState
from tests.support.acs import ALICE_SIM, CONFIG_URL


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(ServiceState, Trigger)))
def test_every_trigger_is_answered_in_every_state(state: ServiceState, trigger: Trigger) -> None:
    start = STARTS[state, trigger]
    assert (start is Start.AFRESH) == (trigger is Trigger.SIM_CHANGED)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(Procedure, Input)))
def test_every_pair_is_in_the_table_or_ignored_or_raises(state: Procedure, event: Input) -> None:
    phone = Provisioning(ProvisioningSettings(configuration_url=CONFIG_URL), ALICE_SIM, Tokens("t"))
    phone.procedure = state
    if (state, event) in PROCEDURE:
        assert (state, event) not in IGNORED
    elif (state, event) in IGNORED:
        assert phone._step(event, 0.0) == []
        assert phone.procedure is state
    else:
        with pytest.raises(LocalProtocolError):
            phone._step(event, 0.0)


def test_every_state_can_be_left_and_every_action_is_used() -> None:
    assert {state for (state, _), (after, _) in PROCEDURE.items() if after is not state} == set(Procedure)
    assert {action for _, action in PROCEDURE.values()} == set(Action)
