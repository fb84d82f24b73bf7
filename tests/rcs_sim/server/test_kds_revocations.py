"""Lists of revoked certificates of other key services: what is believed, and for how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ims_core.store.key_directory import HeldRevocations
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.server.kds_actions import Keep, Note
from rcs_sim.server.kds_revocations import FRESH_S, PeerRevocations
from tests.support.kds import BLUE, DAY_S, NOW, RED

_TRUST = TrustAnchors((RED.pki.anchor, BLUE.pki.anchor))
_PEER = BLUE.peer()


def _listed(*serials: bytes, at_s: int = NOW) -> bytes:
    return BLUE.pki.crl_der(at_s, serials)


def test_what_a_peer_has_signed_is_kept_until_it_says_something_newer() -> None:
    held = PeerRevocations()
    assert held.held(1) is None
    assert not held.is_fresh(1, NOW)
    (kept,) = held.learn(_PEER, _listed(b"\x05"), _TRUST, NOW)
    assert isinstance(kept, Keep)
    assert kept.record == HeldRevocations(1, _listed(b"\x05"), NOW)
    assert held.serials == {1: {b"\x05"}}
    assert held.is_fresh(1, NOW + FRESH_S - 1)
    assert not held.is_fresh(1, NOW + FRESH_S)
    (refused,) = held.learn(_PEER, _listed(at_s=NOW - DAY_S), _TRUST, NOW)
    assert isinstance(refused, Note)
    held.learn(_PEER, _listed(b"\x06", at_s=NOW + 60), _TRUST, NOW + 60)
    assert held.serials == {1: {b"\x06"}}


def test_the_root_of_somebody_else_signs_nothing_for_a_peer() -> None:
    held = PeerRevocations()
    (refused,) = held.learn(_PEER, RED.pki.crl_der(NOW, (b"\x05",)), _TRUST, NOW)
    assert isinstance(refused, Note)
    assert held.serials == {}


@given(st.binary(max_size=200))
def test_any_octets_are_refused_with_a_note(octets: bytes) -> None:
    (refused,) = PeerRevocations().learn(_PEER, octets, _TRUST, NOW)
    assert isinstance(refused, Note)


def test_what_was_kept_counts_after_a_restart_if_its_root_is_still_trusted() -> None:
    kept = [HeldRevocations(1, _listed(b"\x05"), NOW), HeldRevocations(2, b"old", NOW)]
    held, alone = PeerRevocations(), PeerRevocations()
    held.restore(kept, _TRUST, NOW + 9)
    alone.restore(kept, TrustAnchors((RED.pki.anchor,)), NOW + 9)
    assert held.serials == {1: {b"\x05"}}
    assert alone.serials == {}
    assert alone.held(1) is None
