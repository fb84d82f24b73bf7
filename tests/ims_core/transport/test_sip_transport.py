from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import ConnectionLost
from ims_core.trace import RecordKind
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.memory_link import LinkProfile
from ims_core.transport.sip_stack import FailureReason, Hop, ServerTransaction, TransactionFailure
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sip.headers import RetryAfter, Via
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.stun import binding_response
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

# --- flows ---------------------------------------------------------------------------------------------------------


def test_requests_to_one_address_share_a_connection_and_answers_come_back_on_it() -> None:
    async def tell(pair: Pair) -> None:
        for number in range(3):
            pair.send(make_request(call_id=f"call-{number}"))
            await asyncio.sleep(1)
        assert pair.alice.statuses == [200] * 3
        assert len(set(pair.bob.flows)) == 1
        back = Hop(flow=pair.bob.flows[0])
        outcome = await pair.bob.stack.request(make_request(), back)
        assert outcome.status == 200, "a request can go back on the flow that the peer opened"
        assert pair.alice.requests[0].top_via.port == 5060

    story(tell)


def test_a_response_finds_its_way_when_the_connection_is_gone() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = never_answer
        client = pair.alice.stack.send_request(
            make_request("INVITE"), pair.bob.hop(Transport.TCP), pair.alice.outcomes.append
        )
        await asyncio.sleep(1)
        pair.alice.stack.close_flow(client.flow, "handover")
        await asyncio.sleep(1)
        server = pair.bob.servers[0]
        assert server is not None
        assert not server.flow.is_open
        pair.bob.stack.reply(server, 486)
        await asyncio.sleep(1)
        assert pair.alice.statuses == [100, 486], "it came by a new connection to the sent-by address"

    story(tell)


def test_a_lost_connection_fails_the_requests_on_it_at_once() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = never_answer
        pair.send(make_request())
        await asyncio.sleep(1)
        pair.network.reset(HOST_B)
        await asyncio.sleep(0.1)
        [failure] = pair.alice.failures
        assert failure.reason is FailureReason.TRANSPORT
        assert failure.status == 503
        assert isinstance(failure.error, ConnectionLost)
        assert [type(end) for end in pair.alice.ends] == [ConnectionLost]
        pair.bob.answer = lambda element, request, server: element.stack.reply(server, 200)
        assert (await pair.alice.stack.request(make_request(), pair.bob.hop(Transport.TCP))).status == 200

    story(tell)


def test_a_refused_connection_and_a_closed_flow_are_transport_failures_told_later() -> None:
    async def tell(pair: Pair) -> None:
        stack, outcomes = pair.alice.stack, pair.alice.outcomes
        stack.send_request(make_request(), Hop(Address(Transport.TCP, HOST_B, 9)), outcomes.append)
        flow = stack.connect(pair.bob.hop(Transport.TCP))
        await asyncio.sleep(1)
        assert [failure.reason for failure in pair.alice.failures] == [FailureReason.TRANSPORT]
        stack.close_flow(flow, "test")
        stack.send_request(make_request(), Hop(flow=flow), outcomes.append)
        assert len(outcomes) == 1
        await asyncio.sleep(1)
        assert [failure.reason for failure in pair.alice.failures] == [FailureReason.TRANSPORT] * 2

    story(tell)


def test_a_binding_request_on_a_udp_flow_is_answered_and_nothing_is_made_of_other_stun() -> None:
    async def tell(pair: Pair) -> None:
        stranger = Recorder("foreign")
        flow = pair.raw(Transport.UDP, stranger)
        request = bytes.fromhex("000100002112a442") + bytes(12)
        flow.send(request)
        flow.send(bytes.fromhex("001100002112a442") + bytes(12))
        await asyncio.sleep(1)
        answer = binding_response(request, flow.local.host, flow.local.port)
        assert stranger.octets == [answer]
        assert pair.bob.pings == [False]
        assert pair.bob.requests == []

    story(tell)


def test_closing_a_stack_fails_what_is_still_out() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = never_answer
        pair.send(make_request())
        await asyncio.sleep(1)
        await pair.alice.stack.close()
        assert [failure.reason for failure in pair.alice.failures] == [FailureReason.TRANSPORT]
        await asyncio.sleep(100)
        assert len(pair.alice.outcomes) == 1

    story(tell)


