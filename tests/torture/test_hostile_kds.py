"""Malformed, huge, slow and repeated calls over TLS at a key distribution server with a store on disk.

Each gets an answer that names an error, none disturbs a phone, and after a restart nothing is handed out twice."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rcs_sim
from ims_core.trace import Trace
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.scenario.world import SocketWorld
from rcs_sim.wire.key_directory import ClaimOutcome, ClaimRequest, KdsPath
from rcs_sim.wire.prekey_directory import PrekeyPath
from tests.rcs_sim.scenario.test_key_service import _lab, _Phone
from tests.support.kds import RED, prekeys_of

_ALICE = "12025550101"
_HALF_OPEN = 40
_BEGUN = b"POST /mls/v1/keypackages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"
_JSON = (("Content-Type", "application/json"),)
_MALFORMED = (
    b"",
    b"[]",
    b"null",
    b"1",
    b'"x"',
    b"{",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b"\xff\xfe",
    b'{"a":' + b"1" * 10_000 + b"}",
    b'{"msisdn":NaN}',
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
)
_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1e308,
    "",
    "x" * 70_000,
    "\ud800",
    "\uff11\uff12",
    "tel:+" + "1" * 400,
    [],
    {},
    [[]] * 50,
    "====",
    "\x00",
)


def mutations(good: bytes) -> Iterator[bytes]:
    """What is no such call; then calls with one member of another kind, with one too few, or with changed octets."""
    yield from _MALFORMED
    members = json.loads(good)
    for name, value in members.items():
        yield json.dumps({key: each for key, each in members.items() if key != name}).encode()
        for odd in _ODD:
            yield json.dumps({**members, name: odd}).encode()
            if isinstance(value, list):
                yield json.dumps({**members, name: [*value, odd]}).encode()
        text = value[0] if isinstance(value, list) and value else value
        if isinstance(text, str) and len(text) > 80:
            octets = bytearray(base64.b64decode(text))
            for place in range(0, len(octets), 61):
                octets[place] ^= 0x41
                changed = base64.b64encode(bytes(octets)).decode()
                yield json.dumps({**members, name: [changed] if isinstance(value, list) else changed}).encode()
                octets[place] ^= 0x41


async def _half_open(uri: str) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connections that begin a call and never end it."""
    host, _, port = uri.removeprefix("https://").rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = []
    for number in range(_HALF_OPEN):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context if number % 2 else None)
        writer.write(
            b"POST /mls/v1/keypackages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"[: 7 + number * 2]
        )
        found.append((reader, writer))
    return found


async def _attack(phone: _Phone, kds: KdsClient, good: dict[str, bytes]) -> None:
    for path, body in good.items():
        for octets in (*mutations(body), b"{" + b" " * 3_000_000 + b"}"):
            headers = (("Content-Type", "application/json"),)
            answer = await phone.http.request(
                f"{kds.uri}{path}", method="POST", headers=headers, body=octets, timeout_s=10
            )
            assert answer.status < 500, (path, octets[:200])
            if answer.status not in (200, 413):
                assert json.loads(answer.body)["error"], (path, octets[:200])


def test_nothing_that_comes_over_tls_stops_a_key_service_and_a_restart_keeps_its_keys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    claim = ClaimRequest(target_msisdn=_ALICE, requester_msisdn="12025550102")

    async def attacked() -> set[bytes]:
        lab = _lab(SocketWorld(Trace(), state=tmp_path, with_tls=True, ports="free"))
        await lab.start()
        alice, thief = _Phone(lab, "red", _ALICE), _Phone(lab, "red", "12025550103")
        kds = await alice.enrol()
        await thief.enrol()
        assert kds.uri.startswith("https://")
        silent = await _half_open(kds.uri)
        good = {
            KdsPath.CERTIFICATE: thief.device.request(RED).encode(),
            KdsPath.KEY_PACKAGES: thief.device.upload(2).encode(),
            KdsPath.CLAIM: claim.encode(),
            PrekeyPath.PREKEYS: prekeys_of(thief.device.msisdn).encode(),
            PrekeyPath.CLAIM: claim.encode(),
        }
        await _attack(thief, kds, good)
        assert (await kds.upload(alice.device.upload(3))).stored >= 3
        first = await kds.claim(claim)
        assert first.outcome is ClaimOutcome.SERVED
        for _, writer in silent:
            writer.close()
        await alice.close()
        await thief.close()
        await lab.close()
        return {each.key_package for each in first.key_packages if not each.is_last_resort}

    async def again() -> set[bytes]:
        lab = _lab(SocketWorld(Trace(), state=tmp_path, with_tls=True, ports="free"))
        await lab.start()
        phone = _Phone(lab, "red", "12025550102")
        kds = KdsClient(phone.http, (await phone.parameters()).kds_uri)
        served = await kds.claim(claim)
        assert served.outcome is ClaimOutcome.SERVED
        await phone.close()
        await lab.close()
        return {each.key_package for each in served.key_packages if not each.is_last_resort}

    before = rcs_sim.run(attacked, clock="real")
    after = rcs_sim.run(again, clock="real")
    assert not before & after
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
