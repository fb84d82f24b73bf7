"""Whom a focus believes: the roots and the revoked certificates that its carrier's key service names now (RCC.16
A.4.3.1). Both change while it runs, and its groups go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from rcs_sim.e2ee.certificate_floor import FLOOR_S
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["FixedTrust", "FocusIdentity", "TrustSource"]


class TrustSource(Protocol):
    """Roots of all vendors, and what is revoked: values that are replaced, never changed."""

    @property
    def trust(self) -> TrustAnchors: ...

    @property
    def revoked(self) -> RevokedCertificates: ...


@dataclass(frozen=True, slots=True)
class FixedTrust:
    """Roots that stay as they are."""

    trust: TrustAnchors
    revoked: RevokedCertificates = field(default_factory=RevokedCertificates)


class FocusIdentity:
    """The identity provider of MLS (`rcs_sim.mls.seams.IdentityProvider`) by what *source* says at the time."""

    __slots__ = ("_known", "_source", "_strictness")

    def __init__(self, source: TrustSource, strictness: Strictness = Strictness.TOLERANT) -> None:
        self._source = source
        self._strictness = strictness
        self._known: tuple[TrustAnchors, RevokedCertificates, X509Identity] | None = None

    @property
    def now(self) -> X509Identity:
        """That of this moment."""
        trust, revoked, known = self._source.trust, self._source.revoked, self._known
        if known is None or known[0] is not trust or known[1] is not revoked:
            validator = CertificateValidator(trust, self._strictness, revoked)
            known = self._known = trust, revoked, X509Identity(validator)
        return known[2]

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        """Raises CertificateRefused."""
        self.now.verify_credential(credential, signature_key, now_s)

    def identity_of(self, credential: Credential) -> bytes:
        return self.now.identity_of(credential)

    def is_successor(self, before: Credential, after: Credential) -> bool:
        return self.now.is_successor(before, after)

    def problem_of(self, leaf: LeafNode, now_s: int) -> CertificateRule | None:
        """The rule that a member's credential breaks now, or would in 30 days; what is left of it is not looked at."""
        for at_s in (now_s, now_s + FLOOR_S):
            try:
                self.now.verify_credential(leaf.credential, leaf.signature_key, at_s)
            except CertificateRefused as refused:
                if refused.finding.rule is not CertificateRule.LEAF_FLOOR:
                    return refused.finding.rule
        return None