def test_waiting_for_a_request_can_be_given_up() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = never_answer
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                pair.alice.stack.request(make_request("INVITE"), pair.bob.hop(Transport.TCP)), timeout=5
            )
        await asyncio.sleep(1)
        assert [request.method for request in pair.bob.requests] == ["INVITE", "CANCEL"]

    story(tell)


def test_pings_are_answered_and_a_dead_flow_is_found_out() -> None:
    async def tell(pair: Pair) -> None:
        for transport in BOTH:
            flow = pair.alice.stack.connect(pair.bob.hop(transport))
            assert await pair.alice.stack.ping(flow)
        assert pair.bob.pings == [False, False]
        assert pair.alice.pings == [True, True]
        pair.network.cut(HOST_B)
        began = loop_time()
        assert not await pair.alice.stack.ping(flow, timeout_s=10)
        assert loop_time() - began == 10

    story(tell)


def test_each_pong_of_a_quiet_stream_is_one_and_never_half_of_a_ping() -> None:
    async def tell(pair: Pair) -> None:
        for transport in BOTH:
            flow = pair.alice.stack.connect(pair.bob.hop(transport))
            for _ in range(5):
                assert await pair.alice.stack.ping(flow, timeout_s=10)
                await asyncio.sleep(100)
        assert pair.bob.pings == [False] * 10
        assert pair.alice.pings == [True] * 10

    story(tell)


def test_every_carriage_of_octets_gives_the_same_messages() -> None:
    async def tell(pair: Pair) -> None:
        peer = Recorder("10.0.0.9")
        flow = pair.raw(Transport.TCP, peer)
        octets = b"\r\n\r\n" + wire(call_id="call-1") + b"\r\n" + wire(call_id="call-2")
        for octet in octets:
            flow.send(bytes([octet]))
        await asyncio.sleep(1)
        assert [request.call_id for request in pair.bob.requests] == ["call-1", "call-2"]
        assert peer.stream.startswith(b"\r\nSIP/2.0 200 OK\r\n")

    story(tell)


# --- sizes ---------------------------------------------------------------------------------------------------------


class _UnknownMtu(MemoryNetwork):
    """A network that does not know its path MTU, as the Internet."""

    def path_mtu(self, local_host: str, remote: Address) -> int | None:
        return None


async def _far_pair(*bob_transports: Transport) -> tuple[Element, Element]:
    network = _UnknownMtu(VirtualClock(), Tokens("seed"))
    alice = Element(config("red.alice", HOST_A, *BOTH), network, network.clock)
    bob = Element(config("red.bob", HOST_B, *bob_transports), network, network.clock)
    await alice.stack.start()
    await bob.stack.start()
    return alice, bob


def test_a_large_request_for_an_unknown_path_goes_by_tcp() -> None:
    async def main() -> None:
        alice, bob = await _far_pair(*BOTH)
        for size, transport in ((800, "UDP"), (1400, "TCP")):
            outcome = await alice.stack.request(make_request(body=bytes(size)), bob.hop(Transport.UDP))
            assert outcome.status == 200
            assert bob.requests[-1].top_via.transport == transport
            assert bob.flows[-1].local.transport.value == transport

    run(main)


def test_a_large_request_falls_back_to_udp_where_tcp_is_refused() -> None:
    async def main() -> None:
        alice, bob = await _far_pair(Transport.UDP)
        outcome = await alice.stack.request(make_request(body=bytes(1400)), bob.hop(Transport.UDP))
        assert outcome.status == 200
        assert bob.requests[0].top_via.transport == "UDP"
        assert len(bob.requests[0].get_all(Via)) == 1
        await asyncio.sleep(40)
        assert alice.stack.open_transactions == (0, 0)

    run(main)


def test_a_large_request_on_a_registered_flow_stays_there() -> None:
    async def main() -> None:
        alice, bob = await _far_pair(*BOTH)
        assert (await alice.stack.request(make_request(), bob.hop(Transport.UDP))).status == 200
        outcome = await bob.stack.request(make_request(body=bytes(5000)), Hop(flow=bob.flows[0]))
        assert outcome.status == 200
        assert alice.flows[0].local.transport is Transport.UDP

    run(main)


