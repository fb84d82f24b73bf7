"""The 30-day floor (RCC.16 A.4)."""

from __future__ import annotations

import pytest

from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_floor import FLOOR_S, CertificateState, certificate_state, floor_state, remaining_days
from rcs_sim.mls.client import Client
from rcs_sim.mls.credential import BasicCredential, X509Credential
from rcs_sim.mls.leaf_node import Lifetime
from tests.support.certificate_chains import DAY_S, NOW_S, make_device, make_pki

DEVICE = make_device(make_pki(1))
LEAF = read_certificate(DEVICE.chain[0])


@pytest.mark.parametrize(
    ("at_s", "state"),
    [
        (LEAF.not_before_s - 1, CertificateState.NOT_YET_VALID),
        (LEAF.not_before_s, CertificateState.OK),
        (LEAF.not_after_s - FLOOR_S, CertificateState.OK),
        (LEAF.not_after_s - FLOOR_S + 1, CertificateState.INSIDE_FLOOR),
        (LEAF.not_after_s, CertificateState.INSIDE_FLOOR),
        (LEAF.not_after_s + 1, CertificateState.EXPIRED),
    ],
)
def test_each_state_ends_where_the_next_begins(at_s: int, state: CertificateState) -> None:
    assert certificate_state(LEAF, at_s) is state
    assert floor_state(X509Credential(DEVICE.chain), at_s) is state


def test_a_leaf_node_has_the_state_of_its_certificate() -> None:
    client: Client = DEVICE.client()
    leaf = client.initial_leaf(client.signature_key.public, Lifetime(0, 2**40))
    assert floor_state(leaf, NOW_S) is CertificateState.OK


@pytest.mark.parametrize(
    "credential", [BasicCredential(b"alice"), X509Credential(()), X509Credential((b"octets", DEVICE.chain[1]))]
)
def test_what_cannot_be_read_is_unreadable_and_nothing_else(credential: BasicCredential | X509Credential) -> None:
    assert floor_state(credential, NOW_S) is CertificateState.UNREADABLE


def _under_an_authority_with(days: float) -> X509Credential:
    """A fresh certificate, whose issuer has *days* left of its 1825."""
    pki = make_pki(1, now_s=NOW_S - int((1825 - days) * DAY_S) + 3600)
    return X509Credential(make_device(pki).chain)


@pytest.mark.parametrize(
    ("days", "state"),
    [
        (30, CertificateState.OK),
        (29.9, CertificateState.INSIDE_FLOOR),
        (0, CertificateState.INSIDE_FLOOR),
        (-0.1, CertificateState.EXPIRED),
        (1825.1, CertificateState.NOT_YET_VALID),
    ],
)
def test_a_chain_lasts_as_long_as_the_first_of_it_that_ends(days: float, state: CertificateState) -> None:
    assert floor_state(_under_an_authority_with(days), NOW_S) is state


def test_an_issuer_that_cannot_be_read_or_a_chain_without_end_is_unreadable() -> None:
    leaf, issuer = DEVICE.chain
    assert floor_state(X509Credential((leaf, b"\x30\x00")), NOW_S) is CertificateState.UNREADABLE
    assert floor_state(X509Credential((leaf, *[issuer] * 6)), NOW_S) is CertificateState.UNREADABLE


def test_days_are_floored() -> None:
    assert remaining_days(LEAF, LEAF.not_after_s - DAY_S) == 1
    assert remaining_days(LEAF, LEAF.not_after_s - DAY_S + 1) == 0
    assert remaining_days(LEAF, LEAF.not_after_s + 1) == -1
