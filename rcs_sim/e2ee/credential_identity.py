"""Who a member of an MLS group is: the client and number that its certificate names (RCC.16 A.4, RFC 9420 §5.3.1)."""

from __future__ import annotations

from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.certificate_leaf_rules import participant_of
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule, Finding
from rcs_sim.e2ee.certificate_validator import MAX_CHAIN, CertificateValidator, ValidatedChain
from rcs_sim.e2ee.der import DerError
from rcs_sim.mls.credential import Credential, X509Credential
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["X509Identity", "certificate_of", "chain_of", "client_id_of", "msisdn_of", "participant_spki_of"]


class X509Identity:
    """The identity provider of MLS (`rcs_sim.mls.seams.IdentityProvider`) over certificate chains."""

    __slots__ = ("validator",)

    def __init__(self, validator: CertificateValidator) -> None:
        self.validator = validator

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        """Raises CertificateRefused, an MlsValidationError, unless the chain is good at *now_s* and certifies
        *signature_key*. Without a time nothing is."""
        self.validated(credential, signature_key, now_s)

    def validated(self, credential: Credential, signature_key: bytes, now_s: int | None) -> ValidatedChain:
        """The same, with what was found."""
        if not isinstance(credential, X509Credential):
            message = f"a credential of the type {credential.credential_type}, not an X.509 chain"
            raise CertificateRefused(Finding(CertificateRule.CREDENTIAL_TYPE, message))
        chain = self.validator.validate(credential.certificates, now_s)
        if chain.leaf.point != signature_key:
            message = "a leaf's certificate is for another signature key"
            raise CertificateRefused(Finding(CertificateRule.SIGNATURE_KEY, message, signature_key))
        return chain

    def identity_of(self, credential: Credential) -> bytes:
        """Subject and subjectAltName of the client's own certificate: the reference goes by the subject alone, which a
        client of another number may have chosen (choice). What is unreadable is only itself."""
        leaf = certificate_of(credential)
        return credential.encode() if leaf is None else leaf.subject + leaf.san

    def is_successor(self, before: Credential, after: Credential) -> bool:
        """Whether both name the same client and the same number: a renewal changes serial and validity only."""
        old, new = certificate_of(before), certificate_of(after)
        if old is None or new is None:
            return False
        return old.subject == new.subject and bool(old.msisdn) and old.msisdn == new.msisdn


def certificate_of(member: LeafNode | Credential) -> Certificate | None:
    """The member's own certificate, None if there is none that can be read."""
    credential = member.credential if isinstance(member, LeafNode) else member
    if not isinstance(credential, X509Credential) or not credential.certificates:
        return None
    try:
        return read_certificate(credential.certificates[0])
    except DerError:
        return None


def chain_of(member: LeafNode | Credential) -> tuple[Certificate, ...]:
    """All certificates of the member's credential, its own first; none if one of them cannot be read, or if there are
    more than any chain has."""
    credential = member.credential if isinstance(member, LeafNode) else member
    if not isinstance(credential, X509Credential) or len(credential.certificates) > MAX_CHAIN:
        return ()
    try:
        return tuple(map(read_certificate, credential.certificates))
    except DerError:
        return ()


def msisdn_of(member: LeafNode | Credential) -> str:
    """Bare digits of the number that the certificate names, nothing if it cannot be read: that equals no number."""
    leaf = certificate_of(member)
    return "" if leaf is None else leaf.msisdn


def client_id_of(member: LeafNode | Credential) -> str:
    """The client's UUID, nothing if it cannot be read."""
    leaf = certificate_of(member)
    return "" if leaf is None else leaf.common_name


def participant_spki_of(member: LeafNode | Credential) -> bytes:
    """The participant key in ``.4``, SubjectPublicKeyInfo in DER, nothing if it cannot be read."""
    leaf = certificate_of(member)
    participant = None if leaf is None else participant_of(leaf)
    return b"" if participant is None else participant.participant_spki
