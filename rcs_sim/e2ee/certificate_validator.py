"""Certificate chains are judged, in the order of RCC.16 Annex A: path, leaf, revocation, CAs, certificates, length,
vendor.

All but time is judged once for a chain and a policy, and kept: a leaf that is seen again costs a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

from rcs_sim.e2ee.acs_proof import AcsProof
from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.certificate_leaf_rules import (
    acs_proof_of,
    check_leaf_acs_proof,
    check_leaf_acs_proof_is_there,
    check_leaf_basic_constraints,
    check_leaf_criticality,
    check_leaf_extended_key_usage,
    check_leaf_extensions,
    check_leaf_key,
    check_leaf_key_identifier,
    check_leaf_key_usage,
    check_leaf_life,
    check_leaf_name,
    check_leaf_policies,
    check_leaf_policies_are_there,
    check_participant_information,
    check_participant_key_rolls,
    check_proof_of_possession,
    check_vendor,
    participant_of,
)
from rcs_sim.e2ee.certificate_path_rules import (
    check_algorithm,
    check_critical_extensions,
    check_link,
    check_path_lengths,
    link_problem,
)
from rcs_sim.e2ee.certificate_profile import FLOOR_S, CertificateRefused, CertificateRule, Finding, Strictness
from rcs_sim.e2ee.certificate_x509_rules import (
    check_authority_key,
    check_ca_basic_constraints,
    check_ca_extended_key_usage,
    check_ca_key_usage,
    check_ca_life,
    check_ca_policies,
    check_client_identifier,
    check_repeated_extensions,
    check_serial_number,
    check_subject,
    check_subject_key_identifier,
    check_unique_identifiers,
    check_validity_form,
    check_version,
)
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.participant_information import ParticipantInformation
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.trust_anchors import TrustAnchor, TrustAnchors

__all__ = ["MAX_CHAIN", "CertificateValidator", "ValidatedChain"]

MAX_CHAIN = 6  # certificates: deployed chains have two or three
_KEPT_CHAINS = 4096
_KEPT_OCTETS = 16 * 1024  # a longer chain is judged each time: nobody fills the memory with chains

_WITHDRAWN = frozenset({CertificateRule.TRUST_ANCHOR, CertificateRule.SIGNATURE})

Rule = Callable[[Certificate], Iterator[Finding]]


class _Step(IntEnum):
    """A rule about time stands behind each of the first four (digest §3.5)."""

    PATH = 1
    LEAF = 2
    PARTICIPANT = 3
    PROOF = 4
    POSSESSION = 5
    REVOCATION = 6
    ISSUER = 7
    CERTIFICATE = 8
    LENGTH = 9
    VENDOR = 10


# Each rule of a leaf, its step, and whether a deployment-tolerant verifier enforces it. Public sources tell that for
# lifetimes, unlisted extensions and client identifiers; that a missing policy or ``.5``, a subjectKeyIdentifier of
# another key and an extension that is critical and need not be are let pass, and nothing else, is ours (choice).
_LEAF_RULES: tuple[tuple[_Step, Rule, bool], ...] = (
    (_Step.LEAF, check_leaf_extended_key_usage, True),
    (_Step.LEAF, check_leaf_key_usage, True),
    (_Step.LEAF, check_leaf_name, True),
    (_Step.LEAF, check_leaf_life, False),
    (_Step.PARTICIPANT, check_leaf_key, True),
    (_Step.PARTICIPANT, check_leaf_basic_constraints, True),
    (_Step.PARTICIPANT, check_leaf_policies, True),
    (_Step.PARTICIPANT, check_leaf_policies_are_there, False),
    (_Step.PARTICIPANT, check_participant_information, True),
    (_Step.PROOF, check_participant_key_rolls, True),
    (_Step.PROOF, check_leaf_acs_proof, True),
    (_Step.PROOF, check_leaf_acs_proof_is_there, False),
    (_Step.POSSESSION, check_proof_of_possession, True),
)
_CA_RULES: tuple[Rule, ...] = (
    check_ca_basic_constraints,
    check_ca_key_usage,
    check_ca_extended_key_usage,
    check_ca_life,
    check_ca_policies,
)
_CERTIFICATE_RULES: tuple[Rule, ...] = (
    check_version,
    check_serial_number,
    check_validity_form,
    check_subject,
    check_unique_identifiers,
    check_repeated_extensions,
    check_subject_key_identifier,
)
_LEAF_FORM_RULES: tuple[Rule, ...] = (  # a tolerant verifier notes them
    check_client_identifier,
    check_leaf_key_identifier,
    check_leaf_extensions,
    check_leaf_criticality,
)


@dataclass(frozen=True, slots=True)
class _Policy:
    anchors: TrustAnchors
    strictness: Strictness
    revoked: RevokedCertificates


@dataclass(frozen=True, slots=True, eq=False)
class ValidatedChain:
    """A chain that kept every rule. *issuers* are the CAs of the chain without the *anchor*; *digits* is the number
    that the leaf names; *remarks* are breaches that a tolerant verifier lets pass."""

    leaf: Certificate
    issuers: tuple[Certificate, ...]
    anchor: TrustAnchor
    participant: ParticipantInformation
    acs_proof: AcsProof | None
    digits: str
    remarks: tuple[Finding, ...]

    @property
    def vendor_id(self) -> int:
        """The vendor of the leaf."""
        return self.participant.vendor_id

    @property
    def ends_s(self) -> int:
        """When the first certificate of it ends, seconds since 1970."""
        return min(each.not_after_s for each in (self.leaf, *self.issuers))

    @property
    def client_id(self) -> str:
        """The client's UUID: commonName of the leaf."""
        return self.leaf.common_name


