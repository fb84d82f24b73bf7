"""PrivateMessage (RFC 9420 §6.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import TlsDecodeError, encode_opaque, encode_u8, encode_u64
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import verify_signature
from rcs_sim.mls.identifiers import ContentType, Epoch, LeafIndex, ProposalType, WireFormat
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, Content, MLSMessage, PrivateMessage, Sender
from rcs_sim.mls.private_framing import OpenedContent, no_padding, open_private, padme, seal_private
from rcs_sim.mls.proposals import CustomProposal, Remove, empty_body
from rcs_sim.mls.secret_tree import RatchetKind, SecretTree
from tests.support.mls_epoch import FramingEpoch, fixed_octets

_EPOCH = FramingEpoch(CipherSuite.of(2))
_PRIVATE = WireFormat.PRIVATE_MESSAGE
_REMOVE = Remove(LeafIndex(2))
_COMMIT = Commit((_REMOVE,), None)


def _seal(content: Content, tree: SecretTree | None = None) -> PrivateMessage:
    signed = _EPOCH.signed(content, _PRIVATE)
    used = _EPOCH.tree() if tree is None else tree
    return seal_private(_EPOCH.suite, signed, used, _EPOCH.sender_data, fixed_octets, padme)


def _open(message: PrivateMessage, tree: SecretTree | None = None) -> OpenedContent:
    opened = open_private(
        _EPOCH.suite, message, _EPOCH.tree() if tree is None else tree, _EPOCH.sender_data, {0xF002: empty_body}
    )
    verify_signature(_EPOCH.suite, opened.authenticated, _EPOCH.key.public, _EPOCH.context)
    return opened


def _sealed_by_hand(content_type: ContentType, plaintext: bytes, sender_data: bytes | None = None) -> PrivateMessage:
    """What an insider can send: any plaintext under the right key, any SenderData beside it."""
    suite = _EPOCH.suite
    kind = RatchetKind.APPLICATION if content_type is ContentType.APPLICATION else RatchetKind.HANDSHAKE
    key = _EPOCH.tree().take(_EPOCH.sender, kind)
    head = encode_opaque(b"group") + encode_u64(7) + encode_u8(content_type)
    ciphertext = suite.cipher(key.key).encrypt(key.nonce, plaintext, head + encode_opaque(b""))
    named = bytes((0, 0, 0, _EPOCH.sender)) + bytes(8) if sender_data is None else sender_data
    data_key, data_nonce = _EPOCH.sender_data.key_and_nonce(ciphertext)
    encrypted = suite.cipher(data_key).encrypt(data_nonce, named, head)
    return PrivateMessage(b"group", Epoch(7), content_type, b"", encrypted, ciphertext)


def _rule(message: PrivateMessage) -> str:
    tree = _EPOCH.tree()
    before = tree.encode()
    with pytest.raises(MlsValidationError) as refused:
        _open(message, tree)
    assert tree.encode() == before
    return refused.value.rule


@pytest.mark.parametrize(
    "content",
    [b"", b"text", _REMOVE, _COMMIT, CustomProposal(ProposalType(0xF002), b"")],
    ids=["empty", "text", "proposal", "commit", "custom"],
)
def test_a_message_opens_to_what_was_sealed(content: Content) -> None:
    received = MLSMessage.decode(MLSMessage(_seal(content)).encode()).body
    assert isinstance(received, PrivateMessage)
    opened = _open(received)
    assert opened.authenticated == _EPOCH.signed(content, _PRIVATE)
    assert opened.authenticated.encode() == _EPOCH.signed(content, _PRIVATE).encode()
    assert (opened.key.leaf, opened.key.generation) == (_EPOCH.sender, 0)


@pytest.mark.parametrize("number", range(1, 8))
def test_every_suite_seals_and_opens(number: int) -> None:
    epoch = FramingEpoch(CipherSuite.of(number))
    signed = epoch.signed(b"text", _PRIVATE)
    message = seal_private(epoch.suite, signed, epoch.tree(), epoch.sender_data, fixed_octets)
    opened = open_private(epoch.suite, message, epoch.tree(), epoch.sender_data)
    verify_signature(epoch.suite, opened.authenticated, epoch.key.public, epoch.context)
    assert opened.authenticated == signed


def test_a_message_opens_once() -> None:
    message, tree = _seal(b"text"), _EPOCH.tree()
    tree.consume(_open(message, tree).key)
    with pytest.raises(MlsValidationError, match="VAL-901"):
        _open(message, tree)
    with pytest.raises(MlsValidationError, match="VAL-901"):
        _open(message, SecretTree.decode(_EPOCH.suite, tree.encode()))


def test_messages_open_out_of_order() -> None:
    sender, receiver = _EPOCH.tree(), _EPOCH.tree()
    sealed = [_seal(str(number).encode(), sender) for number in range(5)]
    for number in (4, 0, 2, 1, 3):
        opened = _open(sealed[number], receiver)
        receiver.consume(opened.key)
        assert opened.authenticated.content.content == str(number).encode()


@settings(deadline=None, max_examples=150)
@given(choice=st.data())
def test_a_message_with_a_flipped_bit_does_not_open_valsem006(choice: st.DataObject) -> None:
    octets = bytearray(_seal(b"text").encode())
    place = choice.draw(st.integers(0, 8 * len(octets) - 1))
    octets[place // 8] ^= 1 << place % 8
    try:
        damaged = PrivateMessage.decode(bytes(octets))
    except TlsDecodeError:
        return
    assert _rule(damaged) == "ValSem006"


def test_changed_authenticated_data_group_or_epoch_do_not_open_valsem006() -> None:
    message = _seal(b"text")
    for changed in (
        replace(message, authenticated_data=b"other"),
        replace(message, group_id=b"other"),
        replace(message, epoch=Epoch(8)),
        replace(message, content_type=ContentType.PROPOSAL),
        replace(message, ciphertext=b""),
        replace(message, ciphertext=message.ciphertext[:-1]),
        replace(message, encrypted_sender_data=b""),
        replace(message, encrypted_sender_data=_seal(b"other").encrypted_sender_data),
    ):
        assert _rule(changed) == "ValSem006"


def test_padding_that_is_not_zero_is_refused_valsem011() -> None:
    for padding in (b"\x01", b"\x00\x00\x01", b"\x01\x00", bytes(1000) + b"\xff"):
        assert _rule(_sealed_by_hand(ContentType.APPLICATION, b"\x04text\x00" + padding)) == "ValSem011"


def test_what_another_signed_does_not_pass_and_changes_nothing_valsem010() -> None:
    assert _rule(_sealed_by_hand(ContentType.APPLICATION, b"\x04text\x00")) == "ValSem010"


def test_a_sender_outside_of_the_tree_is_refused_valsem004() -> None:
    message = _sealed_by_hand(ContentType.APPLICATION, b"\x04text\x00", b"\x00\x00\x00\x04" + bytes(8))
    assert _rule(message) == "ValSem004"


def test_a_generation_too_far_ahead_is_refused() -> None:
    message = _sealed_by_hand(ContentType.APPLICATION, b"\x04text\x00", b"\x00\x00\x00\x01" + b"\xff" * 8)
    assert _rule(message) == "VAL-902"


@settings(deadline=None)
@given(
    content_type=st.sampled_from(ContentType),
    plaintext=st.binary(max_size=60),
    sender_data=st.one_of(st.none(), st.binary(max_size=20)),
)
def test_an_insider_gets_nothing_but_refusals(
    content_type: ContentType, plaintext: bytes, sender_data: bytes | None
) -> None:
    with pytest.raises((MlsValidationError, TlsDecodeError)):
        _open(_sealed_by_hand(content_type, plaintext, sender_data))


def test_only_members_seal_and_only_what_is_signed_for_it() -> None:
    for signed in (
        _EPOCH.signed(b"text", WireFormat.PUBLIC_MESSAGE),
        _EPOCH.signed(_COMMIT, _PRIVATE, NEW_MEMBER_COMMIT),
        _EPOCH.signed(_REMOVE, _PRIVATE, Sender.external(0)),
    ):
        tree = _EPOCH.tree()
        with pytest.raises(LocalProtocolError):
            seal_private(_EPOCH.suite, signed, tree, _EPOCH.sender_data, fixed_octets)
        assert tree.encode() == _EPOCH.tree().encode()


@pytest.mark.parametrize(
    ("length", "padded"),
    [(0, 0), (1, 1), (2, 2), (9, 10), (31, 32), (33, 36), (100, 104), (1000, 1024), (10_000, 10_240)],
)
def test_padme_rounds_up_to_few_significant_bits(length: int, padded: int) -> None:
    assert length + padme(length) == padded


@given(length=st.integers(0, 2**40))
def test_padme_adds_at_most_an_eighth_and_is_stable(length: int) -> None:
    padded = length + padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == 0


def test_padding_makes_lengths_alike() -> None:
    lengths = {len(_seal(bytes(length)).ciphertext) for length in range(400, 420)}
    assert len(lengths) <= 3
    assert no_padding(17) == 0
