"""X-Wing: against the library's HPKE with the same KEM, and as the KEM of a group."""

from __future__ import annotations

import hashlib

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.external import join_externally
from rcs_sim.mls.hpke import Aead, Hpke
from rcs_sim.mls.identifiers import CipherSuiteId, LeafIndex
from rcs_sim.mls.kem import CryptoError, HpkeKeyPair
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.snapshot import restore, snapshot
from rcs_sim.mls.xwing import XWING_KEM_ID, XWing, is_available
from tests.support.mls_groups import NOW_S, Party, commit, established, share, the_same_epoch

pytestmark = pytest.mark.skipif(not is_available(), reason="this cryptography has no ML-KEM-768")

_SUITE_ID = CipherSuiteId.MLS_128_XWING_CHACHA20POLY1305_SHA256_ED25519
_REGISTERED = 0x647A  # MLKEM768-X25519 of the HPKE registry, which the library has


def _pair(seed: int = 1) -> HpkeKeyPair:
    return XWing().derive_key_pair(Secret(bytes((seed,)) * 32))


def test_the_library_seals_what_we_open() -> None:
    hpke = pytest.importorskip("cryptography.hazmat.primitives.hpke")
    mlkem = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mlkem")
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    pair = _pair()
    halves = (
        mlkem.MLKEM768PublicKey.from_public_bytes(pair.public[:1184]),
        X25519PublicKey.from_public_bytes(pair.public[1184:]),
    )
    theirs = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
    sealed = theirs.encrypt(b"text", hpke.MLKEM768X25519PublicKey(*halves), info=b"info")
    ours = Hpke(XWing(_REGISTERED), 1, Aead.of(1))
    assert ours.setup_base_r(sealed[:1120], pair, b"info").open(b"", sealed[1120:]) == b"text"


def test_the_library_opens_what_we_seal() -> None:
    hpke = pytest.importorskip("cryptography.hazmat.primitives.hpke")
    mlkem = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mlkem")
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    pair = _pair()
    expanded = hashlib.shake_256(pair.private.octets).digest(96)
    halves = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
    kem_output, sender = Hpke(XWing(_REGISTERED), 1, Aead.of(1)).setup_base_s(pair.public, b"info", Secret(bytes(32)))
    theirs = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
    sealed = kem_output + sender.seal(b"", b"text")
    assert theirs.decrypt(sealed, hpke.MLKEM768X25519PrivateKey(*halves), info=b"info") == b"text"


def test_both_ends_have_the_same_secret_and_another_key_has_not() -> None:
    kem, receiver = XWing(), _pair()
    shared, kem_output = kem.encapsulate(receiver.public, Secret(bytes(range(32))))
    assert kem.decapsulate(receiver, kem_output) == shared
    assert kem.decapsulate(_pair(2), kem_output) != shared
    assert (len(receiver.private), len(receiver.public), len(kem_output), len(shared)) == (32, 1216, 1120, 32)
    assert kem.key_pair_of(receiver.private) == receiver
    assert XWing(_REGISTERED).derive_key_pair(Secret(b"\x01" * 32)) != receiver  # the number is part of it


def test_a_key_pair_is_derived_as_mls_rs_derives_it() -> None:
    """As it was seen: a node secret, and the seed in the state that the peer kept."""
    ikm = Secret.of_hex("7275b99ae1e663dd903a0a5b43f6f22ad226af7685b495504d090598827f61d5")
    seed = Secret.of_hex("b25889e145b80a68b4c2fd22167854ab1f5bcf376bce18d150ce379db9371bcd")
    assert XWing().derive_key_pair(ikm).private == seed


def test_what_is_no_key_or_ciphertext_is_refused() -> None:
    kem, good = XWing(), _pair()
    kem.verify_public_key(good.public)
    not_reduced = b"\xff" * 1184 + good.public[1184:]
    small_order = good.public[:1184] + bytes(32)
    for wrong in (b"", good.public[:-1], good.public + b"\x00", good.public[:32], not_reduced, small_order):
        with pytest.raises(CryptoError):
            kem.verify_public_key(wrong)
        with pytest.raises(CryptoError):
            kem.encapsulate(wrong, Secret(bytes(32)))
    _, kem_output = kem.encapsulate(good.public, Secret(b"\x01" * 32))
    for wrong in (b"", kem_output[:-1], kem_output + b"\x00", kem_output[:1088] + bytes(32)):
        with pytest.raises(CryptoError):
            kem.decapsulate(good, wrong)
    with pytest.raises(CryptoError):
        kem.key_pair_of(Secret(bytes(64)))


def test_a_changed_ciphertext_gives_another_secret() -> None:
    kem, good = XWing(), _pair()
    shared, kem_output = kem.encapsulate(good.public, Secret(b"\x01" * 32))
    for place in (0, 1087, 1088):
        changed = kem_output[:place] + bytes((kem_output[place] ^ 1,)) + kem_output[place + 1 :]
        assert kem.decapsulate(good, changed) != shared


def test_the_suite_is_offered_to_who_asks_for_it() -> None:
    suite = CipherSuite.of(0xF057)
    assert (suite.id, suite.hpke.kem.kem_id, suite.aead.aead_id) == (_SUITE_ID, XWING_KEM_ID, 3)
    assert _SUITE_ID not in CipherSuite.supported()


def test_a_group_lives_on_it() -> None:
    suite = CipherSuite.of(_SUITE_ID)
    alice, bob, carol = established("alice", "bob", "carol", suite=suite)
    assert carol.read(alice.seal(b"hello", b"aad")).application_data == b"hello"
    share(bob, (alice, carol), Remove(LeafIndex(2)))
    commit(alice, (bob, carol))
    assert not carol.is_member
    info = alice.group.group_info(with_tree=True)
    dave = Party("dave", suite=suite)
    joined = join_externally(dave.client, info, dave.random, now_s=NOW_S)
    for party in (alice, bob):
        party.follow(joined.message.encode())
    dave.group = joined.group
    bob.group = restore(snapshot(bob.group), lambda _: bob.client.signature_key)
    assert the_same_epoch(alice, bob, dave)
    octets = commit(dave, (alice, bob))
    assert the_same_epoch(alice, bob, dave)
    with pytest.raises(MlsValidationError):
        alice.follow(octets)
