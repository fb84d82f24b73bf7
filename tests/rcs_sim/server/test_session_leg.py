"""RFC 3261 §14, RFC 3264 §8, RFC 4028: what happens inside a session, each leg for itself."""

from __future__ import annotations

from ims_core.wire.msrp.media import Direction, MsrpMedia, Setup
from ims_core.wire.sdp import SessionDescription
from ims_core.wire.sip.call_outputs import Modified, ModifyRefused
from tests.rcs_sim.server.messaging_lab import ALICE, PHONE, cpim, gruu
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab


async def session(lab: SessionLab) -> tuple[Party, Party]:
    await lab.register()
    alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
    alice.invite()
    await lab.settle()
    return alice, bob


def offered_by(party: Party) -> bytes:
    assert party.call is not None
    return party.call.invite.body


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
async def test_a_request_of_another_method_inside_the_dialog_is_405() -> None:
    async with session_lab() as lab:
        alice, _ = await session(lab)
        assert alice.call is not None
        assert alice.call.dialog is not None
        info = alice.call.dialog.request("INFO", ())
        assert await lab.core.send(info) == 405


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
