"""Two carriers' key distribution servers without sockets, and devices that enrol at them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from ims_core.store.memory import MemoryStore
from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.e2ee.acs_proof import PROOF_LIFE_S, sign_acs_proof
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.key_package_profile import key_package_lifetime, wrap_key_package
from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.participant_information import sign_participant_information
from rcs_sim.e2ee.participant_key import ParticipantKey, csr_pop_input, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.profile import DirectoryLifetime, google_like_profile
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.vendor_pki import VendorPki, derive_key
from rcs_sim.mls.client import Client
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import CipherSuiteId
from rcs_sim.mls.signature import ECDSA_P256, SignatureKey
from rcs_sim.server.kds_actions import AskPeer, Drop, KdsAction, Keep, Note, Respond
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.server.kds_settings import KdsPeer, KdsSettings, PeerTable
from rcs_sim.server.key_distribution_server import KeyDistributionServer
from rcs_sim.wire.key_directory import (
    ClaimRequest,
    EnrolmentRequest,
    EnrolmentResponse,
    KdsPath,
    UploadRequest,
)
from rcs_sim.wire.prekey_directory import PrekeyUpload, SignedPrekey

__all__ = [
    "ALICE",
    "BLUE",
    "BOB",
    "DAY_S",
    "NOW",
    "RED",
    "CarrierSide",
    "Device",
    "KdsSide",
    "prekeys_of",
    "response_of",
]

NOW = 1_790_000_000
DAY_S = 86_400
ALICE, BOB = "12025550101", "12025550152"
_SUITE = CipherSuite.of(CipherSuiteId.MLS_128_DHKEMP256_AES128GCM_SHA256_P256)


@dataclass(frozen=True, slots=True)
class CarrierSide:
    """What a carrier has before its servers start."""

    name: str
    kds: int
    address: str
    prefix: str
    numbers: tuple[str, ...]

    @property
    def host(self) -> str:
        return f"kds.{self.name}.example"

    @property
    def proof_key(self) -> SignatureKey:
        return derive_key(b"lab", f"{self.name} proof")

    @property
    def pki(self) -> VendorPki:
        return _pki(self.name, self.kds)

    def peer(self) -> KdsPeer:
        return KdsPeer(
            kds=self.kds,
            host=self.host,
            url=f"http://{self.address}:8444",
            vendor_id=self.kds,
            prefixes=(self.prefix,),
            address=self.address,
        )


RED = CarrierSide("red", 2, "127.0.1.41", "+1202555010", (ALICE, "12025550102"))
BLUE = CarrierSide("blue", 1, "127.0.2.41", "+1202555015", (BOB, "12025550153"))


@cache
def _pki(operator: str, kds: int) -> VendorPki:
    return VendorPki.derive(b"lab", vendor_id=kds, kds=kds, operator=operator, now_s=NOW - 10 * DAY_S)


class KdsSide:
    """The KDS of *own*, which federates with *other*."""

    def __init__(self, own: CarrierSide = RED, other: CarrierSide = BLUE, **settings: object) -> None:
        self.own, self.other = own, other
        values = replace(KdsSettings(kds=own.kds, vendor_id=own.kds, host=own.host), **settings)  # type: ignore[arg-type]  # what a test changes
        anchors = AnchorBook(
            own.kds, [own.pki.anchor], [other.pki.anchor], "lab", derive_key(b"lab", f"{own.name} list")
        )
        self.server = KeyDistributionServer(
            values,
            pki=own.pki,
            proof_spki=spki_of_point(own.proof_key.public),
            anchors=anchors,
            peers=PeerTable(own.kds, [own.prefix], [other.peer()]),
            is_subscriber=own.numbers.__contains__,
            tokens=Tokens(f"{own.name} kds"),
        )
        self.store = MemoryStore()
        self.now = float(NOW)
        self.notes: list[Note] = []

    def start(self) -> KdsSide:
        self.server.restore(self.now)
        return self

    def actions(self, path: str, body: bytes = b"", source: str = "10.1.0.1:5000") -> list[KdsAction]:
        request = HttpRequest("POST" if body else "GET", path, body=body, peer=source)
        return self._kept(self.server.handle(request, self.now))

    def call(self, path: str, body: bytes = b"") -> HttpResponse:
        return response_of(self.actions(path, body))

    def federation(self, path: str, body: bytes = b"", peer: CarrierSide | None = BLUE) -> HttpResponse:
        request = HttpRequest("POST" if body else "GET", path, body=body)
        known = None if peer is None else peer.peer()
        return response_of(self._kept(self.server.handle_federation(request, known, self.now)))

    def claim(self, claim: ClaimRequest, far: KdsSide | None = None, path: str = KdsPath.CLAIM) -> HttpResponse:
        """Also through the other carrier's KDS, if the claim goes there."""
        actions = self.actions(path, claim.encode())
        ask = next((each for each in actions if isinstance(each, AskPeer)), None)
        if ask is None:
            return response_of(actions)
        assert far is not None, "the claim goes to another directory"
        answer = far.federation(ask.path, ask.request.encode(), self.own)
        return response_of(self._kept(self.server.peer_answered(ask, answer, self.now)))

    def enrol(self, device: Device) -> HttpResponse:
        """Asks for a certificate, and gives it to *device* if there is one."""
        response = self.call(KdsPath.CERTIFICATE, device.request(self.own, int(self.now)).encode())
        if response.status == 200:
            device.certified(EnrolmentResponse.parse(response.body))
        return response

    def publish(self, device: Device, one_time: int = 3, *, last_resort: bool = True) -> HttpResponse:
        return self.call(KdsPath.KEY_PACKAGES, device.upload(one_time, last_resort=last_resort).encode())

    def join(self, msisdn: str, name: str = "phone", one_time: int = 3) -> Device:
        """A device that is enrolled and has packages in the directory."""
        device = Device(msisdn, name)
        assert self.enrol(device).status == 200
        assert self.publish(device, one_time).status == 200
        return device

    def records(self) -> dict[str, dict[str, object]]:
        """What the store has, by table."""
        return {name: dict(table._records) for name, table in self.store._tables.items()}

    def _kept(self, actions: list[KdsAction]) -> list[KdsAction]:
        for action in actions:
            match action:
                case Keep(kind, record):
                    self.store.table(kind)._records[kind.key(record)] = record  # type: ignore[attr-defined]  # no loop here
                case Drop(kind, key):
                    self.store.table(kind)._records.pop(key, None)  # type: ignore[attr-defined]  # no loop here
                case Note():
                    self.notes.append(action)
        return actions


