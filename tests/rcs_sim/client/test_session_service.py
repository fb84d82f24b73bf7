from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ims_core.transport.sip_stack import ServerTransaction
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState
from rcs_sim.devices.policy import DevicePolicy
from tests.rcs_sim.client.stories import play
from tests.support.session_phones import frames, texts, two_in_sessions
from tests.support.stub_core import ALICE, BOB, HOME, World, device

_REASONS = "session"


def _silent(policy: DevicePolicy) -> DevicePolicy:
    """A device that sends no receipts."""
    return replace(policy, messaging=replace(policy.messaging, sends_delivered=False, sends_displayed=False))


def test_a_message_opens_a_session_and_its_receipts_come_back_on_it_i05() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        bob.chat(ALICE).read()
        await message.displayed(5)
        assert texts(bob, ALICE) == ["Hello"]
        assert len(relay.invites) == 1
        assert world.core.of("MESSAGE") == []
        assert alice.chat(BOB).session == bob.chat(ALICE).session == "open"
        (content,) = [each for each in frames(world, "SEND", "alice") if b"Hello" in each]
        assert b"From: <sip:anonymous@anonymous.invalid>" in content
        assert b"Byte-Range: 1-" in content

    play(story)


def test_the_invitation_has_what_digest_4_2_asks_for() -> None:
    async def story(world: World) -> None:
        alice, _, relay = await two_in_sessions(world)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        (invite,) = relay.invites
        assert invite.request_uri_text == f"tel:{BOB}"
        assert invite.text("P-Preferred-Service") == "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"
        contact = invite.text("Contact") or ""
        assert "+sip.instance=" in contact
        assert "+g.3gpp.icsi-ref=" in contact
        assert "+g.gsma.rcs.msgrevoke" in contact
        assert invite.text("Session-Expires") == "1800"
        assert invite.text("Conversation-ID") == alice.chat(BOB).conversation_id
        assert invite.text("Contribution-ID")
        assert b"a=setup:actpass" in invite.body

    play(story)


def test_what_is_written_during_the_set_up_is_sent_in_order_in_one_session() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)
        sent = [alice.chat(BOB).send(f"text {number}") for number in range(8)]
        for message in sent:
            await message.delivered(5)
        assert texts(bob, ALICE) == [f"text {number}" for number in range(8)]
        assert len(relay.invites) == 1

    play(story)


def test_the_session_is_used_in_both_directions_and_for_every_size() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        await (await bob.chat(ALICE).send("x" * 50_000)).delivered(5)
        await (await alice.chat(BOB).send("thanks")).delivered(5)
        assert len(relay.invites) == 1
        assert texts(alice, BOB) == ["Hello", "x" * 50_000, "thanks"]

    play(story)


def test_pager_mode_carries_short_texts_until_a_session_is_there_p01() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, "android", "android")
        await (await alice.chat(BOB).send("short")).delivered(5)
        assert relay.invites == []
        await (await alice.chat(BOB).send("x" * 1300)).delivered(5)
        assert len(relay.invites) == 1
        before = len(world.core.of("MESSAGE"))
        await (await alice.chat(BOB).send("short again")).delivered(5)
        assert len(world.core.of("MESSAGE")) == before
        assert texts(bob, ALICE) == ["short", "x" * 1300, "short again"]

    play(story)


def test_an_idle_session_is_ended_by_bye_and_the_next_message_opens_another_s13() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, document={"chat_idle_s": 20})
        await (await alice.chat(BOB).send("one")).delivered(5)
        await asyncio.sleep(15)
        await (await alice.chat(BOB).send("two")).delivered(5)
        await asyncio.sleep(19)
        assert alice.chat(BOB).session == "open"
        await asyncio.sleep(2)
        assert alice.chat(BOB).session == bob.chat(ALICE).session == ""
        assert {each.method for each in relay.requests if each.method != "ACK"} == {"BYE"}
        await (await bob.chat(ALICE).send("three")).delivered(5)
        assert len(relay.invites) == 2
        assert texts(alice, BOB) == ["one", "two", "three"]

    play(story)


def test_the_user_may_leave_a_session_and_write_on() -> None:
    async def story(world: World) -> None:
        alice, _, relay = await two_in_sessions(world)
        await (await alice.chat(BOB).send("one")).delivered(5)
        alice.chat(BOB).end_session()
        await (await alice.chat(BOB).send("two")).delivered(5)
        assert len(relay.invites) == 2

    play(story)


