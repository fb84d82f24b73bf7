"""A phone's calls to the key distribution server of its carrier (RCC.16 §5.1, digest §2.5, §14.5, §14.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ims_core.errors import RemoteProtocolError, TransportError
from ims_core.transport.http_message import HttpClient, HttpResponse
from rcs_sim.wire.directory_json import asked_wait_s
from rcs_sim.wire.key_directory import (
    ClaimedKeyPackage,
    ClaimOutcome,
    ClaimRequest,
    ClaimResponse,
    DirectoryResponse,
    EnrolmentRequest,
    EnrolmentResponse,
    KdsError,
    KdsErrorCode,
    KdsPath,
    KeyDirectoryParseError,
    UploadRequest,
    UploadResponse,
)
from rcs_sim.wire.prekey_directory import PrekeyBundle, PrekeyPath, PrekeyUpload

__all__ = ["NOT_ATTEMPTED", "ClaimResult", "KdsCallRefused", "KdsClient"]

TIMEOUT_S = 20.0  # digest §2.5.1
T = TypeVar("T")


class KdsCallRefused(RemoteProtocolError):
    """The KDS answered, but not with what was asked for. *error* is its code, "" for an answer that cannot be read.

    *retry_after_s* is set where it asked for patience."""

    def __init__(self, message: str, *, status: int, error: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, spec="RCC.16 digest §14.5")
        self.status = status
        self.error = error
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """How a claim ended (§2.5.3). *key_packages* are as they came, for the checks of §2.4; *detail* says why there are
    none. *retry_after_s* is set where the KDS asked for patience."""

    outcome: ClaimOutcome
    key_packages: tuple[ClaimedKeyPackage, ...] = ()
    detail: str = ""
    retry_after_s: float | None = None


NOT_ATTEMPTED = ClaimResult(ClaimOutcome.NOT_ATTEMPTED)
"""Nobody was asked."""


class KdsClient:
    """One phone's way to its KDS, whose base URL is *uri* (``openrcs-kds-uri``)."""

    __slots__ = ("_http", "_timeout_s", "uri")

    def __init__(self, http: HttpClient, uri: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = http
        self._timeout_s = timeout_s
        self.uri = uri.rstrip("/")

    async def enrol(self, request: EnrolmentRequest) -> EnrolmentResponse:
        """Asks for a certificate. Raises KdsCallRefused, TransportError."""
        answer = await self._call(KdsPath.CERTIFICATE, request.encode())
        return EnrolmentResponse.parse(_good(answer))

    async def upload(self, request: UploadRequest) -> UploadResponse:
        """Replaces this client's key packages. Raises KdsCallRefused, TransportError."""
        answer = await self._call(KdsPath.KEY_PACKAGES, request.encode())
        return UploadResponse.parse(_good(answer))

    async def claim(self, request: ClaimRequest) -> ClaimResult:
        """One key package of each device of a number. Raises nothing: what went wrong is the outcome."""
        served = await self._claim(KdsPath.CLAIM, request, lambda body: ClaimResponse.parse(body).key_packages)
        if isinstance(served, ClaimResult):
            return served
        if not served:
            return ClaimResult(ClaimOutcome.PEER_HAS_NONE, detail="an empty list")
        return ClaimResult(ClaimOutcome.SERVED, served)

    async def publish_prekeys(self, upload: PrekeyUpload) -> UploadResponse:
        """Replaces this number's prekeys of the legacy scheme. Raises KdsCallRefused, TransportError."""
        answer = await self._call(PrekeyPath.PREKEYS, upload.encode())
        return UploadResponse.parse(_good(answer))

    async def claim_prekeys(self, request: ClaimRequest) -> PrekeyBundle | ClaimResult:
        """What a session of the legacy scheme begins with. Raises nothing: without a bundle the result says why."""
        return await self._claim(PrekeyPath.CLAIM, request, PrekeyBundle.parse)

    async def trust_list(self, uri: str, generation: int) -> bytes:
        """The signed trust-anchor list of *generation* as it is served; *uri* is that of the configuration. Raises
        KdsCallRefused, TransportError."""
        return _good(await self._ask(f"{uri.rstrip('/')}/{generation}", "GET", b""))

    async def revocation_list(self, kds: int | None = None) -> bytes:
        """The list of revoked certificates as it is served, or that of the key service with the number *kds*. Raises
        KdsCallRefused, TransportError."""
        path = KdsPath.CRL if kds is None else f"{KdsPath.CRL}/{kds}"
        return _good(await self._ask(f"{self.uri}{path}", "GET", b""))

    async def directory(self) -> DirectoryResponse:
        """Whose directory it is, and what it takes. Raises KdsCallRefused, TransportError, KeyDirectoryParseError."""
        return DirectoryResponse.parse(_good(await self._ask(f"{self.uri}{KdsPath.DIRECTORY}", "GET", b"")))

    async def issuer_certificate(self) -> bytes:
        """DER octets of the authority that certifies this carrier's phones: its issuer tells which vendor that is.
        Raises KdsCallRefused, TransportError."""
        return _good(await self._ask(f"{self.uri}{KdsPath.ICA}", "GET", b""))

    async def _claim(self, path: str, request: ClaimRequest, read: Callable[[bytes], T]) -> T | ClaimResult:
        try:
            answer = await self._call(path, request.encode())
        except (TransportError, RemoteProtocolError) as error:
            return ClaimResult(ClaimOutcome.TRANSPORT_FAILED, detail=str(error))
        try:
            return read(_good(answer))
        except KdsCallRefused as refused:
            return ClaimResult(_outcome(answer), detail=str(refused), retry_after_s=refused.retry_after_s)
        except KeyDirectoryParseError as error:
            return ClaimResult(ClaimOutcome.TRANSPORT_FAILED, detail=str(error))

    async def _call(self, path: str, body: bytes) -> HttpResponse:
        return await self._ask(f"{self.uri}{path}", "POST", body)

    async def _ask(self, url: str, method: str, body: bytes) -> HttpResponse:
        headers = (("Content-Type", "application/json"),) if body else ()
        return await self._http.request(url, method=method, headers=headers, body=body, timeout_s=self._timeout_s)


def _good(answer: HttpResponse) -> bytes:
    """The body of a 2xx. Raises KdsCallRefused for any other."""
    if 200 <= answer.status < 300:
        return answer.body
    try:
        error = KdsError.parse(answer.body)
    except KeyDirectoryParseError:
        error = KdsError("")
    text = ": ".join(filter(None, (f"the KDS answered {answer.status}", error.error, error.detail)))
    wait_s = asked_wait_s(answer.header("Retry-After"))
    raise KdsCallRefused(text, status=answer.status, error=error.error, retry_after_s=wait_s)


def _outcome(answer: HttpResponse) -> ClaimOutcome:
    """A refusal's outcome: by its status, and of 404 only by its code, because a wrong directory says 404 too."""
    try:
        error = KdsError.parse(answer.body).error
    except KeyDirectoryParseError:
        error = ""
    if answer.status == 404 and error == KdsErrorCode.NO_KEY_PACKAGES:
        return ClaimOutcome.PEER_HAS_NONE
    if answer.status >= 500:
        return ClaimOutcome.TRANSPORT_FAILED
    return ClaimOutcome.NOT_AUTHORIZED if answer.status in (401, 403) else ClaimOutcome.REFUSED
