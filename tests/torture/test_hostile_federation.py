"""A key distribution server whose partner is slow, lying, down or somebody else, over loopback TLS 1.3 with the
certificates of both: each is told apart at the phone and in the trace (RCC.16 digest §2.5.3, §14.5, §14.7)."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ims_core.transport.lab_ca import LabCa
from rcs_sim.wire.key_directory import ClaimOutcome, KdsPath
from rcs_sim.wire.prekey_directory import PrekeyPath
from tests.support.federation_partner import Asked, Federation, Reply, federation, honest, packages_for
from tests.support.kds import ALICE, BLUE, BOB, DAY_S, NOW, RED, CarrierSide, Device, KdsSide
from tests.torture.test_hostile_kds import mutations

_UUID = "7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
_PATIENCE_S = 1.0  # of those that wait for a slow partner: time enough for a handshake on a busy machine
_MORE_THAN_A_BODY = 5 * 1024 * 1024
_ENDLESS = b"Transfer-Encoding: chunked\r\n\r\n"


def _says(status: int, body: bytes, **headers: str) -> Reply:
    async def reply(asked: Asked) -> web.Response:
        return asked.answer(body, status, **headers)

    return reply


def _error(code: str, **more: Any) -> bytes:
    return json.dumps({"error": code, "detail": "so says blue", **more}).encode()


def _told(change: Callable[[dict[str, Any]], None]) -> Reply:
    """An empty answer, but for a change."""

    async def reply(asked: Asked) -> web.Response:
        members = json.loads(packages_for(asked))
        change(members)
        return asked.answer(json.dumps(members).encode())

    return reply


def _octets(*pieces: bytes, then_close: bool = False) -> Reply:
    """These octets in the place of an HTTP response."""

    async def reply(asked: Asked) -> web.Response:
        transport = asked.request.transport
        assert transport is not None
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(0)
        if then_close:
            transport.close()
        await asked.released.wait()
        return web.Response()

    return reply


async def _never(asked: Asked) -> web.Response:
    await asked.released.wait()
    return asked.answer(b"{}")


async def _floods(asked: Asked) -> web.StreamResponse:
    """A body without end, as fast as it goes."""
    response, transport = web.StreamResponse(), asked.request.transport
    assert transport is not None
    await response.prepare(asked.request)
    while not transport.is_closing():
        await response.write(b" " * 65536)
        await asyncio.sleep(0)
    return response


async def _vanishes(asked: Asked) -> web.Response:
    assert asked.request.transport is not None
    asked.request.transport.abort()
    return web.Response()


_BROKEN: dict[str, tuple[Reply, int]] = {  # and how often it is asked: an answer is not asked for again
    "closes in the middle": (_octets(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", then_close=True), 3),
    "closes in the middle of a chunk": (_octets(b"HTTP/1.1 200 OK\r\n" + _ENDLESS + b"9\r\n{", then_close=True), 3),
    "is no HTTP": (_octets(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), 3),
    "has a header without end": (_octets(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000), 3),
    "has a wrong length": (_octets(b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n{}"), 3),
    "floods": (_floods, 3),
    "is huge": (_says(200, b'{"x":"' + b"a" * _MORE_THAN_A_BODY + b'"}'), 3),
    "is a bomb": (_says(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"), 3),
    "says gzip and is none": (_says(200, b"{}", Content_Encoding="gzip"), 3),
    "is empty": (_says(200, b""), 1),
    "has no content": (_says(204, b""), 1),
    "is HTML": (_says(200, b"<html>welcome to the hotel network</html>"), 1),
    "is a list": (_says(200, b"[]"), 1),
    "is too deep": (_says(200, b"[" * 200_000), 1),
    "is UTF-16": (_says(200, "{}".encode("utf-16")), 1),
    "lacks request_id": (_told(lambda members: members.pop("request_id")), 1),
    "lacks target_msisdn": (_told(lambda members: members.pop("target_msisdn")), 1),
    "lacks key_packages": (_told(lambda members: members.pop("key_packages")), 1),
    "lacks anchors_generation": (_told(lambda members: members.pop("anchors_generation")), 1),
    "has packages that are no base64": (_told(lambda members: members.update(key_packages=[{"key_package": "%"}])), 1),
    "has too many packages": (_told(lambda members: members.update(key_packages=[{"key_package": ""}] * 300)), 1),
    "has a negative generation": (_told(lambda members: members.update(anchors_generation=-1)), 1),
    "redirects": (_says(302, b"", Location="https://kds.mallory.example/mls/v1/federation/claim"), 1),
    "redirects and repeats": (_says(307, b"{}", Location="/elsewhere"), 1),
    "is a 500 without a word": (_says(500, b"oops"), 1),
    "is a 404 of a web server": (_says(404, b"<h1>Not Found</h1>"), 1),
}


def _detail(told: str) -> tuple[int, str]:
    """HTTP status and code that the phone was answered with."""
    found = re.match(r"the KDS answered (\d+): (\w+)", told)
    assert found is not None, told
    return int(found[1]), found[2]


async def _one(folder: Path, *replies: Reply, **settings: object) -> tuple[Any, Federation, Any]:
    async with federation(folder, *replies, **settings) as (rig, partner):  # type: ignore[arg-type]  # settings of a KDS
        return await rig.claim(), rig, partner


@pytest.mark.parametrize(("reply", "tries"), _BROKEN.values(), ids=_BROKEN)
async def test_an_answer_that_cannot_be_read_is_a_broken_peer(tmp_path: Path, reply: Reply, tries: int) -> None:
    result, rig, partner = await _one(tmp_path, reply)
    assert result.outcome is ClaimOutcome.TRANSPORT_FAILED
    assert _detail(result.detail) == (502, "unavailable")
    assert f"{BLUE.host} answers what cannot be read" in result.detail
    assert rig.outcomes() == ["peer_broken"]
    assert rig.decided()[0].details["reason"]
    assert (len(partner.asked), len(set(partner.request_ids))) == (tries, 1)
    assert {each.request.path for each in partner.asked} == {KdsPath.FEDERATION_CLAIM}


@pytest.mark.parametrize(
    "reply",
    [
        _never,
        _octets(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
        _octets(b"HTTP/1.1 200 OK\r\n" + _ENDLESS, b"1\r\n{\r\n"),
        _octets(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["never answers", "stops in the body", "stops in a chunk", "only says 100"],
)
async def test_a_slow_peer_is_asked_three_times_with_one_id_and_then_it_is_504(tmp_path: Path, reply: Reply) -> None:
    result, rig, partner = await _one(tmp_path, reply, answer_timeout_s=_PATIENCE_S)
    assert result.outcome is ClaimOutcome.TRANSPORT_FAILED
    assert _detail(result.detail) == (504, "unavailable")
    assert "does not answer in time" in result.detail
    assert rig.outcomes() == ["peer_slow"]
    assert (len(partner.asked), len(set(partner.request_ids))) == (3, 1)


async def test_an_answer_after_the_timeout_is_had_by_the_retry_and_spends_one_package(tmp_path: Path) -> None:
    """The first answer is on its way too late; the same id gets the same package."""
    blue, reply = honest(BLUE, one_time=2)

    async def late(asked: Asked) -> web.Response:
        answer = await reply(asked)
        await asked.released.wait()
        return answer

    result, rig, partner = await _one(tmp_path, late, reply, answer_timeout_s=_PATIENCE_S)
    assert result.outcome is ClaimOutcome.SERVED
    assert len(result.key_packages) == 1
    assert len(set(partner.request_ids)) == 1
    assert list(blue.server.directory.pool_sizes(BOB).values()) == [2]  # of two and the last resort
    assert rig.outcomes() == [0]


@pytest.mark.parametrize("first", [_vanishes, _BROKEN["closes in the middle"][0]], ids=["vanishes", "breaks off"])
async def test_an_answer_that_is_lost_is_had_by_the_retry(tmp_path: Path, first: Reply) -> None:
    _, reply = honest(BLUE)
    result, rig, partner = await _one(tmp_path, first, first, reply)
    assert (result.outcome, rig.outcomes()) == (ClaimOutcome.SERVED, [0])
    assert (len(partner.asked), len(set(partner.request_ids))) == (3, 1)


async def test_a_peer_that_hangs_up_without_a_word_is_down(tmp_path: Path) -> None:
    result, rig, partner = await _one(tmp_path, _vanishes)
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.TRANSPORT_FAILED, (502, "unavailable"))
    assert "is not there" in result.detail
    assert (rig.outcomes(), len(partner.asked)) == (["peer_down"], 3)


async def test_a_peer_that_nobody_listens_for_is_down(tmp_path: Path) -> None:
    async with federation(tmp_path, _never) as (rig, partner):
        await partner.close()
        result = await rig.claim()
    assert _detail(result.detail) == (502, "unavailable")
    assert rig.outcomes() == ["peer_down"]


async def test_a_peer_that_accepts_and_shakes_no_hand_is_slow(tmp_path: Path) -> None:
    met: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda reader, writer: met.append(writer), "127.0.0.1", 0)
    rig = Federation(tmp_path, answer_timeout_s=_PATIENCE_S)
    try:
        await rig.start(server.sockets[0].getsockname()[1])
        result = await rig.claim()
    finally:
        await rig.close()
        server.close()
        for writer in met:
            writer.close()
    assert _detail(result.detail) == (504, "unavailable")
    assert (rig.outcomes(), len(met)) == (["peer_slow"], 3)


# --- who it is --------------------------------------------------------------------------------------------------------


def _another_name(rig: Federation) -> ssl.SSLContext:
    return rig.partner_tls("kds.mallory.example")


def _another_authority(rig: Federation) -> ssl.SSLContext:
    return rig.partner_tls(BLUE.host, LabCa(rig.folder / "another"))


def _a_phones_authority(rig: Federation) -> ssl.SSLContext:
    """The lab's, by which its HTTPS servers for phones are known."""
    return rig.partner_tls(BLUE.host, LabCa(rig.folder / "tls"))