def test_a_session_outlives_its_interval_because_it_is_refreshed_s14() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, document={"chat_idle_s": 10_000})
        await (await alice.chat(BOB).send("one")).delivered(5)
        await asyncio.sleep(4000)
        assert alice.chat(BOB).session == "open"
        assert len([each for each in relay.requests if each.method == "UPDATE"]) >= 2
        await (await bob.chat(ALICE).send("two")).delivered(5)
        assert len(relay.invites) == 1

    play(story)


def test_typing_goes_bare_in_the_session_and_nobody_answers_it_i09_i10() -> None:
    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        bob.chat(ALICE).type()
        await asyncio.sleep(1)
        assert alice.chat(BOB).is_peer_typing
        (typing,) = [each for each in frames(world, "SEND", "bob") if b"isComposing" in each]
        assert b"Content-Type: application/im-iscomposing+xml" in typing
        assert b"Failure-Report: no" in typing
        assert b"imdn.Message-ID" not in typing
        await asyncio.sleep(16)
        assert not alice.chat(BOB).is_peer_typing
        bob.chat(ALICE).type()
        await asyncio.sleep(1)
        await (await bob.chat(ALICE).send("there")).delivered(5)
        assert not alice.chat(BOB).is_peer_typing
        assert world.core.of("MESSAGE") == []

    play(story)


def test_typing_opens_no_session_and_goes_by_pager_only_where_the_device_does_so() -> None:
    async def story(world: World) -> None:
        policy = device("ios")
        quiet = replace(policy, messaging=replace(policy.messaging, types_in_pager_mode=False))
        alice, bob, relay = await two_in_sessions(world, quiet, "ios")
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        alice.chat(BOB).end_session()
        await asyncio.sleep(1)
        alice.chat(BOB).type()
        await asyncio.sleep(1)
        assert not bob.chat(ALICE).is_peer_typing
        bob.chat(ALICE).type()
        await asyncio.sleep(1)
        assert alice.chat(BOB).is_peer_typing
        assert len(relay.invites) == 1

    play(story)


def test_a_large_message_is_a_session_of_its_own_that_ends_with_it() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, "android", "android", document={"chat_auth": False})
        message = await (await alice.chat(BOB).send("x" * 5000)).delivered(5)
        (invite,) = relay.invites
        assert b"a=sendonly" in invite.body
        assert invite.text("P-Preferred-Service") == "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.largemsg"
        assert [each.method for each in relay.requests if each.method != "ACK"] == ["BYE"]
        assert alice.chat(BOB).session == ""
        assert texts(bob, ALICE) == ["x" * 5000]
        bob.chat(ALICE).read()
        await message.displayed(5)
        assert world.core.of("MESSAGE", "imdn+xml")

    play(story)


def test_a_receipt_goes_by_pager_when_its_session_is_over_i05() -> None:
    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        message = await (await alice.chat(BOB).send("Hello")).delivered(5)
        alice.chat(BOB).end_session()
        await asyncio.sleep(1)
        bob.chat(ALICE).read()
        await message.displayed(5)
        assert len(world.core.of("MESSAGE", "displayed")) == 1

    play(story)


def test_revocation_goes_by_pager_though_a_session_is_open_m10_l03() -> None:
    async def story(world: World) -> None:
        alice, _, _relay = await two_in_sessions(world, "ios", _silent(device("ios")))
        message = await (await alice.chat(BOB).send("Hello")).sent(5)
        await asyncio.sleep(31)
        assert len(world.core.of("MESSAGE", "MessageRevokeRequest")) == 1
        assert message.state in (MessageState.REVOKING, MessageState.SENT)

    play(story)


def test_a_network_that_interworks_is_left_to_it_l04() -> None:
    async def story(world: World) -> None:
        alice, _, relay = await two_in_sessions(world, "ios", _silent(device("ios")))
        relay.contact_tags = ";+g.gsma.rcs.msgfallback"
        message = await (await alice.chat(BOB).send("Hello")).sent(5)
        await asyncio.sleep(300)
        assert message.state is MessageState.SENT
        assert world.core.of("MESSAGE", "MessageRevokeRequest") == []

    play(story)


