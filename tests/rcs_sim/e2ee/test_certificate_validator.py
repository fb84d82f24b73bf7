"""Certificate chains: each rule fails in its place, and nothing else does (RCC.16 Annex A)."""

from __future__ import annotations

import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import (
    CertificateRefused,
    CertificateRule,
    Strictness,
)
from rcs_sim.e2ee.certificate_validator import MAX_CHAIN, CertificateValidator
from rcs_sim.e2ee.der import (
    OCTET_STRING,
    element,
)
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.trust_anchors import TrustAnchor, TrustAnchors
from tests.support.certificate_chains import (
    CLIENT_ID,
    DAY_S,
    DIGITS,
    NOW_S,
    ChainDraft,
    make_device,
    make_pki,
)
from tests.support.certificate_mutations import MUTATIONS, Mutation
from tests.support.vectors import load_vectors

Rule = CertificateRule


def judge(draft: ChainDraft, strictness: Strictness = Strictness.STRICT) -> CertificateRule | None:
    built, anchors = draft.build()
    try:
        CertificateValidator(anchors, strictness).validate(built, NOW_S)
    except CertificateRefused as refused:
        return refused.certificate_rule
    return None


def test_a_refusal_says_its_rule_first() -> None:
    with pytest.raises(CertificateRefused) as refused:
        CertificateValidator(TrustAnchors()).validate((), NOW_S)
    assert refused.value.rule == Rule.CHAIN_LENGTH.value
    assert str(refused.value).startswith("A.4.1 chain length: ")


@pytest.mark.parametrize("strictness", Strictness)
def test_a_chain_that_keeps_every_rule_is_accepted(strictness: Strictness) -> None:
    built, anchors = ChainDraft().build()
    found = CertificateValidator(anchors, strictness).validate(built, NOW_S)
    assert (found.digits, found.client_id, found.vendor_id, found.remarks) == (DIGITS, CLIENT_ID, 1, ())
    assert found.anchor == anchors.anchors[0]
    assert [each.der for each in (found.leaf, *found.issuers)] == list(built)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_one_thing_that_is_wrong_is_named(mutation: Mutation) -> None:
    draft = ChainDraft()
    mutation.change(draft)
    assert judge(draft) is mutation.rule


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_tolerant_verifier_lets_pass_what_deployed_peers_do_and_nothing_else(mutation: Mutation) -> None:
    draft = ChainDraft()
    mutation.change(draft)
    if not mutation.is_tolerated:
        assert judge(draft, Strictness.TOLERANT) is mutation.rule
        return
    built, anchors = draft.build()
    remarks = CertificateValidator(anchors, Strictness.TOLERANT).validate(built, NOW_S).remarks
    assert [each.rule for each in remarks] == ([] if mutation.rule is Rule.LEAF_FLOOR else [mutation.rule])


_ORDER = (  # digest §3.5, one breach of each step
    "ica-expired",
    Rule.LEAF_EXTENDED_KEY_USAGE,
    Rule.LEAF_KEY_USAGE,
    Rule.LEAF_NAME,
    Rule.LEAF_FLOOR,
    "participant-not-critical",
    "participant-expired",
    Rule.PARTICIPANT_KEY_ROLLS,
    "proof-malformed",
    "possession-for-another-subject",
    "revoked",
    "ica-without-constraints",
    Rule.VERSION,
    "leaf-under-the-root",
    "vendor-of-another-leaf",
)


def _breach(step: str | Rule) -> Mutation:
    if step == "revoked":
        return Mutation(step, lambda draft: None, Rule.REVOKED)
    return next(each for each in MUTATIONS if step in (each.rule, each.name))


