"""The vectors of RCC.16's certificates, proofs, KeyPackages and trust list: every entry, octet for octet."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.acs_proof import AcsProof, acs_proof_tbs, sign_acs_proof
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_extensions import certificate_policies
from rcs_sim.e2ee.certificate_issuer import (
    CertificateAuthority,
    LeafRequest,
    LeafStyle,
    authority_name,
    root_content,
    subordinate_content,
)
from rcs_sim.e2ee.certificate_profile import E2EE_POLICY, PARTICIPANT_INFORMATION
from rcs_sim.e2ee.key_package_profile import (
    key_package_lifetime,
    read_key_package,
    verify_claimed_package,
    verify_uploaded_package,
    wrap_key_package,
)
from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.participant_information import (
    ParticipantInformation,
    possession_tbs,
    sign_participant_information,
    validity_der,
)
from rcs_sim.e2ee.participant_key import csr_pop_input, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.profile import DirectoryLifetime, lineage_like_profile
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import (
    SignedTrustList,
    TrustAnchor,
    TrustAnchorList,
    TrustAnchors,
    read_trust_list,
    sign_trust_list,
)
from rcs_sim.mls.client import Client, sign_leaf
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import ExtensionType, LeafNodeSource, ProtocolVersion
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.signature import ECDSA_P256, SignatureKey
from tests.support.certificate_chains import NOW_S
from tests.support.vectors import load_vectors

FAMILIES = frozenset({"cert", "ext5", "key_package", "kds", "trust_list"})
VECTORS: dict[str, dict[str, Any]] = {
    entry["name"]: entry
    for entry in load_vectors("rcc16/vectors.json")["vectors"]
    if entry["name"].partition("/")[0] in FAMILIES
}
NETWORKS = {"alice": "red", "bob": "blue"}
VENDORS = {"red": 2, "blue": 1}
SUITE = CipherSuite.of(2)


def expected(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name]["expected_hex"])


def inputs(name: str) -> dict[str, Any]:
    found = VECTORS[name]["inputs"]
    assert isinstance(found, dict)
    return found


def vector_key(label: str) -> SignatureKey:
    scalar = int.from_bytes(hashlib.sha256(f"rcs-sim-rcc16-vectors-v1|key:{label}".encode()).digest(), "big")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    return ECDSA_P256.key(Secret((scalar % (order - 1) + 1).to_bytes(32, "big")))


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


class Person:
    """Alice or Bob of the vectors."""

    def __init__(self, name: str) -> None:
        entry = inputs(f"cert/{name}/subject")
        self.name, self.network = name, NETWORKS[name]
        self.vendor_id = VENDORS[self.network]
        self.leaf_key, self.participant_key = vector_key(f"{name} leaf"), vector_key(f"{name} participant")
        self.subject = leaf_subject(entry["cn"])
        self.digits = entry["msisdn"].removeprefix("tel:+")
        self.san = leaf_subject_alt_name(self.digits)
        self.window = (seconds(entry["not_before"]), seconds(entry["not_after"]))
        self.leaf_spki = spki_of_point(self.leaf_key.public)
        self.participant_spki = spki_of_point(self.participant_key.public)

    def information(self) -> ParticipantInformation:
        return sign_participant_information(
            self.participant_key,
            self.participant_spki,
            vendor_id=self.vendor_id,
            not_before_s=self.window[0],
            not_after_s=self.window[1],
            subject_der=self.subject,
            leaf_spki=self.leaf_spki,
            san_der=self.san,
        )

    def proof(self) -> AcsProof:
        expiry_s = inputs(f"cert/{self.name}/ext5")["expiry"]
        return sign_acs_proof(vector_key(f"{self.network} acs"), expiry_s, self.digits, self.participant_spki)

    def leaf(self) -> bytes:
        request = LeafRequest(
            subject=self.subject,
            san=self.san,
            point=self.leaf_key.public,
            participant_information=self.information().encode(),
            acs_proof=self.proof().encode(),
        )
        serial = read_certificate(expected(f"cert/{self.name}/leaf_der")).serial
        return ica(self.network).issue_leaf(request, LeafStyle(), *self.window, serial)

    def chain(self) -> tuple[bytes, ...]:
        return self.leaf(), ica(self.network).certificate.der


def root(network: str) -> CertificateAuthority:
    told = read_certificate(expected(f"cert/{network}/root_der"))
    name = authority_name(f"rcs-sim {network}", f"rcs-sim {network} E2EE Root")
    window = (seconds("2026-01-01T00:00:00Z"), seconds("2035-12-30T00:00:00Z"))
    key = vector_key(f"{network} root")
    return CertificateAuthority.root(root_content(key, name, VENDORS[network], told.serial, *window), key)


def ica(network: str) -> CertificateAuthority:
    told = read_certificate(expected(f"cert/{network}/ica_der"))
    name = authority_name(f"rcs-sim {network}", f"rcs-sim {network} E2EE ICA 1")
    window = (seconds("2026-01-01T00:00:00Z"), seconds("2030-12-31T00:00:00Z"))
    key, issuer = vector_key(f"{network} ica"), root(network)
    more = (certificate_policies(E2EE_POLICY),)
    return issuer.subordinate(subordinate_content(issuer, key, name, told.serial, *window, more=more), key)


def key_package(label: str, *, last_resort: bool) -> bytes:
    bob = Person("bob")
    client = Client(
        suite=SUITE,
        credential=X509Credential(bob.chain()),
        signature_key=bob.leaf_key,
        capabilities=leaf_capabilities(lineage_like_profile()),
    )
    init, encryption = vector_key(f"bob {label} init").public, vector_key(f"bob {label} enc").public
    lifetime = key_package_lifetime(DirectoryLifetime.RCC16, read_certificate(bob.leaf()), NOW_S)
    leaf = replace(client.unsigned_leaf(encryption, LeafNodeSource.KEY_PACKAGE), lifetime=lifetime)
    marks = (Extension(ExtensionType.LAST_RESORT, b""),) if last_resort else ()
    unsigned = KeyPackage(ProtocolVersion.MLS10, SUITE.id, init, sign_leaf(SUITE, leaf, bob.leaf_key), marks, b"")
    signature = SUITE.sign_with_label(bob.leaf_key, "KeyPackageTBS", unsigned.to_be_signed())
    return wrap_key_package(replace(unsigned, signature=signature).encode())


def trust_list() -> TrustAnchorList:
    anchors = tuple(
        TrustAnchor(VENDORS[network], VENDORS[network], expected(f"cert/{network}/root_der"))
        for network in ("red", "blue")
    )
    return TrustAnchorList(1, seconds("2026-03-01T00:00:00Z"), "red", anchors)


PERSONAL: dict[str, Callable[[Person], bytes]] = {
    "subject": lambda who: who.subject,
    "san": lambda who: who.san,
    "leaf_spki": lambda who: who.leaf_spki,
    "participant_spki": lambda who: who.participant_spki,
    "ext4_tbs": lambda who: possession_tbs(
        who.subject, who.vendor_id, validity_der(*who.window), who.leaf_spki, who.san
    ),
    "ext4_signature": lambda who: who.information().signature,
    "ext4": lambda who: who.information().encode(),
    "acs_tbs": lambda who: acs_proof_tbs(
        inputs(f"cert/{who.name}/acs_tbs")["expiry"], who.digits, who.participant_spki
    ),
    "ext5": lambda who: who.proof().encode(),
    "leaf_der": lambda who: who.leaf(),
}
MADE: dict[str, Callable[[], bytes]] = {
    "cert/red/root_der": lambda: root("red").certificate.der,
    "cert/red/ica_der": lambda: ica("red").certificate.der,
    "cert/blue/root_der": lambda: root("blue").certificate.der,
    "cert/blue/ica_der": lambda: ica("blue").certificate.der,
    "key_package/bob0": lambda: key_package("kp0", last_resort=False),
    "key_package/bob_last_resort": lambda: key_package("last", last_resort=True),
    "key_package/bob0/ref": lambda: SUITE.key_package_ref(key_package("kp0", last_resort=False)[4:]),
    "kds/csr_pop_preimage": lambda: csr_pop_input("12025550101", vector_key("alice leaf").public),
    "kds/csr_pop": lambda: vector_key("alice leaf").sign(csr_pop_input("12025550101", vector_key("alice leaf").public)),
    "trust_list/payload": lambda: trust_list().payload(),
    "trust_list/signature": lambda: sign_trust_list(trust_list().payload(), vector_key("red trust-list")),
    "ext5/captured_prefix": lambda: AcsProof(1791149096, bytes(71)).encode()[:10],
}


def made(name: str) -> bytes:
    family, _, rest = name.partition("/")
    who, _, part = rest.partition("/")
    return PERSONAL[part](Person(who)) if family == "cert" and who in NETWORKS else MADE[name]()


@pytest.mark.parametrize("name", [name for name in VECTORS if not name.startswith("ext5/framing/")])
def test_what_we_make_is_the_vector_to_the_octet(name: str) -> None:
    assert made(name) == expected(name)


@pytest.mark.parametrize("name", [name for name in VECTORS if name.startswith("ext5/framing/")])
def test_the_framing_of_a_proof(name: str) -> None:
    octets = bytes.fromhex(inputs(name)["hex"])
    if VECTORS[name]["expect"].startswith("ok"):
        assert AcsProof.decode(octets).expiry_s == 0
    else:
        with pytest.raises(TlsDecodeError):
            AcsProof.decode(octets)


def test_no_entry_is_left_out() -> None:
    assert len(VECTORS) == 38
    assert len([name for name in VECTORS if name.startswith("ext5/framing/")]) == 6


def test_a_captured_proof_ends_at_its_second() -> None:
    proof = AcsProof.decode(expected("ext5/captured_prefix") + bytes(71))
    assert not proof.is_expired(1791149095)
    assert proof.is_expired(1791149096)


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_the_signatures_of_the_vectors_verify(name: str) -> None:
    who, leaf = Person(name), read_certificate(expected(f"cert/{name}/leaf_der"))
    value = leaf.extension_value(PARTICIPANT_INFORMATION)
    assert value == expected(f"cert/{name}/ext4")
    ParticipantInformation.decode(value).verify_possession(leaf.subject, leaf.spki, leaf.san)
    acs = vector_key(f"{who.network} acs")
    proof = AcsProof.decode(expected(f"cert/{name}/ext5"))
    proof.verify(spki_of_point(acs.public), who.digits, who.participant_spki)


def test_the_key_packages_of_the_vectors_pass_every_check() -> None:
    anchors = TrustAnchors((TrustAnchor(1, 1, expected("cert/blue/root_der")),))
    for name, is_last in (("key_package/bob0", False), ("key_package/bob_last_resort", True)):
        found = verify_claimed_package(expected(name), msisdn="12025550102", trust=anchors, now_s=NOW_S)
        assert (found.is_last_resort, found.remarks, found.message) == (is_last, (), expected(name))
        stored = verify_uploaded_package(
            expected(name)[4:],
            msisdn="12025550102",
            trust=anchors,
            modes=[DirectoryLifetime.RCC16],
            is_last_resort=is_last,
            now_s=NOW_S,
        )
        assert stored.message == expected(name)
    assert read_key_package(expected("key_package/bob0")).leaf_node.signature_key == vector_key("bob leaf").public


def test_the_trust_list_of_the_vectors_is_accepted() -> None:
    served = SignedTrustList(expected("trust_list/payload"), expected("trust_list/signature"))
    signer = spki_of_point(vector_key("red trust-list").public)
    found = read_trust_list(served.encode(), signer, 1, None)
    assert found == trust_list()
    body = json.loads(served.encode())
    assert base64.b64decode(body["payload"]) == served.payload
