"""Every pair of state and input: a row, ignored, or refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.auth import AuthClient
from ims_core.wire.msrp.auth_table import IGNORED, TABLE, Action, AuthState, Input
from ims_core.wire.msrp.message import MsrpResponse
from tests.ims_core.wire.msrp.test_auth import CHALLENGE, CLIENT, RELAY, USE_PATH, client

_EXPIRES = ("Expires", "600")
_MIN = ("Min-Expires", "60")


def _response(status: int, *headers: tuple[str, str]) -> MsrpResponse:
    return MsrpResponse("any1", status, None, CLIENT, RELAY, headers)


_ARGUMENTS: dict[Input, Any] = {
    Input.STATUS_2XX: _response(200, USE_PATH, _EXPIRES),
    Input.STATUS_401: _response(401, CHALLENGE),
    Input.STATUS_423: _response(423, _MIN),
    Input.STATUS_OTHER: _response(403),
    Input.UNUSABLE: (400, "no"),
}
_WAYS: dict[AuthState, tuple[Input, ...]] = {
    AuthState.IDLE: (),
    AuthState.ASKING: (Input.START,),
    AuthState.GRANTED: (Input.START, Input.STATUS_2XX),
    AuthState.REFRESHING: (Input.START, Input.STATUS_2XX, Input.TIMER_REFRESH),
    AuthState.FAILED: (Input.START, Input.STATUS_OTHER),
}


def _in_state(state: AuthState) -> AuthClient:
    target = client()
    for event in _WAYS[state]:
        target._step(event, 0.0, _ARGUMENTS.get(event))
    assert target.state is state
    return target


@pytest.mark.parametrize(("state", "event"), list(itertools.product(AuthState, Input)))
def test_every_pair_is_in_the_table_or_ignored_or_raises(state: AuthState, event: Input) -> None:
    target = _in_state(state)
    if (state, event) in TABLE:
        target._step(event, 1.0, _ARGUMENTS.get(event))
        assert target.state is TABLE[state, event][0]
        assert (target.next_deadline() is None) == (target.state in (AuthState.IDLE, AuthState.FAILED))
    elif (state, event) in IGNORED:
        assert target._step(event, 1.0) == []
        assert target.state is state
    else:
        with pytest.raises(LocalProtocolError, match=event.name):
            target._step(event, 1.0, _ARGUMENTS.get(event))
        assert target.state is state


def test_table_and_ignored_are_apart_and_every_action_is_used() -> None:
    assert not IGNORED & TABLE.keys()
    assert {action for _, action in TABLE.values()} == set(Action)
    assert {state for state, _ in TABLE.values()} == set(AuthState)
