from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import ConnectionLost
from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Flow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.msrp.message import MsrpRequest
from ims_core.wire.msrp.parser import MsrpEvent, Piece
from tests.support.flows import Recorder
from tests.support.msrp_endpoints import RecordingEndpoint, send_frame

_A, _B = "10.0.0.1", "10.0.0.2"


class Bench:
    """A stack, and a peer who can say anything to it."""

    def __init__(self) -> None:
        self.network = MemoryNetwork(VirtualClock(), Tokens("seed"))
        self.sink, trace = ListSink(), Trace()
        trace.add_sink(self.sink)
        self.stack = MsrpStack(
            MsrpStackConfig(name="bob", listen=(Address(Transport.TCP, _B, 2855),)),
            network=self.network,
            clock=VirtualClock(),
            tokens=Tokens("bob"),
            trace=trace,
        )
        self.peer = Recorder("peer")

    def dial(self) -> Flow:
        return self.network.connect(_A, self.stack.address(Transport.TCP), self.peer)

    def session(self, session_id: str) -> RecordingEndpoint:
        endpoint = RecordingEndpoint()
        self.stack.expect(session_id, endpoint)
        return endpoint

    def errors(self) -> list[str]:
        return [record.summary for record in self.sink.records if record.kind is RecordKind.ERROR]


def _bench(story: Callable[[Bench], Awaitable[None]]) -> Bench:
    benches: list[Bench] = []

    async def main() -> None:
        bench = Bench()
        benches.append(bench)
        await bench.stack.start()
        await story(bench)
        await bench.stack.close()

    run(main)
    return benches[0]


def test_the_pieces_of_a_chunk_go_to_its_session_however_they_are_cut() -> None:
    body = bytes(range(256)) * 20

    async def story(bench: Bench) -> None:
        one, two = bench.session("s1"), bench.session("s2")
        flow = bench.dial()
        octets = b"".join(send_frame(f"t{n:03}", f"s{n % 3}", body).encode() for n in range(6))  # s0 is nobody
        for start in range(0, len(octets), 333):
            flow.send(octets[start : start + 333])
        await asyncio.sleep(1)
        assert one.body == two.body == body * 2
        assert len(one.events) > 4
        assert bench.peer.stream.count(b" 200 OK") == 4
        assert bench.peer.stream.count(b" 481 ") == 2

    _bench(story)


