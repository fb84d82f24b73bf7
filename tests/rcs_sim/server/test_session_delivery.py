"""Digest §4.8, §19.4 step 4: what a MESSAGE cannot carry is handed out in a session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.store.memory import MemoryStore
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    C1,
    CONFIG,
    ICSI,
    K1,
    M1,
    PHONE,
    RED,
    UeBinding,
    cpim,
    gruu,
    imdn_cpim,
    message,
    sip,
)
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab

SESSION_ONLY = UeBinding(tags=';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"')
LONG = "long " * 400


async def stored(lab: SessionLab, *texts: str) -> None:
    """Alice sends these to Bob, who is absent, in a session."""
    alice = await lab.party("alice", f"tel:{ALICE}")
    alice.invite()
    await lab.settle()
    for number, text in enumerate(texts, 1):
        alice.send(cpim(text, f"m{number}"))
    await lab.settle()
    assert len(alice.notes.sent_ids) == len(texts)


def waits(lab: SessionLab) -> bool:
    """Whether something is in the store that the phone has not taken."""
    return lab.server.core.context.mailboxes.has_backlog(f"tel:{BOB}", PHONE)


async def phone(lab: SessionLab, binding: UeBinding | None = None) -> Party:
    bob = await lab.party("bob", gruu(PHONE))
    await lab.register(binding or UeBinding())
    await lab.settle()
    return bob


@on_virtual_time
async def test_a_long_stored_message_comes_in_a_session_of_its_sender_and_a_short_one_by_pager() -> None:
    async with session_lab() as lab:
        await stored(lab, LONG, "short")
        bob = await phone(lab)
        (invite,) = bob.invites
        assert invite.text("P-Asserted-Identity") == f"<{sip(ALICE, RED)}>"
        assert invite.texts("P-Asserted-Identity")[1:] == (f"<tel:{ALICE}>",)
        assert invite.text("P-Asserted-Service") == f"{ICSI}.session"
        assert (invite.text("Conversation-ID"), invite.text("Contribution-ID")) == (C1, K1)
        assert invite.text("Route") == f"<sip:term@scscf.{BLUE};lr>"
        assert bob.notes.bodies == [cpim(LONG, "m1")]
        assert [request.body for request in lab.core.messages] == [cpim("short", "m2")]
        assert not waits(lab)


@on_virtual_time
async def test_it_is_in_the_store_until_the_device_has_answered_and_survives_a_restart() -> None:
    store = MemoryStore()
    async with session_lab(store) as lab:
        await stored(lab, "x" * 300_000)
    async with session_lab(store) as lab:
        bob = await lab.party("bob", gruu(PHONE))
        bob.notes.settles_with = None
        await lab.register()
        await lab.settle(3)
        assert [len(body) for body in bob.notes.bodies] == [len(cpim("x" * 300_000, "m1"))]
        assert waits(lab)
        bob.channel.settle(bob.notes.messages[0].delivery)
        await lab.settle()
        assert not waits(lab)


@on_virtual_time
async def test_a_pager_message_becomes_a_session_for_a_device_without_pager_mode() -> None:
    async with session_lab() as lab:
        bob = await phone(lab, SESSION_ONLY)
        assert await lab.core.send(message()) == 200
        assert bob.notes.bodies == [cpim()]
        assert await lab.core.send(message(cpim("two", "m2"))) == 200
        assert bob.notes.bodies == [cpim(), cpim("two", "m2")]
        assert len(bob.invites) == 1
        assert lab.core.messages == []


@on_virtual_time
async def test_what_the_user_sends_back_goes_as_message_to_the_sender() -> None:
    async with session_lab() as lab:
        bob = await phone(lab, SESSION_ONLY)
        assert await lab.core.send(message()) == 200
        receipt = imdn_cpim(Imdn(M1, "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
        sent = bob.send(receipt)
        await lab.settle()
        (request,) = lab.core.messages
        assert (request.method, request.request_uri_text, request.body) == ("MESSAGE", f"tel:{ALICE}", receipt)
        assert request.text("Route") == f"<sip:orig@scscf.{BLUE};lr>"
        assert bob.notes.sent_ids == [sent]
        lab.core.statuses = [403]
        bob.send(cpim("no", "m9"))
        await lab.settle()
        assert [failure.status for failure in bob.notes.failures] == [403]


@on_virtual_time
async def test_a_long_reply_in_such_a_session_makes_the_phone_invite_itself() -> None:
    async with session_lab() as lab:
        bob = await phone(lab, SESSION_ONLY)
        assert await lab.core.send(message()) == 200
        bob.send(cpim(LONG, "m9"))
        await lab.settle()
        assert [failure.status for failure in bob.notes.failures] == [481]


@on_virtual_time
async def test_a_session_that_stands_is_used() -> None:
    async with session_lab() as lab:
        bob = await phone(lab, SESSION_ONLY)
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.invite()
        await lab.settle()
        assert await lab.core.send(message()) == 200
        assert bob.notes.bodies == [cpim()]
        assert len(bob.invites) == 1


@pytest.mark.parametrize("status", [408, 480, 486, 603, 503])
def test_a_device_that_does_not_take_the_session_gets_the_message_later(status: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            bob = await lab.party("bob", gruu(PHONE))
            await lab.register(SESSION_ONLY)
            bob.on_invite = status
            assert await lab.core.send(message()) == 202
            bob.on_invite = "answer"
            await lab.settle(CONFIG.redeliver_min_s)
            await lab.register(SESSION_ONLY)
            await lab.settle()
            assert bob.notes.bodies == [cpim()]

    story()


@on_virtual_time
async def test_a_device_that_cannot_take_sessions_after_all_gets_a_message() -> None:
    async with session_lab() as lab:
        bob = await lab.party("bob", gruu(PHONE))
        bob.on_invite = 488
        await lab.register(SESSION_ONLY)
        assert await lab.core.send(message()) == 200
        assert [request.body for request in lab.core.messages] == [cpim()]


@on_virtual_time
async def test_a_device_that_rings_for_long_takes_the_message_when_its_user_does() -> None:
    async with session_lab() as lab:
        bob = await lab.party("bob", gruu(PHONE))
        bob.on_invite = "ring"
        await lab.register(SESSION_ONLY)
        assert await lab.core.send(message()) == 202
        bob.answer()
        await lab.settle()
        assert bob.notes.bodies == [cpim()]
        assert not waits(lab)


@on_virtual_time
async def test_a_device_that_never_answers_is_left() -> None:
    async with session_lab() as lab:
        bob = await lab.party("bob", gruu(PHONE))
        bob.on_invite = "ring"
        await lab.register(SESSION_ONLY)
        assert await lab.core.send(message()) == 202
        await lab.settle(CONFIG.session_ringing_s + 5)
        assert bob.end is not None
        assert waits(lab)


@on_virtual_time
async def test_a_connection_that_breaks_before_the_answer_leaves_the_message_in_the_store() -> None:
    async with session_lab() as lab:
        bob = await lab.party("bob", gruu(PHONE))
        bob.notes.settles_with = None
        await lab.register(SESSION_ONLY)
        assert await lab.core.send(message()) == 202
        await bob.stack.close()
        await lab.settle(40)
        assert waits(lab)


@on_virtual_time
async def test_a_session_for_handing_out_ends_when_it_is_idle() -> None:
    async with session_lab() as lab:
        bob = await phone(lab, SESSION_ONLY)
        assert await lab.core.send(message()) == 200
        await lab.settle(CONFIG.chat_idle_s + 1)
        assert bob.end is not None
        await lab.settle(100)
        assert len(lab.server.core.sessions.services.book) == 0  # type: ignore[union-attr]  # there is one
        assert await lab.core.send(message(cpim("two", "m2"))) == 200
        assert len(bob.invites) == 2


@on_virtual_time
async def test_a_user_with_too_many_sessions_gets_it_from_the_store() -> None:
    async with session_lab(config=replace(CONFIG, session_max_per_user=0)) as lab:
        await phone(lab, SESSION_ONLY)
        assert await lab.core.send(message()) == 202
