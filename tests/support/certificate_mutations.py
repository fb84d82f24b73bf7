"""Chains with one thing wrong each, and the rule that says so (RCC.16 Annex A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from rcs_sim.e2ee.certificate import CertificateExtension
from rcs_sim.e2ee.certificate_extensions import (
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    acs_proof_extension,
    basic_constraints,
    certificate_policies,
    extended_key_usage,
    key_usage,
    subject_key_identifier,
    vendor_id_extension,
)
from rcs_sim.e2ee.certificate_issuer import (
    CertificateContent,
    LeafStyle,
    authority_name,
    root_content,
    sign_certificate,
    subordinate_content,
)
from rcs_sim.e2ee.certificate_profile import (
    ACS_PARTICIPANT_INFORMATION,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    COMMON_NAME,
    E2EE_POLICY,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    PARTICIPANT_INFORMATION,
    RCS_MLS_CLIENT,
    SUBJECT_ALTERNATIVE_NAME,
    SUBJECT_KEY_IDENTIFIER,
    CertificateRule,
)
from rcs_sim.e2ee.certificate_validator import MAX_CHAIN
from rcs_sim.e2ee.der import (
    GENERALIZED_TIME,
    OID,
    PRINTABLE_STRING,
    SET,
    UTF8_STRING,
    element,
    encode_integer,
    encode_oid,
    encode_time,
    sequence,
)
from rcs_sim.e2ee.participant_information import ParticipantInformation
from rcs_sim.e2ee.participant_key import leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.public_key_info import ECDSA_SHA256, encode_algorithm
from rcs_sim.e2ee.trust_anchors import TrustAnchor, TrustAnchors
from rcs_sim.e2ee.vendor_pki import derive_key
from rcs_sim.mls.signature import ECDSA_P384
from tests.support.certificate_chains import (
    CLIENT_ID,
    DAY_S,
    NOW_S,
    ChainDraft,
    add_extension,
    drop_extension,
    put_extension,
)

__all__ = ["MUTATIONS", "Mutation"]

Rule = CertificateRule
Change = Callable[[ChainDraft], None]

_UNKNOWN = encode_oid("1.2.3.4")
_SHA1_WITH_ECDSA = encode_oid("1.2.840.10045.4.1")
_RSA_KEY = sequence(
    sequence(element(OID, encode_oid("1.2.840.113549.1.1.1")), element(0x05, b"")),
    element(0x03, b"\x00" + sequence(encode_integer(2**512 + 1), encode_integer(65537))),
)


class Mutation(NamedTuple):
    """One thing that is wrong, the rule that says so, and whether a tolerant verifier lets it pass."""

    name: str
    change: Change
    rule: CertificateRule
    is_tolerated: bool = False


def leaf(change: Callable[[CertificateContent], CertificateContent]) -> Change:
    return lambda draft: setattr(draft, "change_leaf", change)


def ica(change: Callable[[CertificateContent], CertificateContent]) -> Change:
    return lambda draft: setattr(draft, "change_ica", change)


def root(change: Callable[[CertificateContent], CertificateContent]) -> Change:
    return lambda draft: setattr(draft, "change_root", change)


def chain(change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> Change:
    return lambda draft: setattr(draft, "change_chain", change)


def having(**values: object) -> Change:
    def change(draft: ChainDraft) -> None:
        for name, value in values.items():
            setattr(draft, name, value)

    return change


def information(change: Callable[[bytes], bytes]) -> Change:
    return having(change_information=change)


def names(*general_names: bytes) -> Change:
    return having(san=sequence(*general_names))


def subject(*relative_names: bytes) -> Change:
    return having(subject=sequence(*relative_names))


def attribute(oid: bytes, tag: int, value: bytes) -> bytes:
    return sequence(element(OID, oid), element(tag, value))


def not_critical(oid: bytes) -> Callable[[CertificateContent], CertificateContent]:
    return _criticality(oid, False)


def critical(oid: bytes) -> Callable[[CertificateContent], CertificateContent]:
    return _criticality(oid, True)


def _criticality(oid: bytes, is_critical: bool) -> Callable[[CertificateContent], CertificateContent]:
    def change(content: CertificateContent) -> CertificateContent:
        extensions = (replace(each, critical=is_critical) if each.oid == oid else each for each in content.extensions)
        return replace(content, extensions=tuple(extensions))

    return change


def value_of(oid: bytes, value: bytes) -> Callable[[CertificateContent], CertificateContent]:
    def change(content: CertificateContent) -> CertificateContent:
        extensions = (replace(each, value=value) if each.oid == oid else each for each in content.extensions)
        return replace(content, extensions=tuple(extensions))

    return change


def another_issuer(content: CertificateContent) -> CertificateContent:
    return replace(content, issuer=authority_name("x", "y"))


def flipped(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


def flipped_signature(value: bytes) -> bytes:
    found = ParticipantInformation.decode(value)
    return replace(found, signature=flipped(found.signature)).encode()


def put(extension: CertificateExtension) -> Callable[[CertificateContent], CertificateContent]:
    return lambda content: put_extension(content, extension)


def drop(oid: bytes) -> Callable[[CertificateContent], CertificateContent]:
    return lambda content: drop_extension(content, oid)


def unlisted(is_critical: bool) -> Callable[[CertificateContent], CertificateContent]:
    unknown = replace(vendor_id_extension(1), oid=_UNKNOWN, critical=is_critical)
    return lambda content: add_extension(content, unknown)


def inner_algorithm(content: CertificateContent) -> CertificateContent:
    return replace(content, algorithm=encode_algorithm(encode_oid("1.2.840.10045.4.3.3")))


def outer_algorithm(draft: ChainDraft) -> None:
    """Both say SHA-1."""
    old, new = encode_algorithm(ECDSA_SHA256), encode_algorithm(_SHA1_WITH_ECDSA)

    def change(octets: tuple[bytes, ...]) -> tuple[bytes, ...]:
        body = octets[0]
        grown = body.replace(old, new, 1)  # the one inside; .4 has one too, which stays
        head, tail = grown[: len(grown) - 120], grown[len(grown) - 120 :]
        inner = head + tail.replace(old, new, 1)
        return (_with_new_lengths(inner, 2 * (len(new) - len(old)), len(new) - len(old)), *octets[1:])

    draft.change_chain = change


def _with_new_lengths(octets: bytes, outer: int, inner: int) -> bytes:
    """*octets* of a certificate with its two outermost lengths corrected."""
    first = int.from_bytes(octets[2:4], "big") + outer
    second = int.from_bytes(octets[6:8], "big") + inner
    return octets[:2] + first.to_bytes(2, "big") + octets[4:6] + second.to_bytes(2, "big") + octets[8:]


def another_leaf_key(draft: ChainDraft) -> None:
    draft.leaf_key = derive_key(b"draft", "leaf", ECDSA_P384)


def signed_over_the_participant_key(draft: ChainDraft) -> None:
    draft.signed_spki = draft.participant.spki


def other_anchor(common_name: str) -> Change:
    def change(draft: ChainDraft) -> None:
        key = derive_key(b"other", "root")
        content = root_content(key, authority_name("draft", common_name), 1, b"\x44", *draft.root_window)
        draft.anchors = TrustAnchors((TrustAnchor(1, 1, sign_certificate(content, key)),))

    return change


def one_more_intermediate(draft: ChainDraft) -> None:
    """A CA below one whose path length is 0."""
    built = draft.root()
    upper = draft.ica(built)
    key = derive_key(b"draft", "lower")
    name, window = authority_name("draft", "draft lower"), draft.ica_window
    lower = upper.subordinate(subordinate_content(upper, key, name, b"\x55", *window), key)
    draft.change_chain = lambda _chain: (draft.leaf(lower), lower.certificate.der, upper.certificate.der)


def validity(not_before: bytes, not_after: bytes) -> Callable[[CertificateContent], CertificateContent]:
    return lambda content: replace(content, validity=sequence(not_before, not_after))


def generalized(at_s: int) -> bytes:
    text = encode_time(at_s)[2:]
    return element(GENERALIZED_TIME, b"20" + text)


def life(which: str, days: int) -> Change:
    return having(**{which: (NOW_S - DAY_S, NOW_S + (days - 1) * DAY_S)})


_TEL = element(0x86, b"tel:+12025550101")
_KEY_ID = element(0x80, bytes(20))
_SERIAL_IN_AKI = element(0x82, b"\x01")
_QUALIFIED = sequence(
    sequence(element(OID, E2EE_POLICY), sequence(sequence(element(OID, encode_oid("1.3.6.1.5.5.7.2.1")))))
)
_CN = attribute(COMMON_NAME, UTF8_STRING, CLIENT_ID.encode())

MUTATIONS = (
    # path
    Mutation("leaf-signature-flipped", chain(lambda c: (flipped(c[0]), *c[1:])), Rule.SIGNATURE),
    Mutation("ica-signature-flipped", chain(lambda c: (c[0], flipped(c[1]))), Rule.SIGNATURE),
    Mutation("leaf-of-another-signer", having(leaf_signer=derive_key(b"other", "ica")), Rule.SIGNATURE),
    Mutation("leaf-names-another-issuer", leaf(another_issuer), Rule.ISSUER_NAME),
    Mutation("anchor-of-another-name", other_anchor("other root"), Rule.TRUST_ANCHOR),
    Mutation("anchor-of-another-key", other_anchor("draft root"), Rule.SIGNATURE),
    Mutation("no-anchors", having(anchors=TrustAnchors(())), Rule.TRUST_ANCHOR),
    Mutation("intermediate-missing", chain(lambda c: c[:1]), Rule.TRUST_ANCHOR),
    Mutation("order-reversed", chain(lambda c: c[::-1]), Rule.TRUST_ANCHOR),
    Mutation("no-certificate", chain(lambda _c: ()), Rule.CHAIN_LENGTH),
    Mutation("too-many-certificates", chain(lambda c: c * MAX_CHAIN), Rule.CHAIN_LENGTH),
    Mutation("not-der", chain(lambda c: (b"certificate", *c[1:])), Rule.SYNTAX),
    Mutation("truncated", chain(lambda c: (c[0][:-1], *c[1:])), Rule.SYNTAX),
    Mutation("octets-behind", chain(lambda c: (c[0] + b"\x00", *c[1:])), Rule.SYNTAX),
    Mutation("leaf-expired", having(leaf_window=(NOW_S - 60 * DAY_S, NOW_S - 1)), Rule.VALIDITY),
    Mutation("leaf-not-yet-valid", having(leaf_window=(NOW_S + 1, NOW_S + 60 * DAY_S)), Rule.VALIDITY),
    Mutation("ica-expired", having(ica_window=(NOW_S - 60 * DAY_S, NOW_S - 1)), Rule.VALIDITY),
    Mutation("root-not-yet-valid", having(root_window=(NOW_S + 1, NOW_S + 3000 * DAY_S)), Rule.VALIDITY),
    Mutation("path-too-long", one_more_intermediate, Rule.PATH_LENGTH),
    Mutation("critical-unknown-in-leaf", leaf(unlisted(True)), Rule.CRITICAL_EXTENSION),
    Mutation("critical-unknown-in-ica", ica(unlisted(True)), Rule.CRITICAL_EXTENSION),
    Mutation("sha-1", outer_algorithm, Rule.ALGORITHM),
    Mutation("two-algorithms", leaf(inner_algorithm), Rule.ALGORITHM),
    Mutation("rsa-key", leaf(lambda c: replace(c, spki=_RSA_KEY)), Rule.KEY),
    Mutation(
        "compressed-key",
        leaf(lambda c: replace(c, spki=c.spki.replace(b"\x03\x42\x00\x04", b"\x03\x42\x00\x02"))),
        Rule.KEY,
    ),
    # leaf
    Mutation("eku-missing", leaf(drop(EXTENDED_KEY_USAGE)), Rule.LEAF_EXTENDED_KEY_USAGE),
    Mutation(
        "eku-client-auth",
        leaf(put(extended_key_usage(encode_oid("1.3.6.1.5.5.7.3.2")))),
        Rule.LEAF_EXTENDED_KEY_USAGE,
    ),
    Mutation(
        "eku-two",
        leaf(put(extended_key_usage(RCS_MLS_CLIENT, encode_oid("1.3.6.1.5.5.7.3.2")))),
        Rule.LEAF_EXTENDED_KEY_USAGE,
    ),
    Mutation("key-usage-missing", leaf(drop(KEY_USAGE)), Rule.LEAF_KEY_USAGE),
    Mutation("key-usage-not-critical", leaf(not_critical(KEY_USAGE)), Rule.LEAF_KEY_USAGE),
    Mutation("key-usage-two-bits", leaf(put(key_usage(DIGITAL_SIGNATURE, 4))), Rule.LEAF_KEY_USAGE),
    Mutation("key-usage-of-a-ca", leaf(put(key_usage(KEY_CERT_SIGN))), Rule.LEAF_KEY_USAGE),
    Mutation("san-missing", leaf(drop(SUBJECT_ALTERNATIVE_NAME)), Rule.LEAF_NAME),
    Mutation("san-two-numbers", names(_TEL, _TEL), Rule.LEAF_NAME),
    Mutation("san-empty", names(), Rule.LEAF_NAME),
    Mutation("san-sip", names(element(0x86, b"sip:+12025550101@red.example")), Rule.LEAF_NAME),
    Mutation("san-dns", names(element(0x82, b"tel:+12025550101")), Rule.LEAF_NAME),
    Mutation("san-without-plus", names(element(0x86, b"tel:12025550101")), Rule.LEAF_NAME),
    Mutation("san-with-a-parameter", names(element(0x86, b"tel:+12025550101;x=y")), Rule.LEAF_NAME),
    Mutation("leaf-for-77-days", life("leaf_window", 77), Rule.LEAF_LIFE, True),
    Mutation("leaf-has-29-days-left", life("leaf_window", 30), Rule.LEAF_FLOOR, True),
    Mutation("leaf-key-p384", another_leaf_key, Rule.LEAF_KEY),
    Mutation("participant-missing", leaf(drop(PARTICIPANT_INFORMATION)), Rule.PARTICIPANT_INFORMATION),
    Mutation("participant-not-critical", leaf(not_critical(PARTICIPANT_INFORMATION)), Rule.PARTICIPANT_INFORMATION),
    Mutation("participant-malformed", information(lambda _v: b"\x30\x00"), Rule.PARTICIPANT_INFORMATION),
    Mutation(
        "participant-rolled",
        information(lambda v: sequence(v[3:], element(0xA0, b"\x30\x00"))),
        Rule.PARTICIPANT_KEY_ROLLS,
    ),
    Mutation(
        "participant-seventh-element",
        information(lambda v: sequence(v[3:], element(0xA1, b"\x30\x00"))),
        Rule.PARTICIPANT_INFORMATION,
    ),
    Mutation(
        "participant-expired", having(information_window=(NOW_S - 9 * DAY_S, NOW_S - 1)), Rule.PARTICIPANT_VALIDITY
    ),
    Mutation(
        "participant-not-yet-valid",
        having(information_window=(NOW_S + 1, NOW_S + 9 * DAY_S)),
        Rule.PARTICIPANT_VALIDITY,
    ),
    Mutation(
        "possession-flipped",
        information(lambda v: v.replace(v[-100:-91], flipped(v[-100:-91]))),
        Rule.PROOF_OF_POSSESSION,
    ),
    Mutation("possession-of-the-participant-key", signed_over_the_participant_key, Rule.PROOF_OF_POSSESSION),
    Mutation("possession-for-another-subject", having(signed_subject=leaf_subject("x")), Rule.PROOF_OF_POSSESSION),
    Mutation(
        "possession-for-another-number",
        having(signed_san=leaf_subject_alt_name("12025550199")),
        Rule.PROOF_OF_POSSESSION,
    ),
    Mutation(
        "possession-for-another-vendor",
        information(lambda v: v[:3] + b"\x02\x01\x02" + v[6:]),
        Rule.PROOF_OF_POSSESSION,
    ),
    Mutation(
        "possession-by-sha-1",
        information(lambda v: v.replace(encode_algorithm(ECDSA_SHA256)[2:], element(OID, _UNKNOWN + b"\x01" * 5))),
        Rule.PROOF_OF_POSSESSION,
    ),
    Mutation("proof-malformed", leaf(put(acs_proof_extension(bytes(9) + b"\x01"))), Rule.ACS_PROOF),
    Mutation("proof-missing", leaf(drop(ACS_PARTICIPANT_INFORMATION)), Rule.ACS_PROOF, True),
    Mutation("policy-missing", leaf(drop(CERTIFICATE_POLICIES)), Rule.LEAF_POLICY, True),
    Mutation("policy-another", leaf(put(certificate_policies(_UNKNOWN))), Rule.LEAF_POLICY),
    Mutation("policies-two", leaf(put(certificate_policies(E2EE_POLICY, _UNKNOWN))), Rule.LEAF_POLICY),
    Mutation("policy-qualified", leaf(value_of(CERTIFICATE_POLICIES, _QUALIFIED)), Rule.LEAF_POLICY),
    Mutation(
        "leaf-is-a-ca",
        leaf(lambda c: add_extension(c, basic_constraints(is_ca=True))),
        Rule.LEAF_BASIC_CONSTRAINTS,
    ),
    Mutation(
        "leaf-with-a-path-length",
        leaf(lambda c: add_extension(c, basic_constraints(is_ca=False, path_length=0))),
        Rule.LEAF_BASIC_CONSTRAINTS,
    ),
    # CAs
    Mutation("ica-without-constraints", ica(drop(BASIC_CONSTRAINTS)), Rule.CA_BASIC_CONSTRAINTS),
    Mutation("ica-constraints-not-critical", ica(not_critical(BASIC_CONSTRAINTS)), Rule.CA_BASIC_CONSTRAINTS),
    Mutation("ica-is-no-ca", ica(put(basic_constraints(is_ca=False))), Rule.CA_BASIC_CONSTRAINTS),
    Mutation("root-is-no-ca", root(put(basic_constraints(is_ca=False))), Rule.CA_BASIC_CONSTRAINTS),
    Mutation("ica-without-key-usage", ica(drop(KEY_USAGE)), Rule.CA_KEY_USAGE),
    Mutation("ica-key-usage-not-critical", ica(not_critical(KEY_USAGE)), Rule.CA_KEY_USAGE),
    Mutation("ica-signs-revocations-only", ica(put(key_usage(CRL_SIGN))), Rule.CA_KEY_USAGE),
    Mutation("ica-signs-documents", ica(put(key_usage(DIGITAL_SIGNATURE, KEY_CERT_SIGN))), Rule.CA_KEY_USAGE),
    Mutation(
        "ica-for-servers", ica(put(extended_key_usage(encode_oid("1.3.6.1.5.5.7.3.1")))), Rule.CA_EXTENDED_KEY_USAGE
    ),
    Mutation("ica-any-policy", ica(put(certificate_policies(encode_oid("2.5.29.32.0")))), Rule.CA_POLICY),
    Mutation("ica-policy-critical", ica(critical(CERTIFICATE_POLICIES)), Rule.CA_POLICY),
    Mutation("ica-for-1828-days", life("ica_window", 1828), Rule.SUBORDINATE_LIFE),
    Mutation("root-for-3653-days", life("root_window", 3653), Rule.ROOT_LIFE),
    # every certificate
    Mutation("version-2", leaf(lambda c: replace(c, version=1)), Rule.VERSION),
    Mutation("version-1", ica(lambda c: replace(c, version=0)), Rule.VERSION),
    Mutation("serial-zero", leaf(lambda c: replace(c, serial=b"\x00")), Rule.SERIAL_NUMBER),
    Mutation("serial-negative", leaf(lambda c: replace(c, serial=b"\x80\x01")), Rule.SERIAL_NUMBER),
    Mutation("serial-of-21-octets", leaf(lambda c: replace(c, serial=b"\x01" * 21)), Rule.SERIAL_NUMBER),
    Mutation(
        "generalized-time-before-2050",
        leaf(validity(encode_time(NOW_S - DAY_S), generalized(NOW_S + 59 * DAY_S))),
        Rule.VALIDITY_FORM,
    ),
    Mutation("subject-empty", subject(), Rule.SUBJECT),
    Mutation(
        "subject-of-two-values", subject(element(SET, _CN + attribute(_UNKNOWN, UTF8_STRING, b"x"))), Rule.SUBJECT
    ),
    Mutation("subject-too-long", subject(element(SET, attribute(COMMON_NAME, UTF8_STRING, b"x" * 65))), Rule.SUBJECT),
    Mutation(
        "country-too-long",
        subject(element(SET, attribute(encode_oid("2.5.4.6"), PRINTABLE_STRING, b"USA")), element(SET, _CN)),
        Rule.SUBJECT,
    ),
    Mutation(
        "common-name-printable",
        subject(element(SET, attribute(COMMON_NAME, PRINTABLE_STRING, CLIENT_ID.encode()))),
        Rule.CLIENT_IDENTIFIER,
        True,
    ),
    Mutation("common-name-no-uuid", having(subject=leaf_subject("alice")), Rule.CLIENT_IDENTIFIER, True),
    Mutation(
        "unique-identifier", leaf(lambda c: replace(c, spki=c.spki + element(0x82, b"\x00x"))), Rule.UNIQUE_IDENTIFIERS
    ),
    Mutation(
        "extension-twice",
        leaf(lambda c: add_extension(c, certificate_policies(E2EE_POLICY))),
        Rule.REPEATED_EXTENSION,
    ),
    Mutation("key-identifier-missing", leaf(drop(SUBJECT_KEY_IDENTIFIER)), Rule.KEY_IDENTIFIER),
    Mutation("key-identifier-critical", ica(critical(SUBJECT_KEY_IDENTIFIER)), Rule.KEY_IDENTIFIER),
    Mutation("key-identifier-of-another-key", leaf(put(subject_key_identifier(bytes(20)))), Rule.KEY_IDENTIFIER, True),
    Mutation("authority-empty", leaf(value_of(AUTHORITY_KEY_IDENTIFIER, sequence())), Rule.AUTHORITY_KEY),
    Mutation(
        "authority-with-a-serial",
        leaf(value_of(AUTHORITY_KEY_IDENTIFIER, sequence(_KEY_ID, _SERIAL_IN_AKI))),
        Rule.AUTHORITY_KEY,
    ),
    Mutation(
        "authority-of-another-key", leaf(value_of(AUTHORITY_KEY_IDENTIFIER, sequence(_KEY_ID))), Rule.AUTHORITY_KEY
    ),
    Mutation("unlisted-extension", leaf(unlisted(False)), Rule.LEAF_EXTENSION, True),
    Mutation("proof-critical", leaf(critical(ACS_PARTICIPANT_INFORMATION)), Rule.LEAF_CRITICALITY, True),
    # length and vendor
    Mutation("leaf-under-the-root", having(under_root=True), Rule.CHAIN_LENGTH),
    Mutation("vendor-of-another-root", having(vendor_id=2, style=LeafStyle()), Rule.VENDOR),
    Mutation("vendor-of-another-leaf", leaf(put(vendor_id_extension(2))), Rule.VENDOR),
)