@dataclass(slots=True)
class _Verdict:
    """What is known of a chain whatever the time is: the certificates up to the anchor, the first breach that counts
    with its step, and breaches that are let pass."""

    path: tuple[Certificate, ...] = ()
    anchor: TrustAnchor | None = None
    participant: ParticipantInformation | None = None
    acs_proof: AcsProof | None = None
    step: _Step | None = None
    refusal: Finding | None = None
    remarks: tuple[Finding, ...] = ()
    chain: ValidatedChain | None = None


class CertificateValidator:
    """Judges chains by *anchors*. *revoked_serials* are contents of serial numbers, for every certificate of a chain,
    or `RevokedCertificates`.
    *refuses_expired_proof* makes an expired ``.5`` a breach; RCC.16 lets it pass."""

    __slots__ = ("_policy", "_refuses_expired_proof")

    def __init__(
        self,
        anchors: TrustAnchors,
        strictness: Strictness = Strictness.STRICT,
        revoked_serials: Iterable[bytes] | RevokedCertificates = (),
        *,
        refuses_expired_proof: bool = False,
    ) -> None:
        if not isinstance(revoked_serials, RevokedCertificates):
            revoked_serials = RevokedCertificates.of(revoked_serials)
        self._policy = _Policy(anchors, strictness, revoked_serials)
        self._refuses_expired_proof = refuses_expired_proof

    @property
    def anchors(self) -> TrustAnchors:
        return self._policy.anchors

    @property
    def strictness(self) -> Strictness:
        return self._policy.strictness

    def with_anchors(self, anchors: TrustAnchors) -> CertificateValidator:
        """The same rules under other anchors."""
        policy = self._policy
        return CertificateValidator(
            anchors, policy.strictness, policy.revoked, refuses_expired_proof=self._refuses_expired_proof
        )

    def with_revoked(self, serials: Iterable[bytes] | RevokedCertificates) -> CertificateValidator:
        """The same rules with other revoked certificates."""
        policy = self._policy
        return CertificateValidator(
            policy.anchors, policy.strictness, serials, refuses_expired_proof=self._refuses_expired_proof
        )

    def is_revoked(self, chain: tuple[bytes, ...]) -> bool:
        """Whether a certificate of a chain that was good when it came has been revoked since, or its root is none of
        the anchors any more."""
        try:
            certificates = _read_chain(chain)
        except CertificateRefused:
            return False
        verdict, revoked = _verdict(chain, self._policy), self._policy.revoked
        anchor = verdict.anchor
        if anchor is None and verdict.refusal is not None and verdict.refusal.rule in _WITHDRAWN:
            return True
        return any(revoked.has(each, None if anchor is None else anchor.kds) for each in certificates)

    def validate(self, chain: tuple[bytes, ...], now_s: int | None) -> ValidatedChain:
        """Judges a chain, leaf first, at *now_s* (seconds since 1970). Raises CertificateRefused with the first rule
        that it breaks; without a clock none is accepted."""
        if now_s is None:
            raise CertificateRefused(Finding(CertificateRule.CLOCK, "no certificate is valid at no time"))
        verdict = _verdict(chain, self._policy)
        _refuse(verdict, _Step.PATH)
        _verify_times(verdict, now_s)
        _refuse(verdict, _Step.LEAF)
        self._verify_floor(verdict, now_s)
        _refuse(verdict, _Step.PARTICIPANT)
        _verify_participant_time(verdict, now_s)
        _refuse(verdict, _Step.PROOF)
        self._verify_proof_time(verdict, now_s)
        _refuse(verdict, _Step.VENDOR)
        assert verdict.chain is not None
        return verdict.chain

    def _verify_floor(self, verdict: _Verdict, now_s: int) -> None:
        left_s = min(each.not_after_s for each in verdict.path) - now_s
        if self.strictness is Strictness.STRICT and left_s < FLOOR_S:
            raise CertificateRefused(Finding(CertificateRule.LEAF_FLOOR, f"a chain has {left_s} s left"))

    def _verify_proof_time(self, verdict: _Verdict, now_s: int) -> None:
        proof = verdict.acs_proof
        if self._refuses_expired_proof and proof is not None and proof.is_expired(now_s):
            message = f"the proof of the configuration server ended at {proof.expiry_s}"
            raise CertificateRefused(Finding(CertificateRule.ACS_PROOF_EXPIRY, message))


