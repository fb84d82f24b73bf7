"""A key distribution server against certificates, enrolments and key packages of other software: OpenSSL's program, the
library `cryptography`, JSON by hand, OpenMLS and mls-rs (RCC.16 Annex A, §5.1, §5.3; digest §2.5, §14.5)."""

from __future__ import annotations

import base64
import datetime as dt
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule, Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.profile import google_like_profile
from rcs_sim.e2ee.trust_anchors import TrustAnchor, TrustAnchors, verify_trust_anchor
from rcs_sim.mls.client import Client
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.leaf_node import Lifetime
from rcs_sim.mls.signature import ECDSA_P256
from tests.support.federation_partner import Federation
from tests.support.foreign_certificates import ForeignDevice, OpensslAuthority, general_names, name_of, proof_octets
from tests.support.kds import ALICE, DAY_S, NOW, RED
from tests.support.mls_davey import DaveyMember, Gateway
from tests.support.mls_rine import RineMember
from tests.support.mls_tree_views import seeded
from tests.support.peers import peer_lacks, require_package

_ID = "6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101"
_CARRIER = ec.generate_private_key(ec.SECP256R1())


def _signed(octets: bytes) -> bytes:
    return _CARRIER.sign(octets, ec.ECDSA(hashes.SHA256()))


def _proof(device: ForeignDevice) -> bytes:
    return proof_octets(device.now_s + 76 * DAY_S, device.digits, device.participant_spki, _signed)


def _device(digest: str = "sha256") -> ForeignDevice:
    return ForeignDevice(ALICE, _ID, 2, int(time.time()), digest)


def _judged(authority: OpensslAuthority, leaf: bytes, strictness: Strictness) -> str:
    """The rule that is broken, "" for none."""
    trust = TrustAnchors((TrustAnchor(2, 2, authority.root),))
    try:
        CertificateValidator(trust, strictness).validate((leaf, authority.ica), int(time.time()) + 5)
    except CertificateRefused as refused:
        return refused.rule
    return ""


# --- certificates of OpenSSL's program --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> OpensslAuthority:
    return OpensslAuthority(tmp_path_factory.mktemp("openssl"), 2)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_chain_that_openssl_made_keeps_every_rule(authority: OpensslAuthority, digest: str) -> None:
    device = _device(digest)
    leaf = authority.leaf(device, _proof(device))
    assert [_judged(authority, leaf, each) for each in Strictness] == ["", ""]
    verify_trust_anchor(TrustAnchor(2, 2, authority.root))


_CHANGES: dict[str, Any] = {  # what is changed, the rule of a strict verifier, that of a tolerant one
    "76 days": ({"days": 76}, None, None),
    "77 days": ({"days": 77}, CertificateRule.LEAF_LIFE, None),
    "cA FALSE": ({"basicConstraints": "critical,CA:FALSE"}, None, None),
    "cA TRUE": ({"basicConstraints": "critical,CA:TRUE"}, *[CertificateRule.LEAF_BASIC_CONSTRAINTS] * 2),
    "issuer and serial": ({"authorityKeyIdentifier": "keyid,issuer:always"}, *[CertificateRule.AUTHORITY_KEY] * 2),
    "no key identifier": ({"subjectKeyIdentifier": "none"}, *[CertificateRule.KEY_IDENTIFIER] * 2),
    "no key usage": ({"keyUsage": None}, *[CertificateRule.LEAF_KEY_USAGE] * 2),
    "another usage": ({"keyUsage": "critical,digitalSignature,keyAgreement"}, *[CertificateRule.LEAF_KEY_USAGE] * 2),
    "usage not critical": ({"keyUsage": "digitalSignature"}, *[CertificateRule.LEAF_KEY_USAGE] * 2),
    "another purpose too": (
        {"extendedKeyUsage": "2.23.146.2.1.3,clientAuth"},
        *[CertificateRule.LEAF_EXTENDED_KEY_USAGE] * 2,
    ),
    "a host name": ({"subjectAltName": "DNS:tel.example"}, *[CertificateRule.LEAF_NAME] * 2),
    "two numbers": ({"subjectAltName": f"URI:tel:+{ALICE},URI:tel:+12025550102"}, *[CertificateRule.LEAF_NAME] * 2),
    "a number without +": ({"subjectAltName": f"URI:tel:{ALICE}"}, *[CertificateRule.LEAF_NAME] * 2),
    "another number": ({"subjectAltName": "URI:tel:+12025550102"}, *[CertificateRule.PROOF_OF_POSSESSION] * 2),
    "another client": (
        {"subject": "/CN=6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0102"},
        *[CertificateRule.PROOF_OF_POSSESSION] * 2,
    ),
    "any policy": ({"certificatePolicies": "2.5.29.32.0"}, *[CertificateRule.LEAF_POLICY] * 2),
    "no policy": ({"certificatePolicies": None}, CertificateRule.LEAF_POLICY, None),
    "no proof": ({"2.23.146.2.1.5": None}, CertificateRule.ACS_PROOF, None),
    "no participant": ({"2.23.146.2.1.4": None}, *[CertificateRule.PARTICIPANT_INFORMATION] * 2),
    "a comment": ({"nsComment": "x"}, CertificateRule.LEAF_EXTENSION, None),
    "critical constraints": (
        {"nameConstraints": "critical,permitted;URI:example"},
        *[CertificateRule.CRITICAL_EXTENSION] * 2,
    ),
    "a compressed key": ({"key": "-conv_form compressed"}, *[CertificateRule.KEY] * 2),
    "an explicit curve": ({"key": "-param_enc explicit"}, *[CertificateRule.KEY] * 2),
}


