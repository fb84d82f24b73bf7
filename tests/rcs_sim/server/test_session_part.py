"""Digest §15.5: what comes of an INVITE before anybody is asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, BOB, CONFIG, PHONE, TABLET, UeBinding, gruu, message
from tests.rcs_sim.server.session_lab import on_virtual_time, session_lab

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
