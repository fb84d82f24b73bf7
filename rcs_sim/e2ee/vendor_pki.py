"""The certification authorities of one vendor for the lab: root, intermediates, leaves (RCC.16 Annex A.1 to A.3).

Everything comes out of a seed: the same seed and time give the same octets. The two shapes are a plain one, as in the
vectors, and that of the certificates seen at a deployed vendor: P-384 authorities, a second intermediate, leaves of
75.5 days with a critical basicConstraints and without authorityKeyIdentifier (observed).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.certificate import CertificateExtension
from rcs_sim.e2ee.certificate_extensions import (
    authority_key_identifier,
    certificate_policies,
    crl_distribution_point,
    issuer_location,
)
from rcs_sim.e2ee.certificate_issuer import (
    CertificateAuthority,
    LeafRequest,
    LeafStyle,
    authority_name,
    positive_serial,
    root_content,
    signature_algorithm,
    subordinate_content,
)
from rcs_sim.e2ee.certificate_profile import E2EE_POLICY, VENDOR_GOOGLE
from rcs_sim.e2ee.der import (
    INTEGER,
    OCTET_STRING,
    OID,
    element,
    encode_bit_string,
    encode_integer,
    encode_oid,
    encode_time,
    sequence,
)
from rcs_sim.e2ee.trust_anchors import TrustAnchor
from rcs_sim.mls.nist_curve import P256, P384, NistCurve
from rcs_sim.mls.signature import ECDSA_P256, ECDSA_P384, SignatureKey, SignatureScheme

__all__ = ["LAB_SHAPE", "VENDOR_2_SHAPE", "PkiShape", "VendorPki", "derive_key"]

_DAY_S = 86400
_HOUR_S = 3600
_ROOT_LIFE_S = 3650 * _DAY_S
_INTERMEDIATE_LIFE_S = 1825 * _DAY_S
_CLIENT_CA_LIFE_S = 730 * _DAY_S
_CRL_LIFE_S = 7 * _DAY_S
_CURVES: dict[SignatureScheme, NistCurve] = {ECDSA_P256: P256, ECDSA_P384: P384}
_CRL_NUMBER = encode_oid("2.5.29.20")


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiShape:
    """What differs from vendor to vendor. *leaf_life_s* counts from the issue; a leaf begins *backdated_s* earlier."""

    scheme: SignatureScheme
    has_client_authority: bool
    leaf_life_s: int
    backdated_s: int
    style: LeafStyle


LAB_SHAPE = PkiShape(
    scheme=ECDSA_P256,
    has_client_authority=False,
    leaf_life_s=60 * _DAY_S,
    backdated_s=_HOUR_S,
    style=LeafStyle(),
)
VENDOR_2_SHAPE = PkiShape(
    scheme=ECDSA_P384,
    has_client_authority=True,
    leaf_life_s=75 * _DAY_S + 12 * _HOUR_S - _HOUR_S,
    backdated_s=_HOUR_S,
    style=LeafStyle(has_basic_constraints=True, has_authority_key=False),
)


def derive_key(seed: bytes, label: str, scheme: SignatureScheme = ECDSA_P256) -> SignatureKey:
    """The key with this name out of *seed*, on P-256 or P-384. Enough octets go in for the remainder to be even."""
    curve = _CURVES[scheme]
    material = b"".join(hashlib.sha512(b"%d|key:" % part + label.encode() + b"|" + seed).digest() for part in (1, 2))
    scalar = int.from_bytes(material, "big") % (curve.order - 1) + 1
    return scheme.key(Secret(scalar.to_bytes(curve.octets, "big")))


@dataclass(frozen=True, slots=True)
class VendorPki:
    """A vendor's authorities. *intermediates* are from the one below the root to the one that issues leaves."""

    vendor_id: int
    kds: int
    shape: PkiShape
    root: CertificateAuthority
    intermediates: tuple[CertificateAuthority, ...]

    @classmethod
    def derive(
        cls,
        seed: bytes,
        *,
        vendor_id: int,
        kds: int,
        operator: str,
        now_s: int,
        shape: PkiShape | None = None,
        publication_uri: str = "",
    ) -> VendorPki:
        """The authorities of *operator*, valid from an hour before *now_s* (seconds since 1970). With a
        *publication_uri* intermediates say where revocations (``/crl``) and their issuer (``/ica.der``) are."""
        made = shape or (VENDOR_2_SHAPE if vendor_id == VENDOR_GOOGLE else LAB_SHAPE)
        maker = _Maker(seed, made, operator, now_s - _HOUR_S, publication_uri)
        root = maker.root(vendor_id)
        return cls(vendor_id, kds, made, root, maker.intermediates(root))

    @property
    def issuer(self) -> CertificateAuthority:
        """The authority that issues leaves."""
        return self.intermediates[-1]

    @property
    def root_der(self) -> bytes:
        return self.root.certificate.der

    @property
    def ica_der(self) -> bytes:
        """Certificate of the authority that issues leaves."""
        return self.issuer.certificate.der

    @property
    def ica_chain(self) -> tuple[bytes, ...]:
        """What stands behind a leaf in its credential: the intermediates from its issuer up, without the root."""
        return tuple(each.certificate.der for each in reversed(self.intermediates))

    @property
    def anchor(self) -> TrustAnchor:
        """The root, as others are told to trust it."""
        return TrustAnchor(self.vendor_id, self.kds, self.root_der)

    def chain(self, leaf_der: bytes) -> tuple[bytes, ...]:
        """The credential of a leaf: itself first."""
        return (leaf_der, *self.ica_chain)

    def leaf_window(self, now_s: int) -> tuple[int, int]:
        """First and last second of a leaf that is issued at *now_s*."""
        return now_s - self.shape.backdated_s, now_s + self.shape.leaf_life_s

    def issue_leaf(self, request: LeafRequest, now_s: int) -> bytes:
        """DER octets of the leaf that *request* asks for, issued at *now_s*. The same request in the same second gets
        the same octets."""
        return self.issuer.issue_leaf(request, self.shape.style, *self.leaf_window(now_s))

    def crl_der(self, now_s: int, revoked_serials: tuple[bytes, ...] = ()) -> bytes:
        """The root's ``CertificateList`` (RFC 5280 §5): leaves are never on it, only intermediates."""
        date = encode_time(now_s)
        entries = [sequence(element(INTEGER, serial), date) for serial in revoked_serials]
        listed = sequence(*entries) if entries else b""
        extensions = element(0xA0, sequence(*self._crl_extensions(now_s)))
        algorithm = signature_algorithm(self.root.key)
        head = (encode_integer(1), algorithm, self.root.certificate.subject, date, encode_time(now_s + _CRL_LIFE_S))
        signed = sequence(*head, listed, extensions)
        return sequence(signed, algorithm, encode_bit_string(self.root.key.sign(signed)))

    def _crl_extensions(self, now_s: int) -> tuple[bytes, ...]:
        authority = authority_key_identifier(self.root.key_identifier)
        number = element(OCTET_STRING, encode_integer(now_s))
        return (
            sequence(element(OID, authority.oid), element(OCTET_STRING, authority.value)),
            sequence(element(OID, _CRL_NUMBER), number),
        )