def _old_version(rig: Federation) -> ssl.SSLContext:
    context = rig.partner_tls()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@pytest.mark.parametrize("tls", [_another_name, _another_authority, _a_phones_authority, _old_version])
async def test_who_is_not_the_peer_is_not_asked(
    tmp_path: Path, tls: Callable[[Federation], ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    async with federation(tmp_path, _says(200, b"{}"), tls=tls) as (rig, partner):
        result = await rig.claim()
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.TRANSPORT_FAILED, (502, "unavailable"))
    assert "is not trusted" in result.detail
    assert rig.outcomes() == ["peer_untrusted"]
    assert partner.asked == []


async def test_a_peer_without_tls_is_not_asked(tmp_path: Path) -> None:
    partner_asked: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        partner_asked.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    rig = Federation(tmp_path)
    try:
        await rig.start(server.sockets[0].getsockname()[1])
        result = await rig.claim()
    finally:
        await rig.close()
        server.close()
    assert result.outcome is ClaimOutcome.TRANSPORT_FAILED
    assert rig.outcomes() == ["peer_untrusted"]
    assert not any(b"msisdn" in each for each in partner_asked)


async def _openssl(
    rig: Federation, *more: str, authority: Path | None = None
) -> tuple[asyncio.subprocess.Process, int]:
    """A partner that is OpenSSL's own server, on a port that the system gives it."""
    rig.partner_tls()
    files = rig.folder / "federation" / BLUE.host
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", f"{files}.pem", "-key", f"{files}.key"),
        *("-CAfile", str(authority or rig.authority.certificate_path), "-www", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    while found := await process.stdout.readline():
        if found.startswith(b"ACCEPT"):
            return process, int(found.rpartition(b":")[2])
    raise AssertionError("openssl does not listen")


@pytest.mark.parametrize(
    ("more", "is_other_authority", "outcome"),
    [
        (("-Verify", "1", "-verify_return_error", "-tls1_3"), False, "anchors_refused"),  # its page is HTML
        (("-Verify", "1", "-verify_return_error", "-tls1_3"), True, "peer_untrusted"),
        (("-tls1_2",), False, "peer_untrusted"),
    ],
    ids=["accepts ours", "accepts another authority", "has TLS 1.2"],
)
async def test_openssls_server_as_the_peer(
    tmp_path: Path, more: tuple[str, ...], is_other_authority: bool, outcome: str
) -> None:
    rig = Federation(tmp_path)
    authority = LabCa(tmp_path / "another").certificate_path if is_other_authority else None
    process, port = await _openssl(rig, *more, authority=authority)
    try:
        await rig.start(port)
        assert rig.listener is not None
        await rig.listener.poll(next(iter(rig.side.server.peers)))
        if outcome == "peer_untrusted":
            assert (await rig.claim()).outcome is ClaimOutcome.TRANSPORT_FAILED
    finally:
        await rig.close()
        process.kill()
        await process.wait()
    assert set(rig.outcomes()) == {outcome}


async def test_the_peer_sees_who_asks_and_that_it_is_tls_1_3(tmp_path: Path) -> None:
    _, reply = honest(BLUE)
    seen: list[Any] = []

    async def look(asked: Asked) -> web.StreamResponse:
        transport = asked.request.transport
        assert transport is not None
        names = transport.get_extra_info("peercert")["subjectAltName"]
        seen.append((transport.get_extra_info("ssl_object").version(), names))
        return await reply(asked)

    result, _, partner = await _one(tmp_path, look)
    assert result.outcome is ClaimOutcome.SERVED
    assert seen == [("TLSv1.3", (("DNS", RED.host),))]
    members = partner.asked[0].members
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", members.pop("request_id"))
    assert members == {
        "version": 1,
        "origin": RED.host,
        "kds": RED.kds,
        "requester_msisdn": f"tel:+{ALICE}",
        "target_msisdn": f"tel:+{BOB}",
        "cipher_suite": 2,
    }


# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"request_id": _UUID}, {"target_msisdn": f"tel:+{ALICE}"}, {"target_msisdn": "tel:+12025550153"}],
)
async def test_an_answer_to_another_claim_is_a_lie(tmp_path: Path, change: dict[str, str]) -> None:
    device = KdsSide(BLUE, RED).start().join(BOB)

    async def reply(asked: Asked) -> web.Response:
        return asked.answer(packages_for(asked, _listed(device), **change))

    result, rig, partner = await _one(tmp_path, reply)
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.TRANSPORT_FAILED, (502, "unavailable"))
    assert "answers something else than it was asked" in result.detail
    assert (rig.outcomes(), len(partner.asked)) == (["peer_lying"], 1)