@pytest.mark.parametrize(("changes", "strict", "tolerant"), _CHANGES.values(), ids=_CHANGES)
def test_one_thing_that_openssl_made_otherwise_is_named(
    authority: OpensslAuthority,
    changes: dict[str, Any],
    strict: CertificateRule | None,
    tolerant: CertificateRule | None,
) -> None:
    device = _device()
    leaf = authority.leaf(device, _proof(device), **changes)
    assert _judged(authority, leaf, Strictness.STRICT) == (strict or "")
    assert _judged(authority, leaf, Strictness.TOLERANT) == (tolerant or "")


@pytest.mark.parametrize("key", [("RSA", "rsa_keygen_bits:2048"), ("ED25519",)])
def test_authorities_with_other_keys_than_ecdsa_are_refused(tmp_path: Path, key: tuple[str, ...]) -> None:
    """Ed25519 signs without a digest: OpenSSL does not take the one that is named, and says so."""
    try:
        other = OpensslAuthority(tmp_path, 2, root_key=key)
    except subprocess.CalledProcessError:
        peer_lacks(f"this openssl makes no certificate with {key[0]}")
    device = _device()
    assert _judged(other, other.leaf(device, _proof(device)), Strictness.TOLERANT) == CertificateRule.ALGORITHM


# --- certificates of the library `cryptography` -----------------------------------------------------------------------


def _extension(number: int, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"2.23.146.2.1.{number}"), value)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    off = dict.fromkeys((*names, "decipher_only", "crl_sign"), False)
    return x509.KeyUsage(digital_signature=not signs_certificates, key_cert_sign=signs_certificates, **off)


