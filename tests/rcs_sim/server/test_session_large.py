"""Digest §4.1, §4.5, §15.5: large message mode."""

from __future__ import annotations

from dataclasses import replace

from ims_core.wire.msrp.media import Direction, MsrpMedia, Setup
from ims_core.wire.sdp import SessionDescription
from ims_core.wire.sip.call_outputs import EndReason
from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, BOB, CONFIG, PHONE, RCS_TAGS, UeBinding, cpim, gruu
from tests.rcs_sim.server.session_lab import LARGE, Party, SessionLab, on_virtual_time, session_lab

BIG = cpim("x" * 3_000_000)
CAPABLE = UeBinding(tags=RCS_TAGS + ";+g.gsma.rcs.cpm.pager-large")


async def parties(lab: SessionLab, binding: UeBinding = CAPABLE) -> tuple[Party, Party]:
    await lab.register(binding)
    alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
    alice.direction, bob.direction = Direction.SENDONLY, Direction.RECVONLY
    alice.max_octets = bob.max_octets = 10_000_000
    return alice, bob


@on_virtual_time
async def test_a_message_of_any_length_streams_to_the_device_and_bye_goes_on() -> None:
    async with session_lab() as lab:
        alice, bob = await parties(lab)
        bob.setup = Setup.ACTIVE
        alice.invite(service=LARGE)
        await lab.settle()
        assert alice.status == 200
        _, media = MsrpMedia.of(SessionDescription.parse(alice.response.body))
        assert (media.direction, media.max_size) == (Direction.RECVONLY, CONFIG.large_max_octets)
        assert "oma.cpm.largemsg" in (alice.response.text("Contact") or "")
        sent = alice.send(BIG)
        await lab.settle(3)
        assert bob.notes.bodies == [BIG]
        assert alice.notes.sent_ids == [sent]
        alice.hang_up()
        await lab.settle()
        assert bob.end is not None
        assert bob.end.reason is EndReason.PEER_HUNG_UP
        assert len(lab.server.core.sessions.services.book) == 0  # type: ignore[union-attr]  # there is one


@on_virtual_time
async def test_a_user_of_ours_sends_one_and_it_does_not_touch_his_chat() -> None:
    async with session_lab() as lab:
        bob, alice = await lab.party("bob", "sip:bob"), await lab.party("alice", f"tel:{ALICE}")
        bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE)
        await lab.settle()
        sender, receiver = await lab.party("bob2", "sip:bob2"), await lab.party("alice2", f"tel:{ALICE}")
        alice.uri = "sip:not-for-this-one"
        sender.direction, receiver.direction = Direction.SENDONLY, Direction.RECVONLY
        sender.max_octets = receiver.max_octets = 10_000_000
        sender.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE, service=LARGE)
        await lab.settle()
        sender.send(BIG)
        await lab.settle(3)
        assert receiver.notes.bodies == [BIG]
        assert (bob.end, alice.end) == (None, None)
        bob.send()
        await lab.settle()
        assert alice.notes.bodies == [cpim()]


@on_virtual_time
async def test_for_an_absent_user_it_is_stored_and_comes_in_a_session() -> None:
    async with session_lab() as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.direction = Direction.SENDONLY
        alice.invite(service=LARGE)
        await lab.settle()
        assert alice.status == 200
        sent = alice.send(BIG)
        await lab.settle(3)
        assert alice.notes.sent_ids == [sent]
        alice.hang_up()
        await lab.settle()
        bob = await lab.party("bob", gruu(PHONE))
        bob.max_octets = 10_000_000
        await lab.register()
        await lab.settle(5)
        assert bob.notes.bodies == [BIG]


@on_virtual_time
async def test_more_than_the_limit_is_not_stored_413() -> None:
    async with session_lab(config=replace(CONFIG, large_max_octets=100_000)) as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.direction = Direction.SENDONLY
        alice.invite(service=LARGE)
        await lab.settle()
        alice.send(BIG)
        await lab.settle(3)
        assert [failure.status for failure in alice.notes.failures] == [413]


@on_virtual_time
async def test_a_device_without_that_mode_gets_it_in_a_session() -> None:
    async with session_lab() as lab:
        alice, bob = await parties(lab, UeBinding())
        bob.direction = Direction.SENDRECV
        alice.invite(service=LARGE)
        await lab.settle()
        assert alice.status == 200
        assert bob.invites == []
        alice.send(BIG)
        await lab.settle(5)
        assert bob.notes.bodies == [BIG]


@on_virtual_time
async def test_a_connection_that_breaks_ends_both_legs_and_the_sender_has_no_answer() -> None:
    async with session_lab() as lab:
        alice, bob = await parties(lab)
        bob.notes.settles_with = None
        alice.invite(service=LARGE)
        await lab.settle()
        alice.send(BIG)
        await lab.settle()
        await bob.stack.close()
        await lab.settle(2)
        assert alice.notes.sent_ids == []
        assert alice.end is not None
        assert bob.end is not None


@on_virtual_time
async def test_a_session_that_nobody_ends_is_ended() -> None:
    async with session_lab() as lab:
        alice, bob = await parties(lab)
        alice.invite(service=LARGE)
        await lab.settle(CONFIG.large_idle_s + 1)
        assert alice.end is not None
        assert bob.end is not None
