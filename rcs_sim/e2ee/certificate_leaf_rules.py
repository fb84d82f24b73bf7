"""What holds for the certificate of a client (RCC.16 A.3.8, A.4.1). One function per rule."""

from __future__ import annotations

from collections.abc import Iterator

from rcs_sim.e2ee.acs_proof import AcsProof
from rcs_sim.e2ee.certificate import Certificate
from rcs_sim.e2ee.certificate_extensions import (
    DIGITAL_SIGNATURE,
    read_basic_constraints,
    read_certificate_policies,
    read_extended_key_usage,
    read_key_usage,
    read_subject_key_identifier,
    read_vendor_id,
    unwrapped,
)
from rcs_sim.e2ee.certificate_profile import (
    ACS_PARTICIPANT_INFORMATION,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    E2EE_POLICY,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    LEAF_EXTENSIONS,
    LEAF_LIFE_S,
    PARTICIPANT_INFORMATION,
    RCS_MLS_CLIENT,
    SUBJECT_KEY_IDENTIFIER,
    VENDOR_ID,
    CertificateRefused,
    CertificateRule,
    Finding,
)
from rcs_sim.e2ee.der import DerError, show_oid
from rcs_sim.e2ee.participant_information import ParticipantInformation
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.nist_curve import P256

__all__ = [
    "acs_proof_of",
    "check_leaf_acs_proof",
    "check_leaf_acs_proof_is_there",
    "check_leaf_basic_constraints",
    "check_leaf_criticality",
    "check_leaf_extended_key_usage",
    "check_leaf_extensions",
    "check_leaf_key",
    "check_leaf_key_identifier",
    "check_leaf_key_usage",
    "check_leaf_life",
    "check_leaf_name",
    "check_leaf_policies",
    "check_leaf_policies_are_there",
    "check_participant_information",
    "check_participant_key_rolls",
    "check_proof_of_possession",
    "check_vendor",
    "participant_of",
    "vendor_of",
]

_MAY_BE_CRITICAL = frozenset((KEY_USAGE, PARTICIPANT_INFORMATION, BASIC_CONSTRAINTS))


def check_leaf_extended_key_usage(leaf: Certificate) -> Iterator[Finding]:
    """Exactly id-kp-rcsMlsClient (A.3.8.7)."""
    value = leaf.extension_value(EXTENDED_KEY_USAGE)
    try:
        if value is not None and read_extended_key_usage(value) == (RCS_MLS_CLIENT,):
            return
    except DerError:
        pass
    yield Finding(CertificateRule.LEAF_EXTENDED_KEY_USAGE, "a leaf is not for RCS MLS clients alone", value or b"")


def check_leaf_key_usage(leaf: Certificate) -> Iterator[Finding]:
    """Critical, digitalSignature only."""
    extension = leaf.extension(KEY_USAGE)
    try:
        if extension is not None and extension.critical and read_key_usage(extension.value) == {DIGITAL_SIGNATURE}:
            return
    except DerError:
        pass
    yield Finding(CertificateRule.LEAF_KEY_USAGE, "the keyUsage of a leaf is not critical digitalSignature alone")


def check_leaf_name(leaf: Certificate) -> Iterator[Finding]:
    """One uniformResourceIdentifier, ``tel:+E164``."""
    if not leaf.msisdn:
        yield Finding(CertificateRule.LEAF_NAME, "a leaf does not name one tel:+E164", leaf.san)


def check_leaf_life(leaf: Certificate) -> Iterator[Finding]:
    """76 days in all (A.4.1)."""
    life_s = leaf.not_after_s - leaf.not_before_s
    if life_s > LEAF_LIFE_S:
        yield Finding(CertificateRule.LEAF_LIFE, f"a leaf is valid for {life_s} s, allowed are {LEAF_LIFE_S}")


def check_leaf_key(leaf: Certificate) -> Iterator[Finding]:
    """A key of cipher suite 2."""
    if leaf.public_key.curve is not P256:
        yield Finding(CertificateRule.LEAF_KEY, "the key of a leaf is not on P-256", leaf.spki)


def check_participant_information(leaf: Certificate) -> Iterator[Finding]:
    """``.4`` is there, critical, and can be read (A.3.8.9)."""
    extension = leaf.extension(PARTICIPANT_INFORMATION)
    if extension is None or not extension.critical:
        message = "a leaf has no ParticipantInformation, or one that is not critical"
        yield Finding(CertificateRule.PARTICIPANT_INFORMATION, message)
        return
    try:
        ParticipantInformation.decode(extension.value)
    except DerError as error:
        yield Finding(CertificateRule.PARTICIPANT_INFORMATION, f"ParticipantInformation: {error}")


def check_participant_key_rolls(leaf: Certificate) -> Iterator[Finding]:
    """``.4`` has five elements: key rolls cannot be verified (A.4.1.1)."""
    found = participant_of(leaf)
    if found is not None and found.has_rolls:
        message = "key rolls are there and cannot be verified"
        yield Finding(CertificateRule.PARTICIPANT_KEY_ROLLS, message, found.key_rolls or b"")