def _listed(device: Device, package: bytes | None = None, **changes: Any) -> dict[str, Any]:
    octets = device.package() if package is None else package
    members = {"client_id": device.client_id, "key_package": base64.b64encode(octets).decode(), "is_last_resort": False}
    return members | changes


def _of_another_number() -> Device:
    return KdsSide(BLUE, RED).start().join("12025550153")


def _under_another_root() -> Device:
    return KdsSide(replace(BLUE, name="mallory"), RED).start().join(BOB)


def _under_our_own_root() -> Device:
    """Bob's number, certified by red's authority: blue's partner, but not blue's root."""
    return KdsSide(replace(RED, numbers=(BOB,)), BLUE).start().join(BOB)


_LIES: dict[str, tuple[Callable[[], Device], int, str]] = {
    "another number": (_of_another_number, 0, "A.4.1 number"),
    "another root": (_under_another_root, 0, "trust anchor"),
    "our own root": (_under_our_own_root, 0, "trust anchor"),
    "under the floor": (lambda: KdsSide(BLUE, RED).start().join(BOB), 31 * DAY_S, "A.4.1.2 lifetime"),
    "expired": (lambda: KdsSide(BLUE, RED).start().join(BOB), 61 * DAY_S, "A.4.1.2 lifetime"),
}