def _refuse(verdict: _Verdict, last: _Step) -> None:
    if verdict.refusal is not None and verdict.step is not None and verdict.step <= last:
        raise CertificateRefused(verdict.refusal)


def _verify_times(verdict: _Verdict, now_s: int) -> None:
    for certificate in verdict.path:
        if not certificate.not_before_s <= now_s <= certificate.not_after_s:
            times = f"from {certificate.not_before_s} to {certificate.not_after_s}, now is {now_s}"
            finding = Finding(CertificateRule.VALIDITY, f"a certificate is valid {times}", certificate.subject)
            raise CertificateRefused(finding)


def _verify_participant_time(verdict: _Verdict, now_s: int) -> None:
    if verdict.participant is not None and not verdict.participant.is_valid_at(now_s):
        finding = Finding(CertificateRule.PARTICIPANT_VALIDITY, "the participant's signature is not valid now")
        raise CertificateRefused(finding)


def _verdict(chain: tuple[bytes, ...], policy: _Policy) -> _Verdict:
    return _kept(chain, policy) if sum(map(len, chain)) <= _KEPT_OCTETS else _judge(chain, policy)


def _judge(chain: tuple[bytes, ...], policy: _Policy) -> _Verdict:
    verdict = _Verdict()
    try:
        _find_path(verdict, chain, policy.anchors)
    except CertificateRefused as refused:
        verdict.step, verdict.refusal = _Step.PATH, refused.finding
        return verdict
    remarks: list[Finding] = []
    for step, finding, is_enforced in _findings(verdict, policy):
        if is_enforced:
            verdict.step, verdict.refusal = step, finding
            return verdict
        remarks.append(finding)
    verdict.remarks = tuple(remarks)
    verdict.chain = _validated(verdict)
    return verdict


_kept = lru_cache(maxsize=_KEPT_CHAINS)(_judge)


