"""Trust-anchor lists: generations, what peers may say, what survives a restart."""

from __future__ import annotations

import pytest

from ims_core.store.key_directory import DIRECTORY_ANCHORS, SignedAnchors
from ims_core.store.record_codec import RecordCodec
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import TrustAnchor, read_trust_list
from rcs_sim.e2ee.vendor_pki import VendorPki, derive_key
from rcs_sim.server.kds_actions import Change, Keep, Note
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.wire.key_directory import FederationAnchor, FederationAnchors
from tests.support.kds import BLUE, NOW, RED

_SIGNER = derive_key(b"lab", "list")


def _book(*own: TrustAnchor) -> AnchorBook:
    return AnchorBook(2, own or [RED.pki.anchor], [BLUE.pki.anchor], "lab", _SIGNER)


def _root(vendor_id: int = 1, operator: str = "blue 2") -> FederationAnchor:
    pki = VendorPki.derive(b"new", vendor_id=vendor_id, kds=1, operator=operator, now_s=NOW)
    return FederationAnchor(vendor_id=1, kds=1, der=pki.root_der)


def _kept(changes: list[Change] | list[Change | Note]) -> list[SignedAnchors]:
    codec = RecordCodec(DIRECTORY_ANCHORS)
    records = [each.record for each in changes if isinstance(each, Keep)]
    return [codec.decode(codec.encode(each)) for each in records if isinstance(each, SignedAnchors)]


def _read(book: AnchorBook, generation: int) -> set[bytes]:
    octets = book.signed(generation)
    assert octets is not None
    listed = read_trust_list(octets, spki_of_point(_SIGNER.public), generation, generation)
    return {each.der for each in listed.anchors}


def test_the_first_list_has_own_and_configured_roots() -> None:
    book = _book()
    book.start([], NOW)
    assert book.generation == 1
    assert _read(book, 1) == {RED.pki.root_der, BLUE.pki.root_der}
    assert [each.der for each in book.own().anchors] == [RED.pki.root_der]


def test_a_changed_root_of_a_peer_replaces_all_of_its_roots_in_a_new_generation() -> None:
    book = _book()
    book.start([], NOW)
    new = _root()
    changes = book.learn(BLUE.peer(), FederationAnchors(2, (new,)), NOW)
    assert len(_kept(changes)) == 1
    assert book.generation == 2
    assert _read(book, 2) == {RED.pki.root_der, new.der}
    assert _read(book, 1) == {RED.pki.root_der, BLUE.pki.root_der}
    assert not book.is_behind(BLUE.peer(), 2)
    assert book.is_behind(BLUE.peer(), 3)


def test_the_same_roots_make_no_new_generation() -> None:
    book = _book()
    book.start([], NOW)
    same = FederationAnchor(vendor_id=1, kds=1, der=BLUE.pki.root_der)
    book.learn(BLUE.peer(), FederationAnchors(5, (same,)), NOW)
    assert book.generation == 1
    assert not book.is_behind(BLUE.peer(), 5)


@pytest.mark.parametrize(
    "told",
    [
        FederationAnchors(2, ()),
        FederationAnchors(2, (FederationAnchor(vendor_id=2, kds=1, der=_root().der),)),
        FederationAnchors(2, (FederationAnchor(vendor_id=1, kds=2, der=_root().der),)),
        FederationAnchors(2, (_root(vendor_id=2),)),
        FederationAnchors(2, (FederationAnchor(vendor_id=1, kds=1, der=b"x"),)),
        FederationAnchors(2, (FederationAnchor(vendor_id=1, kds=1, der=BLUE.pki.ica_der),)),
        FederationAnchors(2, (_root(), FederationAnchor(vendor_id=1, kds=1, der=b"x"))),
    ],
    ids=["none", "vendor", "directory", "vendor in the certificate", "no certificate", "no root", "one of two"],
)
def test_what_a_peer_must_not_say_changes_nothing(told: FederationAnchors) -> None:
    book = _book()
    book.start([], NOW)
    (note,) = book.learn(BLUE.peer(), told, NOW)
    assert isinstance(note, Note)
    assert note.details["outcome"] == "anchors_refused"
    assert book.generation == 1
    assert book.is_behind(BLUE.peer(), 2)


def test_a_peer_does_not_go_back() -> None:
    book = _book()
    book.start([], NOW)
    book.learn(BLUE.peer(), FederationAnchors(5, (_root(),)), NOW)
    (note,) = book.learn(BLUE.peer(), FederationAnchors(4, (_root(operator="older"),)), NOW)
    assert isinstance(note, Note)
    assert book.generation == 2


def test_a_restart_keeps_the_generation_and_a_new_own_root_makes_another() -> None:
    book = _book()
    kept = _kept(book.start([], NOW))
    learnt = _root()
    kept += _kept(book.learn(BLUE.peer(), FederationAnchors(2, (learnt,)), NOW))
    again = _book()
    assert again.start(kept, NOW + 100) == []
    assert (again.generation, again.signed(2)) == (2, book.signed(2))
    assert not again.is_behind(BLUE.peer(), 2)
    moved = VendorPki.derive(b"other", vendor_id=2, kds=2, operator="red", now_s=NOW)
    third = _book(moved.anchor)
    third.start(kept, NOW + 100)
    assert _read(third, 3) == {moved.root_der, learnt.der}


def test_old_generations_go_after_a_while() -> None:
    book = _book()
    book.start([], NOW)
    for number in range(2, 14):
        book.learn(BLUE.peer(), FederationAnchors(number, (_root(operator=f"blue {number}"),)), NOW)
    assert book.generation == 13
    assert [generation for generation in range(15) if book.signed(generation) is not None] == list(range(6, 14))
