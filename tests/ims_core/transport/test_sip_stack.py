from __future__ import annotations

import asyncio

import pytest

from ims_core.errors import LocalProtocolError, TransportError
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import LinkProfile, MemoryNetwork
from ims_core.transport.sip_stack import FailureReason, Hop, TransactionFailure
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sip.message import Response
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.transaction import GM_TIMERS
from tests.support.flows import Recorder
from tests.support.sip_pair import (
    BOTH,
    HOST_A,
    HOST_B,
    Element,
    Pair,
    Records,
    config,
    loop_time,
    make_request,
    never_answer,
    story,
    wire,
)

# --- requests and responses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", BOTH)
def test_a_request_is_answered(transport: Transport) -> None:
    async def tell(pair: Pair) -> None:
        outcome = await pair.alice.stack.request(make_request(body=b"hi"), pair.bob.hop(transport))
        assert isinstance(outcome, Response)
        assert outcome.status == 200
        assert (outcome.text("To") or "").startswith("<sip:bob@blue.example>;tag=")
        via = pair.bob.requests[0].top_via
        assert (via.transport, via.host, via.port) == (transport.value, HOST_A, 5060)
        assert (via.branch or "").startswith("z9hG4bK")
        assert pair.bob.requests[0].body == b"hi"

    story(tell)


def test_no_answer_is_a_timeout_after_64_t1() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = never_answer
        for transport in BOTH:
            began = loop_time()
            outcome = await pair.alice.stack.request(make_request(), pair.bob.hop(transport))
            assert outcome == TransactionFailure(FailureReason.TIMEOUT)
            assert outcome.status == 408
            assert round(loop_time() - began, 6) == 32.0
        assert pair.bob.stack.open_transactions == (0, 0)

    story(tell)


def test_the_timers_of_the_gm_interface_are_longer() -> None:
    async def main() -> None:
        network = MemoryNetwork(VirtualClock(), Tokens("seed"))
        phone = Element(config("alice", HOST_A, timers=GM_TIMERS), network, network.clock)
        await phone.stack.start()
        nobody = Hop(Address(Transport.UDP, HOST_B, 5060))
        assert await phone.stack.request(make_request(), nobody) == TransactionFailure(FailureReason.TIMEOUT)
        assert loop_time() == 128.0
        await phone.stack.close()

    run(main)


@pytest.mark.parametrize("seed", range(5))
def test_retransmission_gets_a_datagram_through_a_bad_link_and_the_user_sees_it_once(seed: int) -> None:
    async def main() -> None:
        pair = await Pair(seed=str(seed)).start()
        pair.network.set_link("*", "*", LinkProfile(latency_s=0.02, jitter_s=0.02, loss=0.25, duplicate=0.2))
        for number in range(10):
            request = make_request(call_id=f"call-{number}")
            outcome = await pair.alice.stack.request(request, pair.bob.hop(Transport.UDP))
            assert outcome.status == 200
        assert len(pair.bob.requests) == 10
        assert not pair.alice.strays
        await asyncio.sleep(40)
        assert pair.alice.stack.open_transactions == pair.bob.stack.open_transactions == (0, 0)

    run(main)


# --- trace and repetition ------------------------------------------------------------------------------------------


def test_each_message_between_elements_is_traced_once_and_a_foreign_peer_on_both_sides() -> None:
    async def main() -> None:
        trace, records = Trace(), Records()
        trace.add_sink(records)
        pair = await Pair(trace).start()
        await pair.alice.stack.request(make_request(), pair.bob.hop(Transport.TCP))
        assert [(r.source, r.target, r.summary) for r in records.records] == [
            ("red.alice", "red.bob", "MESSAGE sip:bob@blue.example"),
            ("red.bob", "red.alice", "200 OK (MESSAGE)"),
        ]
        first = records.records[0]
        assert (first.call_id, first.protocol, first.transport) == ("call-1", "SIP", "TCP")
        assert first.target_address == f"{HOST_B}:5060"
        assert parse_datagram(first.raw).call_id == "call-1"
        records.records.clear()
        flow = pair.raw(Transport.UDP, Recorder("foreign"))
        pair.network.book.forget(flow.local)
        flow.send(wire(via="SIP/2.0/UDP 10.0.0.9;rport;branch=z9hG4bKgood"))
        await asyncio.sleep(1)
        assert [(r.source, r.target) for r in records.records] == [
            (str(flow.local), "red.bob"),
            ("red.bob", str(flow.local)),
        ]

    run(main)


def test_the_same_seed_gives_the_same_trace_octet_by_octet() -> None:
    def lines(seed: str) -> list[str]:
        records = Records()

        async def main() -> None:
            trace = Trace()
            trace.add_sink(records)
            pair = await Pair(trace, seed).start()
            pair.network.set_link("*", "*", LinkProfile(latency_s=0.03, jitter_s=0.02, loss=0.3, duplicate=0.1))
            for number in range(20):
                pair.send(make_request(call_id=f"call-{number}"), BOTH[number % 2])
                pair.send(make_request("INVITE", call_id=f"invite-{number}"), BOTH[number % 2])
            await asyncio.sleep(100)
            await pair.close()

        run(main)
        return records.lines()

    assert lines("7") == lines("7")
    assert lines("7") != lines("8")


# --- contract ------------------------------------------------------------------------------------------------------


def test_a_closed_stack_answers_requests_with_a_failure() -> None:
    async def tell(pair: Pair) -> None:
        hop = pair.bob.hop(Transport.TCP)
        await pair.alice.stack.close()
        outcome = await pair.alice.stack.request(make_request(), hop)
        assert isinstance(outcome, TransactionFailure)
        assert outcome.reason is FailureReason.TRANSPORT

    story(tell)


def test_wrong_use_is_told_clearly() -> None:
    async def tell(pair: Pair) -> None:
        hop = pair.bob.hop(Transport.TCP)
        with pytest.raises(LocalProtocolError):
            Hop()
        with pytest.raises(LocalProtocolError):
            pair.alice.stack.address(Transport.TLS)
        with pytest.raises(LocalProtocolError):
            pair.alice.stack.send_request(make_request("ACK"), hop, pair.alice.outcomes.append)
        pair.alice.stack.send_request(make_request(), hop, pair.alice.outcomes.append, branch="z9hG4bKmine")
        with pytest.raises(LocalProtocolError):
            pair.alice.stack.send_request(make_request(), hop, pair.alice.outcomes.append, branch="z9hG4bKmine")
        second = Element(config("red.second", HOST_B, Transport.TCP), pair.network, pair.network.clock)
        with pytest.raises(TransportError, match="in use"):
            await second.stack.start()

    story(tell)


def test_via_parameters_of_the_configuration_are_sent() -> None:
    async def main() -> None:
        network = MemoryNetwork(VirtualClock(), Tokens("seed"))
        phone = Element(config("alice", HOST_A, via_params=(("rport", None), ("keep", None))), network, network.clock)
        bob = Element(config("red.bob", HOST_B, *BOTH), network, network.clock)
        await phone.stack.start()
        await bob.stack.start()
        outcome = await phone.stack.request(make_request(), bob.hop(Transport.UDP))
        assert isinstance(outcome, Response)
        via = outcome.top_via
        assert via.params.has("keep")
        assert (via.received, via.rport, via.port) == (HOST_A, bob.flows[0].remote.port, bob.flows[0].remote.port)

    run(main)