@pytest.mark.parametrize(("make", "later_s", "rule"), _LIES.values(), ids=_LIES)
async def test_packages_that_must_not_be_used_are_dropped_and_the_phone_is_told_that_there_are_none(
    tmp_path: Path, make: Callable[[], Device], later_s: int, rule: str
) -> None:
    device = make()

    async def reply(asked: Asked) -> web.Response:
        return asked.answer(packages_for(asked, _listed(device), _listed(device)))

    async with federation(tmp_path, reply) as (rig, _):
        rig.clock.at = NOW + later_s
        result = await rig.claim()
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.PEER_HAS_NONE, (404, "no_key_packages"))
    assert rig.outcomes() == ["peer_lying"] * 3  # each package, and the claim
    assert rule in rig.decided()[0].details["reason"]
    assert BLUE.host in result.detail


async def test_the_good_ones_of_a_mixed_answer_are_served(tmp_path: Path) -> None:
    bob, carol = KdsSide(BLUE, RED).start().join(BOB), _of_another_number()
    good = _listed(bob)

    async def reply(asked: Asked) -> web.Response:
        junk = {"client_id": "junk", "key_package": base64.b64encode(b"junk").decode()}
        return asked.answer(packages_for(asked, _listed(carol), junk, good))

    result, rig, _ = await _one(tmp_path, reply)
    assert [each.client_id for each in result.key_packages] == [bob.client_id]
    assert rig.outcomes() == ["peer_lying", "peer_lying", 0]


