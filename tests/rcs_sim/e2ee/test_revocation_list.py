"""The signed list of revoked certificates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate import certificate_number
from rcs_sim.e2ee.certificate_issuer import signature_algorithm
from rcs_sim.e2ee.der import BOOLEAN, INTEGER, OCTET_STRING, OID, element, encode_oid, encode_time, sequence
from rcs_sim.e2ee.revocation_list import RevocationList, RevocationListRefused
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from tests.support.certificate_chains import NOW_S, make_pki

_RED, _BLUE = make_pki(2), make_pki(1)
_ANCHORS = TrustAnchors((_RED.anchor,))
_DAY_S = 86_400


def test_what_the_root_lists_is_read() -> None:
    for serials in ((), (b"\x01",), (b"\x00\xff\x02", b"\x07")):
        found = RevocationList.read(_RED.crl_der(NOW_S, serials), _ANCHORS, NOW_S)
        assert found.serials == {certificate_number(each) for each in serials}
        assert (found.issued_s, found.next_s, found.number) == (NOW_S, NOW_S + 7 * _DAY_S, NOW_S)
        assert found.issuer == _RED.root.certificate.subject
        assert not found.is_stale(NOW_S + 7 * _DAY_S)
        assert found.is_stale(NOW_S + 7 * _DAY_S + 1)


def test_a_list_of_another_root_of_the_future_or_older_than_the_one_held_is_refused() -> None:
    held = RevocationList.read(_RED.crl_der(NOW_S, (b"\x01",)), _ANCHORS, NOW_S)
    for octets, now_s in (
        (_BLUE.crl_der(NOW_S, ()), NOW_S),
        (_RED.crl_der(NOW_S + 301, ()), NOW_S),
        (_RED.crl_der(NOW_S - 1, ()), NOW_S),
    ):
        with pytest.raises(RevocationListRefused):
            RevocationList.read(octets, _ANCHORS, now_s, held)
    assert RevocationList.read(_RED.crl_der(NOW_S + 300, ()), _ANCHORS, NOW_S, held).serials == frozenset()
    assert RevocationList.read(_RED.crl_der(NOW_S, (b"\x01",)), _ANCHORS, NOW_S + 30 * _DAY_S, held) == held


def test_lists_of_two_issuers_are_not_older_than_each_other() -> None:
    """A phone that moves to another carrier takes that one's list, whatever its number is."""
    held = RevocationList.read(_RED.crl_der(NOW_S, (b"\x01",)), _ANCHORS, NOW_S)
    other = RevocationList.read(_BLUE.crl_der(NOW_S - _DAY_S, ()), TrustAnchors((_BLUE.anchor,)), NOW_S, held)
    assert other.issuer == _BLUE.root.certificate.subject


def test_each_changed_octet_is_refused() -> None:
    octets = _RED.crl_der(NOW_S, (b"\x01", b"\x02"))
    for place in range(len(octets)):
        with pytest.raises(RevocationListRefused):
            RevocationList.read(octets[:place] + bytes((octets[place] ^ 1,)) + octets[place + 1 :], _ANCHORS, NOW_S)
    for cut in range(len(octets)):
        with pytest.raises(RevocationListRefused):
            RevocationList.read(octets[:cut], _ANCHORS, NOW_S)


@given(st.binary(max_size=200))
def test_any_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(RevocationListRefused):
        RevocationList.read(octets, _ANCHORS, NOW_S)


def _signed(version: int = 1, *, entries: bytes = b"", extensions: bytes = b"") -> bytes:
    """A list as the root would sign it, with what it never says."""
    algorithm = signature_algorithm(_RED.root.key)
    dates = encode_time(NOW_S) + encode_time(NOW_S + _DAY_S)
    listed = sequence(entries) if entries else b""
    head = element(INTEGER, bytes((version,))) + algorithm + _RED.root.certificate.subject + dates
    signed = sequence(head, listed, element(0xA0, sequence(extensions)))
    return sequence(signed, algorithm, element(0x03, b"\x00" + _RED.root.key.sign(signed)))


def test_what_would_mean_something_else_is_refused_though_it_is_signed() -> None:
    critical = sequence(
        element(OID, encode_oid("2.5.29.28")), element(BOOLEAN, b"\xff"), element(OCTET_STRING, b"\x30\x00")
    )
    entry = sequence(element(INTEGER, b"\x01"), encode_time(NOW_S))
    removed = sequence(element(INTEGER, b"\x01"), encode_time(NOW_S), sequence(critical))
    assert RevocationList.read(_signed(entries=entry), _ANCHORS, NOW_S).serials == {b"\x01"}
    for octets in (_signed(0), _signed(extensions=critical), _signed(entries=removed)):
        with pytest.raises(RevocationListRefused):
            RevocationList.read(octets, _ANCHORS, NOW_S)
