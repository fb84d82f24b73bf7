"""Statements of the group Session and MSRP, and what sessions add to other groups, on the whole network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ims_core.trace import RecordKind
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.message import Continuation, MsrpRequest
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.sdp import SessionDescription
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.display import Shown
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import profile_folder
from rcs_sim.wire.cpim import CpimMessage
from tests.conformance.stage import ALICE, BOB, Stage, network_with, play

LONG = "too long for pager mode " * 250  # 6,000 octets: several chunks
LEGS = (("alice", "red.msrp_relay"), ("red.msrp_relay", "blue.msrp_relay"), ("blue.msrp_relay", "bob"))
SESSION = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"


def profile_with(folder: Path, text: str, kind: str = "carriers", base: str = "google-like") -> str:
    """A profile of its own, as *base* but for *text*."""
    path = folder / "own.yaml"
    path.write_text((profile_folder() / kind / f"{base}.yaml").read_text(encoding="utf-8") + text, encoding="utf-8")
    return str(path)


def pieces(stage: Stage, source: str, target: str) -> list[Piece]:
    """The SENDs from one element to another, in order."""
    found = []
    for record in stage.sink.records:
        if (record.protocol, record.source, record.target) == ("MSRP", source, target):
            (event,) = FrameDecoder().feed(record.raw)
            if isinstance(event, Piece):
                found.append(event)
    return found


def content(stage: Stage, source: str, target: str) -> list[bytes]:
    """Whole messages from one element to another, their chunks joined."""
    chunks: dict[str, bytes] = {}
    whole = []
    for piece in pieces(stage, source, target):
        name = piece.head.message_id or ""
        chunks[name] = chunks.get(name, b"") + piece.octets
        if piece.continuation is Continuation.COMPLETE and chunks[name]:
            whole.append(chunks[name])
    return whole


def media(stage: Stage, method: str, source: str, target: str) -> list[MsrpMedia]:
    """What the bodies of requests, or of responses to INVITE ("200"), say."""
    bodies = [
        each.body
        for each in stage.messages(source, target)
        if each.body
        and each.text("Content-Type") == "application/sdp"
        and (each.method if isinstance(each, Request) else str(each.status)) == method
    ]
    return [MsrpMedia.of(SessionDescription.parse(body))[1] for body in bodies]


async def in_session(stage: Stage) -> tuple[Phone, Phone]:
    alice, bob = await stage.alice(), await stage.bob()
    await alice.chat(BOB).send(LONG).delivered(10)
    return alice, bob


def test_p01_below_1300_octets_of_cpim_it_is_a_message_from_there_on_a_session() -> None:
    async def story(stage: Stage) -> None:
        alice, _ = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("short").delivered(10)
        (request,) = stage.requests("MESSAGE", "alice", "red.pcscf")
        room = 1299 - (len(request.body) - len("short"))
        await alice.chat(BOB).send("x" * (room - 2)).delivered(10)  # Content-Length has two digits more
        assert not stage.requests("INVITE", "alice")
        await alice.chat(BOB).send("x" * (room + 2)).delivered(10)
        (invite,) = stage.requests("INVITE", "alice", "red.pcscf")
        assert invite.text("P-Preferred-Service") == SESSION
        assert max(len(each.body) for each in stage.requests("MESSAGE", "alice", "red.pcscf")) in range(1290, 1300)

    play(story)


def test_s01_tls_is_offered_with_a_fingerprint_where_the_carrier_says_so(tmp_path: Path) -> None:
    own = profile_with(tmp_path, "msrp_tls: true\n")

    async def story(stage: Stage) -> None:
        await in_session(stage)
        (offer,) = media(stage, "INVITE", "alice", "red.pcscf")
        assert offer.is_tls
        assert offer.path[0].scheme == "msrps"
        assert offer.fingerprints
        (answer,) = media(stage, "200", "red.pcscf", "alice")
        assert answer.is_tls
        assert answer.fingerprints

    play(story, network_with(red=own, blue=own))


def test_s01_without_tls_it_is_plain_and_has_no_fingerprint() -> None:
    async def story(stage: Stage) -> None:
        await in_session(stage)
        (offer,) = media(stage, "INVITE", "alice", "red.pcscf")
        assert not offer.is_tls
        assert (offer.path[0].scheme, offer.fingerprints) == ("msrp", ())

    play(story)


def test_one_carrier_with_tls_and_one_without_understand_each_other(tmp_path: Path) -> None:
    own = profile_with(tmp_path, "msrp_tls: true\n")

    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        await bob.chat(ALICE).send(LONG).delivered(10)
        assert {offer.is_tls for offer in media(stage, "INVITE", "alice", "red.pcscf")} == {True}
        assert not media(stage, "200", "bob", "blue.pcscf")[0].is_tls
        assert alice.chat(BOB).messages[-1].text == LONG

    play(story, network_with(red=own))


def test_s02_s05_on_each_leg_one_side_connects_to_what_c_and_m_of_the_other_say() -> None:
    async def story(stage: Stage) -> None:
        await in_session(stage)
        legs = (("alice", "red.pcscf"), ("red.ibcf", "blue.ibcf"), ("blue.pcscf", "bob"))
        for source, target in legs:
            (offer,), (answer,) = media(stage, "INVITE", source, target), media(stage, "200", target, source)
            assert (offer.has_cema, answer.has_cema) == (True, True)
            assert offer.setup is Setup.ACTPASS
            assert answer.setup in (Setup.ACTIVE, Setup.PASSIVE)
            passive = offer if answer.setup is Setup.ACTIVE else answer
            connected = {
                record.target_address
                for record in stage.sink.records
                if record.protocol == "MSRP" and record.kind is RecordKind.MESSAGE
            }
            assert f"{passive.host}:{passive.port}" in connected

    play(story)


def test_s03_the_side_that_connects_sends_first_and_an_empty_send_if_it_has_nothing_to_say() -> None:
    async def story(stage: Stage) -> None:
        await in_session(stage)
        firsts: dict[frozenset[str], tuple[str, MsrpRequest]] = {}
        for record in stage.sink.records:
            if record.protocol == "MSRP" and record.kind is RecordKind.MESSAGE:
                (event,) = FrameDecoder().feed(record.raw)
                head = event.head if isinstance(event, Piece) else event
                ends = frozenset((record.source_address, record.target_address))
                if isinstance(head, MsrpRequest):
                    firsts.setdefault(ends, (record.source, head))
        heads = dict(firsts.values())
        assert set(heads) == {"alice", "red.msrp_relay", "bob"}  # each of them was the active one
        assert {head.method for head in heads.values()} == {"SEND"}
        assert heads["alice"].content_type == "message/cpim"  # what she wanted to say
        for name in ("red.msrp_relay", "bob"):
            assert heads[name].text("Byte-Range") == "1-0/0"
            assert heads[name].content_type is None

    play(story)


def test_s07_s16_chunks_cover_the_message_and_every_leg_carries_the_same_octets() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        bodies = [content(stage, *leg)[0] for leg in LEGS]
        assert bodies[0] == bodies[1] == bodies[2]
        assert CpimMessage.parse(bodies[0]).body.decode() == LONG
        for leg in LEGS:
            sent = [
                piece for piece in pieces(stage, *leg) if piece.octets and piece.head.content_type == "message/cpim"
            ]
            assert len(sent) > 2
            place = 1
            for piece in sent[: len(sent)]:
                if piece.start == 1 and place > 1:
                    break  # the next message
                assert piece.start == place
                place = piece.end + 1
            assert place - 1 == len(bodies[0])
        await bob.chat(ALICE).send("back").delivered(10)
        back = [content(stage, target, source)[-1] for source, target in LEGS]
        assert back[0] == back[1] == back[2]
        assert alice.chat(BOB).messages[-1].text == "back"

    play(story)


def test_s09_who_asks_for_success_reports_gets_one_from_the_far_end(tmp_path: Path) -> None:
    device = profile_with(tmp_path, "session: {requests_report: true}\n", "devices", "android")

    async def story(stage: Stage) -> None:
        alice = await stage.sim.add_phone("alice", device, "red", msisdn=ALICE)
        await stage.bob()
        await alice.chat(BOB).send(LONG).delivered(10)
        for source, target in LEGS:
            asked = [piece.head.text("Success-Report") for piece in pieces(stage, source, target) if piece.octets]
            assert asked[0] == "yes"
        reports = [
            record.raw
            for record in stage.sink.records
            if record.protocol == "MSRP" and record.target == "alice" and b" REPORT\r\n" in record.raw
        ]
        assert any(b"Status: 000 200" in raw for raw in reports)

    play(story)


def test_s10_a_session_that_is_gone_at_the_network_is_invited_anew_and_nothing_is_lost() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        async with stage.sim.partition("red.msrp_relay"):
            await asyncio.sleep(40)
        message = alice.chat(BOB).send(LONG + "again")
        await message.delivered(200)
        assert message.transport is MessageTransport.RCS
        assert len(stage.requests("INVITE", "alice", "red.pcscf")) == 2
        assert [each.text for each in bob.chat(ALICE).messages] == [LONG, LONG + "again"]

    play(story)


def test_s11_a_message_that_is_too_large_fails_and_the_session_stays(tmp_path: Path) -> None:
    own = profile_with(tmp_path, "max_chat_octets: 8000\n")

    async def story(stage: Stage) -> None:
        alice, _ = await in_session(stage)
        message = alice.chat(BOB).send("y" * 9000)
        await message.final(60)
        assert message.state is MessageState.FAILED
        assert alice.chat(BOB).session == "open"
        await alice.chat(BOB).send("still here").delivered(10)
        assert len(stage.requests("INVITE", "alice", "red.pcscf")) == 1

    play(story, network_with(blue=own, red=own))


def test_s13_the_idle_timer_of_the_document_ends_the_session_by_bye(tmp_path: Path) -> None:
    own = profile_with(tmp_path, "chat_idle_s: 60\n")

    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        await asyncio.sleep(50)
        assert not stage.requests("BYE")
        await asyncio.sleep(20)
        assert stage.requests("BYE", "alice", "red.pcscf") or stage.requests("BYE", "bob", "blue.pcscf")
        assert (alice.chat(BOB).session, bob.chat(ALICE).session) == ("", "")

    play(story, network_with(red=own, blue=own))


def test_s14_update_keeps_a_session_beyond_1800_s() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        for number in range(20):
            await asyncio.sleep(200)
            await alice.chat(BOB).send(f"{number}").delivered(10)
        assert len(stage.requests("INVITE", "alice", "red.pcscf")) == 1
        assert stage.requests("UPDATE")
        assert not stage.requests("BYE")
        assert bob.chat(ALICE).session == "open"

    play(story)


def test_s15_the_second_session_of_a_pair_replaces_the_first() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        await alice.lose_power()
        await alice.power_on()
        await asyncio.sleep(1)
        await alice.chat(BOB).send(LONG + "new").delivered(20)
        await asyncio.sleep(30)
        assert bob.chat(ALICE).session == "open"
        assert len(stage.requests("INVITE", "blue.pcscf", "bob")) == 2
        assert len(stage.requests("BYE", "blue.pcscf", "bob") + stage.requests("BYE", "bob", "blue.pcscf")) == 1
        await bob.chat(ALICE).send("to the new one").delivered(10)
        assert [each.text for each in alice.chat(BOB).messages][-1] == "to the new one"

    play(story)


@pytest.mark.parametrize("accepts", [True, False])
def test_s18_aut_accept_answers_at_once_and_without_it_the_phone_rings(accepts: bool, tmp_path: Path) -> None:
    own = profile_with(tmp_path, f"auto_accept: {str(accepts).lower()}\n")

    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        message = alice.chat(BOB).send(LONG)
        await asyncio.sleep(5)
        statuses = [
            each.status
            for each in stage.messages("bob", "blue.pcscf")
            if isinstance(each, Response) and each.cseq.method == "INVITE"
        ]
        assert statuses == ([200] if accepts else [180])
        assert bob.chat(ALICE).is_invited is not accepts
        if not accepts:
            assert bob.chat(ALICE).accept()
        await message.delivered(10)

    play(story, network_with(blue=own))


def test_i05_receipts_take_the_session_while_it_is_open_else_pager_mode() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await in_session(stage)
        assert any(b"imdn+xml" in body for body in content(stage, "bob", "blue.msrp_relay"))
        assert not stage.cpims("bob", "", "message/imdn+xml")
        alice.chat(BOB).end_session()
        await asyncio.sleep(5)
        bob.chat(ALICE).read()
        await asyncio.sleep(5)
        (receipt,) = stage.cpims("bob", "", "message/imdn+xml")
        assert b"<displayed" in receipt.body
        assert [
            record.details["what"]
            for record in stage.sink.records
            if record.source == "alice" and record.kind is RecordKind.SHOWN
        ].count(Shown.DISPLAYED) == 1

    play(story)


def test_m10_what_was_sent_in_a_session_is_taken_back_in_pager_mode() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(10)
        await bob.power_off()
        message = alice.chat(BOB).send(LONG[:1400])
        await message.sent(10)
        assert alice.chat(BOB).session == "open"  # the server took it for him
        await asyncio.sleep(40)
        assert MessageState.REVOKED in [change.state for change in message.history]
        assert stage.cpims("alice", "", "application/vnd.gsma.rcsrevoke+xml") or any(
            b"rcsrevoke" in each.body for each in stage.requests("MESSAGE", "alice")
        )
        assert not any(b"rcsrevoke" in body for body in content(stage, "alice", "red.msrp_relay"))

    play(story)


@pytest.mark.parametrize("interworks", [True, False])
def test_l04_msgfallback_in_the_contact_of_the_200_leaves_fallback_to_the_network(
    interworks: bool, tmp_path: Path
) -> None:
    own = profile_with(tmp_path, f"interworking: {str(interworks).lower()}\n")

    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(10)
        await bob.power_off()
        message = alice.chat(BOB).send(LONG[:1400])
        await message.sent(10)
        (answer, *_) = [
            each
            for each in stage.messages("red.pcscf", "alice")
            if isinstance(each, Response) and (each.cseq.method, each.status) == ("INVITE", 200)
        ]
        assert ("+g.gsma.rcs.msgfallback" in (answer.text("Contact") or "")) is interworks
        await asyncio.sleep(60)
        assert (MessageState.REVOKED in [change.state for change in message.history]) is not interworks

    play(story, network_with(blue=own))


def test_n04_what_a_session_sends_later_takes_the_nodes_that_recorded_themselves() -> None:
    async def story(stage: Stage) -> None:
        alice, _ = await in_session(stage)
        (invite,) = stage.requests("INVITE", "red.scscf", "red.messaging_server")
        assert len(invite.texts("Record-Route")) == 2  # S-CSCF, P-CSCF
        alice.chat(BOB).end_session()
        await asyncio.sleep(5)
        hops = [(record.source, record.target) for record in stage.records() if record.summary.startswith("BYE ")]
        assert hops[:3] == [
            ("alice", "red.pcscf"),
            ("red.pcscf", "red.scscf"),
            ("red.scscf", "red.messaging_server"),
        ]
        assert {("red.ibcf", "blue.ibcf"), ("blue.scscf", "blue.messaging_server"), ("blue.pcscf", "bob")} <= set(hops)
        assert not [hop for hop in hops if "icscf" in hop[0] + hop[1] or "blue.icscf" in hop]

    play(story)
