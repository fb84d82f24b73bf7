"""psk_secret (RFC 9420 §8.4): order, number and nonces count."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import Epoch, ResumptionPskUsage
from rcs_sim.mls.psk import derive_psk_secret
from rcs_sim.mls.psk_id import ExternalPskID, ResumptionPskID

_SUITE = CipherSuite.of(2)
_ONE = (ExternalPskID(b"one", b"nonce"), Secret(b"first"))
_TWO = (ResumptionPskID(ResumptionPskUsage.APPLICATION, b"group", Epoch(1), b"nonce"), Secret(b"second"))


def test_without_a_key_the_secret_is_zero() -> None:
    assert derive_psk_secret(_SUITE, ()) == Secret(bytes(32))


def test_order_number_and_nonce_make_a_difference() -> None:
    lists = [(_ONE,), (_TWO,), (_ONE, _TWO), (_TWO, _ONE), (_ONE, _ONE), ((ExternalPskID(b"one", b"x"), _ONE[1]),)]
    assert len({derive_psk_secret(_SUITE, each).octets for each in lists}) == len(lists)


def test_more_keys_than_can_be_counted_are_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        derive_psk_secret(_SUITE, [_ONE] * 0x10000)
