"""Digest §15.5: what comes of an INVITE before anybody is asked."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import replace

import pytest

from ims_core.transport.name_table import Hop
from ims_core.transport.sip_stack import Outcome
from ims_core.wire.msrp.media import MsrpMedia, Setup, offer
from ims_core.wire.msrp.uri import parse_path
from ims_core.wire.sdp import Origin
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.session_part import Sessions
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    CAROL,
    CONFIG,
    PHONE,
    TABLET,
    UeBinding,
    cpim,
    gruu,
    message,
)
from tests.rcs_sim.server.session_lab import AS, SESSION, SessionLab, on_virtual_time, session_lab

TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


@on_virtual_time
async def test_only_the_device_that_a_gruu_names_is_invited() -> None:
    async with session_lab() as lab:
        await lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
        alice = await lab.party("alice", f"tel:{ALICE}")
        bob, tablet = await lab.party("bob", gruu(PHONE)), await lab.party("tablet", gruu(TABLET))
        invite = message(b"", method="INVITE", target=gruu(TABLET))
        alice.invite()
        await lab.settle()
        assert bob.invites
        assert tablet.invites
        alice.invites.clear()
        bob.invites.clear()
        other = invite.edit().remove("Via").body(b"x", "text/plain").done()
        assert await lab.core.send(other) == 415  # nobody is asked without a session description
        assert bob.invites == []


@on_virtual_time
async def test_more_invites_than_the_rate_are_503() -> None:
    async with session_lab(config=replace(CONFIG, rate_per_s=0.01, rate_burst=1)) as lab:
        bob, _ = await lab.party("bob", "sip:bob"), await lab.party("alice", f"tel:{ALICE}")
        bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE)
        await lab.settle()
        assert bob.status == 200
        tablet = await lab.party("tablet", "sip:tablet")
        tablet.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE)
        await lab.settle()
        assert tablet.status == 503


@on_virtual_time
async def test_an_invite_with_another_body_than_sdp_is_415() -> None:
    async with session_lab() as lab:
        invite = message(b"v=0", method="INVITE").edit().remove("Via").done()
        assert invite.text("Content-Type") == "message/cpim"
        assert await lab.core.send(invite) == 415


@on_virtual_time
async def test_a_cancel_of_nothing_is_481() -> None:
    async with session_lab() as lab:
        cancel = message(b"", method="CANCEL")
        assert await lab.core.send(cancel) == 481


@on_virtual_time
async def test_sessions_end_with_everything_given_back() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        for _ in range(3):
            alice.invite()
            await lab.settle()
            alice.hang_up()
            await lab.settle(CONFIG.session_drain_s)
        await lab.settle(200)
        services = lab.server.core.sessions.services  # type: ignore[union-attr]  # there is one
        assert len(services.book) == 0
        assert len(services.shared.calls) == 0
        assert services.pending == {}
        assert bob.invites
        assert not lab.server._open
        assert not lab.server._calls._invites
        assert not lab.server._calls._sent


@on_virtual_time
async def test_at_the_end_of_the_server_both_sides_of_each_session_learn_why() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite()
        await lab.settle()
        began = lab.clock.now()
        await lab.server.end_sessions(0.3)
        assert lab.clock.now() - began < 0.1
        for party in (alice, bob):
            assert party.end is not None
            assert party.end.reason_header == 'SIP;cause=503;text="The network is shutting down"'
            assert party.notes.ends == []  # the BYE comes first
        assert not lab.server.core.has_sessions
        await lab.settle(1.5)
        assert [end.kind.value for end in (*alice.notes.ends, *bob.notes.ends)] == ["connection lost"] * 2


@on_virtual_time
async def test_a_message_that_is_under_way_at_the_end_is_answered_first_but_not_waited_for_long() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite()
        await lab.settle()
        bob.notes.settles_with = None
        sent = alice.send()
        await lab.settle(0.1)
        began = lab.clock.now()
        asyncio.get_running_loop().call_later(0.05, bob.channel.settle, bob.notes.messages[0].delivery)
        await lab.server.end_sessions(0.3)
        assert lab.clock.now() - began < 0.1
        await lab.settle()
        assert alice.notes.sent_ids == [sent]


@on_virtual_time
async def test_what_never_answers_does_not_hold_up_the_end_and_nothing_begins_any_more() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        bob.on_invite = "ring"
        alice.invite()
        await lab.settle()
        began = lab.clock.now()
        await lab.server.end_sessions(0.3)
        assert lab.clock.now() - began <= 0.31
        assert (alice.status, bob.end and bob.end.reason.name) == (503, "CANCELLED")
        alice.channel.close()
        alice.invite()
        await lab.settle()
        assert alice.status == 503
        assert len(bob.invites) == 1


@on_virtual_time
async def test_the_end_of_a_server_without_sessions_takes_no_time() -> None:
    async with session_lab() as lab:
        began = lab.clock.now()
        await lab.server.end_sessions(0.3)
        assert lab.clock.now() == began


def knock(lab: SessionLab, answers: list[int], number: int, *, sender: str = ALICE) -> None:
    """An INVITE of nobody's call, as the S-CSCF hands it over; *answers* gets its final status."""
    media = MsrpMedia(
        host="192.0.2.11",
        port=51001,
        is_tls=False,
        path=parse_path(f"msrp://192.0.2.11:51001/knock{number};tcp"),
        accept_types=("message/cpim",),
        setup=Setup.ACTPASS,
        has_cema=True,
    )
    contact = ("Contact", f"<sip:{number}@127.0.2.12;transport=tcp>")
    request = message(
        offer(media, Origin.of(media.host, number)).encode(),
        sender=sender,
        content_type="application/sdp",
        service=SESSION,
        method="INVITE",
        call_id=f"knock-{number}",
        headers=(contact,),
    )

    def told(outcome: Outcome) -> None:
        if outcome.status >= 200:
            answers.append(outcome.status)

    lab.core.stack.send_request(request.edit().remove("Via").done(), Hop(AS), told)