def test_an_invitation_rings_until_the_user_takes_it_s18() -> None:
    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world, document={"auto_accept": False})
        message = await alice.chat(BOB).send("Hello")
        await asyncio.sleep(5)
        assert alice.chat(BOB).session == "ringing"
        assert bob.chat(ALICE).is_invited
        assert any(line.startswith("invitation") for line in world.shown("bob"))
        assert texts(bob, ALICE) == []
        assert bob.chat(ALICE).accept()
        assert not bob.chat(ALICE).is_invited
        await message.delivered(5)
        assert texts(bob, ALICE) == ["Hello"]
        assert not bob.chat(ALICE).accept()

    play(story)


def test_who_answers_an_invitation_by_writing_takes_it() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, document={"auto_accept": False})
        alice.chat(BOB).send("Hello")
        await asyncio.sleep(5)
        await (await bob.chat(ALICE).send("Hi")).delivered(5)
        assert len(relay.invites) == 1
        assert texts(alice, BOB) == ["Hello", "Hi"]

    play(story)


def test_a_phone_may_take_invitations_after_a_while() -> None:
    async def story(world: World) -> None:
        alice, _, _relay = await two_in_sessions(world, document={"auto_accept": False}, accepts_after_s=7.0)
        message = await alice.chat(BOB).send("Hello")
        await asyncio.sleep(6)
        assert message.state is MessageState.SENDING
        await message.delivered(5)

    play(story)


def test_a_declined_invitation_is_no_sms_and_no_retry() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, document={"auto_accept": False})
        message = await alice.chat(BOB).send("Hello")
        await asyncio.sleep(1)
        assert bob.chat(ALICE).decline()
        await message.final(5)
        assert message.state is MessageState.FAILED
        assert message.reason is FallbackReason.DECLINED
        assert len(relay.invites) == 1
        assert not bob.chat(ALICE).decline()

    play(story)


def test_an_invitation_that_nobody_takes_is_given_up() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world, "android", "ios", document={"auto_accept": False})
        await (await alice.chat(BOB).send("short")).delivered(5)
        ringing = await alice.chat(BOB).send("x" * 1300)
        await asyncio.sleep(61)
        assert not bob.chat(ALICE).is_invited
        assert len(relay.invites) == 1
        assert ringing.state is MessageState.FAILED  # there is no SMS here
        assert f"sms: {FallbackReason.NOT_ANSWERED.value}" in world.states("alice", "fallback")
        assert bob.chat(ALICE).session == ""

    play(story)


@pytest.mark.parametrize("first", ["alice", "bob"])
def test_invitations_that_cross_end_in_one_session_with_every_message_shown_once(first: str) -> None:
    async def story(world: World) -> None:
        alice, bob, _relay = await two_in_sessions(world)
        senders = [(alice, BOB, "from alice"), (bob, ALICE, "from bob")]
        for phone, peer, text in senders if first == "alice" else senders[::-1]:
            phone.chat(peer).send(text)
        await asyncio.sleep(30)
        assert texts(bob, ALICE).count("from alice") == texts(alice, BOB).count("from bob") == 1
        assert alice.chat(BOB).session == bob.chat(ALICE).session == "open"
        sessions = [phone._ims.sessions for phone in (alice, bob) if phone._ims is not None]
        assert [len(each) for each in sessions if each is not None] == [1, 1]
        for phone, peer in ((alice, BOB), (bob, ALICE)):
            await (await phone.chat(peer).send("after")).delivered(5)

    play(story)


def test_a_second_invitation_of_the_same_peer_replaces_the_first_s15() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)
        await (await alice.chat(BOB).send("one")).delivered(5)
        await alice.lose_power()
        await alice.power_on()
        await asyncio.sleep(20)
        await (await alice.chat(BOB).send("two")).delivered(5)
        assert len(relay.invites) == 2
        await (await bob.chat(ALICE).send("three")).delivered(5)
        assert len(relay.invites) == 2
        assert texts(bob, ALICE) == ["one", "two", "three"]
        assert any("replaced" in line or "lost" in line for line in world.states("bob", _REASONS))

    play(story)


def test_an_invitation_whose_connection_ends_unanswered_is_made_again_after_the_registration() -> None:
    """It had its 100: the transaction would wait on (RFC 3261 figure 5)."""

    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        held: list[ServerTransaction] = []

        def hold(request: Request, server: ServerTransaction) -> None:
            server.respond(Response.to(request, 100))
            held.append(server)

        world.core.answers["INVITE"].append(hold)
        message = alice.chat(BOB).send("Hello")
        await asyncio.sleep(1)
        assert held
        world.core.bindings[ALICE].flow.close()
        await message.delivered(10)
        assert texts(bob, ALICE) == ["Hello"]
        assert "ended: connection to the network lost" in world.states("alice", _REASONS)

    play(story)