async def test_a_device_gives_one_package_and_is_called_by_its_certificate(tmp_path: Path) -> None:
    """Two of one device would be two leaves with one key, which no group takes (RFC 9420 §7.3)."""
    bob = KdsSide(BLUE, RED).start().join(BOB)
    first = bob.package(last_resort=True)

    async def reply(asked: Asked) -> web.Response:
        named = _listed(bob, first, client_id="6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101")
        return asked.answer(packages_for(asked, named, _listed(bob)))

    result, rig, _ = await _one(tmp_path, reply)
    assert [(each.client_id, each.key_package, each.is_last_resort) for each in result.key_packages] == [
        (bob.client_id, first, True)
    ]
    assert rig.outcomes() == ["peer_lying", 0]
    assert "twice" in rig.decided()[0].details["reason"]


async def test_a_one_time_package_that_comes_again_is_served_and_noted(tmp_path: Path) -> None:
    """Its owner will say so; that it came from here is for the operator to know."""
    bob = KdsSide(BLUE, RED).start().join(BOB)
    one_time, last_resort = bob.package(), bob.package(last_resort=True)

    def again(octets: bytes) -> Reply:
        async def reply(asked: Asked) -> web.Response:
            return asked.answer(packages_for(asked, _listed(bob, octets)))

        return reply

    async with federation(tmp_path, again(one_time), again(one_time), again(last_resort)) as (rig, _):
        for _ in range(4):
            assert (await rig.claim()).outcome is ClaimOutcome.SERVED
    assert rig.outcomes() == [0, "peer_reuses", 0, 0, 0]
    assert rig.decided()[1].details["clients"] == [bob.client_id]


async def test_an_empty_list_is_a_peer_with_nothing(tmp_path: Path) -> None:
    result, rig, _ = await _one(tmp_path, _told(lambda members: None))
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.PEER_HAS_NONE, (404, "no_key_packages"))
    assert rig.outcomes() == ["peer_empty"]


@pytest.mark.parametrize(
    ("status", "code", "outcome", "passed"),
    [
        (404, "no_key_packages", ClaimOutcome.PEER_HAS_NONE, 404),
        (404, "unknown_number", ClaimOutcome.REFUSED, 404),
        (421, "wrong_directory", ClaimOutcome.REFUSED, 421),
        (401, "bad_proof", ClaimOutcome.NOT_AUTHORIZED, 401),
        (403, "number_mismatch", ClaimOutcome.NOT_AUTHORIZED, 403),
        (403, "not_authorized", ClaimOutcome.NOT_AUTHORIZED, 403),
        (400, "bad_request", ClaimOutcome.REFUSED, 400),
        (409, "conflict", ClaimOutcome.REFUSED, 409),
        (422, "bad_key_package", ClaimOutcome.REFUSED, 422),
        (429, "rate_limited", ClaimOutcome.REFUSED, 429),
        (200 + 303, "unavailable", ClaimOutcome.TRANSPORT_FAILED, 502),
        (500, "no_key_packages", ClaimOutcome.TRANSPORT_FAILED, 502),
        (404, "a code of the next version", ClaimOutcome.TRANSPORT_FAILED, 502),
    ],
)
async def test_refusals_of_the_peer_keep_their_code(
    tmp_path: Path, status: int, code: str, outcome: ClaimOutcome, passed: int
) -> None:
    result, rig, partner = await _one(tmp_path, _says(status, _error(code)))
    assert (result.outcome, _detail(result.detail)[0]) == (outcome, passed)
    assert len(partner.asked) == 1
    assert rig.outcomes() == ["peer_down" if passed == 502 else int(outcome)]


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        ("9", 9.0),
        ("9" * 400, 86_400.0),
        ("9" * 5000, 86_400.0),
        ("-1", None),
        ("inf", None),
        ("1e9", None),
        ("٣", None),
    ],
)
async def test_a_wait_that_the_peer_asks_for_is_passed_on_within_reason(
    tmp_path: Path, said: str, passed: float | None
) -> None:
    result, _, _ = await _one(tmp_path, _says(429, _error("rate_limited"), Retry_After=said))
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.REFUSED, (429, "rate_limited"))
    assert result.retry_after_s == passed


