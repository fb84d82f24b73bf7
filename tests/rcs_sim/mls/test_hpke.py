"""HPKE (RFC 9180): what a peer may get wrong, and what the vectors do not show."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.hpke import Aead, Hpke, kem_of
from rcs_sim.mls.kem import CryptoError, HpkeKeyPair


def _pair(kem_id: int, seed: int = 1) -> HpkeKeyPair:
    return kem_of(kem_id).derive_key_pair(Secret(bytes((seed,)) * 64))


def test_an_unknown_kem_is_refused() -> None:
    with pytest.raises(CryptoError):
        kem_of(0x1234)


def _hpke() -> tuple[Hpke, HpkeKeyPair]:
    return Hpke(kem_of(0x0020), 1, Aead.of(1)), _pair(0x0020)


@settings(deadline=None, max_examples=50)
@given(messages=st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), min_size=1, max_size=5))
def test_messages_open_in_their_order(messages: list[tuple[bytes, bytes]]) -> None:
    hpke, pair = _hpke()
    kem_output, sender = hpke.setup_base_s(pair.public, b"info", Secret(b"ephemeral"))
    receiver = hpke.setup_base_r(kem_output, pair, b"info")
    for aad, plaintext in messages:
        assert receiver.open(aad, sender.seal(aad, plaintext)) == plaintext


def test_a_message_that_does_not_open_uses_up_no_number() -> None:
    hpke, pair = _hpke()
    kem_output, sender = hpke.setup_base_s(pair.public, b"info", Secret(b"ephemeral"))
    receiver = hpke.setup_base_r(kem_output, pair, b"info")
    sealed = sender.seal(b"aad", b"text")
    for wrong in (sealed[:-1], b"", sealed + b"\x00", bytes((sealed[0] ^ 1,)) + sealed[1:]):
        with pytest.raises(CryptoError):
            receiver.open(b"aad", wrong)
    with pytest.raises(CryptoError):
        receiver.open(b"other", sealed)
    assert receiver.open(b"aad", sealed) == b"text"


def test_info_and_mode_are_part_of_the_context() -> None:
    hpke, pair = _hpke()
    kem_output, sender = hpke.setup_base_s(pair.public, b"info", Secret(b"ephemeral"))
    _, with_psk = hpke.setup_psk_s(pair.public, b"info", Secret(b"psk"), b"id", Secret(b"ephemeral"))
    exported = sender.export(b"", 32)
    assert exported != with_psk.export(b"", 32)
    assert exported != hpke.setup_base_r(kem_output, pair, b"other").export(b"", 32)
    assert exported != sender.export(b"x", 32)


def test_a_psk_needs_its_id_and_the_other_way_round() -> None:
    hpke, pair = _hpke()
    for psk, psk_id in ((b"psk", b""), (b"", b"id"), (b"", b"")):
        with pytest.raises(LocalProtocolError):
            hpke.setup_psk_s(pair.public, b"", Secret(psk), psk_id, Secret(b"ephemeral"))


def test_an_export_only_context_encrypts_nothing() -> None:
    pair = _pair(0x0020)
    _, sender = Hpke(kem_of(0x0020), 1, Aead.of(0xFFFF)).setup_base_s(pair.public, b"", Secret(b"ephemeral"))
    assert len(sender.export(b"", 16)) == 16
    with pytest.raises(LocalProtocolError):
        sender.seal(b"", b"text")


def test_private_halves_do_not_show() -> None:
    pair = _pair(0x0020)
    assert pair.private.octets.hex() not in repr(pair)
    assert repr(pair.private.octets) not in repr(pair)
