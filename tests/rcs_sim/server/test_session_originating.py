"""Digest §15.5, §19.3: sessions that a user of ours opens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.wire.msrp.media import Setup
from ims_core.wire.sip.call_outputs import EndReason
from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, BOB, C1, CONFIG, K1, cpim, sip
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab

FROM_BOB = {"sender": BOB, "recipient": ALICE, "case": "orig", "domain": BLUE}


async def parties(lab: SessionLab) -> tuple[Party, Party]:
    return await lab.party("bob", "sip:bob"), await lab.party("alice", f"tel:{ALICE}")


@on_virtual_time
async def test_the_next_leg_is_what_the_digest_names() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        bob.invite(**FROM_BOB)
        await lab.settle()
        (invite,) = alice.invites
        assert bob.status == 200
        assert invite.texts("Route") == (f"<sip:odi-7@scscf.{BLUE};lr>",)
        assert (invite.text("Conversation-ID"), invite.text("Contribution-ID")) == (C1, K1)
        assert invite.call_id != bob.call.call_id  # type: ignore[union-attr]  # it has one
        assert "sip:pf-leg-" in (invite.text("Contact") or "")
        assert "127.0.2.20:5060;transport=tcp" in (invite.text("Contact") or "")
        assert "oma.cpm.session" in (invite.text("Contact") or "")
        assert "+g.gsma.rcs.msgrevoke" in (invite.text("Contact") or "")
        for gone in ("P-Served-User", "Min-SE"):
            assert not invite.has(gone)
        remote = alice.remote
        assert remote is not None
        assert (remote.host, remote.port, remote.setup, remote.has_cema) == ("127.0.2.22", 2855, Setup.ACTPASS, True)
        assert remote.accept_types == ("message/cpim", "application/im-iscomposing+xml")
        assert remote.max_size == CONFIG.session_max_octets


@on_virtual_time
async def test_the_answer_to_the_user_is_passive_at_the_anchor_with_the_types_of_the_other_side() -> None:
    async with session_lab() as lab:
        bob, _ = await parties(lab)
        bob.invite(**FROM_BOB)
        await lab.settle()
        assert bob.remote is not None
        assert (bob.remote.host, bob.remote.port, bob.remote.setup) == ("127.0.2.22", 2855, Setup.PASSIVE)
        assert bob.remote.accept_types == ("message/cpim", "application/im-iscomposing+xml")
        assert bob.remote.has_cema
        assert bob.remote.cm_equals_path


@on_virtual_time
async def test_a_session_without_ids_gets_them() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        bob.invite(**FROM_BOB, headers=())
        await lab.settle()
        (invite,) = alice.invites
        assert invite.text("Conversation-ID")
        assert invite.text("Contribution-ID")


@on_virtual_time
async def test_180_is_passed_on_once_and_the_answer_after_it() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        alice.on_invite = "ring"
        bob.invite(**FROM_BOB)
        await lab.settle()
        assert (bob.rang, bob.status) == (1, None)
        alice.answer()
        await lab.settle()
        assert bob.status == 200


@pytest.mark.parametrize("status", [404, 480, 486, 488, 603])
def test_a_refusal_of_the_other_side_is_passed_on(status: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            bob, alice = await parties(lab)
            alice.on_invite = status
            bob.invite(**FROM_BOB)
            await lab.settle()
            assert bob.status == status
            assert len(lab.server.core.sessions.services.book) == 0  # type: ignore[union-attr]  # there is one

    story()


@on_virtual_time
async def test_cancel_goes_on_with_its_reason() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        alice.on_invite = "ring"
        bob.invite(**FROM_BOB)
        await lab.settle()
        bob.cancel()
        await lab.settle()
        assert alice.end is not None
        assert alice.end.reason is EndReason.CANCELLED
        assert "changed my mind" in (alice.end.reason_header or "")


@on_virtual_time
async def test_silence_of_the_other_side_ends_in_408() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        alice.on_invite = "ring"
        bob.invite(**FROM_BOB)
        await lab.settle(CONFIG.session_onward_s + 1)
        assert bob.status == 408
        assert alice.end is not None


@on_virtual_time
async def test_bye_goes_on_with_its_reason_and_the_connections_end() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        bob.invite(**FROM_BOB)
        await lab.settle()
        bob.hang_up('SIP;cause=200;text="done"')
        await lab.settle()
        assert alice.end is not None
        assert alice.end.reason is EndReason.PEER_HUNG_UP
        assert 'text="done"' in (alice.end.reason_header or "")
        await lab.settle(6)
        assert len(bob.notes.ends) == 1
        assert len(alice.notes.ends) == 1


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((), b"v=1\r\n", 400),
        ((), b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n", 488),
        ((("Require", "precondition"),), None, 420),
    ],
)
def test_an_invite_that_cannot_be_a_session_is_refused(
    headers: tuple[tuple[str, str], ...], body: bytes | None, status: int
) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            bob, alice = await parties(lab)
            bob.invite(**FROM_BOB, body=body, headers=headers)
            await lab.settle()
            assert bob.status == status
            assert alice.invites == []

    story()


@on_virtual_time
async def test_a_service_that_is_not_subscribed_is_403() -> None:
    async with session_lab() as lab:
        bob, _ = await parties(lab)
        bob.invite(**FROM_BOB, service="urn:urn-7:3gpp-service.ims.icsi.oma.cpm.filetransfer")
        await lab.settle()
        assert bob.status == 403


@on_virtual_time
async def test_a_blocked_recipient_is_403() -> None:
    async with session_lab(blocked={f"tel:{BOB}": frozenset((f"tel:{ALICE}",))}) as lab:
        bob, alice = await parties(lab)
        bob.invite(**FROM_BOB)
        await lab.settle()
        assert (bob.status, alice.invites) == (403, [])


@on_virtual_time
async def test_more_sessions_than_a_user_may_have_are_503() -> None:
    async with session_lab(config=replace(CONFIG, session_max_per_user=1)) as lab:
        bob, _ = await parties(lab)
        tablet = await lab.party("tablet", "sip:tablet")
        bob.invite(**FROM_BOB)
        await lab.settle()
        tablet.invite(**FROM_BOB)
        await lab.settle()
        assert tablet.status == 503
        assert tablet.response.has("Retry-After")


@on_virtual_time
async def test_a_session_interval_that_is_too_small_is_422() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        bob.invite(**FROM_BOB, expires=90)
        await lab.settle()
        assert bob.status == 200
        assert alice.invites


@on_virtual_time
async def test_a_second_session_to_the_same_user_replaces_the_first_s15() -> None:
    async with session_lab() as lab:
        bob, alice = await parties(lab)
        bob.invite(**FROM_BOB)
        await lab.settle()
        first = alice.call
        assert first is not None
        tablet = await lab.party("tablet", "sip:tablet")
        other = await lab.party("alice2", f"tel:{ALICE}")
        alice.uri = "sip:nobody"
        tablet.invite(**FROM_BOB)
        await lab.settle()
        assert tablet.status == 200
        assert other.invites
        assert bob.end is not None
        assert alice.end is not None


@on_virtual_time
async def test_the_identity_and_the_tags_of_who_answers_reach_the_user() -> None:
    async with session_lab() as lab:
        bob, _ = await parties(lab)
        bob.invite(**FROM_BOB)
        await lab.settle()
        assert "msgrevoke" in (bob.response.text("Contact") or "")
        assert "msgfallback" not in (bob.response.text("Contact") or "")
        assert bob.response.text("Session-Expires")
        assert sip(BOB, BLUE) not in (bob.response.text("P-Asserted-Identity") or "")
        assert cpim()