def _first_of(*breaches: Mutation) -> Rule:
    """What a strict verifier says of a chain with all of them; the serial number of the leaf may be revoked."""
    draft = ChainDraft()
    for breach in breaches:
        before = draft.change_leaf
        breach.change(draft)
        if draft.change_leaf is not before:
            after = draft.change_leaf
            draft.change_leaf = lambda content, before=before, after=after: after(before(content))  # type: ignore[misc]  # both kept
    built, anchors = draft.build()
    revoked = [b"\x33" * 8] if any(each.name == "revoked" for each in breaches) else []
    with pytest.raises(CertificateRefused) as refused:
        CertificateValidator(anchors, revoked_serials=revoked).validate(built, NOW_S)
    return refused.value.certificate_rule


@pytest.mark.parametrize(("first", "second"), list(combinations(_ORDER, 2)))
def test_of_two_breaches_that_of_the_earlier_step_is_named(first: str | Rule, second: str | Rule) -> None:
    if str(first).startswith("ica-") and second == "leaf-under-the-root":
        return  # there is no intermediate then
    assert _first_of(_breach(first), _breach(second)) is _breach(first).rule


def test_there_are_more_than_forty_mutations_of_different_kinds() -> None:
    assert len(MUTATIONS) >= 40
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    untested = set(CertificateRule) - {mutation.rule for mutation in MUTATIONS}
    assert untested == {
        Rule.CLOCK,
        Rule.REVOKED,
        Rule.ACS_PROOF_EXPIRY,
        Rule.CREDENTIAL_TYPE,
        Rule.SIGNATURE_KEY,
    }


def test_without_a_clock_nothing_is_valid() -> None:
    built, anchors = ChainDraft().build()
    with pytest.raises(CertificateRefused) as refused:
        CertificateValidator(anchors, Strictness.TOLERANT).validate(built, None)
    assert refused.value.certificate_rule is Rule.CLOCK


@pytest.mark.parametrize("serial", [b"\x11" * 8, b"\x22" * 8, b"\x33" * 8, b"\x00\x00" + b"\x33" * 8])
def test_a_revoked_serial_anywhere_in_the_chain_refuses_it(serial: bytes) -> None:
    built, anchors = ChainDraft().build()
    with pytest.raises(CertificateRefused) as refused:
        CertificateValidator(anchors, Strictness.TOLERANT, [serial]).validate(built, NOW_S)
    assert refused.value.certificate_rule is Rule.REVOKED
    CertificateValidator(anchors, revoked_serials=[serial + b"\x00"]).validate(built, NOW_S)


def test_an_expired_proof_counts_only_where_the_verifier_says_so() -> None:
    draft = ChainDraft()
    draft.proof = bytes(4) + (NOW_S).to_bytes(4, "big") + draft.proof[8:]
    built, anchors = draft.build()
    CertificateValidator(anchors).validate(built, NOW_S)
    pickier = CertificateValidator(anchors, refuses_expired_proof=True)
    with pytest.raises(CertificateRefused) as refused:
        pickier.validate(built, NOW_S)
    assert refused.value.certificate_rule is Rule.ACS_PROOF_EXPIRY
    pickier.validate(built, NOW_S - 1)


def test_extensions_wrapped_once_more_are_read() -> None:
    draft = ChainDraft()
    draft.change_information = lambda value: element(OCTET_STRING, value)
    draft.proof = element(OCTET_STRING, draft.proof)
    built, anchors = draft.build()
    found = CertificateValidator(anchors).validate(built, NOW_S)
    assert found.acs_proof is not None


def test_the_end_of_a_leaf_is_part_of_its_validity_and_the_floor_holds_to_the_second() -> None:
    draft = ChainDraft()
    built, anchors = draft.build()
    end_s = draft.leaf_window[1]
    strict, tolerant = CertificateValidator(anchors), CertificateValidator(anchors, Strictness.TOLERANT)
    strict.validate(built, end_s - 30 * DAY_S)
    with pytest.raises(CertificateRefused, match=r"A\.4\.1 remaining lifetime"):
        strict.validate(built, end_s - 30 * DAY_S + 1)
    tolerant.validate(built, end_s)
    with pytest.raises(CertificateRefused, match=r"§6\.1\.3 validity"):
        tolerant.validate(built, end_s + 1)