@on_virtual_time
async def test_invitations_that_wait_for_an_answer_are_bounded_for_each_sender() -> None:
    async with session_lab() as lab:
        await lab.register()
        bob = await lab.party("bob", gruu(PHONE))
        bob.on_invite = None
        answers: list[int] = []
        for number in range(20):
            knock(lab, answers, number)
        await lab.settle()
        assert (answers, len(bob.invites)) == ([503] * 12, 8)
        knock(lab, answers, 20, sender=CAROL)
        await lab.settle()
        assert (len(answers), len(bob.invites)) == (12, 9)
        await lab.settle(CONFIG.session_fork_s + 1)
        assert sorted(answers) == [200] * 9 + [503] * 12
        knock(lab, answers, 21)
        await lab.settle()
        assert len(bob.invites) == 10


@on_virtual_time
async def test_who_invites_and_hangs_up_without_end_is_slowed_down_and_leaves_nothing_behind() -> None:
    config = replace(CONFIG, session_rate_per_s=1.0, session_rate_burst=20)
    async with session_lab(config=config) as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        answers = []
        for _ in range(40):
            alice.invite()
            await lab.settle(0.05)
            answers.append(alice.status)
            if alice.status == 200:
                alice.hang_up()
            alice.channel.close()
            await lab.settle(0.05)
        assert answers[:20] == [200] * 20
        assert answers.count(503) >= 15
        await lab.settle(120)
        sessions = lab.server.core.sessions
        assert isinstance(sessions, Sessions)
        assert (len(sessions.services.shared.calls), len(sessions.services.book)) == (0, 0)
        assert sessions.services.pending == {}


@pytest.mark.parametrize(("case", "sender", "recipient"), [("orig", BOB, ALICE), ("term", ALICE, BOB)])
def test_without_its_relay_a_server_begins_no_session_and_says_so(case: str, sender: str, recipient: str) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            await lab.register()
            await lab.party("alice", f"tel:{ALICE}")
            await lab.party("bob", gruu(PHONE))
            await lab.relay.fail()
            answers = []
            for number in range(2):
                caller = await lab.party(f"caller{number}", f"sip:caller{number}")
                caller.invite(sender=sender, recipient=recipient, case=case)
                await lab.settle()
                answers.append((caller.status, caller.response.text("Retry-After") is not None))
                if not number:
                    await lab.relay.start()
            assert answers == [(503, True), (200, False)]

    story()


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, session_max_per_user=1),
        replace(CONFIG, session_max_total=1),
        replace(CONFIG, session_max_calls=1),
    ],
)
def test_a_session_beyond_the_limits_is_503_and_the_others_stay(config: MessagingServerConfig) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab(config=config) as lab:
            alice, carol = await lab.party("alice", f"tel:{ALICE}"), await lab.party("carol", f"tel:{CAROL}")
            alice.invite()
            await lab.settle()
            carol.invite(sender=CAROL, headers=(), recipient=BOB, case="term")
            await lab.settle()
            assert (alice.status, carol.status) == (200, 503)
            assert carol.response.text("Retry-After") is not None
            alice.send(cpim())
            await lab.settle()
            assert alice.notes.sent_ids

    story()


@on_virtual_time
async def test_a_device_that_takes_nothing_stops_the_sender_instead_of_filling_the_server() -> None:
    async with session_lab(config=replace(CONFIG, session_answer_s=60.0)) as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite()
        await lab.settle()
        bob.notes.settles_with = None
        sent = [alice.send(cpim("x" * 150_000, f"m{number}")) for number in range(30)]
        await lab.settle(5)
        sessions = lab.server.core.sessions
        assert isinstance(sessions, Sessions)
        assert len(sessions.services.pending) <= 8
        bob.notes.settles_with = 200
        for received in list(bob.notes.messages):
            bob.channel.settle(received.delivery)
        await lab.settle(5)
        assert alice.notes.sent_ids == sent


@on_virtual_time
async def test_at_the_end_many_sessions_do_not_take_the_loop_for_themselves() -> None:
    async with session_lab() as lab:
        answers: list[int] = []
        for number in range(8):
            knock(lab, answers, number, sender=f"+1202555011{number}")
        await lab.settle()
        assert answers == [200] * 8
        core, turns = lab.server.core, 1
        while core.shut_down(lab.clock.now(), 3)[1]:
            turns += 1
        assert turns == 3
        assert not core.shut_down(lab.clock.now(), 3)[1]


@on_virtual_time
async def test_an_encoded_offer_is_decoded_and_one_in_an_unknown_encoding_is_415() -> None:
    async with session_lab() as lab:
        for encoding, encode, status in (
            ("deflate", zlib.compress, 488),  # it is read, and has no media
            ("gzip", gzip.compress, 488),
            ("identity", bytes, 488),
            ("br", bytes, 415),
            ("gzip", bytes, 400),
        ):
            sdp = encode(b"v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n")
            invite = message(sdp, method="INVITE", content_type="application/sdp").edit().remove("Via")
            assert await lab.core.send(invite.set("Content-Encoding", encoding).done()) == status, encoding
