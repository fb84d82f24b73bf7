"""What RCC.16 asks of KeyPackages: how long they live, who may put which into a directory, what a claim must bring
(RCC.16 §5.1, §5.3, A.4.1.2, A.4.2.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from rcs_sim.e2ee.certificate import Certificate
from rcs_sim.e2ee.certificate_floor import CertificateState, chain_state
from rcs_sim.e2ee.certificate_profile import FLOOR_S, CertificateRefused, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator, ValidatedChain
from rcs_sim.e2ee.credential_identity import X509Identity, chain_of, msisdn_of
from rcs_sim.e2ee.profile import DirectoryLifetime
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.client import is_last_resort as is_marked_last_resort
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import CipherSuiteId, LeafNodeSource
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.proposal_validation import verify_key_package

__all__ = [
    "SUITE",
    "KeyPackageRefused",
    "KeyPackageRule",
    "VerifiedKeyPackage",
    "group_lifetime",
    "key_package_lifetime",
    "read_key_package",
    "verify_claimed_package",
    "verify_uploaded_package",
    "wrap_key_package",
]

SUITE = CipherSuiteId.MLS_128_DHKEMP256_AES128GCM_SHA256_P256

_MESSAGE = bytes.fromhex("00010005")  # MLSMessage: mls10, mls_key_package
_DAY_S = 86400
_YEAR_S = 365 * _DAY_S
_MARGIN_S = 1800  # a KeyPackage of RCC.16's directory ends that much before its certificate
_BACKDATED_S = _DAY_S  # for peers whose clock is behind
_MAX_OCTETS = 32 * 1024  # of one KeyPackage


class KeyPackageRule(Enum):
    """Which check a KeyPackage failed, apart from those of its certificate chain."""

    SYNTAX = "RFC 9420 §10 syntax"
    NUMBER = "A.4.1 number"
    CIPHER_SUITE = "RCC.16 §5.1 cipher suite"
    CAPABILITIES = "RCC.16 §5.1 advertised cipher suites"
    LIFETIME_FLOOR = "A.4.1.2 lifetime"
    CERTIFICATE_FLOOR = "A.4.2.2 remaining certificate lifetime"
    LAST_RESORT = "RCC.16 §5.3 last resort"
    DIRECTORY_LIFETIME = "RCC.16 §5.1 lifetime"
    CLIENT = "RCC.16 §5.3 client"
    SOURCE = "RFC 9420 §10.1 source"
    VALIDITY = "RFC 9420 §10.1 validity"
    CERTIFICATE = "A.4.1 certificate"


class KeyPackageRefused(MlsValidationError):
    """A KeyPackage must not be stored or used. *rule* is the text of the rule, of the certificate's where that was
    broken; *key_package_rule* tells which check it was."""

    def __init__(self, rule: KeyPackageRule, message: str, *, name: str | None = None, raw: bytes = b"") -> None:
        super().__init__(name or rule.value, message, spec="RCC.16 §5.1, A.4", raw=raw)
        self.key_package_rule = rule


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedKeyPackage:
    """A KeyPackage that passed. *octets* are the structure itself, without MLSMessage around it; *remarks* is what a
    consumer should know and did not refuse for."""

    key_package: KeyPackage
    octets: bytes
    chain: ValidatedChain
    is_last_resort: bool
    remarks: tuple[str, ...] = ()

    @property
    def reference(self) -> bytes:
        """KeyPackageRef."""
        return CipherSuite.of(SUITE).key_package_ref(self.octets)

    @property
    def message(self) -> bytes:
        """The KeyPackage as MLSMessage."""
        return wrap_key_package(self.octets)

    @property
    def certificate(self) -> Certificate:
        """The client's own certificate."""
        return self.chain.leaf

    @property
    def client_id(self) -> str:
        return self.chain.client_id


def key_package_lifetime(mode: DirectoryLifetime, certificate: Certificate | None, now_s: int) -> Lifetime:
    """Lifetime of a KeyPackage for a directory. It begins with the certificate: "now" fails at a peer whose clock
    trails. A certificate that cannot be read (None) gives a year from now."""
    if certificate is None:
        return Lifetime(now_s, now_s + _YEAR_S)
    begins_s = certificate.not_before_s
    if mode is DirectoryLifetime.GOOGLE:
        return Lifetime(begins_s, begins_s + _YEAR_S)
    span_s = certificate.not_after_s - begins_s
    return Lifetime(begins_s, begins_s + min(max(span_s - _MARGIN_S, 0), _YEAR_S))


