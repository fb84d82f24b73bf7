"""The certificate profile of RCC.16 Annex A: identifiers, limits, the names of its rules, and how a breach is reported.

The arc is 2.23.146.2.1, gsma rcs rcsE2EE. Rule names begin with a clause: of RFC 5280 and RFC 9420 where the rule is
theirs, of RCC.16 otherwise. Public sources cite A.1.5, A.2.5, A.2.8.x, A.3.8.x, A.4.1.1 and, for lifetimes, A.4.1;
elsewhere it is the nearest clause (inferred).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from rcs_sim.e2ee.der import encode_oid
from rcs_sim.mls.errors import MlsValidationError

__all__ = [
    "ACS_PARTICIPANT_INFORMATION",
    "AUTHORITY_INFORMATION_ACCESS",
    "AUTHORITY_KEY_IDENTIFIER",
    "BASIC_CONSTRAINTS",
    "CERTIFICATE_POLICIES",
    "COMMON_NAME",
    "CRL_DISTRIBUTION_POINTS",
    "E2EE_POLICY",
    "EXTENDED_KEY_USAGE",
    "FLOOR_S",
    "KEY_USAGE",
    "LEAF_EXTENSIONS",
    "LEAF_LIFE_S",
    "PARTICIPANT_INFORMATION",
    "RCS_MLS_CLIENT",
    "ROOT_LIFE_S",
    "SUBJECT_ALTERNATIVE_NAME",
    "SUBJECT_KEY_IDENTIFIER",
    "SUBORDINATE_LIFE_S",
    "VENDOR_APPLE",
    "VENDOR_GOOGLE",
    "VENDOR_ID",
    "CertificateRefused",
    "CertificateRule",
    "Finding",
    "Strictness",
]

SUBJECT_KEY_IDENTIFIER = encode_oid("2.5.29.14")
KEY_USAGE = encode_oid("2.5.29.15")
SUBJECT_ALTERNATIVE_NAME = encode_oid("2.5.29.17")
BASIC_CONSTRAINTS = encode_oid("2.5.29.19")
CRL_DISTRIBUTION_POINTS = encode_oid("2.5.29.31")
CERTIFICATE_POLICIES = encode_oid("2.5.29.32")
AUTHORITY_KEY_IDENTIFIER = encode_oid("2.5.29.35")
EXTENDED_KEY_USAGE = encode_oid("2.5.29.37")
AUTHORITY_INFORMATION_ACCESS = encode_oid("1.3.6.1.5.5.7.1.1")

E2EE_POLICY = encode_oid("2.23.146.2.1.2")
RCS_MLS_CLIENT = encode_oid("2.23.146.2.1.3")
PARTICIPANT_INFORMATION = encode_oid("2.23.146.2.1.4")
ACS_PARTICIPANT_INFORMATION = encode_oid("2.23.146.2.1.5")
VENDOR_ID = encode_oid("2.23.146.2.1.6")

COMMON_NAME = encode_oid("2.5.4.3")

LEAF_EXTENSIONS = frozenset(
    (
        SUBJECT_KEY_IDENTIFIER,
        KEY_USAGE,
        SUBJECT_ALTERNATIVE_NAME,
        BASIC_CONSTRAINTS,
        CRL_DISTRIBUTION_POINTS,
        CERTIFICATE_POLICIES,
        AUTHORITY_KEY_IDENTIFIER,
        EXTENDED_KEY_USAGE,
        AUTHORITY_INFORMATION_ACCESS,
        PARTICIPANT_INFORMATION,
        ACS_PARTICIPANT_INFORMATION,
        VENDOR_ID,
    )
)

VENDOR_APPLE, VENDOR_GOOGLE = 1, 2

_DAY_S = 86400
LEAF_LIFE_S = 76 * _DAY_S  # A.4.1
SUBORDINATE_LIFE_S = 1827 * _DAY_S  # A.2.5
ROOT_LIFE_S = 3652 * _DAY_S  # A.1.5
FLOOR_S = 30 * _DAY_S  # A.4.1, A.4.1.2, A.4.2.2, A.4.3.1: what a certificate must have left


class Strictness(Enum):
    """RCC.16 to the letter, or what deployed peers can live with."""

    STRICT = "strict"
    TOLERANT = "tolerant"


class CertificateRule(StrEnum):
    """Which rule a chain broke."""

    CLOCK = "A.4.1 clock"
    SYNTAX = "RFC 5280 §4.1 certificate syntax"
    CHAIN_LENGTH = "A.4.1 chain length"

    ISSUER_NAME = "RFC 5280 §6.1.3 issuer name"
    SIGNATURE = "RFC 5280 §6.1.3 signature"
    VALIDITY = "RFC 5280 §6.1.3 validity"
    TRUST_ANCHOR = "RFC 5280 §6.1.1 trust anchor"
    PATH_LENGTH = "RFC 5280 §6.1.4 path length"
    CRITICAL_EXTENSION = "RFC 5280 §4.2 critical extension"

    LEAF_KEY_USAGE = "A.3.8 keyUsage"
    LEAF_EXTENDED_KEY_USAGE = "A.3.8.7 extKeyUsage"
    LEAF_NAME = "A.3.8 subjectAltName"
    LEAF_POLICY = "A.3.8 certificatePolicies"
    LEAF_BASIC_CONSTRAINTS = "A.3.8 basicConstraints"
    LEAF_EXTENSION = "A.3.8 unlisted extension"
    LEAF_CRITICALITY = "A.3.8 criticality"
    LEAF_KEY = "A.3.8 leaf key"
    LEAF_LIFE = "A.4.1 total lifetime"
    LEAF_FLOOR = "A.4.1 remaining lifetime"
    PARTICIPANT_INFORMATION = "A.3.8.9 ParticipantInformation"
    PARTICIPANT_VALIDITY = "A.3.8.9 participantSignatureValidity"
    PARTICIPANT_KEY_ROLLS = "A.4.1.1(1c-ii) participantKeyRolls"
    PROOF_OF_POSSESSION = "A.3.8.9 proof of possession"
    ACS_PROOF = "A.3.8.10 acsParticipantInformation"
    ACS_PROOF_EXPIRY = "A.3.8.10 acsParticipantInformation expiry"

    REVOKED = "A.4.1 revoked serial"

    CA_BASIC_CONSTRAINTS = "A.2.8.5 basicConstraints"
    CA_KEY_USAGE = "A.2.8.3 keyUsage"
    CA_EXTENDED_KEY_USAGE = "A.2.8 extKeyUsage"
    CA_POLICY = "A.2.8 certificatePolicies"
    ROOT_LIFE = "A.1.5 validity"
    SUBORDINATE_LIFE = "A.2.5 validity"

    VERSION = "RFC 5280 §4.1.2.1 version"
    SERIAL_NUMBER = "RFC 5280 §4.1.2.2 serialNumber"
    ALGORITHM = "A.3 signature algorithm"
    KEY = "A.3 public key"
    VALIDITY_FORM = "RFC 5280 §4.1.2.5 validity"
    SUBJECT = "A.3 subject"
    CLIENT_IDENTIFIER = "A.3 clientIdentifier"
    UNIQUE_IDENTIFIERS = "RFC 5280 §4.1.2.8 unique identifiers"
    REPEATED_EXTENSION = "RFC 5280 §4.2 repeated extension"
    KEY_IDENTIFIER = "A.3.8 subjectKeyIdentifier"
    AUTHORITY_KEY = "A.3.8 authorityKeyIdentifier"

    VENDOR = "A.4.1 vendorId"

    CREDENTIAL_TYPE = "RFC 9420 §5.3 credential type"
    SIGNATURE_KEY = "RFC 9420 §5.3 signature key"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, what broke it, and the octets that did."""

    rule: CertificateRule
    message: str
    raw: bytes = b""


class CertificateRefused(MlsValidationError):
    """A certificate chain breaks a rule of the profile. *rule* is the text of its `CertificateRule`."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.rule.value, finding.message, spec=f"RCC.16 {_clause(finding.rule)}", raw=finding.raw)
        self.finding = finding

    @property
    def certificate_rule(self) -> CertificateRule:
        """The rule."""
        return self.finding.rule


def _clause(rule: CertificateRule) -> str:
    return "Annex A" if rule.value.startswith("RFC") else rule.value.split(" ", 1)[0]