class _Maker:
    """Makes the authorities of one operator, all from the same second on."""

    __slots__ = ("_begins_s", "_operator", "_publication_uri", "_seed", "_shape")

    def __init__(self, seed: bytes, shape: PkiShape, operator: str, begins_s: int, publication_uri: str) -> None:
        self._seed = seed
        self._shape = shape
        self._operator = f"rcs-sim {operator}"
        self._begins_s = begins_s
        self._publication_uri = publication_uri

    def root(self, vendor_id: int) -> CertificateAuthority:
        key, ends_s = self._key("root"), self._begins_s + _ROOT_LIFE_S
        content = root_content(key, self._name("Root"), vendor_id, self._serial("root"), self._begins_s, ends_s)
        return CertificateAuthority.root(content, key)

    def intermediates(self, root: CertificateAuthority) -> tuple[CertificateAuthority, ...]:
        if not self._shape.has_client_authority:
            return (self._below(root, "ica", "ICA 1", _INTERMEDIATE_LIFE_S, 0, certificate_policies(E2EE_POLICY)),)
        first = self._below(root, "ica", "ICA 1", _INTERMEDIATE_LIFE_S, 1)
        return first, self._below(first, "client ca", "Client CA 1", _CLIENT_CA_LIFE_S, 0)

    def _below(
        self,
        issuer: CertificateAuthority,
        label: str,
        title: str,
        life_s: int,
        path_length: int,
        *more: CertificateExtension,
    ) -> CertificateAuthority:
        key, window = self._key(label), (self._begins_s, self._begins_s + life_s)
        content = subordinate_content(
            issuer,
            key,
            self._name(title),
            self._serial(label),
            *window,
            path_length=path_length,
            more=(*more, *self._pointers()),
        )
        return issuer.subordinate(content, key)

    def _pointers(self) -> tuple[CertificateExtension, ...]:
        uri = self._publication_uri
        return (crl_distribution_point(f"{uri}/crl"), issuer_location(f"{uri}/ica.der")) if uri else ()

    def _key(self, label: str) -> SignatureKey:
        return derive_key(self._seed, f"{self._operator} {label}", self._shape.scheme)

    def _name(self, title: str) -> bytes:
        return authority_name(self._operator, f"{self._operator} E2EE {title}")

    def _serial(self, label: str) -> bytes:
        text = f"serial:{self._operator} {label} {self._begins_s}|".encode()
        return positive_serial(hashlib.sha256(text + self._seed).digest())