def group_lifetime(certificate: Certificate | None, now_s: int) -> Lifetime:
    """Lifetime of the leaf of a group's creator, or of a client that comes by itself: it begins a day ago, but not
    before the certificate, and lasts a year (choice: the reference leaves the end to its engine)."""
    if certificate is None:
        return Lifetime(now_s, now_s + _YEAR_S)
    begins_s = min(max(certificate.not_before_s, now_s - _BACKDATED_S), now_s)
    return Lifetime(begins_s, begins_s + _YEAR_S)


def wrap_key_package(octets: bytes) -> bytes:
    """``MLSMessage`` around an encoded KeyPackage, the form to upload."""
    return _MESSAGE + octets


def read_key_package(octets: bytes) -> KeyPackage:
    """A KeyPackage, with MLSMessage around it or without. Raises KeyPackageRefused."""
    if len(octets) > _MAX_OCTETS:
        raise KeyPackageRefused(KeyPackageRule.SYNTAX, f"a KeyPackage of {len(octets)} octets")
    try:
        if octets.startswith(_MESSAGE):
            return KeyPackage.decode(octets[len(_MESSAGE) :])
        return KeyPackage.decode(octets)
    except TlsDecodeError as error:
        raise KeyPackageRefused(KeyPackageRule.SYNTAX, f"no KeyPackage: {error}", raw=error.raw) from error


def verify_claimed_package(
    octets: bytes,
    *,
    msisdn: str,
    trust: TrustAnchors | CertificateValidator,
    now_s: int,
    requires_certificate_floor: bool = False,
) -> VerifiedKeyPackage:
    """What a claim for the number *msisdn* (bare digits) brought, checked in this order: syntax, number, suite,
    advertised suites, 30 days of lifetime left, 30 days of certificate left (noted only, unless that is required),
    then signatures and chain. A package of last resort is accepted. Raises KeyPackageRefused."""
    key_package = read_key_package(octets)
    _verify_number(key_package, msisdn)
    _verify_suite(key_package)
    _verify_advertised_suites(key_package)
    _verify_lifetime_floor(key_package, now_s)
    remarks = _certificate_floor_remarks(key_package, now_s)
    if remarks and requires_certificate_floor:
        raise KeyPackageRefused(KeyPackageRule.CERTIFICATE_FLOOR, remarks[0])
    chain = _verify_signatures(key_package, trust, now_s)
    remarks += (*(finding.message for finding in chain.remarks), *_proof_remarks(chain, now_s))
    return VerifiedKeyPackage(key_package, key_package.encode(), chain, is_marked_last_resort(key_package), remarks)


def verify_uploaded_package(
    octets: bytes,
    *,
    msisdn: str,
    trust: TrustAnchors | CertificateValidator,
    modes: Collection[DirectoryLifetime],
    is_last_resort: bool,
    now_s: int,
    client_id: str | None = None,
) -> VerifiedKeyPackage:
    """What a client of the number *msisdn* (bare digits), *client_id* if that is given, puts into a directory, in the
    place of last resort or not. It keeps the lifetime rule of one of *modes*. Raises KeyPackageRefused."""
    key_package = read_key_package(octets)
    _verify_suite(key_package)
    _verify_advertised_suites(key_package)
    chain = _verify_signatures(key_package, trust, now_s)
    _verify_number(key_package, msisdn)
    if client_id is not None and chain.client_id != client_id:
        raise KeyPackageRefused(KeyPackageRule.CLIENT, f"a KeyPackage of {chain.client_id}, not of {client_id}")
    _verify_directory_lifetime(key_package, chain.leaf, modes)
    if floor_remarks := _certificate_floor_remarks(key_package, now_s):
        raise KeyPackageRefused(KeyPackageRule.CERTIFICATE_FLOOR, floor_remarks[0])
    if is_marked_last_resort(key_package) is not is_last_resort:
        message = "no package of last resort" if is_last_resort else "a package of last resort among the others"
        raise KeyPackageRefused(KeyPackageRule.LAST_RESORT, message)
    return VerifiedKeyPackage(key_package, key_package.encode(), chain, is_last_resort)