_CHAIN, _ANCHORS = ChainDraft().build()


@settings(deadline=None)  # a loaded machine takes its time for signatures
@given(st.integers(0, 1), st.integers(0, 2**16), st.integers(1, 255))
def test_any_changed_octet_is_refused_with_a_rule(which: int, place: int, difference: int) -> None:
    der = _CHAIN[which]
    at = place % len(der)
    changed = der[:at] + bytes((der[at] ^ difference,)) + der[at + 1 :]
    built = tuple(changed if number == which else each for number, each in enumerate(_CHAIN))
    with pytest.raises(CertificateRefused):
        CertificateValidator(_ANCHORS, Strictness.TOLERANT).validate(built, NOW_S)


@settings(deadline=None)  # a loaded machine takes its time for signatures
@given(st.lists(st.binary(max_size=80) | st.sampled_from(_CHAIN), max_size=MAX_CHAIN + 1))
def test_any_octets_are_refused_with_a_rule(built: list[bytes]) -> None:
    try:
        found = CertificateValidator(_ANCHORS).validate(tuple(built), NOW_S)
    except CertificateRefused as refused:
        assert refused.rule  # noqa: PT017 - whether it is refused is open here
    else:
        assert tuple(built) == _CHAIN
        assert found.digits == DIGITS


def test_a_verdict_is_for_its_anchors_and_rules() -> None:
    """What is kept of a chain does not leak to another verifier."""
    built, anchors = ChainDraft().build()
    CertificateValidator(anchors).validate(built, NOW_S)
    with pytest.raises(CertificateRefused, match="trust anchor"):
        CertificateValidator(anchors).with_anchors(TrustAnchors(())).validate(built, NOW_S)


def test_a_chain_that_brings_its_anchor_along_is_accepted() -> None:
    built, anchors = ChainDraft().build()
    found = CertificateValidator(anchors).validate((*built, anchors.anchors[0].der), NOW_S)
    assert len(found.issuers) == 1


@pytest.mark.parametrize("vendor_id", [1, 2])
@pytest.mark.parametrize("strictness", Strictness)
def test_certificates_of_the_lab_keep_every_rule(vendor_id: int, strictness: Strictness) -> None:
    pki = make_pki(vendor_id)
    device = make_device(pki)
    found = CertificateValidator(TrustAnchors((pki.anchor,)), strictness).validate(device.chain, NOW_S)
    assert (found.digits, found.vendor_id, found.remarks) == (DIGITS, vendor_id, ())


@pytest.mark.parametrize(("who", "network"), [("alice", "red"), ("bob", "blue")])
@pytest.mark.parametrize("strictness", Strictness)
def test_certificates_of_the_vectors_keep_every_rule(who: str, network: str, strictness: Strictness) -> None:
    entries = {
        each["name"]: bytes.fromhex(each["expected_hex"]) for each in load_vectors("rcc16/vectors.json")["vectors"]
    }
    anchor = TrustAnchor(2 if network == "red" else 1, 1, entries[f"cert/{network}/root_der"])
    built = (entries[f"cert/{who}/leaf_der"], entries[f"cert/{network}/ica_der"])
    found = CertificateValidator(TrustAnchors((anchor,)), strictness).validate(built, NOW_S)
    assert found.remarks == ()
    assert found.participant.participant_spki == entries[f"cert/{who}/participant_spki"]
    assert found.leaf.spki == entries[f"cert/{who}/leaf_spki"]