@pytest.mark.parametrize(
    "detail", ["x" * 2_000_000, "\ud800\udfff", "\x1b[2J\x00\r\n", {"a": [[[1]]]}, None, 7, [0] * 100_000]
)
async def test_what_a_peer_writes_into_a_refusal_does_no_harm(tmp_path: Path, detail: Any) -> None:
    result, rig, _ = await _one(tmp_path, _says(409, _error("conflict", detail=detail)))
    assert (result.outcome, _detail(result.detail)) == (ClaimOutcome.REFUSED, (409, "conflict"))
    assert len(result.detail) < 1000
    for record in rig.sink.records:
        record.to_json().encode()


async def test_nothing_good_is_kept_and_two_refusals_are_for_ten_seconds(tmp_path: Path) -> None:
    _, reply = honest(BLUE)
    none, away = _says(404, _error("no_key_packages")), _says(503, _error("unavailable"))
    async with federation(tmp_path, away, none, reply) as (rig, partner):
        assert (await rig.claim()).outcome is ClaimOutcome.TRANSPORT_FAILED
        for later_s in (0.0, 9.9):
            rig.clock.at = NOW + later_s
            assert (await rig.claim()).outcome is ClaimOutcome.PEER_HAS_NONE
        assert len(partner.asked) == 2
        rig.clock.at = NOW + 10.0
        for _ in range(2):
            assert (await rig.claim()).outcome is ClaimOutcome.SERVED
        assert len(partner.asked) == 4
        assert len(set(partner.request_ids)) == 4


async def test_a_slow_peer_holds_up_nobody_elses_claim(tmp_path: Path) -> None:
    ended: list[str] = []

    async def claim(name: str, work: Awaitable[Any]) -> None:
        await work
        ended.append(name)

    async with federation(tmp_path, _never, answer_timeout_s=_PATIENCE_S) as (rig, _):
        rig.side.join(ALICE)
        await asyncio.gather(claim("foreign", rig.claim()), claim("own", rig.claim_own()))
    assert ended == ["own", "foreign"]


# --- its roots --------------------------------------------------------------------------------------------------------


async def _polled(folder: Path, *replies: Reply, **more: Any) -> tuple[Federation, int]:
    async with federation(folder, *replies, **more) as (rig, _):
        assert rig.listener is not None
        await rig.listener.poll(next(iter(rig.side.server.peers)))
        return rig, rig.side.server.anchors.generation


def _roots(side: CarrierSide, generation: int = 2, **changes: Any) -> Reply:
    listed = {"vendor_id": side.kds, "kds": side.kds, "der": base64.b64encode(side.pki.root_der).decode()} | changes
    return _says(200, json.dumps({"generation": generation, "anchors": [listed]}).encode())


async def test_a_new_root_of_the_peer_makes_a_new_generation(tmp_path: Path) -> None:
    rig, generation = await _polled(tmp_path, _roots(replace(BLUE, name="moved")))
    assert (rig.outcomes(), generation) == ([], 2)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (_roots(RED), "anchors_refused"),
        (_roots(BLUE, vendor_id=2), "anchors_refused"),
        (_roots(BLUE, kds=2), "anchors_refused"),
        (_roots(RED, vendor_id=1, kds=1), "anchors_refused"),
        (_roots(BLUE, der=""), "anchors_refused"),
        (_roots(BLUE, der=base64.b64encode(BLUE.pki.ica_der).decode()), "anchors_refused"),
        (_says(200, b'{"generation":2,"anchors":[]}'), "anchors_refused"),
        (_says(200, b"{}"), "anchors_refused"),
        (_says(302, b"", Location="https://kds.mallory.example/"), "peer_down"),
        (_says(403, _error("not_authorized")), "peer_down"),
        (_never, "peer_slow"),
        (_vanishes, "peer_down"),
        (_BROKEN["floods"][0], "peer_broken"),
    ],
)
async def test_roots_that_are_not_the_peers_change_nothing(tmp_path: Path, reply: Reply, outcome: str) -> None:
    rig, generation = await _polled(tmp_path, reply, answer_timeout_s=_PATIENCE_S if reply is _never else 5.0)
    assert (rig.outcomes(), generation) == ([outcome], 1)


