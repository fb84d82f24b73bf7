from __future__ import annotations

import asyncio

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.link import Transport
from ims_core.transport.memory import LinkProfile
from ims_core.transport.sip_stack import FailureReason, ServerTransaction, TransactionFailure
from ims_core.transport.virtual_loop import run
from ims_core.wire.sip.message import Request, Response
from tests.support.sip_pair import (
    HOST_A,
    Element,
    Pair,
    make_request,
    story,
)


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
