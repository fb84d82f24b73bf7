"""A phone's calls to its KDS: what each answer, or none, becomes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import ConnectTimeout, TransportError
from ims_core.transport.http_message import HeaderFields, HttpRequest, HttpResponse
from rcs_sim.client.kds_client import NOT_ATTEMPTED, ClaimResult, KdsCallRefused, KdsClient
from rcs_sim.wire.key_directory import (
    ClaimOutcome,
    ClaimRequest,
    ClaimResponse,
    KdsError,
    KdsErrorCode,
    KeyDirectoryParseError,
)
from rcs_sim.wire.prekey_directory import PrekeyBundle
from tests.support.kds import ALICE, RED, Device, KdsSide, prekeys_of, response_of

_CLAIM = ClaimRequest(target_msisdn=ALICE, requester_msisdn=ALICE)


class _Http:
    """Answers with what it is given; a KDS side stands behind it if there is one."""

    def __init__(self, answer: HttpResponse | TransportError | KdsSide) -> None:
        self.answer = answer
        self.urls: list[tuple[str, str]] = []

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        self.urls.append((method, url))
        assert timeout_s == 20.0
        if isinstance(self.answer, TransportError):
            raise self.answer
        if isinstance(self.answer, HttpResponse):
            return self.answer
        request = HttpRequest(method, "/" + url.split("/", 3)[3], headers, body)
        return response_of(self.answer._kept(self.answer.server.handle(request, self.answer.now)))


def _client(answer: HttpResponse | TransportError | KdsSide) -> KdsClient:
    return KdsClient(_Http(answer), "http://127.0.1.41:80/")


def _claim(answer: HttpResponse | TransportError) -> ClaimResult:
    return asyncio.run(_client(answer).claim(_CLAIM))


async def test_a_phone_enrols_uploads_and_claims() -> None:
    side = KdsSide().start()
    kds, device = _client(side), Device(ALICE)
    device.certified(await kds.enrol(device.request(RED)))
    assert (await kds.upload(device.upload(2))).stored == 3
    result = await kds.claim(_CLAIM)
    assert (result.outcome, [each.client_id for each in result.key_packages]) == (
        ClaimOutcome.SERVED,
        [device.client_id],
    )
    assert json.loads(await kds.trust_list("http://127.0.1.41:80/mls/v1/trust-anchors/", 1)).keys() == {
        "payload",
        "signature",
    }
    assert await kds.issuer_certificate() == RED.pki.ica_der
    about = await kds.directory()
    assert (about.kds, about.vendor_id) == (RED.kds, RED.kds)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (KdsErrorCode.NO_KEY_PACKAGES, ClaimOutcome.PEER_HAS_NONE),
        (KdsErrorCode.UNKNOWN_NUMBER, ClaimOutcome.REFUSED),
        (KdsErrorCode.WRONG_DIRECTORY, ClaimOutcome.REFUSED),
        (KdsErrorCode.BAD_PROOF, ClaimOutcome.NOT_AUTHORIZED),
        (KdsErrorCode.NUMBER_MISMATCH, ClaimOutcome.NOT_AUTHORIZED),
        (KdsErrorCode.NOT_AUTHORIZED, ClaimOutcome.NOT_AUTHORIZED),
        (KdsErrorCode.BAD_REQUEST, ClaimOutcome.REFUSED),
        (KdsErrorCode.CONFLICT, ClaimOutcome.REFUSED),
        (KdsErrorCode.RATE_LIMITED, ClaimOutcome.REFUSED),
        (KdsErrorCode.UNAVAILABLE, ClaimOutcome.TRANSPORT_FAILED),
    ],
)
def test_each_error_has_its_outcome(code: KdsErrorCode, outcome: ClaimOutcome) -> None:
    error = KdsError.of(code, "why")
    result = _claim(HttpResponse(error.status, (("Retry-After", "7"),), error.encode()))
    assert (result.outcome, result.key_packages, result.retry_after_s) == (outcome, (), 7.0)
    assert "why" in result.detail


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ConnectTimeout("nobody"), ClaimOutcome.TRANSPORT_FAILED),
        (HttpResponse(404, body=b"<html>not here</html>"), ClaimOutcome.REFUSED),
        (HttpResponse(502, body=b""), ClaimOutcome.TRANSPORT_FAILED),
        (HttpResponse(504), ClaimOutcome.TRANSPORT_FAILED),
        (HttpResponse(302), ClaimOutcome.REFUSED),
        (HttpResponse(200, body=b"<html>"), ClaimOutcome.TRANSPORT_FAILED),
        (HttpResponse(200, body=ClaimResponse(()).encode()), ClaimOutcome.PEER_HAS_NONE),
    ],
)
def test_only_a_directory_that_says_so_makes_a_peer_without_packages(
    answer: HttpResponse | TransportError, outcome: ClaimOutcome
) -> None:
    assert _claim(answer).outcome is outcome


def test_the_answer_of_an_old_directory_is_one_package() -> None:
    old = HttpResponse(200, body=b'{"key_package":"AAE=","is_last_resort":true}')
    (package,) = _claim(old).key_packages
    assert (package.key_package, package.is_last_resort) == (b"\x00\x01", True)


async def test_calls_that_must_answer_say_why_they_do_not() -> None:
    error = KdsError.of(KdsErrorCode.RATE_LIMITED, "too many")
    refused = HttpResponse(429, (("Retry-After", "999999999"),), error.encode())
    with pytest.raises(KdsCallRefused) as caught:
        await _client(refused).upload(Device(ALICE).upload(0, last_resort=False))
    assert (caught.value.status, caught.value.error, caught.value.retry_after_s) == (429, "rate_limited", 86_400.0)
    with pytest.raises(KdsCallRefused):
        await _client(HttpResponse(404)).trust_list("http://x", 2)
    with pytest.raises(KeyDirectoryParseError):
        await _client(HttpResponse(200, body=b"{}")).enrol(Device(ALICE).request(RED))
    with pytest.raises(ConnectTimeout):
        await _client(ConnectTimeout("x")).issuer_certificate()


def test_nobody_asked_is_its_own_outcome() -> None:
    assert NOT_ATTEMPTED.outcome == 5


@given(st.integers(100, 599), st.binary(max_size=100), st.text(max_size=10))
def test_any_answer_is_an_outcome(status: int, body: bytes, wait: str) -> None:
    result: Any = _claim(HttpResponse(status, (("Retry-After", wait),), body))
    assert result.outcome in ClaimOutcome


async def test_prekeys_are_published_and_claimed() -> None:
    kds, upload = _client(KdsSide().start()), prekeys_of(ALICE, one_time=1)
    assert (await kds.publish_prekeys(upload)).stored == 1
    assert await kds.claim_prekeys(_CLAIM) == PrekeyBundle(upload.signed, upload.one_time[0])
    assert await kds.claim_prekeys(_CLAIM) == PrekeyBundle(upload.signed)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ConnectTimeout("down"), ClaimOutcome.TRANSPORT_FAILED),
        (HttpResponse(200, body=b"{}"), ClaimOutcome.TRANSPORT_FAILED),
        (HttpResponse(404, body=KdsError.of(KdsErrorCode.NO_KEY_PACKAGES).encode()), ClaimOutcome.PEER_HAS_NONE),
        (HttpResponse(404, body=KdsError.of(KdsErrorCode.UNKNOWN_NUMBER).encode()), ClaimOutcome.REFUSED),
        (HttpResponse(403, body=KdsError.of(KdsErrorCode.NOT_AUTHORIZED).encode()), ClaimOutcome.NOT_AUTHORIZED),
    ],
)
async def test_a_claim_of_prekeys_has_the_outcomes_of_a_claim(
    answer: HttpResponse | TransportError, outcome: ClaimOutcome
) -> None:
    found = await _client(answer).claim_prekeys(_CLAIM)
    assert isinstance(found, ClaimResult)
    assert found.outcome is outcome


async def test_prekeys_that_are_refused_are_an_error_with_the_code() -> None:
    refused = HttpResponse(429, (("Retry-After", "7"),), KdsError.of(KdsErrorCode.RATE_LIMITED).encode())
    with pytest.raises(KdsCallRefused) as error:
        await _client(refused).publish_prekeys(prekeys_of(ALICE))
    assert (error.value.error, error.value.retry_after_s) == ("rate_limited", 7.0)
