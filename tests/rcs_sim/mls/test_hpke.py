"""HPKE (RFC 9180): what a peer may get wrong, and what the vectors do not show."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.hpke import Aead, CryptoError, Hpke, HpkeKeyPair, Kem

_KEMS = (0x0010, 0x0011, 0x0012, 0x0020, 0x0021)
_each_kem = pytest.mark.parametrize("kem_id", _KEMS, ids=hex)


def _pair(kem_id: int, seed: int = 1) -> HpkeKeyPair:
    return Kem.of(kem_id).derive_key_pair(Secret(bytes((seed,)) * 64))


@_each_kem
def test_both_ends_have_the_same_secret_and_another_key_has_not(kem_id: int) -> None:
    kem, receiver = Kem.of(kem_id), _pair(kem_id)
    shared, kem_output = kem.encapsulate(receiver.public, Secret(b"ephemeral"))
    assert kem.decapsulate(receiver, kem_output) == shared
    assert kem.decapsulate(_pair(kem_id, 2), kem_output) != shared
    assert kem.encapsulate(receiver.public, Secret(b"other"))[1] != kem_output


@_each_kem
def test_what_is_no_public_key_is_refused(kem_id: int) -> None:
    kem, good = Kem.of(kem_id), _pair(kem_id)
    kem.verify_public_key(good.public)
    for wrong in (b"", good.public[:-1], good.public + b"\x00", bytes(len(good.public))):
        with pytest.raises(CryptoError):
            kem.verify_public_key(wrong)
        with pytest.raises(CryptoError):
            kem.encapsulate(wrong, Secret(b"ephemeral"))
        with pytest.raises(CryptoError):
            kem.decapsulate(good, wrong)


@pytest.mark.parametrize("kem_id", [0x0010, 0x0011, 0x0012], ids=hex)
def test_compressed_and_hybrid_points_are_refused(kem_id: int) -> None:
    kem, point = Kem.of(kem_id), _pair(kem_id).public
    half = len(point) // 2
    for wrong in (bytes((2 + (point[-1] & 1),)) + point[1 : half + 1], bytes((6 + (point[-1] & 1),)) + point[1:]):
        with pytest.raises(CryptoError):
            kem.verify_public_key(wrong)


@pytest.mark.parametrize(("kem_id", "point"), [(0x0020, bytes(32)), (0x0020, b"\x01" + bytes(31)), (0x0021, bytes(56))])
def test_points_of_small_order_are_refused(kem_id: int, point: bytes) -> None:
    with pytest.raises(CryptoError):
        Kem.of(kem_id).encapsulate(point, Secret(b"ephemeral"))


@_each_kem
def test_a_private_key_of_another_form_is_refused(kem_id: int) -> None:
    with pytest.raises(CryptoError):
        Kem.of(kem_id).key_pair_of(Secret(b"short"))


def _hpke() -> tuple[Hpke, HpkeKeyPair]:
    return Hpke(Kem.of(0x0020), 1, Aead.of(1)), _pair(0x0020)


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
    _, sender = Hpke(Kem.of(0x0020), 1, Aead.of(0xFFFF)).setup_base_s(pair.public, b"", Secret(b"ephemeral"))
    assert len(sender.export(b"", 16)) == 16
    with pytest.raises(LocalProtocolError):
        sender.seal(b"", b"text")


def test_private_halves_do_not_show() -> None:
    pair = _pair(0x0020)
    assert pair.private.octets.hex() not in repr(pair)
    assert repr(pair.private.octets) not in repr(pair)