def test_where_the_mtu_is_known_only_what_no_datagram_holds_goes_by_tcp() -> None:
    async def tell(pair: Pair) -> None:
        for size, transport in ((30000, "UDP"), (100000, "TCP")):
            assert (await pair.alice.stack.request(make_request(body=bytes(size)), pair.bob.hop(Transport.UDP))).status
            assert pair.bob.requests[-1].top_via.transport == transport

    story(tell)


def test_a_request_that_no_datagram_of_its_flow_holds_is_a_transport_failure() -> None:
    async def tell(pair: Pair) -> None:
        flow = pair.alice.stack.connect(pair.bob.hop(Transport.UDP))
        outcome = await pair.alice.stack.request(make_request(body=bytes(100000)), Hop(flow=flow))
        assert isinstance(outcome, TransactionFailure)
        assert outcome.reason is FailureReason.TRANSPORT
        assert flow.is_open, "the flow of a registration outlives a message that was too large for it"

    story(tell)


# --- where answers go ----------------------------------------------------------------------------------------------


def test_a_datagram_is_answered_at_its_source_where_rport_asks_for_it_and_else_at_the_port_of_its_via() -> None:
    async def tell(pair: Pair) -> None:
        peer, listener = Recorder("peer"), Recorder("listener")
        await pair.network.listen(Address(Transport.UDP, "10.0.0.9", 5070), listener)
        flow = pair.raw(Transport.UDP, peer)
        flow.send(wire(via="SIP/2.0/UDP nat.example:5070;rport;branch=z9hG4bK1"))
        await asyncio.sleep(1)
        [answer] = [parse_datagram(octets) for octets in peer.octets]
        assert (answer.top_via.received, answer.top_via.rport) == ("10.0.0.9", flow.local.port)
        flow.send(wire(via="SIP/2.0/UDP nat.example:5070;branch=z9hG4bK2"))
        await asyncio.sleep(1)
        assert len(peer.octets) == 1
        [answer] = [parse_datagram(octets) for octets in listener.octets]
        assert (answer.top_via.received, answer.top_via.has_rport) == ("10.0.0.9", False)

    story(tell)


def test_received_and_rport_are_written_into_the_first_of_several_vias_only() -> None:
    async def tell(pair: Pair) -> None:
        flow = pair.raw(Transport.TCP, Recorder("peer"))
        flow.send(wire(via="SIP/2.0/TCP ue.example;rport;branch=z9hG4bK1", Via="SIP/2.0/UDP 192.0.2.1, SIP/2.0/UDP x"))
        await asyncio.sleep(1)
        vias = pair.bob.requests[0].get_all(Via)
        assert [via.host for via in vias] == ["ue.example", "192.0.2.1", "x"]
        assert [via.received for via in vias] == ["10.0.0.9", None, None]

    story(tell)


def test_a_foreign_response_is_dropped_and_an_own_one_without_transaction_is_a_stray() -> None:
    async def tell(pair: Pair) -> None:
        records = Records()
        pair.bob.stack.trace.add_sink(records)
        flow = pair.raw(Transport.UDP, Recorder("peer"))
        for host in ("192.0.2.7", HOST_B):
            request = make_request().edit().push("Via", f"SIP/2.0/UDP {host}:5060;branch=z9hG4bKx").done()
            flow.send(Response.to(request, 200).encode())
        await asyncio.sleep(1)
        assert len(pair.bob.strays) == 1
        assert "not ours" in next(r.summary for r in records.records if r.kind is RecordKind.ERROR)

    story(tell)


# --- hostile input -------------------------------------------------------------------------------------------------

_BAD = {
    "a CSeq of another method": (wire().replace(b"CSeq: 1 MESSAGE", b"CSeq: 1 INVITE"), 400),
    "no From": (wire().replace(b"From:", b"X-From:"), 400),
    "another version": (wire().replace(b"example SIP/2.0\r\n", b"example SIP/3.0\r\n"), 505),
    "a bad Max-Forwards": (wire().replace(b"Max-Forwards: 70", b"Max-Forwards: 700"), 400),
}


