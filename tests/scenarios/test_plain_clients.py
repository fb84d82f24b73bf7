"""Clients that this project did not write, as scripts over UDP and TCP: registration, messages, calls (RFC 3261).

Nothing of the phone's stack takes part: `PlainClient` writes its octets out and has no transactions of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import rcs_sim
from ims_core.trace import ListSink, RecordKind
from ims_core.transport.link import Transport
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.simulation import Simulation
from tests.support.plain_client import PlainClient

BOTH = pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP], ids=lambda each: each.value)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Stage:
    """The default network and plain clients on it."""

    def __init__(self, sim: Simulation, sink: ListSink, transport: Transport) -> None:
        self.sim, self.sink, self.transport = sim, sink, transport
        self._hosts = 0

    async def client(self, name: str) -> PlainClient:
        """A client of the plain subscriber *name*, at an address of its own."""
        carrier = self.sim.carrier("blue" if name == "dave" else "red")
        subscriber = next(each for each in carrier.subscribers if each.impi.startswith(f"{name}@"))
        assert subscriber.password is not None
        self._hosts += 1
        client = PlainClient(
            name,
            self.sim.world.network,
            f"192.0.2.{self._hosts}",
            carrier.core.address("pcscf", self.transport),
            impi=subscriber.impi,
            password=subscriber.password.octets.decode(),
        )
        return await client.open()

    async def registered(self, name: str) -> PlainClient:
        client = await self.client(name)
        assert (await client.register()).status == 200
        return client

    def assert_nothing_is_left(self) -> None:
        """After every timer: no transaction, no branch, no dialog is remembered."""
        for name in ("red", "blue"):
            core = self.sim.carrier(name).core
            for node in (core.pcscf, core.icscf, core.scscf, core.ibcf):
                assert node.stack.open_transactions == (0, 0)
            assert len(core.pcscf.core.dialogs) == 0


def play(story: Callable[[Stage], Awaitable[None]], transport: Transport) -> None:
    async def main() -> None:
        sink = ListSink()
        async with Simulation("two-carriers-plain", sinks=[sink]) as sim:
            stage = Stage(sim, sink, transport)
            await story(stage)
            await asyncio.sleep(300)
            stage.assert_nothing_is_left()
        assert [record.summary for record in sink.records if record.kind is RecordKind.ERROR] == []

    rcs_sim.run(main, clock="virtual")


# --- registration ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("with_empty_authorization", [False, True])
def test_a_client_registers_with_and_without_authorization_in_its_first_request(
    transport: Transport, with_empty_authorization: bool
) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.client("carol")
        granted = await carol.register(with_empty_authorization=with_empty_authorization)
        assert granted.status == 200
        assert granted.texts("Contact") == (f"{carol.contact};expires=3600",)
        assert granted.text("Service-Route") is not None
        assert granted.text("P-Associated-URI") == f"<{carol.impu}>"
        assert 'rspauth="' in (granted.text("Authentication-Info") or "")
        assert granted.text("P-Charging-Vector") is None

    play(story, transport)


@BOTH
def test_the_nonce_serves_again_with_the_next_count_and_a_replay_is_stale(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        refreshed = await carol.ask(carol.register_octets(authorization=carol.authorization()))
        assert refreshed.status == 200
        replayed = await carol.ask(carol.register_octets(authorization=carol.authorization(nonce_count=2)))
        assert replayed.status == 401
        assert carol.take_challenge(replayed).stale
        again = await carol.ask(carol.register_octets(authorization=carol.authorization()))
        assert again.status == 200

    play(story, transport)


@BOTH
def test_the_third_wrong_password_is_403_and_the_right_one_registers_afterwards(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.client("carol")
        answer = await carol.ask(carol.register_octets())
        statuses = []
        for _ in range(3):
            if answer.status == 401:
                carol.take_challenge(answer)
            answer = await carol.ask(carol.register_octets(authorization=carol.authorization(password="wrong")))
            statuses.append(answer.status)
        assert statuses == [401, 401, 403]
        assert (await carol.register()).status == 200

    play(story, transport)


@BOTH
def test_a_wrong_password_of_somebody_else_does_not_end_a_registration(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        intruder = await stage.client("carol")
        for _ in range(4):
            answer = await intruder.ask(intruder.register_octets())
            if answer.status == 401:
                intruder.take_challenge(answer)
                await intruder.ask(intruder.register_octets(authorization=intruder.authorization(password="wrong")))
        asked = chuck.start(chuck.compose("MESSAGE", carol.impu, [("Content-Type", "text/plain")], b"still there?"))
        carol.answer(await carol.request("MESSAGE"), 200)
        assert (await chuck.final(asked)).status == 200

    play(story, transport)


@BOTH
def test_several_contacts_are_listed_and_a_star_removes_them_all(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        second = f"<sip:second@{carol.own}>;q=0.5;expires=120"
        both = await carol.ask(
            carol.register_octets(contacts=[carol.contact, second], authorization=carol.authorization())
        )
        assert both.status == 200
        assert sorted(text.partition(";expires")[2] for text in both.texts("Contact")) == ["=120", "=3600"]
        listed = await carol.ask(
            carol.register_octets(contacts=[], expires=None, authorization=carol.authorization())
        )  # a query (RFC 3261 §10.2.3)
        assert len(listed.texts("Contact")) == 2
        for contacts, expires in ((["*"], 60), (["*", carol.contact], 0)):
            wrong = await carol.ask(
                carol.register_octets(contacts=contacts, expires=expires, authorization=carol.authorization())
            )
            assert wrong.status == 400
        gone = await carol.ask(carol.register_octets(contacts=["*"], expires=0, authorization=carol.authorization()))
        assert (gone.status, gone.texts("Contact")) == (200, ())

    play(story, transport)


@BOTH
def test_expires_0_ends_one_contact_and_the_client_is_no_longer_reached(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        gone = await carol.ask(
            carol.register_octets(contacts=[f"{carol.contact};expires=0"], authorization=carol.authorization())
        )
        assert (gone.status, gone.texts("Contact")) == (200, ())
        message = chuck.compose("MESSAGE", carol.impu, [("Content-Type", "text/plain")], b"hello")
        assert (await chuck.ask(message)).status == 480
        assert (await carol.ask(carol.compose("OPTIONS", chuck.impu))).status == 403  # not registered any more

    play(story, transport)


@BOTH
def test_too_short_a_registration_is_423_and_an_unknown_extension_420(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        short = await carol.ask(carol.register_octets(expires=10, authorization=carol.authorization()))
        assert (short.status, short.text("Min-Expires")) == (423, "60")
        unknown = await carol.ask(carol.register_octets([("Require", "teleport")], authorization=carol.authorization()))
        assert (unknown.status, unknown.text("Unsupported")) == (420, "teleport")

    play(story, transport)


# --- messages --------------------------------------------------------------------------------------------------------


@BOTH
def test_a_text_goes_to_another_plain_client_and_its_body_is_as_it_was(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        body = "Grüße\r\n\r\n\x00 end".encode()
        fields = [
            ("Content-Type", "text/plain;charset=UTF-8"),
            ("X-Unknown", "kept"),
            ("P-Asserted-Identity", "<tel:1>"),
        ]
        asked = carol.start(carol.compose("MESSAGE", chuck.impu, fields, body))
        message = await chuck.request("MESSAGE")
        assert message.body == body
        assert message.text("X-Unknown") == "kept"
        assert message.texts("P-Asserted-Identity") == (f"<{carol.impu}>",)
        assert message.text("P-Called-Party-ID") == f"<{chuck.impu}>"
        assert not any(name.startswith(("p-charging", "p-served", "route")) for name in message.names())
        chuck.answer(message, 200)
        assert (await carol.final(asked)).status == 200

    play(story, transport)


@BOTH
def test_a_plain_client_and_an_rcs_phone_write_to_each_other(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        alice = await stage.sim.add_phone("alice", msisdn="+12025550101")
        alice_impu = f"sip:+12025550101@{carol.domain}"
        told = await carol.ask(carol.compose("MESSAGE", alice_impu, [("Content-Type", "text/plain")], b"from outside"))
        assert told.status == 200
        assert [each.text for each in alice.chat(carol.impu).messages] == ["from outside"]
        sent = alice.chat(carol.impu).send("and back")
        message = await carol.request("MESSAGE")
        assert b"and back" in message.body
        carol.answer(message, 200)
        await sent

    play(story, transport)


def test_a_request_that_comes_again_over_udp_is_answered_by_its_transaction() -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        octets = carol.compose("MESSAGE", chuck.impu, [("Content-Type", "text/plain")], b"once")
        for _ in range(3):
            carol.send(octets)
        message = await chuck.request("MESSAGE")
        chuck.answer(message, 200)
        await asyncio.sleep(1)
        for _ in range(2):
            carol.send(octets)
        await asyncio.sleep(1)
        answers = [each for each in carol.received_messages if isinstance(each, Response)]
        assert [each.status for each in answers] == [200, 200, 200]
        assert len({each.text("To") for each in answers}) == 1
        assert not [each for each in chuck.received_messages if isinstance(each, Request)]

    play(story, Transport.UDP)


def test_a_silent_callee_over_udp_gets_retransmissions_and_the_caller_a_final_answer() -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        octets = carol.compose("MESSAGE", chuck.impu, [("Content-Type", "text/plain")], b"anybody?")
        carol.send(octets)
        await asyncio.sleep(40)
        tries = [each for each in chuck.received_messages if isinstance(each, Request)]
        assert len(tries) == 11  # RFC 3261 §17.1.2.2: T1 = 0.5 s, doubled up to T2 = 4 s, within 32 s
        assert len({each.top_via.branch for each in tries}) == 1
        finals = [each.status for each in carol.received_messages if isinstance(each, Response) and each.status >= 200]
        assert set(finals) in ({408}, {480}, {504})

    play(story, Transport.UDP)


# --- calls -----------------------------------------------------------------------------------------------------------


class Call:
    """A call that *caller* makes to *callee*: it rings."""

    def __init__(self, caller: PlainClient, callee: PlainClient, call_id: str) -> None:
        self.caller, self.callee, self.call_id = caller, callee, call_id
        self.branch = caller.branch()
        self.sender = f"<{caller.impu}>;tag=caller"

    def invite(self) -> bytes:
        fields = [("Contact", self.caller.contact), ("Content-Type", "application/sdp")]
        return self.caller.compose(
            "INVITE",
            self.callee.impu,
            fields,
            SDP,
            sender=self.sender,
            call_id=self.call_id,
            branch=self.branch,
        )

    def cancel(self) -> bytes:
        return self.caller.compose(
            "CANCEL", self.callee.impu, sender=self.sender, call_id=self.call_id, branch=self.branch
        )

    def acknowledge_failure(self, answer: Response) -> None:
        """The ACK to a final answer other than 2xx belongs to the INVITE's transaction."""
        self.caller.send(
            self.caller.compose(
                "ACK",
                self.callee.impu,
                to=answer.text("To") or "",
                sender=self.sender,
                call_id=self.call_id,
                branch=self.branch,
            )
        )

    def within(self, method: str, answer: Response, cseq: int) -> bytes:
        """A request of the caller in the dialog that *answer* made."""
        routes = [("Route", text) for text in reversed(_routes(answer))]
        target = (answer.text("Contact") or "").strip("<>")
        return self.caller.compose(
            method,
            target,
            routes,
            to=answer.text("To") or "",
            sender=self.sender,
            call_id=self.call_id,
            cseq=cseq,
        )


