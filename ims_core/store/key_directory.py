"""What a key distribution server keeps (RCC.16 §5.1): enrolled clients, their key packages, answers that a retry gets
again, the trust-anchor lists that it has signed, and what its operator has revoked. Certificates and packages are
octets here."""

from __future__ import annotations

from dataclasses import dataclass, field

from ims_core.store.record_table import RecordType

__all__ = [
    "ANSWERED_CLAIMS",
    "DIRECTORY_ANCHORS",
    "DIRECTORY_CLIENTS",
    "DIRECTORY_REVOCATIONS",
    "KEY_PACKAGES",
    "REVOKED_CERTIFICATES",
    "SPENT_KEY_PACKAGES",
    "AnsweredClaim",
    "DirectoryClient",
    "HeldAnchor",
    "HeldRevocations",
    "RevokedCertificate",
    "SignedAnchors",
    "SpentKeyPackage",
    "StoredKeyPackage",
    "answered_claim_key",
    "directory_client_key",
    "key_package_key",
    "spent_key_package_key",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryClient:
    """One device of a participant. *msisdn* is bare digits, *client_id* the common name of its certificate.

    *leaf_key* is the SubjectPublicKeyInfo of the key that was certified; b"" for one whose enrolment was made
    elsewhere. *not_after_s* is the end of the youngest certificate (Unix seconds). *upload* numbers the uploads:
    packages of an earlier one are void. *has_proof* is False where the certificate has no ACS proof. *heard_at_s* is
    when it was heard of last (Unix seconds), 0 where that is not known."""

    msisdn: str
    client_id: str
    leaf_key: bytes = b""
    leaf: bytes = field(default=b"", repr=False)
    not_after_s: int = 0
    upload: int = 0
    has_proof: bool = True
    heard_at_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKeyPackage:
    """One package of a client's upload number *upload*. *octets* are those of its MLSMessage but for *credential*,
    which stood at *credential_at*, in pieces: the packages of an upload have them together. *reference* is its
    KeyPackageRef; *not_after_s* is that of the certificate in it."""

    msisdn: str
    client_id: str
    upload: int
    number: int
    octets: bytes = field(repr=False)
    reference: bytes
    not_after_s: int
    is_last_resort: bool = False
    credential: tuple[bytes, ...] = field(default=(), repr=False)
    credential_at: int = 0

    @property
    def message(self) -> bytes:
        """The MLSMessage."""
        at = self.credential_at
        return b"".join((self.octets[:at], *self.credential, self.octets[at:]))


@dataclass(frozen=True, slots=True)
class SpentKeyPackage:
    """A one-time package that was served: it is never taken in again. Forgotten when its certificate has ended."""

    reference: bytes
    until_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredClaim:
    """What another carrier's KDS got for a request, to be said again until *until* (seconds since the epoch)."""

    origin: str
    request_id: str
    target_msisdn: str
    body: bytes = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAnchor:
    """A root of one directory."""

    vendor_id: int
    kds: int
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAnchors:
    """One generation of the list that phones fetch: the octets that were signed, and what it was made from.

    *peers* has the generation of each other directory's list that went into it, by its number as text."""

    generation: int
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    anchors: tuple[HeldAnchor, ...]
    peers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HeldRevocations:
    """What another key service has signed as its list of revoked certificates, as it came at *fetched_s* (Unix
    seconds)."""

    kds: int
    der: bytes = field(repr=False)
    fetched_s: int


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """The operator of the directory has revoked the certificate with this serial number (contents octets)."""

    serial: bytes


def directory_client_key(msisdn: str, client_id: str) -> str:
    """Key of a client."""
    return f"{msisdn} {client_id}"


def key_package_key(package: StoredKeyPackage) -> str:
    """Key of a package; those of a client sort in the order of their upload."""
    return f"{package.msisdn} {package.client_id} {package.upload:010d} {package.number:06d}"


def answered_claim_key(origin: str, request_id: str) -> str:
    """Key of an answer."""
    return f"{origin} {request_id}"


def spent_key_package_key(reference: bytes) -> str:
    """Key of a spent package."""
    return reference.hex()


DIRECTORY_CLIENTS: RecordType[DirectoryClient] = RecordType(
    "directory_clients", DirectoryClient, lambda record: directory_client_key(record.msisdn, record.client_id)
)
KEY_PACKAGES: RecordType[StoredKeyPackage] = RecordType("key_packages", StoredKeyPackage, key_package_key)
SPENT_KEY_PACKAGES: RecordType[SpentKeyPackage] = RecordType(
    "spent_key_packages", SpentKeyPackage, lambda record: spent_key_package_key(record.reference)
)
ANSWERED_CLAIMS: RecordType[AnsweredClaim] = RecordType(
    "answered_claims", AnsweredClaim, lambda record: answered_claim_key(record.origin, record.request_id)
)
DIRECTORY_ANCHORS: RecordType[SignedAnchors] = RecordType(
    "directory_anchors", SignedAnchors, lambda record: f"{record.generation:010d}"
)
DIRECTORY_REVOCATIONS: RecordType[HeldRevocations] = RecordType(
    "directory_revocations", HeldRevocations, lambda record: f"{record.kds:010d}"
)
REVOKED_CERTIFICATES: RecordType[RevokedCertificate] = RecordType(
    "revoked_certificates", RevokedCertificate, lambda record: record.serial.hex()
)