@pytest.mark.parametrize("fault", _BAD)
@pytest.mark.parametrize("transport", BOTH)
def test_a_bad_request_is_refused_and_the_next_one_is_served(fault: str, transport: Transport) -> None:
    octets, status = _BAD[fault]

    async def tell(pair: Pair) -> None:
        peer, records = Recorder("peer"), Records()
        pair.bob.stack.trace.add_sink(records)
        flow = pair.raw(transport, peer)
        via = octets.replace(b"10.0.0.9:5060;", b"10.0.0.9:5060;rport;")
        flow.send(via)
        flow.send(via)
        flow.send(wire(call_id="good", via="SIP/2.0/UDP 10.0.0.9;rport;branch=z9hG4bKgood"))
        await asyncio.sleep(1)
        answers = b"".join(peer.octets).split(b"SIP/2.0 ")[1:]
        assert [int(answer[:3]) for answer in answers] == [status, status, 200]
        assert answers[0] == answers[1], "a stateless answer repeats, with its To tag"
        assert [request.call_id for request in pair.bob.requests] == ["good"]
        assert [record.kind for record in records.records].count(RecordKind.ERROR) == 2

    story(tell)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 40,
        b"\xff\xfe garbage",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"MESSAGE sip:b SIP/2.0\r\n\r\n",
        wire()[:60],
        wire().replace(b"Content-Length: 0", b"Content-Length: 9999"),
        wire().replace(b"Content-Length: 0", b"Content-Length: -1"),
        b"ACK sip:b SIP/2.0\r\nVia: x\r\n\r\n",
        b"A" * 60000,
        b"jaK",
    ],
)
def test_garbage_in_a_datagram_harms_nobody(octets: bytes) -> None:
    async def tell(pair: Pair) -> None:
        peer = Recorder("peer")
        flow = pair.raw(Transport.UDP, peer)
        flow.send(octets)
        flow.send(wire(via="SIP/2.0/UDP 10.0.0.9;rport;branch=z9hG4bKgood"))
        await asyncio.sleep(1)
        assert len(pair.bob.requests) == 1
        assert b"SIP/2.0 200" in peer.stream

    story(tell)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"\xff\xfe garbage\r\n\r\n", None),
        (wire().replace(b"Content-Length: 0", b"Content-Length: 99999999"), 413),
        (wire().replace(b"Content-Length: 0\r\n", b""), 400),
        (wire().replace(b"Content-Length: 0", b"X: " + b"a" * 20000), 513),
    ],
)
def test_a_stream_whose_framing_is_lost_is_answered_if_possible_and_closed(octets: bytes, status: int | None) -> None:
    async def tell(pair: Pair) -> None:
        peer = Recorder("peer")
        flow = pair.raw(Transport.TCP, peer)
        flow.send(octets)
        flow.send(wire(call_id="never"))
        await asyncio.sleep(1)
        assert not flow.is_open
        assert not pair.bob.requests
        assert peer.stream.startswith(b"" if status is None else b"SIP/2.0 %d " % status)
        assert bool(peer.stream) == (status is not None)
        assert len(pair.bob.ends) == 1

    story(tell)


def test_a_stream_that_never_completes_a_message_is_closed() -> None:
    async def tell(pair: Pair) -> None:
        silent, slow, fine = Recorder("silent"), Recorder("slow"), Recorder("fine")
        flows = [pair.raw(Transport.TCP, peer) for peer in (silent, slow, fine)]
        flows[2].send(wire())
        for octet in wire(call_id="slow")[:40]:
            flows[1].send(bytes([octet]))
            await asyncio.sleep(1)
        assert [flow.is_open for flow in flows] == [False, False, True]
        flows[2].send(b"MESS")
        await asyncio.sleep(33)
        assert not flows[2].is_open

    story(tell)


def test_a_message_that_stays_incomplete_behind_a_whole_one_is_not_waited_for() -> None:
    async def tell(pair: Pair) -> None:
        flow = pair.raw(Transport.TCP, Recorder("peer"))
        flow.send(wire() + b"MESSAGE sip:")
        await asyncio.sleep(31)
        assert flow.is_open
        await asyncio.sleep(2)
        assert not flow.is_open
        assert len(pair.bob.requests) == 1

    story(tell)


