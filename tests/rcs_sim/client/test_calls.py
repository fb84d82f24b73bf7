from __future__ import annotations

import asyncio

import pytest

from ims_core.transport.sip_stack import Hop, Outcome
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.phone import Phone
from tests.rcs_sim.client.stories import play
from tests.support.session_phones import two_in_sessions
from tests.support.stub_core import ALICE, BOB, CORE_HOST, HOME, World

_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.1.10\r\ns=-\r\nc=IN IP4 127.0.1.10\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n"
    b"a=accept-types:message/cpim\r\na=path:msrp://127.0.1.10:2855/s1;tcp\r\na=setup:actpass\r\n"
)


def _request(method: str, *headers: tuple[str, str], body: bytes = _SDP, kind: str = "application/sdp") -> Request:
    fields = [
        ("Max-Forwards", "70"),
        ("From", f"<sip:{ALICE}@{HOME}>;tag=a1"),
        ("To", f"<tel:{BOB}>"),
        ("Call-ID", "call-1"),
        ("CSeq", f"1 {method}"),
        ("Contact", f"<sip:server@{CORE_HOST}>"),
        ("P-Asserted-Identity", f"<sip:{ALICE}@{HOME}>"),
    ]
    names = {name for name, _ in headers}
    kept = [each for each in fields if each[0] not in names]
    return Request.new(method, f"tel:{BOB}", (*kept, *headers), body, kind if body else None)


async def _answers(world: World, request: Request) -> list[Response]:
    """What Bob's phone says to *request* within five seconds."""
    outcomes: list[Outcome] = []
    world.core.send(BOB, request, outcomes.append)
    await asyncio.sleep(5)
    return [each for each in outcomes if isinstance(each, Response) and each.status > 100]


async def _bob(world: World, **document: object) -> Phone:
    _, bob, _ = await two_in_sessions(world, document=document)
    return bob


@pytest.mark.parametrize(
    ("request_", "status", "header"),
    [
        (_request("INVITE", body=b"x", kind="application/unknown"), 415, "Accept"),  # RFC 4475 invut
        (_request("INVITE", ("Accept", "text/nobodyKnowsThis"), body=b""), 406, ""),  # RFC 4475 sdp01
        (_request("INVITE", body=b"v=0\r\n"), 488, ""),
        (_request("INVITE", body=_SDP.replace(b"m=message 2855", b"m=message 0")), 488, ""),
        (_request("INVITE", body=_SDP.replace(b"message/cpim", b"text/html")), 488, ""),
        (_request("INVITE", ("Require", "fancy")), 420, "Unsupported"),
        (_request("INVITE", ("Contact", f"<sip:focus@{CORE_HOST}>;isfocus")), 480, ""),
        (_request("INVITE", ("Session-Expires", "60"), ("Supported", "timer")), 422, "Min-SE"),
        (_request("INVITE", ("To", f"<tel:{BOB}>;tag=unknown")), 481, ""),
        (_request("BYE", ("To", f"<tel:{BOB}>;tag=unknown"), body=b""), 481, ""),
        (_request("UPDATE", ("To", f"<tel:{BOB}>;tag=unknown")), 481, ""),
        (_request("PRACK", ("To", f"<tel:{BOB}>;tag=unknown"), ("RAck", "1 1 INVITE"), body=b""), 481, ""),
    ],
)
def test_what_cannot_be_taken_gets_the_answer_that_the_rfc_names(request_: Request, status: int, header: str) -> None:
    async def story(world: World) -> None:
        bob = await _bob(world)
        (answer,) = await _answers(world, request_)
        assert answer.status == status
        assert not header or answer.has(header)
        assert bob.chat(ALICE).session == ""

    play(story)


def test_an_invitation_is_answered_at_once_or_rings_s18() -> None:
    async def story(world: World) -> None:
        await _bob(world)
        (answer,) = await _answers(world, _request("INVITE"))
        assert answer.status == 200
        assert b"a=setup:active" in answer.body
        assert "+g.gsma.rcs.msgrevoke" in (answer.text("Contact") or "")

    async def ringing(world: World) -> None:
        await _bob(world, auto_accept=False)
        assert [each.status for each in await _answers(world, _request("INVITE"))] == [180]

    play(story)
    play(ringing)


def test_an_invitation_without_a_description_gets_an_offer() -> None:
    async def story(world: World) -> None:
        await _bob(world)
        (answer,) = await _answers(world, _request("INVITE", body=b""))
        assert answer.status == 200
        assert b"a=setup:actpass" in answer.body

    play(story)


def test_the_200_is_repeated_until_its_ack_and_then_the_call_ends() -> None:
    async def story(world: World) -> None:
        bob = await _bob(world)
        await _answers(world, _request("INVITE"))
        sent = [each for each in world.sink.records if each.source == "bob" and each.summary == "200 OK (INVITE)"]
        assert len(sent) > 1
        await asyncio.sleep(200)
        assert bob.chat(ALICE).session == ""

    play(story)


def test_a_cancelled_invitation_stops_ringing() -> None:
    async def story(world: World) -> None:
        bob = await _bob(world, auto_accept=False)
        outcomes: list[Outcome] = []
        binding = world.core.bindings[BOB]
        invite = _request("INVITE").edit().request_uri(binding.contact.uri).done()
        client = world.core.stack.send_request(invite, Hop(flow=binding.flow), outcomes.append)
        await asyncio.sleep(2)
        assert bob.chat(ALICE).is_invited
        client.cancel([("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
        await asyncio.sleep(2)
        assert not bob.chat(ALICE).is_invited
        assert [each.status for each in outcomes if isinstance(each, Response)][-1] == 487
        assert "ended: cancelled by the peer" in world.states("bob", "session")

    play(story)


def test_the_same_invitation_over_another_path_is_merged() -> None:
    async def story(world: World) -> None:
        await _bob(world, auto_accept=False)
        await _answers(world, _request("INVITE"))
        (answer,) = await _answers(world, _request("INVITE"))
        assert answer.status == 482

    play(story)


def test_a_call_leaves_nothing_behind() -> None:
    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        alice.chat(BOB).end_session()
        await asyncio.sleep(600)
        for phone in (alice, bob):
            assert phone._ims is not None
            assert phone._ims.sessions is not None
            assert (len(phone._ims.sessions), len(phone._ims.sessions.calls)) == (0, 0)

    play(story)
