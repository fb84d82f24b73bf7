"""Digest §15.5, §19.3, §19.4: sessions for a user of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.wire.msrp.media import Setup
from ims_core.wire.sip.call_outputs import EndReason
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.session_terminating import is_incapable
from rcs_sim.wire.cpim import CpimMessage
from tests.rcs_sim.server.messaging_lab import ALICE, BOB, CONFIG, M1, PHONE, TABLET, UeBinding, cpim, gruu
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab

TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


async def alice_and_phone(lab: SessionLab) -> tuple[Party, Party]:
    await lab.register()
    return await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))


async def two_devices(lab: SessionLab) -> tuple[Party, Party, Party]:
    await lab.register(UeBinding())
    await lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    return (
        await lab.party("alice", f"tel:{ALICE}"),
        await lab.party("bob", gruu(PHONE)),
        await lab.party("tablet", gruu(TABLET)),
    )


@on_virtual_time
async def test_the_device_is_offered_actpass_at_the_anchor_and_the_sender_answered_passive() -> None:
    async with session_lab() as lab:
        alice, bob = await alice_and_phone(lab)
        bob.setup = Setup.ACTIVE
        alice.invite()
        await lab.settle()
        assert alice.status == 200
        assert bob.remote is not None
        assert (bob.remote.host, bob.remote.setup, bob.remote.is_tls) == ("127.0.2.22", Setup.ACTPASS, False)
        assert alice.remote is not None
        assert alice.remote.setup is Setup.PASSIVE
        alice.send()
        await lab.settle()
        assert bob.notes.bodies == [cpim()]


@on_virtual_time
async def test_the_first_device_that_answers_wins_and_the_others_are_cancelled_with_the_reason() -> None:
    async with session_lab() as lab:
        alice, bob, tablet = await two_devices(lab)
        tablet.on_invite = "ring"
        bob.on_invite = "ring"
        alice.invite()
        await lab.settle()
        assert alice.rang == 1
        bob.answer()
        await lab.settle()
        assert alice.status == 200
        assert tablet.end is not None
        assert tablet.end.reason is EndReason.CANCELLED
        assert tablet.end.reason_header == 'SIP;cause=200;text="Call completed elsewhere"'


@on_virtual_time
async def test_a_second_answer_is_acknowledged_and_ended() -> None:
    async with session_lab() as lab:
        alice, bob, tablet = await two_devices(lab)
        alice.invite()
        await lab.settle()
        assert alice.status == 200
        ended = [party.end for party in (bob, tablet) if party.end is not None]
        assert len(ended) == 1
        alice.send()
        await lab.settle()
        assert sorted(len(party.notes.bodies) for party in (bob, tablet)) == [0, 1]


@pytest.mark.parametrize("status", [486, 600, 603])
def test_what_a_user_declines_stays_declined(status: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            alice, bob, tablet = await two_devices(lab)
            bob.on_invite, tablet.on_invite = status, 480
            alice.invite()
            await lab.settle()
            assert alice.status == status

    story()


@on_virtual_time
async def test_a_device_that_declines_for_its_user_ends_the_ringing_of_the_others_with_the_reason() -> None:
    async with session_lab() as lab:
        alice, bob, tablet = await two_devices(lab)
        tablet.on_invite = "ring"
        bob.on_invite = 603
        alice.invite()
        await lab.settle()
        assert alice.status == 603
        assert tablet.end is not None
        assert tablet.end.reason is EndReason.CANCELLED
        assert tablet.end.reason_header == 'SIP;cause=603;text="Decline"'


@pytest.mark.parametrize("status", [408, 480, 404, 503, 488, 405])
def test_the_server_takes_the_session_where_no_device_can(status: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            alice, bob = await alice_and_phone(lab)
            bob.on_invite = status
            alice.invite()
            await lab.settle()
            assert alice.status == 200

    story()


@on_virtual_time
async def test_the_server_takes_the_session_of_an_absent_user_and_stores_before_it_answers() -> None:
    async with session_lab() as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.invite()
        conversation_id = alice.call.invite.text("Conversation-ID")  # type: ignore[union-attr]  # it has one
        await lab.settle()
        assert alice.status == 200
        sent = alice.send()
        await lab.settle()
        assert alice.notes.sent_ids == [sent]
        assert "message stored" in lab.notes
        await lab.register()
        await lab.settle()
        (handed_out,) = lab.core.messages
        assert handed_out.body == cpim()
        assert handed_out.text("Conversation-ID") == conversation_id


@on_virtual_time
async def test_silence_of_the_devices_is_followed_by_the_server_after_the_guard() -> None:
    async with session_lab() as lab:
        alice, bob = await alice_and_phone(lab)
        bob.on_invite = None
        alice.invite()
        await lab.settle(CONFIG.session_fork_s - 1)
        assert alice.status is None
        await lab.settle(2)
        assert alice.status == 200


@on_virtual_time
async def test_ringing_gets_more_time() -> None:
    async with session_lab() as lab:
        alice, bob = await alice_and_phone(lab)
        bob.on_invite = "ring"
        alice.invite()
        await lab.settle(CONFIG.session_ringing_s - 1)
        assert alice.status is None
        await lab.settle(2)
        assert alice.status == 200
        assert bob.end is not None


@on_virtual_time
async def test_without_store_nobody_takes_it_480() -> None:
    async with session_lab(config=replace(CONFIG, has_store_and_forward=False)) as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.invite()
        await lab.settle()
        assert alice.status == 480


@on_virtual_time
async def test_a_group_session_is_never_taken_for_the_user() -> None:
    async with session_lab() as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.invite(headers=(("Contact", "<sip:focus@x>;isfocus"),))
        await lab.settle()
        assert alice.status == 480


@pytest.mark.parametrize("has_store", [True, False])
def test_devices_without_sessions_get_the_messages_by_pager(has_store: bool) -> None:
    @on_virtual_time
    async def story() -> None:
        await _by_pager(replace(CONFIG, has_store_and_forward=has_store))

    story()


async def _by_pager(config: MessagingServerConfig) -> None:
    async with session_lab(config=config) as lab:
        pager_only = UeBinding(tags=';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"')
        await lab.register(pager_only)
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite()
        await lab.settle()
        assert (alice.status, bob.invites) == (200, [])
        sent = alice.send()
        await lab.settle()
        assert alice.notes.sent_ids == [sent]
        (message,) = lab.core.messages
        assert message.request_uri_text == gruu(PHONE)
        assert CpimMessage.parse(message.body).message_id == M1
        assert message.text("Route") == "<sip:term@scscf.ims.mnc002.mcc001.3gppnetwork.org;lr>"


@on_virtual_time
async def test_a_cancelled_invite_is_cancelled_at_the_devices() -> None:
    async with session_lab() as lab:
        alice, bob = await alice_and_phone(lab)
        bob.on_invite = "ring"
        alice.invite()
        await lab.settle()
        alice.cancel()
        await lab.settle()
        assert bob.end is not None
        assert "changed my mind" in (bob.end.reason_header or "")
        assert len(lab.server.core.sessions.services.book) == 0  # type: ignore[union-attr]  # there is one


@on_virtual_time
async def test_a_blocked_sender_is_403() -> None:
    async with session_lab(blocked={f"tel:{BOB}": frozenset((f"tel:{ALICE}",))}) as lab:
        alice, bob = await alice_and_phone(lab)
        alice.invite()
        await lab.settle()
        assert (alice.status, bob.invites) == (403, [])


@on_virtual_time
async def test_an_invite_that_crosses_one_of_the_user_is_491_if_his_has_the_lower_key() -> None:
    """Bob's number is above Alice's: hers is kept. Carol, above Bob, has to wait."""
    async with session_lab() as lab:
        alice, bob = await alice_and_phone(lab)
        bob_out = await lab.party("bob-out", "sip:bob-out")
        zoe = await lab.party("zoe", "tel:+12025550199")
        zoe.on_invite = None
        bob_out.invite(sender=BOB, recipient="+12025550199", case="orig")
        await lab.settle()
        crossing = await lab.party("crossing", "sip:crossing")
        crossing.invite(sender="+12025550199")
        await lab.settle()
        assert crossing.status == 491
        alice.on_invite = None
        bob_again = await lab.party("bob-again", "sip:bob-again")
        bob_again.invite(sender=BOB, recipient=ALICE, case="orig")
        await lab.settle()
        other = await lab.party("alice-out", "sip:alice-out")
        other.invite(sender=ALICE)
        await lab.settle()
        assert other.status == 200
        assert bob.invites


def test_what_a_device_cannot_is_another_thing_than_what_a_user_does_not_want() -> None:
    assert is_incapable(488)
    assert not is_incapable(486)


@on_virtual_time
async def test_without_the_relay_that_was_there_when_it_rang_the_sender_gets_503() -> None:
    """No description of ours says where nobody can be connected to (RFC 4145 §4.1)."""
    async with session_lab() as lab:
        alice, bob = await alice_and_phone(lab)
        bob.on_invite = "ring"
        alice.invite()
        await lab.settle()
        await lab.relay.fail()
        bob.answer()
        await lab.settle()
        assert alice.status == 503
        assert bob.end is not None