def _routes(message: Request | Response) -> list[str]:
    return [part.strip() for text in message.texts("Record-Route") for part in text.split(",")]


@asynccontextmanager
async def established(stage: Stage, callee: str = "chuck") -> AsyncIterator[tuple[Call, Request, Response]]:
    """A call that was answered: the INVITE as it came, the 200 as the caller got it. Ends with BYE."""
    carol, chuck = await stage.registered("carol"), await stage.registered(callee)
    call = Call(carol, chuck, "call-1")
    asked = carol.start(call.invite())
    invite = await chuck.request("INVITE")
    chuck.answer(invite, 180, [("Contact", chuck.contact)], tag="callee")
    await asyncio.sleep(0.2)
    chuck.answer(invite, 200, [("Contact", chuck.contact), ("Content-Type", "application/sdp")], SDP, tag="callee")
    answer = await carol.final(asked)
    assert answer.status == 200
    carol.send(call.within("ACK", answer, 1))
    assert (await chuck.request("ACK")).text("Route") is None
    yield call, invite, answer
    ended = carol.start(call.within("BYE", answer, 9))
    bye = await chuck.request("BYE")
    assert bye.text("Route") is None
    chuck.answer(bye, 200)
    assert (await carol.final(ended)).status == 200


@BOTH
def test_a_call_is_set_up_changed_from_the_other_side_and_ended_along_its_route_set(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        async with established(stage) as (call, invite, answer):
            carol, chuck = call.caller, call.callee
            assert (invite.body, answer.body) == (SDP, SDP)
            assert _routes(invite) == _routes(answer)
            assert len(_routes(invite)) == 3  # P-CSCF, S-CSCF, P-CSCF
            routes = [("Route", text) for text in _routes(invite)]
            to, sender = invite.text("From") or "", answer.text("To") or ""
            target = carol.contact.strip("<>")
            change = chuck.compose(
                "INVITE",
                target,
                [*routes, ("Contact", chuck.contact)],
                to=to,
                sender=sender,
                call_id=call.call_id,
                cseq=5,
            )
            asked = chuck.start(change)
            again = await carol.request("INVITE")
            assert again.request_uri_text == carol.contact.strip("<>")
            carol.answer(again, 200, [("Contact", carol.contact)])
            assert (await chuck.final(asked)).status == 200
            chuck.send(chuck.compose("ACK", target, routes, to=to, sender=sender, call_id=call.call_id, cseq=5))
            assert (await carol.request("ACK")).cseq.number == 5

    play(story, transport)


@BOTH
def test_a_call_across_the_border_hides_both_cores_and_ends_from_the_far_side(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        async with established(stage, "dave") as (call, invite, answer):
            dave, carol = call.callee, call.caller
            for seen, own, other in ((invite, "127.0.2.", "127.0.1."), (answer, "127.0.1.", "127.0.2.")):
                routes = _routes(seen)
                assert len([text for text in routes if own in text]) == 3  # P-CSCF, S-CSCF, border
                assert [text.partition("@")[2][:10] for text in routes if other in text] == [f"{other}13"]
            assert [via[12:22] for via in invite.texts("Via") if "127.0.1." in via] == ["127.0.1.13"]
            change = dave.compose(
                "INVITE",
                carol.contact.strip("<>"),
                [*(("Route", text) for text in _routes(invite)), ("Contact", dave.contact)],
                to=invite.text("From") or "",
                sender=answer.text("To") or "",
                call_id=invite.call_id,
                cseq=7,
            )
            asked = dave.start(change)
            carol.answer(await carol.request("INVITE"), 488)
            assert (await dave.final(asked)).status == 488
            ack = change.replace(b"INVITE", b"ACK")
            dave.send(ack)

    play(story, transport)


@BOTH
def test_a_bye_of_no_call_is_481(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        async with established(stage) as (call, _, answer):
            pass
        assert (await call.caller.ask(call.within("BYE", answer, 10))).status == 481

    play(story, transport)


@BOTH
def test_a_cancelled_call_ends_with_487_at_both_ends(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        call = Call(carol, chuck, "call-2")
        asked = carol.start(call.invite())
        invite = await chuck.request("INVITE")
        chuck.answer(invite, 180, [("Contact", chuck.contact)])
        await asyncio.sleep(0.2)
        assert (await carol.ask(call.cancel())).status == 200
        cancel = await chuck.request("CANCEL")
        assert cancel.top_via.branch == invite.top_via.branch
        chuck.answer(cancel, 200)
        chuck.answer(invite, 487)
        await chuck.request("ACK")
        answer = await carol.final(asked)
        assert answer.status == 487
        call.acknowledge_failure(answer)
        assert (await carol.ask(call.cancel().replace(b"z9hG4bK", b"z9hG4bKx"))).status == 481

    play(story, transport)


@BOTH
def test_a_cancel_before_the_callee_rings_waits_for_his_first_answer(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        call = Call(carol, chuck, "call-3")
        asked = carol.start(call.invite())
        assert (await carol.ask(call.cancel())).status == 200
        invite = await chuck.request("INVITE")
        await asyncio.sleep(0.3)
        assert not [each for each in chuck.received_messages if isinstance(each, Request) and each.method == "CANCEL"]
        chuck.answer(invite, 180)
        chuck.answer(await chuck.request("CANCEL"), 200)
        chuck.answer(invite, 487)
        answer = await carol.final(asked)
        assert answer.status == 487
        call.acknowledge_failure(answer)

    play(story, transport)


@BOTH
def test_an_answer_that_crosses_a_cancel_still_makes_the_call(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol, chuck = await stage.registered("carol"), await stage.registered("chuck")
        call = Call(carol, chuck, "call-4")
        asked = carol.start(call.invite())
        invite = await chuck.request("INVITE")
        chuck.answer(invite, 180, [("Contact", chuck.contact)])
        await asyncio.sleep(0.2)
        chuck.answer(invite, 200, [("Contact", chuck.contact)])
        assert (await carol.ask(call.cancel())).status in (200, 481)
        answer = await carol.final(asked)
        assert answer.status == 200
        carol.send(call.within("ACK", answer, 1))
        await chuck.request("ACK")
        ended = carol.start(call.within("BYE", answer, 2))
        chuck.answer(await chuck.request("BYE"), 200)
        assert (await carol.final(ended)).status == 200

    play(story, transport)


@BOTH
def test_a_call_rings_at_every_contact_and_stops_where_it_was_not_answered(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        desk, sofa = await stage.registered("chuck"), await stage.registered("chuck")
        call = Call(carol, desk, "call-5")
        asked = carol.start(call.invite())
        at_desk, at_sofa = await desk.request("INVITE"), await sofa.request("INVITE")
        desk.answer(at_desk, 180, [("Contact", desk.contact)], tag="desk")
        sofa.answer(at_sofa, 180, [("Contact", sofa.contact)], tag="sofa")
        await asyncio.sleep(0.2)
        sofa.answer(at_sofa, 200, [("Contact", sofa.contact)], tag="sofa")
        answer = await carol.final(asked)
        assert answer.status == 200
        assert (answer.text("To") or "").endswith("tag=sofa")
        carol.send(call.within("ACK", answer, 1))
        await sofa.request("ACK")
        desk.answer(await desk.request("CANCEL"), 200)
        desk.answer(at_desk, 487, tag="desk")
        await desk.request("ACK")
        ended = carol.start(call.within("BYE", answer, 2))
        sofa.answer(await sofa.request("BYE"), 200)
        assert (await carol.final(ended)).status == 200
        tags = {
            each.text("To") for each in carol.received_messages if isinstance(each, Response) and each.status == 180
        }
        assert len(tags) == 2

    play(story, transport)


@BOTH
@pytest.mark.parametrize(
    ("first", "second", "best"), [(404, 420, 420), (404, 603, 603), (503, 486, 486), (401, 480, 401)]
)
def test_the_best_of_several_refusals_comes_back(transport: Transport, first: int, second: int, best: int) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        desk, sofa = await stage.registered("chuck"), await stage.registered("chuck")
        call = Call(carol, desk, "call-6")
        asked = carol.start(call.invite())
        for client, status in ((desk, first), (sofa, second)):
            challenge = [("WWW-Authenticate", 'Digest realm="callee", nonce="n1"')] if status == 401 else []
            client.answer(await client.request("INVITE"), status, challenge)
            await asyncio.sleep(0.2)
        answer = await carol.final(asked)
        assert answer.status == best
        call.acknowledge_failure(answer)

    play(story, transport)


# --- a phone of this project -----------------------------------------------------------------------------------------


@BOTH
def test_a_phone_tries_a_contact_that_refuses_cpim_again_with_plain_text(transport: Transport) -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        alice = await stage.sim.add_phone("alice", "android", "red")
        message = alice.chat(carol.impu).send("hello carol")
        first = await carol.request("MESSAGE")
        assert first.content_type is not None
        assert first.content_type.type == "message/cpim"
        carol.answer(first, 415, [("Accept", "text/plain")])
        second = await carol.request("MESSAGE")
        assert second.text("Content-Type") == "text/plain;charset=UTF-8"
        assert second.body == b"hello carol"
        assert second.call_id != first.call_id
        carol.answer(second, 200)
        await message.sent(within_s=5)
        await asyncio.sleep(60)
        assert message.state is MessageState.SENT
        again = alice.chat(carol.impu).send("and again")
        for _ in range(2):  # once: who refuses text/plain too has refused
            carol.answer(await carol.request("MESSAGE"), 415, [("Accept", "text/plain")])
        await asyncio.sleep(60)
        assert again.state is MessageState.FAILED
        await alice.power_off()

    play(story, transport)


def test_a_415_that_does_not_ask_for_plain_text_is_final() -> None:
    async def story(stage: Stage) -> None:
        carol = await stage.registered("carol")
        alice = await stage.sim.add_phone("alice", "android", "red")
        for accept in ([], [("Accept", "message/cpim")], [("Accept", "text/plain;q=0, */*")]):
            message = alice.chat(carol.impu).send("hello carol")
            carol.answer(await carol.request("MESSAGE"), 415, accept)
            await asyncio.sleep(60)
            assert message.state is MessageState.FAILED
        assert {each.method for each in carol.received_messages if isinstance(each, Request)} == {"OPTIONS"}
        await alice.power_off()

    play(story, Transport.TCP)
