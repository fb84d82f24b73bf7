from __future__ import annotations

from itertools import product

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.nodes.registration_state import (
    IGNORED,
    REGISTRATION,
    RegistrationAction,
    RegistrationInput,
    RegistrationState,
    next_state,
)

PAIRS = list(product(RegistrationState, RegistrationInput))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_each_pair_is_in_the_table_ignored_or_illegal(state: RegistrationState, event: RegistrationInput) -> None:
    if (state, event) in REGISTRATION:
        assert (state, event) not in IGNORED
        assert next_state(state, event) == REGISTRATION[state, event]
    elif (state, event) in IGNORED:
        assert next_state(state, event) is None
    else:
        with pytest.raises(LocalProtocolError):
            next_state(state, event)


def test_only_what_ends_a_binding_is_illegal_and_only_without_one() -> None:
    illegal = {pair for pair in PAIRS if pair not in REGISTRATION and pair not in IGNORED}
    without = (RegistrationState.NOT_REGISTERED, RegistrationState.CHALLENGED)
    assert illegal == {(state, RegistrationInput.BINDINGS_GONE) for state in without}


def test_only_an_authentic_register_is_accepted() -> None:
    authentic = {RegistrationInput.AUTHENTIC, RegistrationInput.AUTHENTIC_AND_GONE}
    accepted = {event for (_, event), (_, action) in REGISTRATION.items() if action is RegistrationAction.ACCEPT}
    assert accepted == authentic
    registered = {RegistrationState.REGISTERED, RegistrationState.RECHALLENGED}
    for (before, event), (after, _) in REGISTRATION.items():
        if after in registered:
            assert before in registered or event is RegistrationInput.AUTHENTIC
