"""PreSharedKeyID (RFC 9420 §8.4)."""

from __future__ import annotations

import pytest

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.identifiers import Epoch, PskType, ResumptionPskUsage
from rcs_sim.mls.psk_id import ExternalPskID, ResumptionPskID, decode_psk_id, with_nonce


def test_an_external_key_has_an_id_and_a_nonce() -> None:
    psk_id = decode_psk_id(b"\x01\x02id\x05nonce")
    assert psk_id == ExternalPskID(b"id", b"nonce")
    assert psk_id.psktype is PskType.EXTERNAL


def test_a_resumption_key_names_its_group_and_epoch() -> None:
    psk_id = decode_psk_id(b"\x02\x03\x05group\x00\x00\x00\x00\x00\x00\x00\x07\x05nonce")
    assert psk_id == ResumptionPskID(ResumptionPskUsage.BRANCH, b"group", Epoch(7), b"nonce")
    assert psk_id.psktype is PskType.RESUMPTION


@pytest.mark.parametrize(
    "octets", [b"\x00\x00\x00", b"\x03\x00\x00", b"\x02\x00\x00" + bytes(9), b"\x02\x04\x00" + bytes(9)]
)
def test_unknown_types_and_usages_are_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        decode_psk_id(octets)


def test_a_key_is_used_again_under_another_nonce() -> None:
    assert with_nonce(ExternalPskID(b"id", b"old"), b"new") == ExternalPskID(b"id", b"new")
