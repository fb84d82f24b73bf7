"""Digest §15.5, §17.3, §19.3: messages of a chat session through the server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.store.memory import MemoryStore
from ims_core.wire.msrp.media import Setup, offer
from ims_core.wire.msrp.session_events import OutgoingMessage
from ims_core.wire.sdp import Origin
from ims_core.wire.sip.call_outputs import EndReason
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    CONFIG,
    M1,
    PHONE,
    TABLET,
    UeBinding,
    cpim,
    gruu,
    imdn_cpim,
    message,
)
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab

TYPING = b'<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state></isComposing>'
IS_COMPOSING = "application/im-iscomposing+xml"


async def terminating(lab: SessionLab) -> tuple[Party, Party]:
    """Alice, at another carrier, in a session with Bob's phone."""
    await lab.register()
    alice = await lab.party("alice", f"tel:{ALICE}")
    bob = await lab.party("bob", gruu(PHONE))
    alice.invite()
    await lab.settle()
    assert alice.status == 200
    return alice, bob


async def originating(lab: SessionLab) -> tuple[Party, Party]:
    """Bob's phone in a session with Alice, which he opened."""
    await lab.register()
    alice = await lab.party("alice", f"tel:{ALICE}")
    bob = await lab.party("bob", "sip:bob")
    bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE)
    await lab.settle()
    assert bob.status == 200
    return alice, bob


async def absent(lab: SessionLab) -> Party:
    """Alice in a session that the server took for Bob."""
    alice = await lab.party("alice", f"tel:{ALICE}")
    alice.invite()
    await lab.settle()
    assert alice.status == 200
    return alice


@on_virtual_time
async def test_messages_go_both_ways_and_their_content_stays_as_it_was() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        sent = alice.send(cpim("Hello Bob"), report=True)
        await lab.settle()
        assert bob.notes.bodies == [cpim("Hello Bob")]
        assert bob.notes.messages[0].wants_report
        assert alice.notes.sent_ids == [sent]
        assert [report.status for report in alice.notes.reports] == [200]
        bob.send(cpim("Hello Alice", "m2"))
        await lab.settle()
        assert alice.notes.bodies == [cpim("Hello Alice", "m2")]


@on_virtual_time
async def test_the_same_for_a_session_that_our_user_opened() -> None:
    async with session_lab() as lab:
        alice, bob = await originating(lab)
        bob.send(cpim("one", "m1"))
        alice.send(cpim("two", "m2"))
        await lab.settle()
        assert alice.notes.bodies == [cpim("one", "m1")]
        assert bob.notes.bodies == [cpim("two", "m2")]


@on_virtual_time
async def test_typing_goes_on_without_any_answer() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        alice.send(TYPING, IS_COMPOSING, quiet=True)
        await lab.settle()
        assert [(m.content_type, m.body) for m in bob.notes.messages] == [(IS_COMPOSING, TYPING)]


@on_virtual_time
async def test_the_sender_is_answered_when_the_device_has_answered() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.notes.settles_with = None
        sent = alice.send()
        await lab.settle(2)
        assert alice.notes.sent_ids == []
        bob.channel.settle(bob.notes.messages[0].delivery)
        await lab.settle()
        assert alice.notes.sent_ids == [sent]
        assert lab.core.messages == []