def _find_path(verdict: _Verdict, chain: tuple[bytes, ...], anchors: TrustAnchors) -> None:
    """Fills in path and anchor. Raises CertificateRefused."""
    certificates = _read_chain(chain)
    presented = anchors.holding(certificates[-1].der)
    if presented is not None:
        verdict.anchor, path = presented, certificates
    else:
        _raise_first(finding for each in certificates for finding in check_algorithm(each))
        verdict.anchor = _anchor_of(certificates[-1], anchors)
        path = (*certificates, verdict.anchor.certificate)
    _raise_first(finding for each in path for finding in check_algorithm(each))
    _raise_first(check_link(path))
    _raise_first(finding for each in path for finding in check_critical_extensions(each))
    _raise_first(check_path_lengths(path))
    verdict.path = path
    verdict.participant, verdict.acs_proof = participant_of(path[0]), acs_proof_of(path[0])


def _read_chain(chain: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    if not 1 <= len(chain) <= MAX_CHAIN:
        raise CertificateRefused(Finding(CertificateRule.CHAIN_LENGTH, f"a chain of {len(chain)} certificates"))
    try:
        return tuple(map(read_certificate, chain))
    except DerError as error:
        raise CertificateRefused(Finding(CertificateRule.SYNTAX, f"no certificate: {error}", error.raw)) from error


def _anchor_of(last: Certificate, anchors: TrustAnchors) -> TrustAnchor:
    named = anchors.find(last.issuer)
    if not named:
        finding = Finding(CertificateRule.TRUST_ANCHOR, "a chain does not lead to a trust anchor", last.issuer)
        raise CertificateRefused(finding)
    for anchor in named:
        if not any(check_algorithm(anchor.certificate)) and link_problem(last, anchor.certificate) is None:
            return anchor
    finding = Finding(CertificateRule.SIGNATURE, "a chain is not signed by the trust anchor that it names")
    raise CertificateRefused(finding)


def _raise_first(findings: Iterator[Finding]) -> None:
    finding = next(findings, None)
    if finding is not None:
        raise CertificateRefused(finding)


def _findings(verdict: _Verdict, policy: _Policy) -> Iterator[tuple[_Step, Finding, bool]]:
    """Every breach behind the path, in order, and whether it counts."""
    path, is_strict = verdict.path, policy.strictness is Strictness.STRICT
    leaf, issuers = path[0], path[1:]
    kds = None if verdict.anchor is None else verdict.anchor.kds
    for step, rule, is_enforced in _LEAF_RULES:
        for finding in rule(leaf):
            yield step, finding, is_enforced or is_strict
    for each in path:
        if policy.revoked.has(each, kds):
            yield _Step.REVOCATION, Finding(CertificateRule.REVOKED, "a certificate is revoked", each.serial), True
    for finding in _each(_CA_RULES, issuers):
        yield _Step.ISSUER, finding, True
    for finding in _each(_CERTIFICATE_RULES, path):
        yield _Step.CERTIFICATE, finding, True
    for certificate, issuer in pairwise(path):
        for finding in check_authority_key(certificate, issuer):
            yield _Step.CERTIFICATE, finding, True
    for finding in _each(_LEAF_FORM_RULES, (leaf,)):
        yield _Step.CERTIFICATE, finding, is_strict
    if len(path) < 3:
        finding = Finding(CertificateRule.CHAIN_LENGTH, "no issuer stands between a leaf and its trust anchor")
        yield _Step.LENGTH, finding, True
    for finding in check_vendor(leaf, path[-1]):
        yield _Step.VENDOR, finding, True


def _each(rules: Iterable[Rule], certificates: Iterable[Certificate]) -> Iterator[Finding]:
    for certificate in certificates:
        for rule in rules:
            yield from rule(certificate)


def _validated(verdict: _Verdict) -> ValidatedChain:
    leaf, issuers, participant = verdict.path[0], verdict.path[1:-1], verdict.participant
    assert verdict.anchor is not None
    assert participant is not None
    return ValidatedChain(leaf, issuers, verdict.anchor, participant, verdict.acs_proof, leaf.msisdn, verdict.remarks)