def openssl_verify(tmp_path: Path, built: tuple[bytes, ...], anchor: bytes, *more_options: str) -> bool:
    """What OpenSSL says of a chain; the critical ``.4``, which it does not know, left aside."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl program at hand")
    for name, ders in (("leaf", built[:1]), ("more", built[1:]), ("root", (anchor,))):
        pems = [x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders]
        (tmp_path / name).write_bytes(b"".join(pems))
    options = ["-ignore_critical", *more_options, "-attime", str(NOW_S), "-CAfile", str(tmp_path / "root")]
    more = ["-untrusted", str(tmp_path / "more")] if built[1:] else []
    command = [program, "verify", *options, *more, str(tmp_path / "leaf")]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_openssl_accepts_certificates_of_the_lab(vendor_id: int, tmp_path: Path) -> None:
    """-x509_strict wants what leaves of the second vendor do not have: authorityKeyIdentifier."""
    pki = make_pki(vendor_id)
    built = make_device(pki).chain
    assert openssl_verify(tmp_path, built, pki.root_der)
    assert openssl_verify(tmp_path, built if vendor_id == 1 else built[1:], pki.root_der, "-x509_strict")
    assert not openssl_verify(tmp_path, built, make_pki(3 - vendor_id).root_der)


@pytest.mark.parametrize(("who", "network"), [("alice", "red"), ("bob", "blue")])
def test_openssl_accepts_certificates_of_the_vectors(who: str, network: str, tmp_path: Path) -> None:
    entries = {each["name"]: each["expected_hex"] for each in load_vectors("rcc16/vectors.json")["vectors"]}
    names = (f"cert/{who}/leaf_der", f"cert/{network}/ica_der", f"cert/{network}/root_der")
    leaf, ica, root = (bytes.fromhex(entries[name]) for name in names)
    assert openssl_verify(tmp_path, (leaf, ica), root, "-x509_strict")


def test_openssl_accepts_the_chain_that_is_mutated_and_refuses_broken_paths(tmp_path: Path) -> None:
    built, anchors = ChainDraft().build()
    assert openssl_verify(tmp_path, built, anchors.anchors[0].der)
    for name in ("leaf-signature-flipped", "leaf-of-another-signer", "leaf-expired", "path-too-long", "ica-is-no-ca"):
        draft = ChainDraft()
        next(mutation for mutation in MUTATIONS if mutation.name == name).change(draft)
        built, anchors = draft.build()
        assert not openssl_verify(tmp_path, built, anchors.anchors[0].der), name


def test_a_chain_that_was_good_is_known_as_revoked_later_and_times_do_not_matter() -> None:
    pki = make_pki(2)
    built = make_device(pki).chain
    validator = CertificateValidator(TrustAnchors((pki.anchor,)))
    assert not validator.is_revoked(built)
    for certificate in built:
        serial = read_certificate(certificate).serial
        assert validator.with_revoked([b"\x00" + serial]).is_revoked(built)
    other = validator.with_revoked([b"\x01"])
    assert not other.is_revoked(built)
    assert not other.is_revoked(())
    assert not other.is_revoked((b"no certificate",))


def test_a_chain_whose_root_was_withdrawn_counts_as_revoked() -> None:
    old, new = make_pki(2), make_pki(2, seed=b"another root of the same name")
    built = make_device(old).chain
    both = CertificateValidator(TrustAnchors((old.anchor, new.anchor)))
    assert not both.is_revoked(built)
    assert both.with_anchors(TrustAnchors((new.anchor,))).is_revoked(built)
    assert both.with_anchors(TrustAnchors((make_pki(1).anchor,))).is_revoked(built)
    assert not both.with_anchors(TrustAnchors((old.anchor,))).is_revoked(built)


def test_what_another_key_service_revokes_counts_under_its_roots_only() -> None:
    red, blue = make_pki(2), make_pki(1)
    trust = CertificateValidator(TrustAnchors((red.anchor, blue.anchor)))
    device = make_device(red)
    serials = [read_certificate(each).serial for each in device.chain]
    for serial in serials:
        by_red, by_blue = (trust.with_revoked(RevokedCertificates.of((), {kds: [serial]})) for kds in (2, 1))
        assert by_red.is_revoked(device.chain)
        with pytest.raises(CertificateRefused) as refused:
            by_red.validate(device.chain, NOW_S)
        assert refused.value.finding.rule is CertificateRule.REVOKED
        assert not by_blue.is_revoked(device.chain)
        by_blue.validate(device.chain, NOW_S)