@pytest.mark.parametrize("status", [400, 403, 413, 415])
def test_a_refusal_of_the_device_goes_back_as_such(status: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            alice, bob = await terminating(lab)
            bob.notes.settles_with = status
            alice.send()
            await lab.settle()
            assert [failure.status for failure in alice.notes.failures] == [status]
            assert lab.core.messages == []
            bob.notes.settles_with = 200
            alice.send(cpim("next", "m2"))
            await lab.settle()
            assert len(alice.notes.sent_ids) == 1

    story()


@on_virtual_time
async def test_a_device_that_does_not_answer_in_time_is_left_and_the_message_goes_by_pager() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.notes.settles_with = None
        sent = alice.send()
        await lab.settle(CONFIG.session_answer_s + 1)
        assert alice.notes.sent_ids == [sent]
        assert [request.body for request in lab.core.messages] == [cpim()]
        assert bob.end is not None
        assert bob.end.reason is EndReason.PEER_HUNG_UP
        assert "408" in (bob.end.reason_header or "")
        again = alice.send(cpim("next", "m2"))
        await lab.settle()
        assert alice.notes.sent_ids == [sent, again]


@on_virtual_time
async def test_a_broken_connection_to_the_device_does_not_end_the_session_of_the_sender() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.notes.settles_with = None
        sent = alice.send()
        await lab.settle()
        await bob.stack.close()
        await lab.settle()
        assert alice.notes.sent_ids == [sent]
        assert alice.end is None
        assert [request.body for request in lab.core.messages] == [cpim()]


@on_virtual_time
async def test_what_the_other_side_does_not_take_fails_at_the_user_and_the_session_ends() -> None:
    async with session_lab() as lab:
        alice, bob = await originating(lab)
        await alice.stack.close()
        await lab.settle()
        assert bob.end is not None
        assert bob.end.reason is EndReason.PEER_HUNG_UP
        bob.send()
        await lab.settle(7)
        assert bob.notes.sent_ids == []


@on_virtual_time
async def test_a_message_that_was_seen_before_is_answered_and_dropped_p06() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        first = alice.send()
        await lab.settle()
        second = alice.send()
        await lab.settle()
        assert alice.notes.sent_ids == [first, second]
        assert len(bob.notes.bodies) == 1
        assert await lab.core.send(message()) == 200
        assert lab.core.messages == []


@on_virtual_time
async def test_a_message_that_is_repeated_while_it_is_under_way_gets_the_same_answer() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.notes.settles_with = None
        sent = [alice.send(), alice.send()]
        await lab.settle()
        assert len(bob.notes.messages) == 1
        bob.channel.settle(bob.notes.messages[0].delivery, 413)
        await lab.settle()
        assert [failure.message_id for failure in alice.notes.failures] == sent


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"not cpim", "message/cpim", 400),
        (cpim(message_id="x" * 300), "message/cpim", 400),
        (b"plain", "text/plain", 415),
    ],
)
def test_content_that_cannot_be_read_fails_and_harms_nothing(body: bytes, content_type: str, status: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with session_lab() as lab:
            alice, bob = await terminating(lab)
            alice.channel.send(OutgoingMessage("odd-1", content_type, body))
            await lab.settle()
            assert [failure.status for failure in alice.notes.failures] == [status]
            alice.send()
            await lab.settle()
            assert bob.notes.bodies == [cpim()]

    story()


@on_virtual_time
async def test_more_than_the_rate_fails_and_the_session_stays() -> None:
    async with session_lab(config=replace(CONFIG, rate_per_s=0.1, rate_burst=2)) as lab:
        alice, bob = await originating(lab)
        for number in range(2):
            bob.send(cpim("x", f"m{number}"))
        await lab.settle()
        assert len(alice.notes.bodies) == 1
        assert [failure.status for failure in bob.notes.failures] == [403]


@on_virtual_time
async def test_receipts_in_a_session_take_what_is_stored_out_of_the_store() -> None:
    async with session_lab() as lab:
        tablet = UeBinding(TABLET, host="192.0.2.13")
        await lab.register(UeBinding(), tablet, by=tablet)
        lab.core.statuses = [480, 480]
        assert await lab.core.send(message()) == 202
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite()
        await lab.settle()
        receipt = imdn_cpim(Imdn(M1, "2026-03-02T10:15:30.120Z", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
        bob.send(receipt)
        await lab.settle()
        assert alice.notes.bodies == [receipt]
        assert "receipt matched" in lab.notes


@on_virtual_time
async def test_typing_for_an_absent_user_is_dropped() -> None:
    async with session_lab() as lab:
        alice = await absent(lab)
        alice.send(TYPING, IS_COMPOSING)
        await lab.settle()
        assert len(alice.notes.sent_ids) == 1
        assert "message stored" not in lab.notes


@on_virtual_time
async def test_a_session_for_an_absent_user_ends_when_it_is_idle() -> None:
    async with session_lab() as lab:
        alice = await absent(lab)
        await lab.settle(CONFIG.chat_idle_s - 100)
        alice.send()
        await lab.settle(200)
        assert alice.end is None
        await lab.settle(CONFIG.chat_idle_s)
        assert alice.end is not None
        assert len(lab.server.core.sessions.services.book) == 0  # type: ignore[union-attr]  # there is one


@on_virtual_time
async def test_a_full_store_fails_the_message() -> None:
    async with session_lab(config=replace(CONFIG, store_max_per_user=1)) as lab:
        alice = await absent(lab)
        alice.send(cpim("one", "m1"))
        await lab.settle()
        alice.send(cpim("two", "m2"))
        await lab.settle()
        assert len(alice.notes.sent_ids) == 1
        assert [failure.status for failure in alice.notes.failures][:1] == [408]


@on_virtual_time
async def test_what_was_answered_is_in_the_store_of_a_server_that_was_killed() -> None:
    store = MemoryStore()
    async with session_lab(store) as lab:
        alice = await absent(lab)
        for number in range(5):
            alice.send(cpim("x", f"m{number}"))
        await lab.settle()
        assert len(alice.notes.sent_ids) == 5
    async with session_lab(store) as lab:
        await lab.register()
        await lab.settle(5)
        assert [request.body for request in lab.core.messages] == [cpim("x", f"m{number}") for number in range(5)]


@on_virtual_time
async def test_messages_wait_behind_what_is_stored_for_the_device_f02() -> None:
    async with session_lab() as lab:
        await lab.register()
        lab.core.statuses = [480]
        assert await lab.core.send(message(cpim("first", "m1"))) == 202
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.invite()
        await lab.settle()
        alice.send(cpim("second", "m2"))
        await lab.settle(CONFIG.redeliver_min_s + 1)
        bodies = [request.body for request in lab.core.messages[1:]]
        assert bodies == [cpim("first", "m1"), cpim("second", "m2")]
        assert bob.notes.bodies == []


@on_virtual_time
async def test_what_is_under_way_when_the_user_hangs_up_is_not_lost() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.notes.settles_with = None
        sent = alice.send()
        await lab.settle()
        bob.hang_up()
        bob.channel.close()
        await lab.settle(CONFIG.session_drain_s + 1)
        assert alice.end is not None
        assert [request.body for request in lab.core.messages] == [cpim()]
        assert alice.notes.sent_ids == [sent]


@on_virtual_time
async def test_a_device_whose_bye_comes_after_it_closed_its_connection_has_left() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.channel.close()
        await lab.settle()
        assert (alice.end, bob.end) == (None, None)
        bob.hang_up()
        await lab.settle()
        assert alice.end is not None


@on_virtual_time
async def test_a_device_that_only_lost_its_connection_is_hung_up_on_and_the_session_goes_on_without_it() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.channel.close()
        await lab.settle(CONFIG.session_answer_s + 1)
        assert bob.end is not None
        assert alice.end is None
        alice.send()
        await lab.settle()
        assert [request.body for request in lab.core.messages] == [cpim()]


@on_virtual_time
async def test_a_success_is_reported_when_the_far_end_reports_it() -> None:
    async with session_lab() as lab:
        alice, bob = await terminating(lab)
        bob.notes.settles_with = None
        first, second = alice.send(cpim("1", "m1"), report=True), alice.send(cpim("2", "m2"), report=True)
        await lab.settle()
        one, two = [message.delivery for message in bob.notes.messages]
        bob.channel.settle(one, reports=False)
        bob.channel.settle(two, reports=False)
        await lab.settle()
        assert alice.notes.sent_ids == [first, second]
        assert alice.notes.reports == []
        bob.channel.report(two)
        await lab.settle()
        assert [(report.message_id, report.status) for report in alice.notes.reports] == [(second, 200)]
        bob.channel.report(one, 403)
        await lab.settle()
        assert [(each.message_id, each.status) for each in alice.notes.failures] == [(first, 403)]


@on_virtual_time
async def test_what_the_server_keeps_it_reports_itself() -> None:
    async with session_lab() as lab:
        alice = await absent(lab)
        sent = alice.send(report=True)
        await lab.settle()
        assert [(report.message_id, report.status) for report in alice.notes.reports] == [(sent, 200)]


@on_virtual_time
async def test_what_nobody_wants_a_report_about_is_not_reported() -> None:
    async with session_lab() as lab:
        _, bob = await originating(lab)
        bob.send(cpim("plain", "m1"))
        await lab.settle()
        assert bob.notes.sent_ids
        assert bob.notes.reports == []
        assert not [summary for summary in lab.msrp("blue.msrp_relay") if summary.startswith("REPORT")]


TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


async def with_tablet(lab: SessionLab, *present: UeBinding) -> tuple[Party, Party]:
    """Alice in a session with Bob's phone; he has a tablet too."""
    await lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
    tablet = await lab.party("tablet", gruu(TABLET))
    tablet.on_invite = "ring"
    alice.invite()
    await lab.settle()
    assert alice.status == 200
    return alice, bob


def to_tablet(lab: SessionLab) -> list[bytes]:
    assert {request.request_uri_text for request in lab.core.messages} <= {gruu(TABLET)}
    return [request.body for request in lab.core.messages]


@on_virtual_time
async def test_what_one_device_takes_in_a_session_the_others_get_too_and_it_does_not_get_it_twice_f03() -> None:
    async with session_lab() as lab:
        alice, bob = await with_tablet(lab)
        sent = [alice.send(cpim(f"text {number}", f"m{number}")) for number in range(5)]
        alice.send(TYPING, IS_COMPOSING, quiet=True)
        receipt = imdn_cpim(Imdn("m", "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED), "r1")
        alice.send(receipt)
        await lab.settle()
        texts = [cpim(f"text {number}", f"m{number}") for number in range(5)]
        assert to_tablet(lab) == [*texts, receipt]  # which may be about what the tablet has sent; typing is not
        assert [body for body in bob.notes.bodies if body in texts] == texts
        assert len(bob.notes.bodies) == 7
        assert set(sent) <= set(alice.notes.sent_ids)
        assert not len(lab.server.core.context.mailboxes)


@on_virtual_time
async def test_without_a_store_the_devices_that_are_there_get_what_one_takes_in_a_session_f03() -> None:
    async with session_lab(config=replace(CONFIG, has_store_and_forward=False)) as lab:
        alice, bob = await with_tablet(lab)
        sent = [alice.send(cpim(f"text {number}", f"m{number}")) for number in range(3)]
        alice.send(TYPING, IS_COMPOSING, quiet=True)
        receipt = imdn_cpim(Imdn("m", "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED), "r1")
        alice.send(receipt)
        await lab.settle()
        texts = [cpim(f"text {number}", f"m{number}") for number in range(3)]
        assert to_tablet(lab) == [*texts, receipt]
        assert [body for body in bob.notes.bodies if body in texts] == texts
        assert set(sent) <= set(alice.notes.sent_ids)
        lab.core.statuses = [480]
        alice.send(cpim("for who is there", "m9"))
        await lab.settle(60)
        assert not len(lab.server.core.context.mailboxes)
        assert cpim("for who is there", "m9") in bob.notes.bodies


@on_virtual_time
async def test_a_device_that_does_not_take_its_copy_gets_it_when_it_comes_back_f03() -> None:
    async with session_lab() as lab:
        alice, bob = await with_tablet(lab)
        lab.core.statuses = [480]
        sent = alice.send(cpim("for both", "m1"))
        await lab.settle()
        assert (alice.notes.sent_ids, bob.notes.bodies) == ([sent], [cpim("for both", "m1")])
        assert len(lab.server.core.context.mailboxes) == 1
        lab.core.messages.clear()
        await lab.settle(40)
        await lab.register(UeBinding(), replace(TABLET_BINDING, host="192.0.2.99"), by=TABLET_BINDING)
        await lab.settle()
        assert to_tablet(lab) == [cpim("for both", "m1")]
        assert not len(lab.server.core.context.mailboxes)


@on_virtual_time
async def test_a_copy_for_a_device_that_is_away_outlives_a_restart_f03() -> None:
    store = MemoryStore()
    async with session_lab(store) as lab:
        alice, _ = await with_tablet(lab)
        lab.core.statuses = [480]
        alice.send(cpim("for both", "m1"))
        await lab.settle()
    async with session_lab(store) as lab:
        await lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
        await lab.settle(40)
        assert to_tablet(lab) == [cpim("for both", "m1")]


@on_virtual_time
async def test_a_repeated_message_is_not_copied_again() -> None:
    async with session_lab() as lab:
        alice, bob = await with_tablet(lab)
        alice.send(cpim("once", "m1"))
        alice.send(cpim("once", "m1"))
        await lab.settle()
        alice.send(cpim("once", "m1"))
        await lab.settle()
        assert len(alice.notes.sent_ids) == 3
        assert (to_tablet(lab), bob.notes.bodies) == ([cpim("once", "m1")], [cpim("once", "m1")])


@on_virtual_time
async def test_a_display_receipt_goes_to_the_sender_once_and_to_the_other_device_so_that_it_clears_the_badge() -> None:
    async with session_lab() as lab:
        alice, bob = await with_tablet(lab)
        alice.send(cpim("read me", "m1"))
        await lab.settle()
        lab.core.messages.clear()
        shown = imdn_cpim(Imdn("m1", "", ImdnKind.DISPLAY, ImdnStatus.DISPLAYED), "r1")
        bob.send(shown)
        await lab.settle()
        assert alice.notes.bodies == [shown]
        assert to_tablet(lab) == [shown]


def with_first_message(party: Party, text: str) -> tuple[bytes, str]:
    """The body of an INVITE with the offer of *party* and a message, as older clients begin a session; its type."""
    party.channel = party._new_channel()
    local = party._media(Setup.ACTPASS)
    sdp = offer(local, Origin.of(local.host, 3981)).encode()
    parts = [("application/sdp", sdp), ("message/cpim", cpim(text, "first"))]
    written = [b"Content-Type: " + kind.encode() + b"\r\n\r\n" + octets for kind, octets in parts]
    body = b"".join(b"--b1\r\n" + part + b"\r\n" for part in written) + b"--b1--\r\n"
    return body, "multipart/mixed;boundary=b1"


@on_virtual_time
async def test_a_first_message_in_the_invite_of_a_user_goes_on_in_the_session() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", "sip:bob")
        body, content_type = with_first_message(bob, "Hello Alice")
        bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE, body=body, content_type=content_type)
        await lab.settle()
        assert bob.status == 200
        assert alice.invites[0].text("Content-Type") == "application/sdp"
        assert alice.notes.bodies == [cpim("Hello Alice", "first")]


@on_virtual_time
async def test_a_first_message_that_the_other_side_refuses_is_told_by_a_receipt() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", "sip:bob")
        alice.notes.settles_with = 415
        body, content_type = with_first_message(bob, "Hello Alice")
        bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE, body=body, content_type=content_type)
        await lab.settle()
        assert bob.status == 200
        (receipt,) = [request.body for request in lab.core.messages if b"<failed" in request.body]
        assert b"<message-id>first</message-id>" in receipt


@on_virtual_time
async def test_a_first_message_in_the_invite_of_somebody_else_reaches_the_device_once() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        body, content_type = with_first_message(alice, "Hello Bob")
        alice.invite(body=body, content_type=content_type)
        await lab.settle()
        alice.send(cpim("Hello Bob", "first"))  # once more, to be sure
        alice.send(cpim("second", "m2"))
        await lab.settle()
        assert bob.notes.bodies == [cpim("Hello Bob", "first"), cpim("second", "m2")]
        assert len(alice.notes.sent_ids) == 2


@on_virtual_time
async def test_a_first_message_for_somebody_absent_is_stored() -> None:
    async with session_lab() as lab:
        alice = await lab.party("alice", f"tel:{ALICE}")
        body, content_type = with_first_message(alice, "Hello Bob")
        alice.invite(body=body, content_type=content_type)
        await lab.settle()
        assert alice.status == 200
        await lab.register()
        await lab.settle()
        assert [request.body for request in lab.core.messages] == [cpim("Hello Bob", "first")]
