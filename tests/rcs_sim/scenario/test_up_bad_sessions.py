"""What `rcs-sim up` answers to bad INVITEs and hostile MSRP while a session of somebody else goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ims_core.wire.sip.message import Response
from rcs_sim.client.phone import Phone
from tests.support.lineage_script import LineageLab, LineageScript, lineage_script
from tests.support.lineage_session import LineageSession, cpim
from tests.support.peers import network_file, rcs_sim_up
from tests.support.raw_msrp import RawMsrp
from tests.support.real_phones import RealPhones, real_phones, received, until

_ALICE, _AMY, _BOB = "+12025550101", "+12025550102", "+12025550152"
_GOOD = (
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=-",
    "c=IN IP4 127.0.0.1",
    "t=0 0",
    "m=message 9 TCP/MSRP *",
    "a=path:msrp://127.0.0.1:9/abc;tcp",
    "a=accept-types:message/cpim",
    "a=setup:active",
)


@dataclass(frozen=True, slots=True)
class _Lab:
    carriers: dict[str, Any]
    trace: Path

    def relay(self, carrier: str = "red") -> tuple[str, int]:
        host, _, port = self.carriers[carrier]["msrp"].rpartition(":")
        return host, int(port)

    def errors(self) -> list[str]:
        """Summaries of the ERROR records."""
        lines = self.trace.read_text(encoding="utf-8").splitlines()
        return [record["summary"] for record in map(json.loads, lines) if record["kind"] == "error"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Lab]:
    folder = tmp_path_factory.mktemp("bad")
    trace = folder / "trace.ndjson"
    arguments = ("--trace", str(trace))
    network = network_file(folder)
    with rcs_sim_up(folder, *arguments, network=network, uses_own_ports=True, is_traced=False) as (_, document):
        yield _Lab(document["carriers"], trace)


@asynccontextmanager
async def _amy(lab: _Lab) -> AsyncIterator[LineageScript]:
    """Whoever misbehaves."""
    async with _script(lab, _AMY) as script:
        yield script


def _script(lab: _Lab, number: str) -> AbstractAsyncContextManager[LineageScript]:
    return lineage_script(LineageLab(lab.carriers["red"], number, _BOB), leaves_in_order=True)


@asynccontextmanager
async def _unharmed(lab: _Lab) -> AsyncIterator[tuple[LineageSession, Phone, RealPhones]]:
    """A session of Alice's script with Bob's phone: afterwards it still carries messages both ways."""
    async with real_phones() as phones, _script(lab, _ALICE) as script:
        bob = await phones.add("bob", lab.carriers["blue"], _BOB, "ios")
        session = LineageSession(script)
        await session.invite(f"tel:{_BOB}")
        yield session, bob, phones
        await _converse(session, bob)


async def _converse(session: LineageSession, bob: Phone) -> None:
    text, answer = f"still there {uuid4()}", f"yes {uuid4()}"
    await session.text(text, f"{uuid4()}")
    await received(bob, text)
    sent = bob.chat(_ALICE).send(answer)
    await session.receipt(await session.next_text(answer), "delivery")
    await sent.delivered(10)


# ------------------------------------------------------------------------------------------------------ bad invitations


def _sdp(**changes: str | None) -> str:
    """The good description with lines replaced, or left out, by the beginning of the line."""
    lines = []
    for line in _GOOD:
        key = next((key for key in changes if line.startswith(key.replace("_", "="))), None)
        text = line if key is None else changes[key]
        lines += [] if text is None else [text]
    return "\n".join(lines)


_BAD_DESCRIPTIONS: dict[str, tuple[str, tuple[int, ...]]] = {
    "audio only": (_sdp(m_="m=audio 4000 RTP/AVP 0"), (488,)),
    "rejected media": (_sdp(m_="m=message 0 TCP/MSRP *"), (488,)),
    "media of another protocol": (_sdp(m_="m=message 9 UDP/MSRP *"), (488,)),
    "no media": ("\n".join(_GOOD[:5]), (488,)),
    "no path": (_sdp(a_path=None), (488,)),
    "a path that is none": (_sdp(a_path="a=path:http://127.0.0.1/abc"), (488,)),
    "types without CPIM": (_sdp(a_accept="a=accept-types:text/plain"), (488,)),
    "no connection line": (_sdp(c_=None), (400, 488)),
    "a port beyond": (_sdp(m_="m=message 99999 TCP/MSRP *"), (400, 488)),
    "no version": ("\n".join(_GOOD[1:]), (400, 488)),
    "lines without type": ("v=0\nnonsense\n=\n", (400, 488)),
    "octets": ("\x01\x02" * 50, (400, 488)),
    "very many lines": ("\n".join((*_GOOD, *("a=x" for _ in range(20_000)))), (400, 413, 488)),
    "TLS without fingerprint": (
        _sdp(m_="m=message 9 TCP/TLS/MSRP *", a_path="a=path:msrps://127.0.0.1:9/abc;tcp"),
        (488,),
    ),
}


@pytest.mark.parametrize("which", _BAD_DESCRIPTIONS)
async def test_an_invite_with_a_bad_description_gets_the_status_for_it(lab: _Lab, which: str) -> None:
    body, allowed = _BAD_DESCRIPTIONS[which]
    async with _amy(lab) as script:
        assert (await _refusal(script, body)).status in allowed


async def _refusal(script: LineageScript, body: str, content_type: str = "application/sdp") -> Response:
    """The final answer to an INVITE, which is acknowledged."""
    session = LineageSession(script)
    session.write_invite(f"tel:{_BOB}", body, content_type=content_type)
    while not isinstance(answer := await script.raw.next(), Response) or answer.status < 200:
        pass
    session.acknowledge_refusal(answer)
    return answer


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", "hello"),
        ("application/xml", "<a/>"),
        ("multipart/mixed;boundary=b", "--b\nContent-Type: text/plain\n\nhello\n--b--"),
        ("multipart/mixed", "--b--"),
    ],
)
async def test_an_invite_with_another_body_than_sdp_gets_415(lab: _Lab, content_type: str, body: str) -> None:
    async with _amy(lab) as script:
        answer = await _refusal(script, body, content_type)
        assert answer.status in (400, 415)
        assert answer.status == 400 or answer.text("Accept")


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "INVITE", "PRACK", "INFO"])
async def test_a_request_in_a_dialog_that_is_not_there_is_refused(lab: _Lab, method: str) -> None:
    async with _unharmed(lab) as (live, _, _), _amy(lab) as script:
        stray = LineageSession(script)
        stray.pretend(live.target, f"tel:{_BOB}")
        stray.write_in_dialog("ACK")  # gets none
        stray.write_in_dialog(method)
        answer = await script.raw.final(method)
        assert answer.status in ((481,) if method in ("BYE", "UPDATE", "INVITE") else (403, 405, 481))


async def test_a_stranger_cannot_end_a_session_though_he_knows_its_dialog(lab: _Lab) -> None:
    """Call-ID, tags and routes of others, on a connection of his own."""
    async with _unharmed(lab) as (live, _, _), _amy(lab) as script:
        stray = LineageSession(script)
        stray.steal(live)
        stray.write_in_dialog("BYE")
        answer = await script.raw.final("BYE")
        assert answer.status == 481, answer.encode().decode()


# --------------------------------------------------------------------------------------------------------- hostile MSRP

_NOISE = {
    "octets": b"\x00\xff" * 4000,
    "a SIP request": b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "no end of head": b"MSRP abcd1234 SEND\r\nTo-Path: " + b"x" * 100_000,
    "a head without paths": b"MSRP abcd1234 SEND\r\nMessage-ID: 1\r\n-------abcd1234$\r\n",
    "a long transaction id": b"MSRP " + b"a" * 5000 + b" SEND\r\n",
}


@pytest.mark.parametrize("which", _NOISE)
async def test_noise_at_the_relay_ends_its_own_connection_only(lab: _Lab, which: str) -> None:
    before = len(lab.errors())
    async with _unharmed(lab):
        reader, writer = await asyncio.open_connection(*lab.relay())
        writer.write(_NOISE[which])
        async with asyncio.timeout(15):
            with suppress(OSError):  # the relay may have ended it already
                writer.write_eof()
                while await reader.read(4096):
                    pass
        writer.close()
    assert len(lab.errors()) > before


async def test_a_session_that_nobody_expects_gets_481(lab: _Lab) -> None:
    host, port = lab.relay()
    async with _unharmed(lab):
        msrp = await RawMsrp.dial(host, port, own="msrp://127.0.0.1:9/x;tcp", peer=f"msrp://{host}:{port}/nobody;tcp")
        sent = msrp.request("SEND", ("Message-ID: 1", "Byte-Range: 1-0/0"))
        assert (await msrp.response(sent)).status == 481
        msrp.close()


async def test_another_connection_for_a_bound_session_gets_506(lab: _Lab) -> None:
    async with _unharmed(lab) as (live, _, _):
        thief = await RawMsrp.dial(*lab.relay(), own=live.path, peer=live.msrp.peer)
        sent = thief.request("SEND", ("Message-ID: 1", "Byte-Range: 1-0/0"))
        assert (await thief.response(sent)).status == 506
        thief.close()


_BAD_SENDS: dict[str, tuple[tuple[str, ...], bytes, tuple[int, ...]]] = {
    "beyond the total": (("Message-ID: 1", "Byte-Range: 5-9/6", "Content-Type: message/cpim"), b"12345", (400,)),
    "a range that is not the body": (
        ("Message-ID: 2", "Byte-Range: 1-3/3", "Content-Type: message/cpim"),
        b"12345",
        (400,),
    ),
    "too large": (("Message-ID: 3", "Byte-Range: 1-*/99999999999", "Content-Type: message/cpim"), b"12345", (413,)),
    "no CPIM": (("Message-ID: 4", "Byte-Range: 1-5/5", "Content-Type: text/plain"), b"12345", (415,)),
    "broken CPIM": (("Message-ID: 5", "Byte-Range: 1-5/5", "Content-Type: message/cpim"), b"12345", (400,)),
    "no Message-ID": (("Byte-Range: 1-5/5", "Content-Type: message/cpim"), b"12345", (400,)),
    "a range that is none": (("Message-ID: 6", "Byte-Range: a-b/c", "Content-Type: message/cpim"), b"12345", (400,)),
}


@pytest.mark.parametrize("which", _BAD_SENDS)
async def test_a_bad_chunk_gets_the_status_for_it_and_the_session_goes_on(lab: _Lab, which: str) -> None:
    headers, body, allowed = _BAD_SENDS[which]
    async with _unharmed(lab) as (live, _, _):
        flag = "+" if which == "too large" else "$"
        answer = await live.msrp.response(live.msrp.request("SEND", headers, body, flag))
        assert answer.status in allowed, answer


async def test_an_unknown_method_gets_501_and_the_session_goes_on(lab: _Lab) -> None:
    async with _unharmed(lab) as (live, _, _):
        assert (await live.msrp.response(live.msrp.request("NICKNAME", ('Use-Nickname: "x"',)))).status == 501


async def test_a_connection_that_is_half_closed_still_gets_its_answers_and_the_peer_is_told(lab: _Lab) -> None:
    async with real_phones() as phones, _amy(lab) as script:
        bob = await phones.add("bob", lab.carriers["blue"], _BOB, "ios")
        session = LineageSession(script)
        await session.invite(f"tel:{_BOB}")
        body = cpim("last words", f"{uuid4()}")
        sent = session.chunk("1", body, 1, len(body))
        session.msrp.half_close()
        assert (await session.msrp.response(sent)).status == 200
        await received(bob, "last words")
        bye = await script.raw.request("BYE")
        assert "MSRP" in (bye.text("Reason") or "")
        script.raw.answer(bye)
        await until(phones, lambda: bob.chat(_AMY).session in ("", "open"))


async def test_sessions_that_are_reset_leave_the_others_alone(lab: _Lab) -> None:
    async with _unharmed(lab), _amy(lab) as script:
        session = LineageSession(script)
        await session.invite(f"tel:{_BOB}")
        session.msrp.reset()
        script.raw.answer(await script.raw.request("BYE"))


async def test_connections_that_bind_nothing_are_closed_in_time(lab: _Lab) -> None:
    async with _unharmed(lab):
        readers = [await asyncio.open_connection(*lab.relay()) for _ in range(50)]
        async with asyncio.timeout(20):
            for reader, writer in readers:
                assert await reader.read(1) == b""
                writer.close()
