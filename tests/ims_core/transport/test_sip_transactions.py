from __future__ import annotations

import asyncio

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.link import Transport
from ims_core.transport.memory import LinkProfile
from ims_core.transport.sip_stack import FailureReason, ServerTransaction, TransactionFailure
from ims_core.transport.virtual_loop import run
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.transaction import State
from tests.support.flows import Recorder
from tests.support.sip_pair import (
    HOST_A,
    Element,
    Pair,
    answer_200,
    make_request,
    never_answer,
    story,
)


def _answers(pair: Pair, transport: Transport, times: int) -> Recorder:
    """Bob's answers to the same octets, so many times."""
    recorder = Recorder("foreign")
    flow = pair.raw(transport, recorder)
    via = f"SIP/2.0/{transport.value} 10.0.0.9;branch=z9hG4bKsame{len(pair.bob.requests)};rport"
    octets = make_request().edit().push("Via", via).done().encode()
    for _ in range(times):
        flow.send(octets)
    return recorder


def test_a_datagram_that_comes_again_gets_the_answer_that_was_given_at_once() -> None:
    async def tell(pair: Pair) -> None:
        recorder = _answers(pair, Transport.UDP, 3)
        await asyncio.sleep(1)
        assert len(pair.bob.requests) == 1
        assert len(recorder.octets) == 3
        assert len(set(recorder.octets)) == 1
        assert pair.bob.stack.open_transactions == (0, 1)
        server = pair.bob.servers[0]
        assert server is not None
        assert server.state is State.COMPLETED
        pair.bob.stack.reply(server, 500)  # the second final response is dropped
        await asyncio.sleep(32)
        assert len(recorder.octets) == 3
        assert pair.bob.stack.open_transactions == (0, 0)

    story(tell)


def test_a_request_on_a_stream_that_is_answered_at_once_leaves_nothing() -> None:
    async def tell(pair: Pair) -> None:
        seen: list[State] = []

        def answer(element: Element, request: Request, server: ServerTransaction) -> None:
            seen.append(server.state)
            element.stack.reply(server, 180)  # absorbed: RFC 4320 §4.1
            element.stack.reply(server, 408)  # never sent: RFC 4320 §4.2
            element.stack.reply(server, 404)
            element.stack.reply(server, 200)
            seen.append(server.state)

        pair.bob.answer = answer
        recorder = _answers(pair, Transport.TCP, 1)
        await asyncio.sleep(1)
        assert [octets[:11] for octets in recorder.octets] == [b"SIP/2.0 404"]
        assert seen == [State.INITIAL, State.TERMINATED]
        pair.bob.answer = answer_200
        recorder = _answers(pair, Transport.TCP, 1)
        await asyncio.sleep(1)
        assert [octets[:11] for octets in recorder.octets] == [b"SIP/2.0 200"]
        assert pair.bob.servers[-1] is not None
        assert pair.bob.servers[-1].state is State.TERMINATED
        pair.bob.stack.reply(pair.bob.servers[-1], 500)
        assert pair.bob.stack.open_transactions == (0, 0)

    story(tell)


def test_a_stateless_answer_leaves_nothing_and_the_request_comes_again_as_a_new_one() -> None:
    async def tell(pair: Pair) -> None:
        def answer(element: Element, request: Request, server: ServerTransaction) -> None:
            server.respond_stateless(Response.to(request, 401, to_tag="t"))
            server.respond_stateless(Response.to(request, 500, to_tag="t"))  # a second one is dropped

        pair.bob.answer = answer
        recorder = _answers(pair, Transport.UDP, 2)
        await asyncio.sleep(1)
        assert [octets[:11] for octets in recorder.octets] == [b"SIP/2.0 401"] * 2
        assert len(pair.bob.requests) == 2
        assert pair.bob.stack.open_transactions == (0, 0)
        pair.bob.answer = never_answer
        _answers(pair, Transport.UDP, 1)
        await asyncio.sleep(1)
        late = pair.bob.servers[-1]
        assert late is not None
        late.respond_stateless(Response.to(late.request, 200, to_tag="t"))  # state is there: it is used
        assert late.state is State.COMPLETED

    story(tell)