def test_switching_off_ends_the_sessions_in_order() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)
        await (await alice.chat(BOB).send("one")).delivered(5)
        await alice.power_off()
        await asyncio.sleep(1)
        assert [each.method for each in relay.requests if each.method != "ACK"] == ["BYE"]
        assert bob.chat(ALICE).session == ""

    play(story)


def test_a_lineage_like_phone_connects_itself_and_writes_in_its_own_way_rows_7_to_9() -> None:
    async def story(world: World) -> None:
        phone, peer, relay = await two_in_sessions(world, "lineage-like", "android")
        await (await phone.chat(BOB).send("x" * 1300)).delivered(5)
        (invite,) = relay.invites
        assert b"TCP/MSRP" in invite.body
        assert b"a=setup:active" in invite.body
        assert not invite.has("Conversation-ID")
        assert "100rel" in (invite.text("Supported") or "")
        first, *others = frames(world, "SEND", "alice")
        assert b"Byte-Range" not in first
        assert b"\r\n\r\n" not in first
        content = next(each for each in others if b"xxxx" in each)
        assert content.index(b"Content-Type:") < content.index(b"Success-Report:")
        assert content.index(b"Content-Type:") < content.index(b"Byte-Range:")
        await (await peer.chat(ALICE).send("y" * 1300)).delivered(5)
        assert len(relay.invites) == 1
        assert texts(phone, BOB) == ["x" * 1300, "y" * 1300]

    play(story)


def test_a_lineage_like_phone_answers_active_and_lets_the_session_go_after_30_s() -> None:
    async def story(world: World) -> None:
        phone, peer, _relay = await two_in_sessions(world, "android", "lineage-like")
        await (await phone.chat(BOB).send("x" * 1300)).delivered(5)
        (answer,) = [
            each.raw for each in world.sink.records if each.source == "bob" and each.summary == "200 OK (INVITE)"
        ]
        assert b"a=setup:active" in answer
        await asyncio.sleep(31)
        assert peer.chat(ALICE).session == ""

    play(story)


def test_a_redirected_invitation_is_followed_once() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)
        moved = Response.to

        def redirect(request: Request, server: ServerTransaction) -> None:
            tag = server.to_tag(world.core.stack.tokens)
            server.respond(moved(request, 302, to_tag=tag, headers=(("Contact", f"<tel:{BOB};moved=1>"),)))

        world.core.answers["INVITE"].append(redirect)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        (invite,) = relay.invites
        assert invite.request_uri_text == f"tel:{BOB};moved=1"
        assert texts(bob, ALICE) == ["Hello"]

    play(story)


def test_a_challenged_invitation_is_answered_by_the_call_itself() -> None:
    async def story(world: World) -> None:
        alice, bob, relay = await two_in_sessions(world)

        def challenge(request: Request, server: ServerTransaction) -> None:
            headers = (("Proxy-Authenticate", f'Digest realm="{HOME}", nonce="n2", qop="auth", algorithm=MD5'),)
            server.respond(Response.to(request, 407, to_tag=server.to_tag(world.core.stack.tokens), headers=headers))

        world.core.answers["INVITE"].append(challenge)
        await (await alice.chat(BOB).send("Hello")).delivered(5)
        assert relay.invites[0].has("Proxy-Authorization")
        assert texts(bob, ALICE) == ["Hello"]

    play(story)


def test_what_waits_for_a_session_in_clear_is_taken_back_when_a_lock_comes() -> None:
    """Nothing of it has left, so it is sealed; here by a phone that cannot."""

    async def story(world: World) -> None:
        alice, bob, _ = await two_in_sessions(world)
        message = alice.chat(BOB).send("written before the lock")
        await message
        assert alice.chat(BOB).session == "inviting"
        alice._messenger.mark_encrypted(alice.chat(BOB)._conversation, is_encrypted=True)
        await message.final(5)
        assert (message.state, message.reason) == (MessageState.FAILED, FallbackReason.ENCRYPTION_UNAVAILABLE)
        await asyncio.sleep(60)
        assert texts(bob, ALICE) == []
        assert not [each for each in frames(world, "SEND", "alice") if b"before the lock" in each]

    play(story)