def test_what_a_read_leads_to_goes_out_together_and_before_a_close() -> None:
    async def story(bench: Bench) -> None:
        one, two = bench.session("s1"), bench.session("s2")
        flow = bench.dial()
        flow.send(b"".join(send_frame(f"t{n:03}", f"s{1 + n % 2}", b"x").encode() for n in range(6)))
        await asyncio.sleep(1)
        assert len(bench.peer.octets) == 1
        assert [f"t{n:03} 200" in bench.peer.stream.decode() for n in range(6)] == [True] * 6
        for endpoint in (one, two):
            endpoint.links[0].send(b"later")
        assert one.links[0].backlog > 0
        await asyncio.sleep(1)
        assert bench.peer.octets[1:] in ([b"later", b"later"], [b"laterlater"])
        flow.send(send_frame("last", "s1", b"x").encode() + b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(1)
        assert b"MSRP last 200 " in bench.peer.octets[-1]
        assert bench.peer.ends == [None]

    _bench(story)


class _Talker(RecordingEndpoint):
    """Says a lot about each frame, until told that it is too much."""

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        self.events.append(event)
        while link.backlog <= HIGH_WATER_OCTETS:
            link.send(b"x" * 10_000)


def test_who_stopped_within_a_read_is_told_to_go_on() -> None:
    async def story(bench: Bench) -> None:
        talker = _Talker()
        bench.stack.expect("s1", talker)
        bench.dial().send(send_frame("t001", "s1", b"x").encode())
        await asyncio.sleep(10)
        assert len(bench.peer.stream) > HIGH_WATER_OCTETS
        assert talker.drained_at
        assert talker.links[0].backlog == 0

    _bench(story)


def test_a_malformed_request_is_the_sessions_to_answer_and_costs_the_others_nothing() -> None:
    async def story(bench: Bench) -> None:
        one, two = bench.session("s1"), bench.session("s2")
        flow = bench.dial()
        flow.send(send_frame("bnd1", "s1").encode() + send_frame("bnd2", "s2").encode())
        wrong = send_frame("oops", "s1", b"x").encode().replace(b"1-1/1", b"5-1/1")
        flow.send(wrong + send_frame("next", "s2", b"fine").encode())
        await asyncio.sleep(1)
        assert [fault.status for fault in one.faults] == [400]
        assert (two.faults, two.body) == ([], b"fine")
        assert (one.ends, two.ends) == ([], [])
        assert any("Byte-Range" in error for error in bench.errors())
        fault = one.faults[0]
        assert fault.head is not None
        one.links[0].refuse(fault.head, fault.status)
        await asyncio.sleep(1)
        assert b"MSRP oops 400 " in bench.peer.stream

    _bench(story)


def test_a_malformed_request_for_nobody_is_answered_here() -> None:
    async def story(bench: Bench) -> None:
        flow = bench.dial()
        flow.send(send_frame("oops", "s1", b"x").encode().replace(b"1-1/1", b"5-1/1"))
        flow.send(send_frame("hush", "s1", b"x", headers=(("Failure-Report", "no"),)).encode().replace(b"1-1/1", b"x"))
        await asyncio.sleep(1)
        assert bench.peer.stream.startswith(b"MSRP oops 400 ")
        assert b"hush" not in bench.peer.stream
        assert bench.peer.ends == []

    _bench(story)


def test_octets_that_are_no_msrp_end_the_connection_and_every_session_on_it_is_told_why() -> None:
    async def story(bench: Bench) -> None:
        one, two, other = bench.session("s1"), bench.session("s2"), bench.session("s3")
        flow = bench.dial()
        flow.send(send_frame("bnd1", "s1").encode() + send_frame("bnd2", "s2").encode())
        bench.dial().send(send_frame("bnd3", "s3").encode())
        flow.send(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(1)
        for endpoint in (one, two):
            assert [fault.is_fatal for fault in endpoint.faults] == [True]
            assert isinstance(endpoint.ends[0], ConnectionLost)
            assert "framing lost" in str(endpoint.ends[0])
        assert (other.ends, other.faults) == ([], [])
        assert bench.peer.ends == [None]
        assert any("start line" in error for error in bench.errors())

    _bench(story)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_hostile_octets_never_raise_and_never_touch_another_session(octets: list[bytes], is_bound: bool) -> None:
    async def story(bench: Bench) -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        victim, good = bench.session("s1"), bench.session("s2")
        quiet, hostile = bench.dial(), bench.dial()
        quiet.send(send_frame("good", "s2").encode())
        if is_bound:
            hostile.send(send_frame("bind", "s1").encode())
        for each in octets:
            hostile.send(each)
        await asyncio.sleep(11)
        assert faults == []
        assert good.ends == []
        assert len(good.events) == 1
        assert len(victim.links) == is_bound

    _bench(story)


def test_a_session_that_fails_is_told_of_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(RecordingEndpoint):
        def opened(self, link: MsrpLink) -> None:
            raise ValueError("at the door")

        def received(self, event: MsrpEvent, link: MsrpLink) -> None:
            raise ValueError("inside")

    async def story(bench: Bench) -> None:
        bench.stack.expect("s1", Broken())
        fine = bench.session("s2")
        bench.dial().send(send_frame("bnd1", "s1").encode() + send_frame("bnd2", "s2", b"fine").encode())
        await asyncio.sleep(1)
        assert fine.body == b"fine"
        assert [error for error in bench.errors() if "failed" in error] == [
            "a session failed: ValueError('at the door')",
            "a session failed: ValueError('inside')",
        ]

    _bench(story)
    assert [record.message for record in caplog.records] == ["bob: a session failed"] * 2


def test_a_session_may_leave_while_its_frames_are_still_coming() -> None:
    class Leaving(RecordingEndpoint):
        def received(self, event: MsrpEvent, link: MsrpLink) -> None:
            super().received(event, link)
            link.close()
            link.close()
            link.send(b"unheard")
            link.pause()

    async def story(bench: Bench) -> None:
        leaving = Leaving()
        bench.stack.expect("s1", leaving)
        bench.dial().send(b"".join(send_frame(f"t{n:03}", "s1", b"x").encode() for n in range(5)))
        await asyncio.sleep(1)
        assert len(leaving.events) == 1
        assert leaving.ends == []
        assert bench.peer.ends == [None]
        assert bench.stack.connection_count == 0

    _bench(story)


def test_any_session_of_a_connection_can_hold_it_and_all_must_let_it_go() -> None:
    async def story(bench: Bench) -> None:
        one, two = bench.session("s1"), bench.session("s2")
        flow = bench.dial()
        flow.send(send_frame("bnd1", "s1").encode() + send_frame("bnd2", "s2").encode())
        await asyncio.sleep(1)
        one.links[0].pause()
        two.links[0].pause()
        flow.send(send_frame("text", "s1", b"x").encode())
        one.links[0].resume()
        await asyncio.sleep(1)
        assert one.body == b""
        two.links[0].close()
        await asyncio.sleep(1)
        assert one.body == b"x"

    _bench(story)


def test_a_response_for_another_path_still_reaches_the_only_session() -> None:
    async def story(bench: Bench) -> None:
        one, two = bench.session("s1"), bench.session("s2")
        flow = bench.dial()
        flow.send(send_frame("bnd1", "s1").encode())
        stray = b"MSRP %b 200 OK\r\nTo-Path: msrp://x:1/other;tcp\r\nFrom-Path: msrp://y:1/z;tcp\r\n-------%b$\r\n"
        flow.send(stray % (b"aaaa", b"aaaa"))
        flow.send(send_frame("bnd2", "s2").encode() + stray % (b"bbbb", b"bbbb"))
        await asyncio.sleep(1)
        assert (one.statuses, two.statuses) == ([200], [])
        assert "a response for no session" in bench.errors()

    _bench(story)


def test_the_first_frame_may_be_a_bodiless_send_without_a_byte_range() -> None:
    async def story(bench: Bench) -> None:
        one = bench.session("s1")
        first = b"MSRP bind SEND\r\nTo-Path: msrp://10.0.0.2:2855/s1;tcp\r\nFrom-Path: msrp://10.0.0.1:9/x;tcp\r\n"
        bench.dial().send(first + b"Message-ID: 1\r\n-------bind$\r\n")
        await asyncio.sleep(1)
        assert isinstance(one.events[0], MsrpRequest)
        assert not any(isinstance(event, Piece) for event in one.events)
        assert bench.peer.stream.startswith(b"MSRP bind 200 ")

    _bench(story)