def test_an_unanswered_invite_gets_its_100_and_is_cancelled_after_it() -> None:
    async def tell(pair: Pair) -> None:
        def answer(element: Element, request: Request, server: ServerTransaction) -> None:
            if request.method != "CANCEL":
                return
            element.stack.reply(server, 200)
            invite = element.servers[0]
            assert invite is not None
            assert element.stack.is_cancelled_by(invite, request)
            assert element.stack.has_invite_for(request)
            element.stack.reply(invite, 487)

        pair.bob.answer = answer
        client = pair.alice.stack.send_request(
            make_request("INVITE"), pair.bob.hop(Transport.TCP), pair.alice.outcomes.append
        )
        client.cancel((("Reason", "SIP;cause=200"),))
        assert len(pair.bob.requests) == 0
        await asyncio.sleep(1)
        assert pair.alice.statuses == [100, 487]
        assert [request.method for request in pair.bob.requests] == ["INVITE", "CANCEL"]
        assert pair.bob.requests[1].text("Reason") == "SIP;cause=200"
        assert client.is_final

    story(tell)


def test_a_cancelled_invite_that_stays_unanswered_ends_after_64_t1() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = lambda element, request, server: element.stack.reply(server, 180)
        client = pair.alice.stack.send_request(
            make_request("INVITE"), pair.bob.hop(Transport.UDP), pair.alice.outcomes.append
        )
        await asyncio.sleep(100)
        assert pair.alice.statuses == [180]
        client.cancel()
        await asyncio.sleep(31.9)
        assert not pair.alice.failures
        await asyncio.sleep(0.2)
        assert pair.alice.failures == [TransactionFailure(FailureReason.TIMEOUT)]

    story(tell)


def test_a_2xx_once_more_and_its_ack_go_to_the_users() -> None:
    async def tell(pair: Pair) -> None:
        pair.send(make_request("INVITE"))
        await asyncio.sleep(1)
        server = pair.bob.servers[0]
        assert server is not None
        server.respond(Response.to(server.request, 200, to_tag="b"))
        await asyncio.sleep(1)
        assert pair.alice.statuses == [200]
        assert [response.status for response in pair.alice.strays] == [200]
        pair.alice.stack.send_stateless(make_request("ACK"), pair.bob.hop(Transport.TCP))
        await asyncio.sleep(1)
        assert (pair.bob.requests[1].method, pair.bob.servers[1]) == ("ACK", None)
        assert pair.bob.requests[1].top_via.host == HOST_A, "an ACK without the own Via gets one"

    story(tell)


def test_a_second_final_answer_is_dropped_for_a_message_and_a_bug_for_an_invite() -> None:
    async def tell(pair: Pair) -> None:
        for method in ("MESSAGE", "INVITE"):
            pair.send(make_request(method, call_id=method), Transport.UDP)
        await asyncio.sleep(1)
        message, invite = pair.bob.servers
        assert message is not None
        assert invite is not None
        pair.bob.stack.reply(message, 500)
        with pytest.raises(LocalProtocolError):
            pair.bob.stack.reply(invite, 500)
        await asyncio.sleep(1)
        assert pair.alice.statuses == [200, 200]

    story(tell)


def test_an_invite_over_a_bad_link_is_answered_and_acknowledged() -> None:
    async def main() -> None:
        pair = await Pair().start()
        pair.bob.answer = lambda element, request, server: element.stack.reply(server, 480)
        pair.network.set_link("*", "*", LinkProfile(latency_s=0.02, loss=0.25, duplicate=0.2))
        for number in range(10):
            request = make_request("INVITE", call_id=f"call-{number}")
            assert (await pair.alice.stack.request(request, pair.bob.hop(Transport.UDP))).status == 480
        await asyncio.sleep(70)
        assert len(pair.bob.requests) == 10
        assert pair.alice.stack.open_transactions == pair.bob.stack.open_transactions == (0, 0)

    run(main)


def test_provisional_responses_come_before_the_one_final_outcome() -> None:
    def answer(element: Element, request: Request, server: ServerTransaction) -> None:
        element.stack.reply(server, 100)
        element.stack.reply(server, 180)
        element.stack.reply(server, 486)
        assert server.is_answered

    async def tell(pair: Pair) -> None:
        pair.bob.answer = answer
        pair.send(make_request("INVITE"))
        await asyncio.sleep(1)
        assert pair.alice.statuses == [100, 180, 486]
        tags = {outcome.text("To") for outcome in pair.alice.outcomes[1:] if isinstance(outcome, Response)}
        assert len(tags) == 1, "all responses of one transaction carry one To tag"
        await asyncio.sleep(64)
        assert pair.bob.stack.open_transactions == (0, 0), "the ACK ended the server transaction"
        assert len(pair.bob.requests) == 1, "the ACK to a failure is the transaction layer's business"

    story(tell)
