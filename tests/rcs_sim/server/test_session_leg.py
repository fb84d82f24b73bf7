"""RFC 3261 §14, RFC 3264 §8, RFC 4028: what happens inside a session, each leg for itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from ims_core.transport.virtual_loop import run
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.media import Direction, MsrpMedia, Setup, answer
from ims_core.wire.sdp import Origin, SessionDescription
from ims_core.wire.sip.call_outputs import Answered, Modified, ModifyRefused, Offered
from tests.rcs_sim.server.messaging_lab import ALICE, CONFIG, PHONE, cpim, gruu
from tests.rcs_sim.server.session_lab import LARGE, Party, SessionLab, on_virtual_time, session_lab
from tests.support.real_links import until


async def session(lab: SessionLab) -> tuple[Party, Party]:
    await lab.register()
    alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
    alice.invite()
    await lab.settle()
    return alice, bob


def offered_by(party: Party) -> bytes:
    assert party.call is not None
    assert party.call.local_description is not None
    return party.call.local_description.octets


@on_virtual_time
async def test_a_further_offer_that_changes_nothing_gets_the_same_answer() -> None:
    async with session_lab() as lab:
        alice, bob = await session(lab)
        before = SessionDescription.parse(alice.response.body)
        alice.reinvite(offered_by(alice))
        await lab.settle()
        (modified,) = [event for event in alice.events if isinstance(event, Modified)]
        after = SessionDescription.parse(modified.response.body)
        assert after == before
        assert MsrpMedia.of(after)[1].setup is Setup.PASSIVE
        alice.send()
        await lab.settle()
        assert bob.notes.bodies == [cpim()]


@on_virtual_time
async def test_an_update_that_holds_gets_an_answer_of_the_next_version() -> None:
    async with session_lab() as lab:
        alice, _ = await session(lab)
        before = SessionDescription.parse(alice.response.body)
        alice.update(offered_by(alice).replace(b"a=sendrecv", b"a=sendonly"))
        await lab.settle()
        (modified,) = [event for event in alice.events if isinstance(event, Modified)]
        after = SessionDescription.parse(modified.response.body)
        assert MsrpMedia.of(after)[1].direction is Direction.RECVONLY
        assert after.origin == before.origin.next()


@on_virtual_time
async def test_an_offer_of_another_place_is_488_and_the_session_stays() -> None:
    async with session_lab() as lab:
        alice, bob = await session(lab)
        body = offered_by(alice)
        path = alice.channel.path.session_id or ""
        alice.update(body.replace(path.encode(), b"somewhereelse"))
        await lab.settle()
        assert [event.status for event in alice.events if isinstance(event, ModifyRefused)] == [488]
        alice.send()
        await lab.settle()
        assert bob.notes.bodies == [cpim()]


@on_virtual_time
async def test_a_session_lives_on_by_its_timer_s14() -> None:
    async with session_lab() as lab:
        alice, bob = await session(lab)
        await lab.settle(4000)
        assert (alice.end, bob.end) == (None, None)
        alice.send()
        await lab.settle()
        assert bob.notes.bodies == [cpim()]


@on_virtual_time
async def test_inside_the_dialog_options_are_answered_and_other_methods_are_405() -> None:
    async with session_lab() as lab:
        alice, _ = await session(lab)
        assert alice.call is not None
        assert alice.call.dialog is not None
        for method, status in (("INFO", 405), ("MESSAGE", 405), ("OPTIONS", 200)):
            assert await lab.core.send(alice.call.dialog.request(method, ())) == status


@on_virtual_time
async def test_what_belongs_to_no_session_is_481() -> None:
    async with session_lab() as lab:
        alice, _ = await session(lab)
        assert alice.call is not None
        assert alice.call.dialog is not None
        for method in ("BYE", "UPDATE", "INVITE", "PRACK"):
            request = alice.call.dialog.request(method, (("Contact", "<sip:x@127.0.2.12>"),))
            assert await lab.core.send(request.edit().set("Call-ID", "unknown").done()) == 481


@on_virtual_time
async def test_an_answer_without_usable_media_ends_the_leg() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        bob.setup = Setup.ACTPASS  # what no answer may have
        bob.on_invite = None
        alice.invite()
        await lab.settle()
        assert bob.call is not None
        bob._run(bob.call.answer(b"v=0\r\nnonsense", lab.clock.now()))
        await lab.settle()
        assert bob.end is not None
        assert "488" in (bob.end.reason_header or "")
        assert alice.status == 200  # the server took it


@on_virtual_time
async def test_an_invite_without_an_offer_gets_one_in_the_200_and_the_answer_comes_with_the_ack() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite(body=b"")
        await lab.settle()
        assert [event.needs_answer for event in alice.events if isinstance(event, Answered)] == [True]
        assert MsrpMedia.of(SessionDescription.parse(alice.response.body))[1].setup is Setup.ACTPASS
        sent = alice.send(cpim("to Bob", "m1"))
        bob.send(cpim("to Alice", "m2"))
        await lab.settle()
        assert (bob.notes.bodies, alice.notes.bodies) == ([cpim("to Bob", "m1")], [cpim("to Alice", "m2")])
        assert alice.notes.sent_ids == [sent]


@on_virtual_time
async def test_an_ack_without_the_answer_ends_the_leg() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.answers_offers = False
        alice.invite(body=b"")
        await lab.settle(1)
        assert alice.end is not None
        assert "488" in (alice.end.reason_header or "")
        assert bob.end is not None


@on_virtual_time
async def test_a_large_message_without_an_offer_is_488() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.invite(body=b"", service=LARGE)
        await lab.settle()
        assert alice.status == 488


@on_virtual_time
async def test_where_an_anchor_without_cema_is_in_the_way_of_the_answer_there_is_a_new_offer_without() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        bob.on_invite = None
        alice.invite()
        await lab.settle()
        assert bob.call is not None

        def answer_to(octets: bytes) -> tuple[bytes, MsrpMedia, MsrpMedia]:
            offered = SessionDescription.parse(octets)
            index, remote = MsrpMedia.of(offered)
            local = replace(bob._media(Setup.ACTIVE), has_cema=False, host="192.0.2.99")
            return answer(offered, index, local, Origin.of(local.host, 771)).encode(), local, remote

        body, _, remote = answer_to(bob.call.invite.body)
        assert remote.has_cema
        bob._run(bob.call.answer(body, lab.clock.now()))
        await lab.settle()
        assert alice.status is None
        (offer,) = [event.request for event in bob.events if isinstance(event, Offered)]
        body, local, remote = answer_to(offer.body)
        assert not remote.has_cema
        bob.channel.open(local, remote, is_offerer=False)
        bob._run(bob.call.answer(body, lab.clock.now()))
        await lab.settle()
        assert alice.status == 200
        alice.send(cpim("past the anchor"))
        await lab.settle()
        assert bob.notes.bodies == [cpim("past the anchor")]


@on_virtual_time
async def test_a_peer_that_refuses_the_offer_without_cema_is_given_up() -> None:
    async with session_lab(config=replace(CONFIG, accepts_for_absent=False)) as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        bob.on_invite = None
        alice.invite()
        await lab.settle()
        assert bob.call is not None
        offered = SessionDescription.parse(bob.call.invite.body)
        local = replace(bob._media(Setup.ACTIVE), has_cema=False, host="192.0.2.99")
        body = answer(offered, 0, local, Origin.of(local.host, 771)).encode()
        bob._run(bob.call.answer(body, lab.clock.now()))
        await lab.settle()
        bob._run(bob.call.refuse(488, lab.clock.now()))
        await lab.settle()
        assert alice.status == 488
        assert bob.end is not None


TLS = replace(CONFIG, msrp_tls=True)


def on_sockets(test: Callable[[SessionLab], Awaitable[None]]) -> Callable[[], None]:
    """With listeners for TCP and TLS on loopback."""

    def runs() -> None:
        async def main() -> None:
            async with session_lab(config=TLS, is_real=True) as lab:
                await test(lab)

        run(main, clock="real")

    runs.__name__ = test.__name__
    return runs


async def on_tls(lab: SessionLab) -> tuple[Party, Party]:
    await lab.register()
    return await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))


async def chats(alice: Party, bob: Party) -> None:
    """A message each way, the long one in many chunks."""
    await until(lambda: alice.status == 200)
    long = cpim("x" * 100_000, "m2")
    sent = alice.send(cpim("Hello Bob", "m1"), report=True)
    bob.send(long)
    await until(lambda: bob.notes.bodies == [cpim("Hello Bob", "m1")] and alice.notes.bodies == [long])
    await until(lambda: [report.message_id for report in alice.notes.reports] == [sent])


@on_sockets
async def test_a_device_is_offered_tls_and_both_sides_prove_who_they_are_by_fingerprint(lab: SessionLab) -> None:
    alice, bob = await on_tls(lab)
    bob.setup = Setup.ACTIVE
    alice.invite(is_tls=True)
    await chats(alice, bob)
    assert (bob.remote is not None, alice.remote is not None) == (True, True)
    for media in (bob.remote, alice.remote):
        assert media is not None
        assert (media.is_tls, len(media.fingerprints)) == (True, 1)
    assert len(bob.invites) == 1


@on_sockets
async def test_a_device_that_refuses_tls_is_offered_the_same_without(lab: SessionLab) -> None:
    alice, bob = await on_tls(lab)
    bob.takes_tls = False
    alice.invite(is_tls=True)
    await chats(alice, bob)
    offers = [MsrpMedia.of(SessionDescription.parse(invite.body))[1] for invite in bob.invites]
    assert [offered.is_tls for offered in offers] == [True, False]
    assert alice.remote is not None
    assert alice.remote.is_tls


@on_sockets
async def test_a_device_that_refuses_tls_when_the_relay_is_gone_is_offered_nothing_more(lab: SessionLab) -> None:
    alice, bob = await on_tls(lab)
    bob.takes_tls, bob.on_invite = False, "ring"
    alice.invite(is_tls=True)
    await until(lambda: alice.rang == 1)
    await lab.relay.fail()
    bob.answer()
    await until(lambda: alice.status is not None)
    assert (alice.status, len(bob.invites)) == (503, 1)


@on_sockets
async def test_who_offers_plain_is_answered_plain_though_we_offer_tls(lab: SessionLab) -> None:
    alice, bob = await on_tls(lab)
    alice.invite()
    await chats(alice, bob)
    assert bob.remote is not None
    assert alice.remote is not None
    assert (alice.remote.is_tls, bob.remote.is_tls) == (False, True)


@on_sockets
async def test_a_device_with_another_certificate_than_it_signalled_gets_nothing_in_the_session(lab: SessionLab) -> None:
    alice, bob = await on_tls(lab)
    bob.on_invite = None
    alice.invite(is_tls=True)
    await until(lambda: bool(bob.invites))
    assert bob.call is not None
    offered = SessionDescription.parse(bob.call.invite.body)
    index, bob.remote = MsrpMedia.of(offered)
    local = bob._media(Setup.ACTIVE, is_tls=True)
    bob.channel.open(local, bob.remote, is_offerer=False)
    forged = replace(local, fingerprints=(Fingerprint("SHA-256", bytes(32)),))
    bob._run(bob.call.answer(answer(offered, index, forged, Origin.of(local.host, 771)).encode(), lab.clock.now()))
    await until(lambda: alice.status == 200)
    sent = alice.send(cpim("secret", "m1"))
    await until(lambda: alice.notes.sent_ids == [sent])
    assert bob.notes.messages == []
    assert any("fingerprint mismatch" in why for why in lab.reasons)
