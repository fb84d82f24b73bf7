"""Outputs and settings of calls."""

from __future__ import annotations

from typing import get_args

from ims_core.wire.sip import call_outputs
from ims_core.wire.sip.call_outputs import CALL_METHODS, CallConfig, CallOutput, Ended, EndReason, Released


def test_every_output_is_in_the_union() -> None:
    kinds = {kind.__name__ for kind in get_args(CallOutput)}
    assert kinds <= set(call_outputs.__all__)
    assert {"SendRequest", "SendAck", "SendCancel", "Respond", "Ended", "Released"} <= kinds


def test_outputs_are_values() -> None:
    assert Ended(EndReason.GONE) == Ended(EndReason.GONE, None)
    assert Released() == Released()


def test_by_default_a_call_allows_what_it_handles() -> None:
    config = CallConfig()
    assert config.allow == CALL_METHODS
    assert (config.headers, config.response_headers, config.is_secure) == ((), (), False)
    assert config.session.interval_s == 1800
