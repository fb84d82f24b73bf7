"""JSON of the key distribution server, KDS (RCC.16 digest §2.5, §14.5, §14.7): its calls and answers as values.

The calls of §2.5.1 with the amendments of §14.5 and the federation of §14.7 are ours (choice). Octets are base64 of the
standard alphabet without line breaks, times Unix seconds. Names that are not known are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Self

from rcs_sim.wire.directory_json import (
    KeyDirectoryParseError,
    as_object,
    base64_text,
    json_octets,
    list_of,
    msisdn_of,
    number_of,
    octet_list_of,
    octets_of,
    optional_number_of,
    optional_text_of,
    read_members,
    shown_text_of,
    tel_uri,
    text_of,
)

__all__ = [
    "CIPHER_SUITE",
    "MAX_UPLOADED",
    "ClaimOutcome",
    "ClaimRequest",
    "ClaimResponse",
    "ClaimedKeyPackage",
    "DirectoryResponse",
    "EnrolmentRequest",
    "EnrolmentResponse",
    "FederationAnchor",
    "FederationAnchors",
    "FederationClaimRequest",
    "FederationClaimResponse",
    "KdsError",
    "KdsErrorCode",
    "KdsPath",
    "KeyDirectoryParseError",
    "UploadRequest",
    "UploadResponse",
    "json_octets",
]

CIPHER_SUITE = 0x0002  # MLS_128_DHKEMP256_AES128GCM_SHA256_P256 (§2.1)
MAX_UPLOADED = 256  # one-time packages of one upload; deployed clients publish 11 (§2.4)
MAX_LISTED = 256  # packages of one answer, certificates of one chain, anchors of one list
_UUID = re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class KdsPath(StrEnum):
    """Paths of the calls below the base URL (§2.5.1, §14.5, §14.7, §14.8)."""

    CERTIFICATE = "/mls/v1/certificate"
    KEY_PACKAGES = "/mls/v1/keypackages"
    CLAIM = "/mls/v1/keypackages/claim"
    CIPHER_SUITES = "/mls/v1/supported-ciphersuites"
    DIRECTORY = "/mls/v1/directory"  # whose it is (choice)
    CRL = "/mls/v1/crl"  # and "/" and the number of another carrier's (choice)
    ICA = "/mls/v1/ica.der"
    TRUST_ANCHORS = "/mls/v1/trust-anchors"  # and "/" and the generation (choice)
    FEDERATION_CLAIM = "/mls/v1/federation/claim"
    FEDERATION_ANCHORS = "/mls/v1/federation/anchors"
    FEDERATION_CRL = "/mls/v1/federation/crl"  # (choice)


class ClaimOutcome(IntEnum):
    """How a claim ended (§2.5.3). Only PEER_HAS_NONE says something about the peer."""

    SERVED = 0
    PEER_HAS_NONE = 1
    NOT_AUTHORIZED = 2
    REFUSED = 3
    TRANSPORT_FAILED = 4
    NOT_ATTEMPTED = 5


class KdsErrorCode(StrEnum):
    """``error`` of a refusal (§14.5), and `unknown_generation` for a trust list that is not there (choice)."""

    NO_KEY_PACKAGES = "no_key_packages"
    UNKNOWN_NUMBER = "unknown_number"
    WRONG_DIRECTORY = "wrong_directory"
    BAD_PROOF = "bad_proof"
    NUMBER_MISMATCH = "number_mismatch"
    NOT_AUTHORIZED = "not_authorized"
    BAD_REQUEST = "bad_request"
    CONFLICT = "conflict"
    BAD_KEY_PACKAGE = "bad_key_package"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    UNKNOWN_GENERATION = "unknown_generation"


_STATUS: Mapping[KdsErrorCode, tuple[int, ClaimOutcome]] = {
    KdsErrorCode.NO_KEY_PACKAGES: (404, ClaimOutcome.PEER_HAS_NONE),
    KdsErrorCode.UNKNOWN_NUMBER: (404, ClaimOutcome.REFUSED),
    KdsErrorCode.WRONG_DIRECTORY: (421, ClaimOutcome.REFUSED),
    KdsErrorCode.BAD_PROOF: (401, ClaimOutcome.NOT_AUTHORIZED),
    KdsErrorCode.NUMBER_MISMATCH: (403, ClaimOutcome.NOT_AUTHORIZED),
    KdsErrorCode.NOT_AUTHORIZED: (403, ClaimOutcome.NOT_AUTHORIZED),
    KdsErrorCode.BAD_REQUEST: (400, ClaimOutcome.REFUSED),
    KdsErrorCode.CONFLICT: (409, ClaimOutcome.REFUSED),
    KdsErrorCode.BAD_KEY_PACKAGE: (422, ClaimOutcome.REFUSED),
    KdsErrorCode.RATE_LIMITED: (429, ClaimOutcome.REFUSED),
    KdsErrorCode.UNAVAILABLE: (503, ClaimOutcome.TRANSPORT_FAILED),
    KdsErrorCode.UNKNOWN_GENERATION: (404, ClaimOutcome.REFUSED),
}


@dataclass(frozen=True, slots=True)
class KdsError:
    """``{"error", "detail", "outcome"}`` of a refusal. *error* is a `KdsErrorCode` where it is known."""

    error: str
    detail: str = ""
    outcome: int | None = None

    @classmethod
    def of(cls, code: KdsErrorCode, detail: str = "") -> Self:
        return cls(code, detail, _STATUS[code][1])

    @property
    def status(self) -> int:
        """HTTP status that goes with the code; 400 for an unknown one."""
        return next((status for code, (status, _) in _STATUS.items() if code == self.error), 400)

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        outcome = members.get("outcome")
        detail = shown_text_of(members, "detail")
        return cls(text_of(members, "error"), detail, outcome if type(outcome) is int else None)

    def encode(self) -> bytes:
        return json_octets({"error": str(self.error), "detail": self.detail, "outcome": self.outcome})


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryResponse:
    """Answer to ``GET supported-ciphersuites``, without *kds* and *vendor_id*, and to ``GET directory``, which says
    whose directory it is: a phone of any maker has to name the directory's vendor when it enrols (choice)."""

    cipher_suites: tuple[int, ...] = (CIPHER_SUITE,)
    kds: int | None = None
    vendor_id: int | None = None

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        suites = list_of(members, "cipher_suites", MAX_LISTED)
        numbers = tuple(suite for suite in suites if type(suite) is int)
        return cls(
            cipher_suites=numbers,
            kds=optional_number_of(members, "kds"),
            vendor_id=optional_number_of(members, "vendor_id"),
        )

    def encode(self) -> bytes:
        known = {"kds": self.kds, "vendor_id": self.vendor_id}
        given = {name: value for name, value in known.items() if value is not None}
        return json_octets({"cipher_suites": list(self.cipher_suites), **given})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """``POST certificate``. *msisdn* is bare digits; *identity_pub* the SEC1 point of the leaf key; *client_id* is None
    where the request has none: it is then the CN. *acs_proof* is b"" for none."""

    msisdn: str
    client_id: str | None
    identity_pub: bytes
    subject_der: bytes
    san_der: bytes
    participant_information: bytes
    acs_proof: bytes
    csr_pop: bytes

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        return cls(
            msisdn=msisdn_of(members, "msisdn"),
            client_id=optional_text_of(members, "client_id"),
            identity_pub=octets_of(members, "identity_pub"),
            subject_der=octets_of(members, "subject_der"),
            san_der=octets_of(members, "san_der"),
            participant_information=octets_of(members, "ext4_participant_info"),
            acs_proof=octets_of(members, "acs_proof"),
            csr_pop=octets_of(members, "csr_pop"),
        )

    def encode(self) -> bytes:
        return json_octets(
            {
                "msisdn": tel_uri(self.msisdn),
                **({} if self.client_id is None else {"client_id": self.client_id}),
                "identity_pub": base64_text(self.identity_pub),
                "subject_der": base64_text(self.subject_der),
                "san_der": base64_text(self.san_der),
                "ext4_participant_info": base64_text(self.participant_information),
                "acs_proof": base64_text(self.acs_proof),
                "csr_pop": base64_text(self.csr_pop),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentResponse:
    """Answer to ``POST certificate``: *leaf* and *chain* (issuing certificates, the root last) as DER. *kds* is the
    number of the directory and *not_after_s* the leaf's; None from a server that does not say them."""

    leaf: bytes
    chain: tuple[bytes, ...]
    kds: int | None = None
    not_after_s: int | None = None

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        return cls(
            leaf=octets_of(members, "leaf"),
            chain=octet_list_of(members, "chain", MAX_LISTED),
            kds=optional_number_of(members, "kds"),
            not_after_s=optional_number_of(members, "not_after"),
        )

    def encode(self) -> bytes:
        members: dict[str, Any] = {"leaf": base64_text(self.leaf), "chain": [base64_text(each) for each in self.chain]}
        extra = {"kds": self.kds, "not_after": self.not_after_s}
        return json_octets(members | {name: value for name, value in extra.items() if value is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """``POST keypackages``. Each package is an MLSMessage or a raw KeyPackage; *last_resort* is b"" for none."""

    msisdn: str
    client_id: str | None
    key_packages: tuple[bytes, ...]
    last_resort: bytes = b""

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        return cls(
            msisdn=msisdn_of(members, "msisdn"),
            client_id=optional_text_of(members, "client_id"),
            key_packages=octet_list_of(members, "key_packages", MAX_UPLOADED),
            last_resort=octets_of(members, "last_resort") if members.get("last_resort") is not None else b"",
        )

    def encode(self) -> bytes:
        return json_octets(
            {
                "msisdn": tel_uri(self.msisdn),
                **({} if self.client_id is None else {"client_id": self.client_id}),
                "key_packages": [base64_text(each) for each in self.key_packages],
                "last_resort": base64_text(self.last_resort),
            }
        )


@dataclass(frozen=True, slots=True)
class UploadResponse:
    """Answer to ``POST keypackages``: how many packages the directory holds now."""

    stored: int

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        return cls(number_of(read_members(octets), "stored"))

    def encode(self) -> bytes:
        return json_octets({"stored": self.stored})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """``POST keypackages/claim``. Numbers are bare digits; *kds* is that of the target's ``mls-kds`` tag."""

    target_msisdn: str
    requester_msisdn: str | None = None
    kds: int | None = None
    cipher_suite: int = CIPHER_SUITE
    exclude_client_id: str | None = None

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        suite = optional_number_of(members, "cipher_suite")
        return cls(
            target_msisdn=msisdn_of(members, "target_msisdn"),
            requester_msisdn=msisdn_of(members, "requester_msisdn") if members.get("requester_msisdn") else None,
            kds=optional_number_of(members, "kds"),
            cipher_suite=CIPHER_SUITE if suite is None else suite,
            exclude_client_id=optional_text_of(members, "exclude_client_id"),
        )

    def encode(self) -> bytes:
        optional = {
            "requester_msisdn": None if self.requester_msisdn is None else tel_uri(self.requester_msisdn),
            "kds": self.kds,
            "cipher_suite": self.cipher_suite,
            "exclude_client_id": self.exclude_client_id,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        return json_octets({"target_msisdn": tel_uri(self.target_msisdn), **given})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedKeyPackage:
    """One package of a claim: the client it adds, the package as it is served, whether it may be served again."""

    client_id: str
    key_package: bytes
    is_last_resort: bool = False

    def members(self) -> dict[str, Any]:
        octets = base64_text(self.key_package)
        return {"client_id": self.client_id, "key_package": octets, "is_last_resort": self.is_last_resort}


@dataclass(frozen=True, slots=True)
class ClaimResponse:
    """Answer to a claim that was served: one package for each client of the target. An answer of an old server, with
    one package at the top only, is read as well; its client has no name."""

    key_packages: tuple[ClaimedKeyPackage, ...]

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        if members.get("key_packages") is not None:
            return cls(_claimed(members))
        return cls((_one_claimed(members),))

    def encode(self) -> bytes:
        listed = [each.members() for each in self.key_packages]
        first = {name: listed[0][name] for name in ("key_package", "is_last_resort")} if listed else {}
        return json_octets({"outcome": int(ClaimOutcome.SERVED), "key_packages": listed, **first})


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationClaimRequest:
    """``POST federation/claim``: *origin* is the host name of the asking KDS, *kds* its number."""

    request_id: str
    origin: str
    kds: int
    requester_msisdn: str
    target_msisdn: str
    cipher_suite: int = CIPHER_SUITE
    version: int = 1

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        request_id = text_of(members, "request_id")
        if not _UUID.fullmatch(request_id):
            raise KeyDirectoryParseError("request_id is no UUID", member="request_id")
        return cls(
            version=number_of(members, "version"),
            request_id=request_id.lower(),
            origin=text_of(members, "origin"),
            kds=number_of(members, "kds"),
            requester_msisdn=msisdn_of(members, "requester_msisdn") if members.get("requester_msisdn") else "",
            target_msisdn=msisdn_of(members, "target_msisdn"),
            cipher_suite=number_of(members, "cipher_suite"),
        )

    def encode(self) -> bytes:
        return json_octets(
            {
                "version": self.version,
                "request_id": self.request_id,
                "origin": self.origin,
                "kds": self.kds,
                **({"requester_msisdn": tel_uri(self.requester_msisdn)} if self.requester_msisdn else {}),
                "target_msisdn": tel_uri(self.target_msisdn),
                "cipher_suite": self.cipher_suite,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationClaimResponse:
    """Answer to ``POST federation/claim``."""

    request_id: str
    target_msisdn: str
    key_packages: tuple[ClaimedKeyPackage, ...]
    anchors_generation: int

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        return cls(
            request_id=text_of(members, "request_id").lower(),
            target_msisdn=msisdn_of(members, "target_msisdn"),
            key_packages=_claimed(members),
            anchors_generation=number_of(members, "anchors_generation"),
        )

    def encode(self) -> bytes:
        return json_octets(
            {
                "request_id": self.request_id,
                "target_msisdn": tel_uri(self.target_msisdn),
                "key_packages": [each.members() for each in self.key_packages],
                "anchors_generation": self.anchors_generation,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationAnchor:
    """One root of the answering side: *der* is its certificate."""

    vendor_id: int
    kds: int
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FederationAnchors:
    """Answer to ``GET federation/anchors``."""

    generation: int
    anchors: tuple[FederationAnchor, ...]

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        listed = [as_object(each, "anchors") for each in list_of(members, "anchors", MAX_LISTED)]
        anchors = (
            FederationAnchor(
                vendor_id=number_of(each, "vendor_id"), kds=number_of(each, "kds"), der=octets_of(each, "der")
            )
            for each in listed
        )
        return cls(number_of(members, "generation"), tuple(anchors))

    def encode(self) -> bytes:
        listed = [{"vendor_id": each.vendor_id, "kds": each.kds, "der": base64_text(each.der)} for each in self.anchors]
        return json_octets({"generation": self.generation, "anchors": listed})


def _claimed(members: Mapping[str, Any]) -> tuple[ClaimedKeyPackage, ...]:
    listed = list_of(members, "key_packages", MAX_LISTED)
    return tuple(_one_claimed(as_object(each, "key_packages")) for each in listed)


def _one_claimed(members: Mapping[str, Any]) -> ClaimedKeyPackage:
    return ClaimedKeyPackage(
        client_id=optional_text_of(members, "client_id") or "",
        key_package=octets_of(members, "key_package"),
        is_last_resort=members.get("is_last_resort") is True,
    )