def test_an_idle_connection_is_closed_in_the_end_and_a_busy_one_is_not() -> None:
    async def tell(pair: Pair) -> None:
        idle, busy = Recorder("idle"), Recorder("busy")
        flows = [pair.raw(Transport.TCP, peer) for peer in (idle, busy)]
        for flow in flows:
            flow.send(wire(call_id=str(flow.local.port)))
        for _ in range(6):
            await asyncio.sleep(1800)
            flows[1].send(b"\r\n\r\n")
        assert [flow.is_open for flow in flows] == [False, True]

    story(tell)


@pytest.mark.parametrize("silent_s", [7136.0, 7168.0, 7200.0, 7232.0])
@pytest.mark.parametrize("offset_s", [-0.02, -0.01, 0.0, 0.01, 0.02, 0.025, 0.03, 0.04])
def test_no_request_is_lost_to_a_connection_that_is_closed_as_idle_meanwhile(silent_s: float, offset_s: float) -> None:
    async def tell(pair: Pair) -> None:
        for ends in ((HOST_A, HOST_B), (HOST_B, HOST_A)):
            pair.network.set_link(*ends, LinkProfile(latency_s=0.01))
        for number in range(3):
            pair.send(make_request(call_id=f"call-{number}"))
            await asyncio.sleep(silent_s + offset_s)
        assert [getattr(outcome, "status", outcome) for outcome in pair.alice.outcomes] == [200, 200, 200]

    story(tell)


def test_there_is_a_limit_to_connections() -> None:
    async def tell(pair: Pair) -> None:
        flows = [pair.raw(Transport.TCP, Recorder("peer")) for _ in range(5)]
        await asyncio.sleep(1)
        assert [flow.is_open for flow in flows] == [True, True, True, False, False]

    story(tell, max_connections=3)


def test_overload_refuses_new_requests_and_keeps_the_accepted_ones() -> None:
    async def tell(pair: Pair) -> None:
        pair.bob.answer = never_answer
        for number in range(4):
            pair.send(make_request(call_id=f"call-{number}"))
        await asyncio.sleep(1)
        refused = [outcome for outcome in pair.alice.outcomes if isinstance(outcome, Response)]
        assert [response.status for response in refused] == [503, 503]
        assert refused[0].require(RetryAfter).seconds == 10
        for server in pair.bob.servers:
            assert server is not None
            pair.bob.stack.reply(server, 200)
        await asyncio.sleep(1)
        assert sorted(pair.alice.statuses) == [200, 200, 503, 503]
        pair.send(make_request(call_id="call-5"))
        await asyncio.sleep(1)
        assert len(pair.bob.requests) == 3

    story(tell, max_transactions=2)


def test_a_user_that_raises_costs_a_500_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    def fail(element: Element, request: Request, server: ServerTransaction) -> None:
        raise ValueError("broken proxy")

    async def tell(pair: Pair) -> None:
        records = Records()
        pair.bob.stack.trace.add_sink(records)
        pair.bob.answer = fail
        outcome = await pair.alice.stack.request(make_request(), pair.bob.hop(Transport.TCP))
        assert outcome.status == 500
        pair.bob.answer = lambda element, request, server: element.stack.reply(server, 200)
        outcome = await pair.alice.stack.request(make_request(call_id="next"), pair.bob.hop(Transport.TCP))
        assert outcome.status == 200
        assert "broken proxy" in next(r.summary for r in records.records if r.kind is RecordKind.ERROR)

    with caplog.at_level(logging.CRITICAL, "ims_core.transport.sip_stack"):
        story(tell)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=300) | st.sampled_from([wire()[:50], wire()[50:], b"\r\n", b"\r\n\r\n"]), max_size=6)
)
def test_any_octets_leave_the_stack_at_work(pieces: list[bytes]) -> None:
    async def tell(pair: Pair) -> None:
        for transport in BOTH:
            flow = pair.raw(transport, Recorder("peer"))
            for piece in pieces:
                flow.send(piece)
        await asyncio.sleep(1)
        outcome = await pair.alice.stack.request(make_request(call_id="after"), pair.bob.hop(Transport.TCP))
        assert outcome.status == 200

    story(tell)
