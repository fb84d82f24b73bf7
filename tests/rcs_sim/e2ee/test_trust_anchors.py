"""Trust anchors and the signed list of them (RCC.16 §4.1)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import (
    SignedTrustList,
    TrustAnchor,
    TrustAnchorList,
    TrustAnchors,
    TrustListRefused,
    read_trust_list,
    sign_trust_list,
    verify_trust_anchor,
    verify_trust_list,
)
from rcs_sim.e2ee.vendor_pki import derive_key
from tests.support.certificate_chains import NOW_S, make_device, make_pki

RED, BLUE = make_pki(2), make_pki(1)
SIGNER = derive_key(b"tests", "signer")
SIGNER_SPKI = spki_of_point(SIGNER.public)
LIST = TrustAnchorList(3, NOW_S, "red", (RED.anchor, BLUE.anchor))


def served(listed: TrustAnchorList) -> bytes:
    payload = listed.payload()
    return SignedTrustList(payload, sign_trust_list(payload, SIGNER)).encode()


def test_a_list_comes_back() -> None:
    assert read_trust_list(served(LIST), SIGNER_SPKI, 3, None) == LIST
    assert read_trust_list(served(LIST), SIGNER_SPKI, 3, 3) == LIST
    assert LIST.trust().anchors == (RED.anchor, BLUE.anchor)


def other_payload(**members: Any) -> bytes:
    payload = json.dumps({**json.loads(LIST.payload()), **members}).encode()
    return SignedTrustList(payload, sign_trust_list(payload, SIGNER)).encode()


@pytest.mark.parametrize(
    "octets",
    [
        served(replace(LIST, generation=4)),
        served(replace(LIST, anchors=())),
        served(replace(LIST, anchors=(replace(RED.anchor, vendor_id=1),))),
        served(replace(LIST, anchors=(replace(RED.anchor, der=RED.ica_der),))),
        served(replace(LIST, anchors=(replace(RED.anchor, der=make_device(RED).chain[0]),))),
        served(replace(LIST, anchors=(replace(RED.anchor, der=b"octets"),))),
        served(replace(LIST, anchors=(replace(RED.anchor, der=RED.root_der[:-1] + b"\x00"),))),
        SignedTrustList(LIST.payload(), b"").encode(),
        SignedTrustList(LIST.payload() + b" ", sign_trust_list(LIST.payload(), SIGNER)).encode(),
        SignedTrustList(b"[]", sign_trust_list(b"[]", SIGNER)).encode(),
        other_payload(generation="3"),
        other_payload(generation=True),
        other_payload(generation=-1),
        other_payload(network=None),
        other_payload(anchors=None),
        other_payload(anchors=[1]),
        other_payload(anchors=[{"vendor_id": 2, "kds": 2, "der": "no base64!"}]),
        other_payload(anchors=[{"vendor_id": 2, "kds": 2, "der": 5}]),
        other_payload(anchors=[{"vendor_id": 2, "der": ""}]),
        other_payload(anchors=[{}] * 65),
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b" " * 300_000,
        b'{"payload": 1, "signature": ""}',
    ],
)
def test_any_failure_refuses_the_list(octets: bytes) -> None:
    with pytest.raises(TrustListRefused):
        read_trust_list(octets, SIGNER_SPKI, 3, None)


def test_an_older_list_than_the_one_held_is_refused_but_not_after_provisioning_afresh() -> None:
    with pytest.raises(TrustListRefused):
        read_trust_list(served(LIST), SIGNER_SPKI, 3, 4)
    assert read_trust_list(served(LIST), SIGNER_SPKI, 3, None).generation == 3


def test_only_the_signer_that_was_named_counts() -> None:
    payload = LIST.payload()
    signature = sign_trust_list(payload, SIGNER)
    verify_trust_list(payload, signature, SIGNER_SPKI)
    for spki in (spki_of_point(derive_key(b"tests", "other").public), b"no key"):
        with pytest.raises(TrustListRefused):
            verify_trust_list(payload, signature, spki)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_are_a_list_or_refused(octets: bytes) -> None:
    for decode in (TrustAnchorList.decode, SignedTrustList.decode):
        with pytest.raises(TrustListRefused):
            decode(octets)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(["anchors", "generation", "issued", "network", "der", "kds", "vendor_id"]), s
            )
        ),
    )
)
def test_any_json_is_a_list_or_refused(body: Any) -> None:
    try:
        assert TrustAnchorList.decode(json.dumps(body).encode()).generation >= 0
    except TrustListRefused:
        return


def test_anchors_are_found() -> None:
    trust = LIST.trust()
    assert trust.find(RED.root.certificate.subject) == (RED.anchor,)
    assert trust.holding(BLUE.root_der) == BLUE.anchor
    assert trust.holding(BLUE.ica_der) is None
    assert trust.of_vendor(2) == TrustAnchors((RED.anchor,)) == trust.of_kds(2)
    assert trust.of_vendor(3) == TrustAnchors()


def test_an_anchor_is_a_root_of_its_vendor() -> None:
    verify_trust_anchor(RED.anchor)
    with pytest.raises(TrustListRefused):
        verify_trust_anchor(TrustAnchor(1, 1, RED.root_der))


def test_the_payload_is_base64_of_what_is_signed() -> None:
    body = json.loads(served(LIST))
    assert base64.b64decode(body["payload"]) == LIST.payload()
    assert base64.b64decode(body["signature"]) == sign_trust_list(LIST.payload(), SIGNER)
