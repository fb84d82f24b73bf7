"""Certificates made and signed: subject and subjectAltName go in octet for octet (RCC.16 A.3.8.9, RFC 5280 §4.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.certificate import Certificate, CertificateExtension, read_certificate
from rcs_sim.e2ee.certificate_extensions import (
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    acs_proof_extension,
    authority_key_identifier,
    basic_constraints,
    certificate_policies,
    extended_key_usage,
    key_usage,
    participant_information_extension,
    subject_alternative_name,
    subject_key_identifier,
    vendor_id_extension,
)
from rcs_sim.e2ee.certificate_profile import E2EE_POLICY, RCS_MLS_CLIENT
from rcs_sim.e2ee.der import (
    BOOLEAN,
    INTEGER,
    OCTET_STRING,
    OID,
    PRINTABLE_STRING,
    SEQUENCE,
    SET,
    element,
    encode_bit_string,
    encode_integer,
    encode_oid,
    encode_time,
    sequence,
)
from rcs_sim.e2ee.public_key_info import (
    ECDSA_SHA256,
    ECDSA_SHA384,
    ECDSA_SHA512,
    encode_algorithm,
    public_key_info,
    spki_of_point,
)
from rcs_sim.mls.signature import ECDSA_P256, ECDSA_P384, ECDSA_P521, SignatureKey, SignatureScheme

__all__ = [
    "CertificateAuthority",
    "CertificateContent",
    "LeafRequest",
    "LeafStyle",
    "authority_name",
    "positive_serial",
    "root_content",
    "sign_certificate",
    "signature_algorithm",
    "subordinate_content",
]

_ALGORITHMS: dict[SignatureScheme, bytes] = {
    ECDSA_P256: encode_algorithm(ECDSA_SHA256),
    ECDSA_P384: encode_algorithm(ECDSA_SHA384),
    ECDSA_P521: encode_algorithm(ECDSA_SHA512),
}
_ORGANIZATION, _COMMON_NAME = encode_oid("2.5.4.10"), encode_oid("2.5.4.3")
_SERIAL_OCTETS = 20
_V3 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateContent:
    """What a certificate says (``TBSCertificate``). *serial* is the content of its INTEGER; *algorithm*, *issuer*,
    *subject* and *spki* are DER; *validity* too, where it is not made of the two times."""

    serial: bytes
    issuer: bytes
    not_before_s: int
    not_after_s: int
    subject: bytes
    spki: bytes
    extensions: tuple[CertificateExtension, ...]
    algorithm: bytes
    version: int = _V3
    validity: bytes | None = None

    def encode(self) -> bytes:
        """What is signed."""
        version = element(0xA0, encode_integer(self.version)) if self.version else b""
        validity = self.validity or sequence(encode_time(self.not_before_s), encode_time(self.not_after_s))
        extensions = element(0xA3, sequence(*map(_encode_extension, self.extensions))) if self.extensions else b""
        serial = element(INTEGER, self.serial)
        names = (self.issuer, validity, self.subject)
        return sequence(version, serial, self.algorithm, *names, self.spki, extensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRequest:
    """What a client asks to have certified. *subject*, *san* and *participant_information* (``.4``) go in verbatim, so
    does *acs_proof* (``.5``), if there is one; *point* is the leaf key."""

    subject: bytes
    san: bytes
    point: bytes
    participant_information: bytes
    acs_proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafStyle:
    """What an issuer adds to leaves: a critical basicConstraints without cA, who signed, whose vendor it is."""

    has_basic_constraints: bool = False
    has_authority_key: bool = True
    vendor_id: int | None = None


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA: its certificate and the key that it signs with."""

    key: SignatureKey
    certificate: Certificate

    def leaf_content(
        self, request: LeafRequest, style: LeafStyle, not_before_s: int, not_after_s: int, serial: bytes | None = None
    ) -> CertificateContent:
        """The leaf that *request* asks for. Without a *serial* its number is drawn from all that it says, so that the
        same request at the same time has the same certificate."""
        spki = spki_of_point(request.point)
        extensions = _leaf_extensions(request, style, public_key_info(spki).key_identifier, self.key_identifier)
        return CertificateContent(
            serial=serial or _serial_of(self.certificate.der, spki, request, not_before_s, not_after_s),
            issuer=self.certificate.subject,
            not_before_s=not_before_s,
            not_after_s=min(not_after_s, self.certificate.not_after_s),
            subject=request.subject,
            spki=spki,
            extensions=extensions,
            algorithm=signature_algorithm(self.key),
        )

    @property
    def key_identifier(self) -> bytes:
        return self.certificate.public_key.key_identifier

    def issue_leaf(
        self, request: LeafRequest, style: LeafStyle, not_before_s: int, not_after_s: int, serial: bytes | None = None
    ) -> bytes:
        """DER octets of that leaf, signed. It ends with its issuer at the latest."""
        return sign_certificate(self.leaf_content(request, style, not_before_s, not_after_s, serial), self.key)

    @classmethod
    def root(cls, content: CertificateContent, key: SignatureKey) -> CertificateAuthority:
        """The CA that signs itself."""
        return cls(key, read_certificate(sign_certificate(content, key)))

    def subordinate(self, content: CertificateContent, key: SignatureKey) -> CertificateAuthority:
        """A CA with its own *key* below this one."""
        return CertificateAuthority(key, read_certificate(sign_certificate(content, self.key)))