class _Builder:
    """A root on P-521 and an intermediate on P-256, serial numbers as the library draws them."""

    def __init__(self) -> None:
        self.keys = ec.generate_private_key(ec.SECP521R1()), ec.generate_private_key(ec.SECP256R1())
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"builder {n}")]) for n in range(2)]
        self._issuer = names[1]
        vendor = (_extension(6, b"\x02\x01\x02"),)
        self.root = self._authority(names[0], names[0], 0, 3652, None, vendor)
        self.ica = self._authority(names[1], names[0], 1, 1827, 0, ())

    def _authority(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        number: int,
        days: int,
        length: int | None,
        more: tuple[x509.UnrecognizedExtension, ...],
    ) -> bytes:
        key = self.keys[number].public_key()
        builder = self._blank(subject, issuer, key, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        made = self._identified(builder, key, self.keys[0]).sign(self.keys[0], hashes.SHA512())
        return made.public_bytes(Encoding.DER)

    def leaf(self, device: ForeignDevice, proof: bytes) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device.client_id)])
        builder = self._blank(subject, self._issuer, device.leaf.public_key(), 60)
        policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.146.2.1.2"), None)
        for extension, critical in (
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.146.2.1.3")]), False),
            (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"tel:+{device.digits}")]), False),
            (x509.CertificatePolicies([policy]), False),
            (_extension(4, device.participant_information()), True),
            (_extension(5, proof), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        builder = self._identified(builder, device.leaf.public_key(), self.keys[1])
        return builder.sign(self.keys[1], hashes.SHA256()).public_bytes(Encoding.DER)

    @staticmethod
    def _blank(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        begins = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        return builder.not_valid_before(begins).not_valid_after(begins + dt.timedelta(days=days))

    @staticmethod
    def _identified(
        builder: x509.CertificateBuilder, key: ec.EllipticCurvePublicKey, issuer: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        return builder.add_extension(own, critical=False).add_extension(authority, critical=False)


@pytest.mark.parametrize("strictness", Strictness)
def test_a_chain_of_the_library_keeps_every_rule(strictness: Strictness) -> None:
    """Its longest lives, its largest curve; the leaf names its issuer's key, which the root does too."""
    builder, device = _Builder(), _device()
    trust = TrustAnchors((TrustAnchor(2, 2, builder.root),))
    chain = builder.leaf(device, _proof(device)), builder.ica
    found = CertificateValidator(trust, strictness).validate(chain, int(time.time()))
    assert (found.digits, found.client_id, found.vendor_id, found.remarks) == (ALICE, _ID, 2, ())


# --- enrolment by hand ------------------------------------------------------------------------------------------------


async def _post(url: str, body: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, json.loads(await answer.read())


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _request(device: ForeignDevice, proof: bytes, **changes: Any) -> dict[str, Any]:
    members = {
        "msisdn": f"tel:+{device.digits}",
        "identity_pub": _b64(device.point),
        "subject_der": _b64(name_of(device.client_id)),
        "san_der": _b64(general_names(device.digits)),
        "ext4_participant_info": _b64(device.participant_information()),
        "acs_proof": _b64(proof),
        "csr_pop": _b64(device.sign(f"tel:+{device.digits}".encode() + device.point)),
    }
    return {name: value for name, value in (members | changes).items() if value is not None}


def _red_proof(device: ForeignDevice) -> bytes:
    return proof_octets(NOW + 76 * DAY_S, device.digits, device.participant_spki, RED.proof_key.sign)


@pytest.fixture
def stranger() -> ForeignDevice:
    return ForeignDevice(ALICE, _ID, 2, NOW)


async def test_a_stranger_enrols_with_json_of_its_own_and_gets_what_it_asked_for_octet_for_octet(
    tmp_path: Path, stranger: ForeignDevice
) -> None:
    rig, proof = Federation(tmp_path), _red_proof(stranger)
    body = _request(stranger, proof)
    try:
        await rig.start(9)
        status, answer = await _post(f"{rig.kds.uri}/mls/v1/certificate", body)
    finally:
        await rig.close()
    assert (status, answer["kds"]) == (200, 2)
    ders = [base64.b64decode(each) for each in (answer["leaf"], *answer["chain"])]
    leaf, *issuers = map(x509.load_der_x509_certificate, ders)
    for certificate, issuer in zip((leaf, *issuers), (*issuers, issuers[-1]), strict=True):
        certificate.verify_directly_issued_by(issuer)
    assert leaf.subject.public_bytes() == name_of(_ID)
    assert leaf.public_key() == stranger.leaf.public_key()
    assert int(leaf.not_valid_after_utc.timestamp()) == answer["not_after"]
    values = {each.oid.dotted_string: each for each in leaf.extensions}
    assert values["2.5.29.17"].value.public_bytes() == general_names(ALICE)
    raw = [values[f"2.23.146.2.1.{number}"] for number in (4, 5)]
    assert [each.critical for each in raw] == [True, False]
    assert raw[1].value.public_bytes() == proof
    information = base64.b64decode(body["ext4_participant_info"])
    assert raw[0].value.public_bytes() == information


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"subject_der": _b64(name_of(_ID, 0x13))}, 400, "bad_request"),  # a PrintableString
        ({"subject_der": _b64(b"\x30\x00")}, 400, "bad_request"),
        ({"client_id": "6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0102"}, 400, "bad_request"),
        ({"san_der": _b64(general_names("12025550102"))}, 403, "number_mismatch"),
        ({"msisdn": "tel:+12025550102"}, 403, "number_mismatch"),
        ({"identity_pub": _b64(b"\x04" + bytes(64))}, 400, "bad_request"),
        ({"ext4_participant_info": _b64(b"\x30\x00")}, 400, "bad_request"),
        ({"csr_pop": _b64(b"\x30\x00")}, 401, "bad_proof"),
        ({"acs_proof": ""}, 401, "bad_proof"),
        ({"acs_proof": None}, 400, "bad_request"),
        ({"acs_proof": _b64(bytes(8) + b"\x40\x47" + bytes(71))}, 401, "bad_proof"),
    ],
)
async def test_what_is_wrong_with_a_strangers_enrolment_is_named(
    tmp_path: Path, stranger: ForeignDevice, changes: dict[str, Any], status: int, error: str
) -> None:
    rig = Federation(tmp_path)
    try:
        await rig.start(9)
        body = _request(stranger, _red_proof(stranger), **changes)
        found = await _post(f"{rig.kds.uri}/mls/v1/certificate", body)
    finally:
        await rig.close()
    assert (found[0], found[1]["error"]) == (status, error), found