class Device:
    """A phone's side of enrolment, by hand."""

    def __init__(self, msisdn: str, name: str = "phone") -> None:
        self._tokens = Tokens(f"{msisdn} {name}")
        self.msisdn = msisdn
        self.client_id = self._tokens.uuid()
        self.leaf_key = ECDSA_P256.generate(self._tokens.octets)
        self.participant = ParticipantKey.generate(self._tokens.octets)
        self.chain: tuple[bytes, ...] = ()

    def request(self, carrier: CarrierSide, now_s: int = NOW) -> EnrolmentRequest:
        """With a proof of *carrier*."""
        proof = sign_acs_proof(carrier.proof_key, now_s + PROOF_LIFE_S, self.msisdn, self.participant.spki)
        return self.request_with(proof.encode(), carrier.kds, NOW)

    def request_with(self, acs_proof: bytes, vendor_id: int, now_s: int) -> EnrolmentRequest:
        point, subject, san = self.leaf_key.public, leaf_subject(self.client_id), leaf_subject_alt_name(self.msisdn)
        information = sign_participant_information(
            self.participant.key,
            self.participant.spki,
            vendor_id=vendor_id,
            not_before_s=now_s - DAY_S,
            not_after_s=now_s + 3650 * DAY_S,
            subject_der=subject,
            leaf_spki=spki_of_point(point),
            san_der=san,
        )
        return EnrolmentRequest(
            msisdn=self.msisdn,
            client_id=self.client_id,
            identity_pub=point,
            subject_der=subject,
            san_der=san,
            participant_information=information.encode(),
            acs_proof=acs_proof,
            csr_pop=self.leaf_key.sign(csr_pop_input(self.msisdn, point)),
        )

    def certified(self, answer: EnrolmentResponse) -> None:
        self.chain = (answer.leaf, *answer.chain[:-1])

    def package(
        self, *, last_resort: bool = False, mode: DirectoryLifetime = DirectoryLifetime.RCC16, is_wrapped: bool = True
    ) -> bytes:
        client = Client(
            suite=_SUITE,
            credential=X509Credential(self.chain),
            signature_key=self.leaf_key,
            capabilities=leaf_capabilities(google_like_profile()),
        )
        lifetime = key_package_lifetime(mode, read_certificate(self.chain[0]), NOW)
        made = client.create_key_package(self._tokens.octets, lifetime, last_resort=last_resort)
        octets = made.key_package.encode()
        return wrap_key_package(octets) if is_wrapped else octets

    def upload(self, one_time: int = 3, *, last_resort: bool = True) -> UploadRequest:
        return UploadRequest(
            msisdn=self.msisdn,
            client_id=self.client_id,
            key_packages=tuple(self.package() for _ in range(one_time)),
            last_resort=self.package(last_resort=True) if last_resort else b"",
        )


def prekeys_of(msisdn: str, name: str = "phone", one_time: int = 3) -> PrekeyUpload:
    """Prekeys as a directory sees them: octets of the right sizes."""
    tokens = Tokens(f"{msisdn} {name} prekeys")
    signed = SignedPrekey(identity_key=tokens.octets(32), signed_prekey=tokens.octets(32), signature=tokens.octets(64))
    return PrekeyUpload(msisdn=msisdn, signed=signed, one_time=tuple(tokens.octets(32) for _ in range(one_time)))


def response_of(actions: list[KdsAction]) -> HttpResponse:
    last = actions[-1]
    assert isinstance(last, Respond)
    return last.response
