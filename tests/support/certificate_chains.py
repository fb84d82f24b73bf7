"""Certificate chains of the lab's vendors for tests, and drafts of chains in which one thing can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rcs_sim.e2ee.acs_proof import PROOF_LIFE_S, sign_acs_proof
from rcs_sim.e2ee.certificate import CertificateExtension
from rcs_sim.e2ee.certificate_extensions import certificate_policies
from rcs_sim.e2ee.certificate_issuer import (
    CertificateAuthority,
    CertificateContent,
    LeafRequest,
    LeafStyle,
    authority_name,
    root_content,
    sign_certificate,
    subordinate_content,
)
from rcs_sim.e2ee.certificate_profile import E2EE_POLICY
from rcs_sim.e2ee.participant_information import sign_participant_information
from rcs_sim.e2ee.participant_key import ParticipantKey, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import TrustAnchor, TrustAnchors
from rcs_sim.e2ee.vendor_pki import VendorPki, derive_key
from rcs_sim.mls.client import Client
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import CipherSuiteId, CredentialType, ExtensionType, ProposalType, ProtocolVersion
from rcs_sim.mls.leaf_node import Capabilities
from rcs_sim.mls.signature import SignatureKey

__all__ = [
    "CLIENT_ID",
    "DAY_S",
    "DIGITS",
    "NOW_S",
    "ChainDraft",
    "Device",
    "add_extension",
    "drop_extension",
    "make_device",
    "make_pki",
    "put_extension",
]

NOW_S = 1_772_446_530  # 2026-03-02T10:15:30Z
DAY_S = 86400
DIGITS = "12025550101"
CLIENT_ID = "6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101"


@dataclass(frozen=True, slots=True)
class Device:
    """A client with its certificate. *chain* is its credential."""

    digits: str
    client_id: str
    leaf_key: SignatureKey
    participant: ParticipantKey
    chain: tuple[bytes, ...]

    def client(self, suites: tuple[int, ...] = (1, 3, 2, 7)) -> Client:
        """Who makes KeyPackages and leaves with this certificate."""
        capabilities = Capabilities(
            (ProtocolVersion.MLS10,),
            tuple(map(CipherSuiteId, suites)),
            (ExtensionType(0xF001),),
            (ProposalType(0xF001),),
            (CredentialType.BASIC, CredentialType.X509),
        )
        return Client(
            suite=CipherSuite.of(2),
            credential=X509Credential(self.chain),
            signature_key=self.leaf_key,
            capabilities=capabilities,
        )


def make_pki(vendor_id: int = 2, *, seed: bytes = b"tests", now_s: int = NOW_S) -> VendorPki:
    """The authorities of a vendor as the lab has them."""
    operator = "red" if vendor_id == 2 else "blue"
    return VendorPki.derive(seed, vendor_id=vendor_id, kds=vendor_id, operator=operator, now_s=now_s)


def make_device(
    pki: VendorPki,
    *,
    digits: str = DIGITS,
    client_id: str = CLIENT_ID,
    now_s: int = NOW_S,
    seed: bytes = b"device",
    proof_life_s: int = PROOF_LIFE_S,
) -> Device:
    """A device whose certificate *pki* issues at *now_s*."""
    leaf_key, participant = derive_key(seed, f"{client_id} leaf"), ParticipantKey.of(derive_key(seed, "participant"))
    subject, san = leaf_subject(client_id), leaf_subject_alt_name(digits)
    information = sign_participant_information(
        participant.key,
        participant.spki,
        vendor_id=pki.vendor_id,
        not_before_s=now_s - 3600,
        not_after_s=now_s + 3650 * DAY_S,
        subject_der=subject,
        leaf_spki=spki_of_point(leaf_key.public),
        san_der=san,
    )
    proof = sign_acs_proof(derive_key(b"carrier", "acs"), now_s + proof_life_s, digits, participant.spki)
    request = LeafRequest(
        subject=subject,
        san=san,
        point=leaf_key.public,
        participant_information=information.encode(),
        acs_proof=proof.encode(),
    )
    return Device(digits, client_id, leaf_key, participant, pki.chain(pki.issue_leaf(request, now_s)))


def put_extension(content: CertificateContent, extension: CertificateExtension) -> CertificateContent:
    """*content* with *extension* in the place of the one of its kind."""
    extensions = tuple(extension if each.oid == extension.oid else each for each in content.extensions)
    return replace(content, extensions=extensions)


def drop_extension(content: CertificateContent, oid: bytes) -> CertificateContent:
    return replace(content, extensions=tuple(each for each in content.extensions if each.oid != oid))


def add_extension(content: CertificateContent, extension: CertificateExtension) -> CertificateContent:
    return replace(content, extensions=(*content.extensions, extension))


class ChainDraft:
    """Root, intermediate and leaf that keep every rule until one of the attributes is changed. *change_root*,
    *change_ica* and *change_leaf* see what is about to be signed, *change_information* the value of ``.4``."""

    def __init__(self) -> None:
        self.root_key = derive_key(b"draft", "root")
        self.ica_key = derive_key(b"draft", "ica")
        self.leaf_key = derive_key(b"draft", "leaf")
        self.participant = ParticipantKey.of(derive_key(b"draft", "participant"))
        self.acs_key = derive_key(b"draft", "acs")
        self.vendor_id = 1
        self.subject = leaf_subject(CLIENT_ID)
        self.san = leaf_subject_alt_name(DIGITS)
        self.signed_subject: bytes | None = None
        self.signed_san: bytes | None = None
        self.signed_spki: bytes | None = None
        self.information_window = (NOW_S - DAY_S, NOW_S + 400 * DAY_S)
        self.proof = sign_acs_proof(self.acs_key, NOW_S + 76 * DAY_S, DIGITS, self.participant.spki).encode()
        self.leaf_window = (NOW_S - DAY_S, NOW_S + 59 * DAY_S)
        self.ica_window = (NOW_S - 10 * DAY_S, NOW_S + 1800 * DAY_S)
        self.root_window = (NOW_S - 10 * DAY_S, NOW_S + 3600 * DAY_S)
        self.style = LeafStyle(vendor_id=1)
        self.change_root: Callable[[CertificateContent], CertificateContent] = lambda content: content
        self.change_ica: Callable[[CertificateContent], CertificateContent] = lambda content: content
        self.change_leaf: Callable[[CertificateContent], CertificateContent] = lambda content: content
        self.change_information: Callable[[bytes], bytes] = lambda value: value
        self.change_chain: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] = lambda chain: chain
        self.leaf_signer: SignatureKey | None = None
        self.under_root = False
        self.anchors: TrustAnchors | None = None

    def root(self) -> CertificateAuthority:
        name = authority_name("draft", "draft root")
        content = root_content(self.root_key, name, 1, b"\x11" * 8, *self.root_window)
        return CertificateAuthority.root(self.change_root(content), self.root_key)

    def ica(self, root: CertificateAuthority) -> CertificateAuthority:
        name, more = authority_name("draft", "draft ica"), (certificate_policies(E2EE_POLICY),)
        content = subordinate_content(root, self.ica_key, name, b"\x22" * 8, *self.ica_window, more=more)
        return root.subordinate(self.change_ica(content), self.ica_key)

    def information(self) -> bytes:
        information = sign_participant_information(
            self.participant.key,
            self.participant.spki,
            vendor_id=self.vendor_id,
            not_before_s=self.information_window[0],
            not_after_s=self.information_window[1],
            subject_der=self.signed_subject or self.subject,
            leaf_spki=self.signed_spki or spki_of_point(self.leaf_key.public),
            san_der=self.signed_san or self.san,
        )
        return self.change_information(information.encode())

    def leaf(self, issuer: CertificateAuthority) -> bytes:
        request = LeafRequest(
            subject=self.subject,
            san=self.san,
            point=self.leaf_key.public,
            participant_information=self.information(),
            acs_proof=self.proof,
        )
        content = issuer.leaf_content(request, self.style, *self.leaf_window, serial=b"\x33" * 8)
        content = replace(content, not_after_s=self.leaf_window[1])
        return sign_certificate(self.change_leaf(content), self.leaf_signer or issuer.key)

    def build(self) -> tuple[tuple[bytes, ...], TrustAnchors]:
        """The chain, leaf first, and the anchors to check it with."""
        root = self.root()
        if self.under_root:
            chain: tuple[bytes, ...] = (self.leaf(root),)
        else:
            ica = self.ica(root)
            chain = (self.leaf(ica), ica.certificate.der)
        anchors = self.anchors or TrustAnchors((TrustAnchor(1, 1, root.certificate.der),))
        return self.change_chain(chain), anchors