def signature_algorithm(key: SignatureKey) -> bytes:
    """``AlgorithmIdentifier`` of what *key* signs with. Raises LocalProtocolError if that is not ECDSA."""
    algorithm = _ALGORITHMS.get(key.scheme)
    if algorithm is None:
        raise LocalProtocolError(f"{key.scheme.name} signs no certificate of this profile", spec="RCC.16 A.3")
    return algorithm


def sign_certificate(content: CertificateContent, key: SignatureKey) -> bytes:
    """DER octets of a certificate that *key* signs."""
    signed = content.encode()
    return sequence(signed, signature_algorithm(key), encode_bit_string(key.sign(signed)))


def authority_name(organization: str, common_name: str) -> bytes:
    """``Name`` of a CA: O, then CN, both PrintableString."""
    parts = ((_ORGANIZATION, organization), (_COMMON_NAME, common_name))
    attributes = (
        sequence(element(OID, oid), element(PRINTABLE_STRING, text.encode("ascii", "replace"))) for oid, text in parts
    )
    return sequence(*(element(SET, attribute) for attribute in attributes))


def root_content(
    key: SignatureKey, name: bytes, vendor_id: int, serial: bytes, not_before_s: int, not_after_s: int
) -> CertificateContent:
    """A root CA with its vendor (RCC.16 A.1)."""
    spki = spki_of_point(key.public)
    identifier = public_key_info(spki).key_identifier
    return CertificateContent(
        serial=serial,
        issuer=name,
        not_before_s=not_before_s,
        not_after_s=not_after_s,
        subject=name,
        spki=spki,
        extensions=(
            basic_constraints(is_ca=True),
            key_usage(KEY_CERT_SIGN, CRL_SIGN),
            subject_key_identifier(identifier),
            authority_key_identifier(identifier),
            vendor_id_extension(vendor_id),
        ),
        algorithm=signature_algorithm(key),
    )


def subordinate_content(
    issuer: CertificateAuthority,
    key: SignatureKey,
    name: bytes,
    serial: bytes,
    not_before_s: int,
    not_after_s: int,
    *,
    path_length: int = 0,
    more: tuple[CertificateExtension, ...] = (),
) -> CertificateContent:
    """An intermediate CA (RCC.16 A.2) of *issuer*, *more* being extensions of its own."""
    spki = spki_of_point(key.public)
    return CertificateContent(
        serial=serial,
        issuer=issuer.certificate.subject,
        not_before_s=not_before_s,
        not_after_s=min(not_after_s, issuer.certificate.not_after_s),
        subject=name,
        spki=spki,
        extensions=(
            basic_constraints(is_ca=True, path_length=path_length),
            key_usage(KEY_CERT_SIGN, CRL_SIGN),
            subject_key_identifier(public_key_info(spki).key_identifier),
            authority_key_identifier(issuer.key_identifier),
            extended_key_usage(RCS_MLS_CLIENT),
            *more,
        ),
        algorithm=signature_algorithm(issuer.key),
    )


def _leaf_extensions(
    request: LeafRequest, style: LeafStyle, own: bytes, authority: bytes
) -> tuple[CertificateExtension, ...]:
    extensions = [
        key_usage(DIGITAL_SIGNATURE),
        extended_key_usage(RCS_MLS_CLIENT),
        subject_key_identifier(own),
    ]
    if style.has_authority_key:
        extensions.append(authority_key_identifier(authority))
    if style.has_basic_constraints:
        extensions.append(basic_constraints(is_ca=False))
    extensions += [
        subject_alternative_name(request.san),
        certificate_policies(E2EE_POLICY),
        participant_information_extension(request.participant_information),
    ]
    if request.acs_proof:
        extensions.append(acs_proof_extension(request.acs_proof))
    if style.vendor_id is not None:
        extensions.append(vendor_id_extension(style.vendor_id))
    return tuple(extensions)


def _serial_of(issuer: bytes, spki: bytes, request: LeafRequest, not_before_s: int, not_after_s: int) -> bytes:
    parts = (issuer, request.subject, request.san, spki, request.participant_information, request.acs_proof)
    times = f"{not_before_s} {not_after_s}".encode()
    digest = hashlib.sha256(b"".join(map(_digest_of, (*parts, times)))).digest()
    return positive_serial(digest)


def _digest_of(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def positive_serial(digest: bytes) -> bytes:
    """Twenty octets of a digest, positive and in their shortest form (RFC 5280 §4.1.2.2)."""
    return bytes((0x40 | digest[0] & 0x3F,)) + digest[1:_SERIAL_OCTETS]


def _encode_extension(extension: CertificateExtension) -> bytes:
    critical = element(BOOLEAN, b"\xff") if extension.critical else b""
    return element(SEQUENCE, element(OID, extension.oid) + critical + element(OCTET_STRING, extension.value))