def _proof_remarks(chain: ValidatedChain, now_s: int) -> tuple[str, ...]:
    """An ended ``.5`` is for the log where the verifier does not refuse it (digest RCC.16 §3.5, §14.2)."""
    proof = chain.acs_proof
    if proof is None or not proof.is_expired(now_s):
        return ()
    return (f"the proof of the configuration server ended at {proof.expiry_s}",)


def _verify_number(key_package: KeyPackage, msisdn: str) -> None:
    found = msisdn_of(key_package.leaf_node)
    if not found or found != msisdn:
        raise KeyPackageRefused(KeyPackageRule.NUMBER, f"a KeyPackage of the number {found!r}, not of {msisdn}")


def _verify_suite(key_package: KeyPackage) -> None:
    if key_package.cipher_suite != SUITE:
        raise KeyPackageRefused(KeyPackageRule.CIPHER_SUITE, f"a KeyPackage of suite {key_package.cipher_suite}")


def _verify_advertised_suites(key_package: KeyPackage) -> None:
    if SUITE not in key_package.leaf_node.capabilities.cipher_suites:
        raise KeyPackageRefused(KeyPackageRule.CAPABILITIES, "a KeyPackage does not advertise suite 2")


def _verify_lifetime_floor(key_package: KeyPackage, now_s: int) -> None:
    lifetime = key_package.leaf_node.lifetime
    if lifetime is None:
        raise KeyPackageRefused(KeyPackageRule.SOURCE, "a KeyPackage whose leaf is not made for one")
    left_s = lifetime.not_after - now_s
    if left_s < FLOOR_S:
        raise KeyPackageRefused(KeyPackageRule.LIFETIME_FLOOR, f"a KeyPackage has {left_s} s left")


def _certificate_floor_remarks(key_package: KeyPackage, now_s: int) -> tuple[str, ...]:
    chain = chain_of(key_package.leaf_node)
    if not chain or chain_state(chain, now_s) is not CertificateState.INSIDE_FLOOR:
        return ()  # what is worse is refused with the chain
    return (f"a certificate has {min(each.not_after_s for each in chain) - now_s} s left",)


def _verify_signatures(
    key_package: KeyPackage, trust: TrustAnchors | CertificateValidator, now_s: int
) -> ValidatedChain:
    """Without a validator of the caller's, deployed chains are accepted."""
    validator = CertificateValidator(trust, Strictness.TOLERANT) if isinstance(trust, TrustAnchors) else trust
    leaf = key_package.leaf_node
    if leaf.leaf_node_source is not LeafNodeSource.KEY_PACKAGE:
        raise KeyPackageRefused(KeyPackageRule.SOURCE, "a KeyPackage whose leaf is not made for one")
    try:
        chain = X509Identity(validator).validated(leaf.credential, leaf.signature_key, now_s)
        verify_key_package(CipherSuite.of(SUITE), key_package, now_s)
    except CertificateRefused as refused:
        rule = KeyPackageRule.CERTIFICATE
        raise KeyPackageRefused(rule, refused.finding.message, name=refused.rule, raw=refused.raw) from refused
    except MlsValidationError as error:
        raise KeyPackageRefused(KeyPackageRule.VALIDITY, str(error), raw=error.raw) from error
    return chain


def _verify_directory_lifetime(
    key_package: KeyPackage, certificate: Certificate, modes: Collection[DirectoryLifetime]
) -> None:
    lifetime = key_package.leaf_node.lifetime
    assert lifetime is not None
    outlives = lifetime.not_after > certificate.not_after_s
    if (DirectoryLifetime.GOOGLE if outlives else DirectoryLifetime.RCC16) not in modes:
        message = f"a KeyPackage ends at {lifetime.not_after}, its certificate at {certificate.not_after_s}"
        raise KeyPackageRefused(KeyPackageRule.DIRECTORY_LIFETIME, message)
