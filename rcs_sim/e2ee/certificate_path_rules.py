"""A chain leads to a trust anchor (RFC 5280 §6.1): names, signatures, path lengths, critical extensions. Times are not
looked at here: they are another question for each moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rcs_sim.e2ee.certificate import Certificate
from rcs_sim.e2ee.certificate_extensions import read_basic_constraints
from rcs_sim.e2ee.certificate_profile import (
    ACS_PARTICIPANT_INFORMATION,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    PARTICIPANT_INFORMATION,
    SUBJECT_ALTERNATIVE_NAME,
    SUBJECT_KEY_IDENTIFIER,
    CertificateRule,
    Finding,
)
from rcs_sim.e2ee.der import DerError, show_oid
from rcs_sim.e2ee.public_key_info import ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512, read_algorithm

__all__ = ["check_algorithm", "check_critical_extensions", "check_link", "check_path_lengths", "link_problem"]

_ALGORITHMS = frozenset((ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512))
_UNDERSTOOD = frozenset(
    (
        KEY_USAGE,
        BASIC_CONSTRAINTS,
        SUBJECT_ALTERNATIVE_NAME,
        EXTENDED_KEY_USAGE,
        CERTIFICATE_POLICIES,
        PARTICIPANT_INFORMATION,
        ACS_PARTICIPANT_INFORMATION,
        SUBJECT_KEY_IDENTIFIER,
        AUTHORITY_KEY_IDENTIFIER,
    )
)


def check_algorithm(certificate: Certificate) -> Iterator[Finding]:
    """ECDSA with SHA-256, -384 or -512, said twice in the same words, with a key on P-256, P-384 or P-521."""
    algorithm = certificate.outer_algorithm
    try:
        is_known = read_algorithm(algorithm) in _ALGORITHMS
    except DerError:
        is_known = False
    if not is_known or algorithm != certificate.inner_algorithm:
        yield Finding(CertificateRule.ALGORITHM, "a signature is not ECDSA with SHA-256, -384 or -512", algorithm)
    try:
        _ = certificate.public_key
    except DerError:
        yield Finding(CertificateRule.KEY, "a key is not on P-256, P-384 or P-521", certificate.spki)


def link_problem(certificate: Certificate, issuer: Certificate) -> Finding | None:
    """Why *certificate* does not come from *issuer*, None if it does. Names are compared octet for octet (choice)."""
    if certificate.issuer != issuer.subject:
        return Finding(CertificateRule.ISSUER_NAME, "a certificate names another issuer", certificate.issuer)
    if not certificate.is_signed_by(issuer.public_key):
        return Finding(CertificateRule.SIGNATURE, "a certificate is not signed by its issuer", certificate.signature)
    return None


def check_link(path: Sequence[Certificate]) -> Iterator[Finding]:
    """Each certificate comes from the next one."""
    for certificate, issuer in pairwise(path):
        finding = link_problem(certificate, issuer)
        if finding is not None:
            yield finding


def check_path_lengths(path: Sequence[Certificate]) -> Iterator[Finding]:
    """No CA has more CAs below it than it says (RFC 5280 §6.1.4 l, m). *path* is leaf first, the anchor last."""
    below = 0
    for certificate in path[1:]:
        longest = _path_length(certificate)
        if longest is not None and below > longest:
            message = f"{below} CAs are below one that allows {longest}"
            yield Finding(CertificateRule.PATH_LENGTH, message, certificate.subject)
        below += not certificate.is_self_issued


def check_critical_extensions(certificate: Certificate) -> Iterator[Finding]:
    """What is critical is understood (RFC 5280 §4.2)."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            message = f"the critical extension {show_oid(extension.oid)} is not understood"
            yield Finding(CertificateRule.CRITICAL_EXTENSION, message)


def _path_length(certificate: Certificate) -> int | None:
    value = certificate.extension_value(BASIC_CONSTRAINTS)
    try:
        return None if value is None else read_basic_constraints(value).path_length
    except DerError:
        return None  # the CA profile says so
