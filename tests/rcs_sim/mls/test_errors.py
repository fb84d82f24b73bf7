"""A refusal carries the id of its rule."""

from __future__ import annotations

from ims_core.errors import RemoteProtocolError
from rcs_sim.mls.errors import MlsValidationError


def test_the_rule_is_told_and_can_be_read() -> None:
    error = MlsValidationError("ValSem010", "not signed", spec="RFC 9420 §6.1", raw=b"octets")
    assert isinstance(error, RemoteProtocolError)
    assert error.rule == "ValSem010"
    assert str(error) == "ValSem010: not signed: b'octets' (RFC 9420 §6.1)"