# --- key packages -----------------------------------------------------------------------------------------------------


def _packages(device: ForeignDevice, chain: tuple[bytes, ...], *, last_resort: bool) -> bytes:
    scalar = device.leaf.private_numbers().private_value.to_bytes(32, "big")
    client = Client(
        suite=CipherSuite.of(2),
        credential=X509Credential(chain),
        signature_key=ECDSA_P256.key(Secret(scalar)),
        capabilities=leaf_capabilities(google_like_profile()),
    )
    ends = int(x509.load_der_x509_certificate(chain[0]).not_valid_after_utc.timestamp()) - 1800
    lifetime = Lifetime(ends - 65 * DAY_S, ends)
    made = client.create_key_package(seeded(f"{last_resort}"), lifetime, last_resort=last_resort)
    return made.key_package.encode()


@pytest.mark.parametrize("prefix", [b"", bytes.fromhex("00010005")], ids=["raw", "MLSMessage"])
async def test_packages_under_certificates_of_openssl_are_stored_and_claimed(
    tmp_path: Path, authority: OpensslAuthority, prefix: bytes
) -> None:
    """The directory trusts that authority as its vendor's."""
    device, rig = _device(), Federation(tmp_path)
    trust = TrustAnchors((TrustAnchor(2, 2, authority.root),))
    rig.clock.at = time.time() + 5
    chain = (authority.leaf(device, _proof(device)), authority.ica)
    one_time, last = (prefix + _packages(device, chain, last_resort=each) for each in (False, True))
    try:
        await rig.start(9)
        rig.side.server.anchors._validators[2] = CertificateValidator(trust, Strictness.STRICT)
        body = {"msisdn": f"tel:+{ALICE}", "key_packages": [_b64(one_time)], "last_resort": _b64(last)}
        assert await _post(f"{rig.kds.uri}/mls/v1/keypackages", body) == (200, {"stored": 2})
        claim = {"target_msisdn": f"tel:+{ALICE}"}
        served = [(await _post(f"{rig.kds.uri}/mls/v1/keypackages/claim", claim))[1] for _ in range(3)]
    finally:
        await rig.close()
    assert [each["is_last_resort"] for each in served] == [False, True, True]
    assert {each["key_packages"][0]["client_id"] for each in served} == {_ID}
    assert base64.b64decode(served[0]["key_package"]) == bytes.fromhex("00010005") + one_time.removeprefix(prefix)


async def test_a_package_of_openmls_without_a_certificate_is_refused_by_name(tmp_path: Path) -> None:
    """davey is OpenMLS with suite 2 and basic credentials."""
    require_package("davey", "peers")
    gateway = Gateway(CipherSuite.of(2), seeded("gateway"))
    await _is_refused(tmp_path, DaveyMember(7, gateway).key_package(), "RFC 9420 §5.3 credential type")


async def test_a_package_of_mls_rs_of_another_suite_is_refused_by_name(tmp_path: Path) -> None:
    require_package("rine_mls", "peers")
    await _is_refused(tmp_path, RineMember(tmp_path / "rine", 1).key_package(), "RCC.16 §5.1 cipher suite")


async def _is_refused(folder: Path, package: bytes, rule: str) -> None:
    rig = Federation(folder)
    try:
        await rig.start(9)
        body = {"msisdn": f"tel:+{ALICE}", "key_packages": [_b64(package)], "last_resort": None}
        status, answer = await _post(f"{rig.kds.uri}/mls/v1/keypackages", body)
    finally:
        await rig.close()
    assert (status, answer["error"]) == (422, "bad_key_package")
    assert rule in answer["detail"]
