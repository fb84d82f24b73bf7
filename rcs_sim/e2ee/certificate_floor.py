"""The 30-day floor: what state a certificate is in at a moment (RCC.16 A.4.1.2, A.4.2.2, A.4.3.1, §9.5.3)."""

from __future__ import annotations

from enum import Enum

from rcs_sim.e2ee.certificate import Certificate
from rcs_sim.e2ee.certificate_profile import FLOOR_S
from rcs_sim.e2ee.credential_identity import certificate_of
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["FLOOR_S", "CertificateState", "certificate_state", "floor_state", "remaining_days"]

_DAY_S = 86400


class CertificateState(Enum):
    """Never two at once; an unreadable certificate is none of the others."""

    OK = "ok"
    INSIDE_FLOOR = "inside floor"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    UNREADABLE = "unreadable"


def floor_state(member: LeafNode | Credential, now_s: int) -> CertificateState:
    """State of a member's certificate at *now_s*, seconds since 1970. No X.509 chain is as good as one that cannot be
    read."""
    leaf = certificate_of(member)
    return CertificateState.UNREADABLE if leaf is None else certificate_state(leaf, now_s)


def certificate_state(certificate: Certificate, now_s: int) -> CertificateState:
    """State of a leaf certificate that was read."""
    if now_s < certificate.not_before_s:
        return CertificateState.NOT_YET_VALID
    if now_s > certificate.not_after_s:
        return CertificateState.EXPIRED
    return CertificateState.OK if certificate.not_after_s - now_s >= FLOOR_S else CertificateState.INSIDE_FLOOR


def remaining_days(certificate: Certificate, now_s: int) -> int:
    """Whole days that are left, negative after the end."""
    return (certificate.not_after_s - now_s) // _DAY_S