def check_proof_of_possession(leaf: Certificate) -> Iterator[Finding]:
    """The participant key signed the certified leaf key (A.3.8.9)."""
    participant = participant_of(leaf)
    if participant is None:
        return
    try:
        participant.verify_possession(leaf.subject, leaf.spki, leaf.san)
    except CertificateRefused as refused:
        yield refused.finding


def check_leaf_acs_proof(leaf: Certificate) -> Iterator[Finding]:
    """``.5`` is a proof, if it is there. Who signed it is for the key service of its carrier to know."""
    value = leaf.extension_value(ACS_PARTICIPANT_INFORMATION)
    if value is not None and acs_proof_of(leaf) is None:
        yield Finding(CertificateRule.ACS_PROOF, "the proof of the configuration server is malformed", value)


def check_leaf_acs_proof_is_there(leaf: Certificate) -> Iterator[Finding]:
    """``.5`` shall be present (A.3.8.10)."""
    if leaf.extension(ACS_PARTICIPANT_INFORMATION) is None:
        yield Finding(CertificateRule.ACS_PROOF, "a leaf has no proof of the configuration server")


def check_leaf_basic_constraints(leaf: Certificate) -> Iterator[Finding]:
    """Absent, or cA FALSE without a path length."""
    value = leaf.extension_value(BASIC_CONSTRAINTS)
    try:
        found = None if value is None else read_basic_constraints(value)
        if found is None or not (found.is_ca or found.path_length is not None):
            return
    except DerError:
        pass
    yield Finding(CertificateRule.LEAF_BASIC_CONSTRAINTS, "a leaf is a CA", value or b"")


def check_leaf_policies(leaf: Certificate) -> Iterator[Finding]:
    """If there are any, exactly the E2EE policy, without qualifiers."""
    value = leaf.extension_value(CERTIFICATE_POLICIES)
    try:
        policies = () if value is None else read_certificate_policies(value)
        if value is None or [(each.oid, each.has_qualifiers) for each in policies] == [(E2EE_POLICY, False)]:
            return
    except DerError:
        pass
    message = "the certificatePolicies of a leaf are not the E2EE policy alone"
    yield Finding(CertificateRule.LEAF_POLICY, message, value or b"")


def check_leaf_policies_are_there(leaf: Certificate) -> Iterator[Finding]:
    """A leaf has certificatePolicies."""
    if leaf.extension(CERTIFICATE_POLICIES) is None:
        yield Finding(CertificateRule.LEAF_POLICY, "a leaf has no certificatePolicies")


def check_leaf_key_identifier(leaf: Certificate) -> Iterator[Finding]:
    """SHA-1 of the key's point (RFC 5280 §4.2.1.2, method 1)."""
    value = leaf.extension_value(SUBJECT_KEY_IDENTIFIER)
    try:
        if value is None or read_subject_key_identifier(value) == leaf.public_key.key_identifier:
            return
    except DerError:
        return
    yield Finding(CertificateRule.KEY_IDENTIFIER, "the subjectKeyIdentifier of a leaf is not that of its key", value)


def check_leaf_extensions(leaf: Certificate) -> Iterator[Finding]:
    """No extension that the profile does not list."""
    for extension in leaf.extensions:
        if extension.oid not in LEAF_EXTENSIONS:
            yield Finding(CertificateRule.LEAF_EXTENSION, f"a leaf has the extension {show_oid(extension.oid)}")


def check_leaf_criticality(leaf: Certificate) -> Iterator[Finding]:
    """What the profile has as not critical is not."""
    for extension in leaf.extensions:
        if extension.critical and extension.oid in LEAF_EXTENSIONS - _MAY_BE_CRITICAL:
            yield Finding(CertificateRule.LEAF_CRITICALITY, f"the extension {show_oid(extension.oid)} is critical")


def check_vendor(leaf: Certificate, anchor: Certificate) -> Iterator[Finding]:
    """The vendor of ``.4`` is that of ``.6`` in the trust anchor, and in the leaf, where these have one."""
    participant = participant_of(leaf)
    if participant is None:
        return
    for certificate in (anchor, leaf):
        if certificate.extension(VENDOR_ID) is None:
            continue
        vendor = vendor_of(certificate)
        if vendor != participant.vendor_id:
            message = f"a leaf of the vendor {participant.vendor_id} stands under the vendor {vendor}"
            yield Finding(CertificateRule.VENDOR, message)


def participant_of(leaf: Certificate) -> ParticipantInformation | None:
    """Its ``.4``, None if there is none or it is malformed."""
    value = leaf.extension_value(PARTICIPANT_INFORMATION)
    try:
        return None if value is None else ParticipantInformation.decode(value)
    except DerError:
        return None


def acs_proof_of(leaf: Certificate) -> AcsProof | None:
    """Its ``.5``, None if there is none or it is malformed."""
    value = leaf.extension_value(ACS_PARTICIPANT_INFORMATION)
    try:
        return None if value is None else AcsProof.decode(unwrapped(value))
    except (DerError, TlsDecodeError):
        return None


def vendor_of(certificate: Certificate) -> int | None:
    """Its ``.6``, None if there is none or it is malformed."""
    value = certificate.extension_value(VENDOR_ID)
    try:
        return None if value is None else read_vendor_id(value)
    except DerError:
        return None