async def test_roots_of_somebody_else_are_not_asked_for(tmp_path: Path) -> None:
    rig, generation = await _polled(tmp_path, _roots(replace(BLUE, name="moved")), tls=_another_name)
    assert (rig.outcomes(), generation) == (["peer_untrusted"], 1)


# --- what it asks -----------------------------------------------------------------------------------------------------


def _asks(**changes: Any) -> bytes:
    members = {
        "version": 1,
        "request_id": _UUID,
        "origin": BLUE.host,
        "kds": BLUE.kds,
        "requester_msisdn": f"tel:+{BOB}",
        "target_msisdn": f"tel:+{ALICE}",
        "cipher_suite": 2,
    }
    return json.dumps(members | changes).encode()


async def test_whatever_a_partner_asks_gets_an_answer_that_names_an_error_and_spends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Federation(tmp_path)
    try:
        await rig.start(9)
        uri, client = await rig.serve_partner(), rig.partner_client()
        device = rig.side.join(ALICE)
        odd = (b"{", _asks(version=2), b"\xff")
        asked = {KdsPath.FEDERATION_CLAIM: mutations(_asks()), PrekeyPath.FEDERATION_CLAIM: odd}
        for path, bodies in (asked | {KdsPath.FEDERATION_ANCHORS: odd, KdsPath.CLAIM: odd, "/": odd}).items():
            for octets in bodies:
                answer = await client.request(f"{uri}{path}", method="POST", body=octets, timeout_s=10)
                if answer.status != 200:
                    assert 400 <= answer.status < 500, (path, octets[:200])
                    assert answer.status in (404, 405) or json.loads(answer.body)["error"], (path, octets[:200])
        sizes = rig.side.server.directory.pool_sizes(ALICE)
        good = await client.request(f"{uri}{KdsPath.FEDERATION_CLAIM}", method="POST", body=_asks(), timeout_s=10)
        assert good.status == 200
        assert sizes[device.client_id] >= 3  # those of the same request_id that were right took one at most
        await client.close()
    finally:
        await rig.close()
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.mark.parametrize("name", ["kds.mallory.example", RED.host, "*.example"])
async def test_a_certificate_of_the_federation_for_another_name_is_not_the_partner(tmp_path: Path, name: str) -> None:
    rig = Federation(tmp_path)
    try:
        await rig.start(9)
        uri, client = await rig.serve_partner(), rig.partner_client(name)
        for path, body in ((KdsPath.FEDERATION_CLAIM, _asks()), (KdsPath.FEDERATION_ANCHORS, b"")):
            method = "POST" if body else "GET"
            answer = await client.request(f"{uri}{path}", method=method, body=body, timeout_s=10)
            assert (answer.status, json.loads(answer.body)["error"]) == (403, "not_authorized")
        await client.close()
    finally:
        await rig.close()


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"origin": RED.host}, 403, "not_authorized"),
        ({"kds": 2}, 403, "not_authorized"),
        ({"version": 2}, 400, "bad_request"),
        ({"cipher_suite": 1}, 400, "bad_request"),
        ({"target_msisdn": f"tel:+{BOB}"}, 404, "unknown_number"),
        ({"target_msisdn": "tel:+12025550102"}, 404, "no_key_packages"),
        ({"request_id": "1"}, 400, "bad_request"),
    ],
)
async def test_what_a_partner_may_not_ask_is_refused_over_tls(
    tmp_path: Path, changes: dict[str, Any], status: int, error: str
) -> None:
    rig = Federation(tmp_path)
    try:
        await rig.start(9)
        uri, client = await rig.serve_partner(), rig.partner_client()
        rig.side.join(ALICE)
        url = f"{uri}{KdsPath.FEDERATION_CLAIM}"
        answer = await client.request(url, method="POST", body=_asks(**changes), timeout_s=10)
        await client.close()
    finally:
        await rig.close()
    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)
