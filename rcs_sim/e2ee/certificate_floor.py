"""The 30-day floor: what state a certificate chain is in at a moment (RCC.16 A.4.1.2, A.4.2.2, A.4.3.1, §9.5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from rcs_sim.e2ee.certificate import Certificate
from rcs_sim.e2ee.certificate_profile import FLOOR_S
from rcs_sim.e2ee.credential_identity import chain_of
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["FLOOR_S", "CertificateState", "certificate_state", "chain_state", "floor_state", "remaining_days"]

_DAY_S = 86400


class CertificateState(Enum):
    """Never two at once; an unreadable certificate is none of the others."""

    OK = "ok"
    INSIDE_FLOOR = "inside floor"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    UNREADABLE = "unreadable"


def floor_state(member: LeafNode | Credential, now_s: int) -> CertificateState:
    """State of a member's chain at *now_s*, seconds since 1970. No X.509 chain is as good as one that cannot be
    read."""
    chain = chain_of(member)
    return chain_state(chain, now_s) if chain else CertificateState.UNREADABLE


def chain_state(chain: Sequence[Certificate], now_s: int) -> CertificateState:
    """State of certificates that stand or fall together: a leaf under an authority that ends is at its end with it."""
    ends_s = min(each.not_after_s for each in chain)
    if now_s < max(each.not_before_s for each in chain):
        return CertificateState.NOT_YET_VALID
    if now_s > ends_s:
        return CertificateState.EXPIRED
    return CertificateState.OK if ends_s - now_s >= FLOOR_S else CertificateState.INSIDE_FLOOR


def certificate_state(certificate: Certificate, now_s: int) -> CertificateState:
    """State of one certificate that was read."""
    return chain_state((certificate,), now_s)


def remaining_days(certificate: Certificate, now_s: int) -> int:
    """Whole days that are left, negative after the end."""
    return (certificate.not_after_s - now_s) // _DAY_S
