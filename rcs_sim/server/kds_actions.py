"""What a key distribution server decides, as values that its shell carries out in order, and the texts of answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ims_core.store.key_directory import (
    AnsweredClaim,
    DirectoryClient,
    HeldRevocations,
    RevokedCertificate,
    SignedAnchors,
    SpentKeyPackage,
    StoredKeyPackage,
)
from ims_core.store.prekey_directory import StoredPrekeys
from ims_core.store.record_table import RecordType
from ims_core.transport.http_message import HeaderFields, HttpResponse
from rcs_sim.server.kds_settings import KdsPeer
from rcs_sim.wire.key_directory import ClaimRequest, FederationClaimRequest, KdsError, KdsErrorCode, KdsPath

__all__ = [
    "AfterKept",
    "AskList",
    "AskPeer",
    "Change",
    "Drop",
    "KdsAction",
    "KdsRecord",
    "KdsRefused",
    "Keep",
    "Note",
    "PollAnchors",
    "Respond",
    "json_response",
    "refusal",
]

KdsRecord: TypeAlias = (
    DirectoryClient
    | StoredKeyPackage
    | SpentKeyPackage
    | AnsweredClaim
    | SignedAnchors
    | HeldRevocations
    | RevokedCertificate
    | StoredPrekeys
)


class KdsRefused(Exception):
    """The call is answered with this error, and changes nothing but by *before*: what was decided until then."""

    def __init__(self, code: KdsErrorCode, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.error = KdsError.of(code, detail)
        self.retry_after_s = retry_after_s
        self.before: list[KdsAction] = []


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep *record* in the table of *kind* before anything that follows it."""

    kind: RecordType[Any]
    record: KdsRecord


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget the record with *key*."""

    kind: RecordType[Any]
    key: str


Change: TypeAlias = Keep | Drop


@dataclass(frozen=True, slots=True)
class Note:
    """For the trace: what was decided and why. *details* has JSON values."""

    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskPeer:
    """The claim goes to another KDS, to *path* there; the last action of its request. The core gets the answer with
    this value."""

    peer: KdsPeer
    request: FederationClaimRequest
    claim: ClaimRequest
    path: str = KdsPath.FEDERATION_CLAIM


@dataclass(frozen=True, slots=True)
class AskList:
    """The list of revoked certificates of another KDS is wanted; the last action of its request. The core gets the
    octets with this value."""

    peer: KdsPeer


@dataclass(frozen=True, slots=True)
class PollAnchors:
    """Fetch the roots of another KDS."""

    peer: KdsPeer


@dataclass(frozen=True, slots=True)
class Respond:
    """The answer; the last action of a request."""

    response: HttpResponse


@dataclass(frozen=True, slots=True)
class AfterKept:
    """What follows tells *record* again: not before it is kept, and not at all if it cannot be."""

    record: AnsweredClaim


KdsAction: TypeAlias = Keep | Drop | Note | AskList | AskPeer | PollAnchors | AfterKept | Respond


def json_response(body: bytes, status: int = 200, *headers: tuple[str, str]) -> HttpResponse:
    """An answer that nobody on the way keeps."""
    fields: HeaderFields = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), *headers)
    return HttpResponse(status, fields, body)


def refusal(error: KdsError, *, status: int | None = None, retry_after_s: float | None = None) -> HttpResponse:
    """The answer that says *error*; *status* stands in for the usual one."""
    wait = () if retry_after_s is None else (("Retry-After", str(max(1, math.ceil(retry_after_s)))),)
    return json_response(error.encode(), status or error.status, *wait)
