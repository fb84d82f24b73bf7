"""The PublicMessage around the signature of a receipt, read and written directly (RCC.16 §7.6.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES, rcs_signature_proposal
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.receipt_carrier import EpochKeys, SignatureCarrier
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.framing import protect_public, sign_content, unprotect_public, verify_signature
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.messages import FramedContent, MLSMessage, PublicMessage, Sender
from tests.support.member_devices import ALICE, BOB, established, make_member


def _group() -> EncryptedGroup:
    group = established(make_member(ALICE), make_member(BOB)).devices[1].conversation.group
    assert group is not None
    return group


_BOBS = _group()


def _by_the_engine(content: bytes) -> bytes:
    mls = _BOBS.group
    framed = FramedContent(mls.group_id, mls.epoch, Sender.member(mls.own_leaf), content, rcs_signature_proposal())
    signed = sign_content(mls.suite, mls.signature_key, WireFormat.PUBLIC_MESSAGE, framed, mls.context)
    return MLSMessage(protect_public(mls.suite, signed, mls.state.secrets.membership_key, mls.context)).encode()


@given(st.binary(max_size=300))
def test_it_is_octet_for_octet_what_the_mls_engine_makes_of_the_proposal(content: bytes) -> None:
    mls = _BOBS.group
    octets = _BOBS.receipt_epoch.sign(mls.signature_key, mls.own_leaf, content)
    assert octets == _by_the_engine(content)
    message = MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body
    assert isinstance(message, PublicMessage)
    opened = unprotect_public(mls.suite, message, mls.state.secrets.membership_key, mls.context)
    verify_signature(mls.suite, opened, mls.signature_key.public, mls.context)
    carrier = SignatureCarrier.read(octets)
    assert carrier is not None
    assert (carrier.group_id, carrier.epoch, carrier.leaf) == (mls.group_id, mls.epoch, mls.own_leaf)
    assert carrier.content == content
    assert _BOBS.receipt_epoch.verifies(carrier)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_octet_is_another_kind_or_unreadable_or_does_not_verify(place: int, flip: int) -> None:
    octets = bytearray(_by_the_engine(b"statement"))
    octets[place % len(octets)] ^= flip
    try:
        carrier = SignatureCarrier.read(bytes(octets))
    except TlsDecodeError:
        return
    assert carrier is None or not _BOBS.receipt_epoch.verifies(carrier)


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    for prefix in (b"", _by_the_engine(b"")[:60]):
        try:
            carrier = SignatureCarrier.read(prefix + octets)
        except TlsDecodeError:
            continue
        assert carrier is None or not _BOBS.receipt_epoch.verifies(carrier)


def test_octets_after_it_are_refused_and_a_sealed_message_is_another_kind() -> None:
    with pytest.raises(TlsDecodeError):
        SignatureCarrier.read(_by_the_engine(b"x") + b"\x00")
    sealed = b"\x00\x01\x00\x02" + bytes(40)
    assert SignatureCarrier.read(sealed) is None


def test_keys_of_an_epoch_survive_being_written_down_and_show_no_key() -> None:
    keys = _BOBS.receipt_epoch
    again = EpochKeys.decode(keys.encode())
    assert again == keys
    assert again.key_of(_BOBS.group.own_leaf) == _BOBS.group.signature_key.public
    assert again.key_of(type(_BOBS.group.own_leaf)(99)) is None
    assert keys.membership_key.octets.hex() not in repr(keys)
