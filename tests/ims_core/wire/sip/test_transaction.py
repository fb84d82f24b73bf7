"""The four transactions: playbooks with the times of RFC 3261, and lossy worlds."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.headers import Route, To
from ims_core.wire.sip.message import Request, Response, SipMessage
from ims_core.wire.sip.parser import parse_datagram
from ims_core.wire.sip.transaction import (
    CORE_TIMERS,
    GM_TIMERS,
    Deliver,
    InviteClient,
    InviteServer,
    NonInviteClient,
    NonInviteServer,
    Outputs,
    Send,
    State,
    Terminated,
    TimedOut,
    TimerConfig,
    TransportFailed,
    ack_of,
    cancel_of,
    client_key,
    response_key,
    transaction_key,
)

Transaction = InviteClient | NonInviteClient | InviteServer | NonInviteServer


def _request(method: str = "MESSAGE", *headers: tuple[str, str]) -> Request:
    fields = [
        ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bK1"),
        ("Via", "SIP/2.0/UDP behind.example;branch=z9hG4bK0"),
        ("Max-Forwards", "70"),
        *headers,
        ("From", "<sip:a@a.example>;tag=1"),
        ("To", "<sip:b@b.example>"),
        ("Call-ID", "c"),
        ("CSeq", f"1 {method}"),
    ]
    return Request.new(method, "sip:b@b.example", fields, b"hi", "text/plain")


def _answer(request: Request, status: int) -> Response:
    return Response.to(request, status, to_tag="t")


def _run(transaction: Transaction, until: float = 1e6) -> Iterator[tuple[float, Outputs]]:
    """Fires every deadline up to *until*."""
    while (at := transaction.next_deadline()) is not None and at <= until:
        yield at, transaction.handle_deadline(at)


def _sending_times(transaction: Transaction, until: float = 1e6) -> list[float]:
    return [at for at, outputs in _run(transaction, until) if isinstance(outputs[0], Send)]


# --- timers -----------------------------------------------------------------------------------------------------------


def test_timer_values_follow_from_t1_t2_and_t4() -> None:
    assert (CORE_TIMERS.timeout_s, CORE_TIMERS.trying_s) == (32.0, 3.5)
    assert (GM_TIMERS.timeout_s, GM_TIMERS.trying_s) == (128.0, 14.0)
    assert TimerConfig(t1_s=1.0, t2_s=1.0).trying_s == 1.0


@pytest.mark.parametrize(("t1_s", "t2_s", "t4_s"), [(0.0, 4.0, 5.0), (5.0, 4.0, 5.0), (0.5, 4.0, -1.0)])
def test_timers_that_make_no_sense_are_refused(t1_s: float, t2_s: float, t4_s: float) -> None:
    with pytest.raises(LocalProtocolError):
        TimerConfig(t1_s=t1_s, t2_s=t2_s, t4_s=t4_s)


# --- non-INVITE client ------------------------------------------------------------------------------------------------


def test_a_request_over_udp_is_repeated_at_the_times_of_the_rfc_and_then_given_up() -> None:
    client = NonInviteClient(_request(), is_reliable=False)
    assert client.start(0.0) == (Send(_request().encode()),)
    history = list(_run(client))
    assert [at for at, _ in history] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert history[-1][1] == (TimedOut(), Terminated())


def test_on_gm_the_times_are_those_of_ts_24_229() -> None:
    client = NonInviteClient(_request(), GM_TIMERS, is_reliable=False)
    client.start(0.0)
    assert [at for at, _ in _run(client)] == [2.0, 6.0, 14.0, 30.0, 46.0, 62.0, 78.0, 94.0, 110.0, 126.0, 128.0]


def test_a_request_over_tcp_is_sent_once_but_timed_all_the_same() -> None:
    client = NonInviteClient(_request(), is_reliable=True)
    client.start(10.0)
    assert list(_run(client)) == [(42.0, (TimedOut(), Terminated()))]


def test_after_a_provisional_response_a_request_is_repeated_each_t2() -> None:
    client = NonInviteClient(_request(), is_reliable=False)
    client.start(0.0)
    response = _answer(_request(), 100)
    assert client.receive(response, 0.1) == (Deliver(response),)
    assert _sending_times(client) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


def test_over_udp_the_final_response_is_delivered_once_and_lingers_for_t4() -> None:
    client = NonInviteClient(_request(), is_reliable=False)
    client.start(0.0)
    response = _answer(_request(), 200)
    assert client.receive(response, 1.0) == (Deliver(response),)
    assert client.receive(response, 1.1) == ()
    assert list(_run(client)) == [(6.0, (Terminated(),))]


def test_over_tcp_the_final_response_ends_the_client_at_once() -> None:
    client = NonInviteClient(_request(), is_reliable=True)
    client.start(0.0)
    response = _answer(_request(), 404)
    assert client.receive(response, 1.0) == (Deliver(response), Terminated())
    assert client.receive(response, 1.1) == ()


def test_a_client_whose_transport_fails_says_so_and_ends() -> None:
    for client in (NonInviteClient(_request(), is_reliable=True), InviteClient(_request("INVITE"), is_reliable=True)):
        client.start(0.0)
        assert client.transport_failed(0.0) == (TransportFailed(), Terminated())


def test_a_late_clock_does_not_cause_a_burst() -> None:
    client = NonInviteClient(_request(), is_reliable=False)
    client.start(0.0)
    assert len(client.handle_deadline(20.0)) == 1
    assert client.next_deadline() == 21.0
    assert client.handle_deadline(20.5) == ()
    assert client.handle_deadline(500.0) == (TimedOut(), Terminated())


# --- INVITE client ----------------------------------------------------------------------------------------------------


def test_an_invite_over_udp_is_repeated_with_doubling_and_then_given_up() -> None:
    client = InviteClient(_request("INVITE"), is_reliable=False)
    client.start(0.0)
    history = list(_run(client))
    assert [at for at, _ in history] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert history[-1][1] == (TimedOut(), Terminated())


def test_a_ringing_invite_waits_without_a_deadline_and_can_be_cancelled() -> None:
    client = InviteClient(_request("INVITE"), is_reliable=False)
    client.start(0.0)
    assert not client.can_cancel
    response = _answer(_request("INVITE"), 180)
    assert client.receive(response, 1.0) == (Deliver(response),)
    assert client.can_cancel
    assert client.next_deadline() is None
    assert client.receive(response, 2.0) == (Deliver(response),)


def test_every_2xx_is_delivered_until_timer_m() -> None:
    client = InviteClient(_request("INVITE"), is_reliable=True)
    client.start(0.0)
    response = _answer(_request("INVITE"), 200)
    for now in (1.0, 2.0):
        assert client.receive(response, now) == (Deliver(response),)
    assert client.state is State.ACCEPTED
    assert client.receive(_answer(_request("INVITE"), 500), 3.0) == ()
    assert list(_run(client)) == [(33.0, (Terminated(),))]


def test_a_refusal_is_acknowledged_each_time_and_delivered_once() -> None:
    invite = _request("INVITE", ("Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Route", "<sip:p3;lr>"))
    client = InviteClient(invite, is_reliable=False)
    client.start(0.0)
    response = _answer(invite, 486)
    acknowledged = ack_of(invite, response)
    assert client.receive(response, 1.0) == (Send(acknowledged.encode()), Deliver(response))
    assert client.receive(response, 2.0) == (Send(acknowledged.encode()),)
    assert list(_run(client)) == [(33.0, (Terminated(),))]


def test_the_ack_to_a_refusal_is_built_from_the_invite_and_the_to_of_the_response() -> None:
    invite = _request("INVITE", ("Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Route", "<sip:p3;lr>"))
    ack = parse_datagram(ack_of(invite, _answer(invite, 486)).encode())
    assert isinstance(ack, Request)
    assert (ack.method, ack.request_uri_text, str(ack.cseq), ack.call_id) == ("ACK", "sip:b@b.example", "1 ACK", "c")
    assert ack.texts("Via") == ("SIP/2.0/UDP a.example;branch=z9hG4bK1",)
    assert [str(route.uri) for route in ack.get_all(Route)] == ["sip:p1;lr", "sip:p2;lr", "sip:p3;lr"]
    assert ack.require(To).tag == "t"
    assert ack.text("From") == invite.text("From")
    assert ack.body == b""
    assert transaction_key(ack) == transaction_key(invite)


def test_over_tcp_a_refusal_ends_the_client_at_once() -> None:
    client = InviteClient(_request("INVITE"), is_reliable=True)
    client.start(0.0)
    response = _answer(_request("INVITE"), 603)
    sent, delivered, ended = client.receive(response, 1.0)
    assert isinstance(sent, Send)
    assert (delivered, ended) == (Deliver(response), Terminated())


def test_a_refusal_with_a_to_that_nobody_may_write_is_acknowledged_all_the_same() -> None:
    invite = _request("INVITE")
    response = Response.new(486, headers=[("Via", str(invite.top_via)), ("Call-ID", "c"), ("CSeq", "1 INVITE")])
    assert ack_of(invite, response).text("To") == "<sip:b@b.example>"


def test_a_cancel_is_that_of_its_invite_with_a_transaction_of_its_own() -> None:
    invite = _request("INVITE", ("Route", "<sip:p1;lr>"))
    cancel = cancel_of(invite, [("Reason", "SIP;cause=200")])
    assert (cancel.method, str(cancel.cseq)) == ("CANCEL", "1 CANCEL")
    assert cancel.text("To") == "<sip:b@b.example>"
    assert cancel.text("Reason") == "SIP;cause=200"
    assert cancel.texts("Via") == ("SIP/2.0/UDP a.example;branch=z9hG4bK1",)
    assert client_key(cancel) != client_key(invite)
    assert response_key(_answer(cancel, 200)) == client_key(cancel)


# --- non-INVITE server ------------------------------------------------------------------------------------------------


def test_a_request_repeated_before_the_answer_is_absorbed_and_after_it_answered_again() -> None:
    request = _request()
    server = NonInviteServer(request, is_reliable=False)
    assert server.start(0.0) == (Deliver(request),)
    assert server.receive(request, 0.5) == ()
    response = _answer(request, 200)
    assert server.respond(response, 1.0) == (Send(response.encode()),)
    assert server.receive(request, 1.5) == (Send(response.encode()),)
    assert server.respond(_answer(request, 500), 1.6) == ()
    assert list(_run(server)) == [(33.0, (Terminated(),))]


def test_over_tcp_the_answer_ends_the_server_at_once() -> None:
    server = NonInviteServer(_request(), is_reliable=True)
    server.start(0.0)
    assert server.respond(_answer(_request(), 200), 1.0)[1:] == (Terminated(),)
    assert server.respond(_answer(_request(), 500), 1.1) == ()


def test_a_slow_answer_is_preceded_by_a_100_when_the_client_has_slowed_down() -> None:
    request = _request()
    server = NonInviteServer(request, is_reliable=False)
    server.start(0.0)
    assert server.next_deadline() == 3.5
    (sent,) = server.handle_deadline(3.5)
    assert isinstance(sent, Send)
    trying = parse_datagram(sent.octets)
    assert isinstance(trying, Response)
    assert (trying.status, trying.require(To).tag) == (100, None)
    assert server.receive(request, 4.0) == (sent,)


def test_a_408_and_ringing_are_never_sent_for_a_non_invite_request() -> None:
    server = NonInviteServer(_request(), is_reliable=True)
    server.start(0.0)
    assert server.respond(_answer(_request(), 408), 1.0) == ()
    assert server.respond(_answer(_request(), 180), 1.0) == ()
    assert server.state is State.TRYING
    assert [outputs for _, outputs in _run(server)][-1] == (TimedOut(), Terminated())


def test_a_server_whose_user_forgets_it_ends_when_the_client_has_given_up() -> None:
    server = NonInviteServer(_request(), is_reliable=False)
    server.start(0.0)
    assert [at for at, _ in _run(server)] == [3.5, 32.0]


def test_a_response_that_cannot_be_carried_ends_a_non_invite_server() -> None:
    server = NonInviteServer(_request(), is_reliable=False)
    server.start(0.0)
    server.respond(_answer(_request(), 200), 1.0)
    assert server.transport_failed(1.0) == (TransportFailed(), Terminated())


# --- INVITE server ----------------------------------------------------------------------------------------------------


def test_an_invite_gets_a_100_after_200_ms_unless_answered_before() -> None:
    server = InviteServer(_request("INVITE"), is_reliable=True)
    server.start(0.0)
    assert server.receive(_request("INVITE"), 0.1) == ()
    ((at, outputs),) = _run(server)
    assert at == 0.2
    assert isinstance(outputs[0], Send)
    assert outputs[0].octets.startswith(b"SIP/2.0 100 ")
    assert server.receive(_request("INVITE"), 0.5) == outputs
    answered = InviteServer(_request("INVITE"), is_reliable=True)
    answered.start(0.0)
    answered.respond(_answer(_request("INVITE"), 180), 0.1)
    assert answered.next_deadline() is None


def test_a_refusal_over_udp_is_repeated_up_to_t2_until_the_ack() -> None:
    invite = _request("INVITE")
    server = InviteServer(invite, is_reliable=False)
    server.start(0.0)
    response = _answer(invite, 486)
    assert server.respond(response, 0.0) == (Send(response.encode()),)
    assert _sending_times(server, 20.0) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]
    assert server.receive(invite, 20.0) == (Send(response.encode()),)
    assert server.receive(ack_of(invite, response), 21.0) == ()
    assert server.state is State.CONFIRMED
    assert server.receive(ack_of(invite, response), 21.5) == ()
    assert list(_run(server)) == [(26.0, (Terminated(),))]


def test_a_refusal_that_is_never_acknowledged_times_out() -> None:
    server = InviteServer(_request("INVITE"), is_reliable=False)
    server.start(0.0)
    server.respond(_answer(_request("INVITE"), 486), 0.0)
    assert list(_run(server))[-1] == (32.0, (TimedOut(), Terminated()))


def test_over_tcp_a_refusal_is_sent_once_and_its_ack_ends_the_server() -> None:
    invite = _request("INVITE")
    server = InviteServer(invite, is_reliable=True)
    server.start(0.0)
    response = _answer(invite, 486)
    server.respond(response, 0.0)
    assert server.next_deadline() == 32.0
    assert server.receive(ack_of(invite, response), 1.0) == (Terminated(),)


def test_a_2xx_is_repeated_by_the_user_and_its_ack_delivered_until_timer_l() -> None:
    invite = _request("INVITE")
    server = InviteServer(invite, is_reliable=False)
    server.start(0.0)
    response = _answer(invite, 200)
    for now in (1.0, 1.5):
        assert server.respond(response, now) == (Send(response.encode()),)
    assert server.receive(invite, 2.0) == ()
    ack = ack_of(invite, response)
    assert server.receive(ack, 2.5) == (Deliver(ack),)
    assert server.transport_failed(3.0) == (TransportFailed(),)
    assert list(_run(server)) == [(33.0, (Terminated(),))]


def test_a_second_answer_of_another_kind_is_our_own_mistake() -> None:
    server = InviteServer(_request("INVITE"), is_reliable=False)
    server.start(0.0)
    server.respond(_answer(_request("INVITE"), 200), 1.0)
    with pytest.raises(LocalProtocolError, match="ACCEPTED cannot take STATUS_3XX_6XX"):
        server.respond(_answer(_request("INVITE"), 486), 2.0)


def test_starting_twice_is_our_own_mistake() -> None:
    client = NonInviteClient(_request(), is_reliable=True)
    client.start(0.0)
    with pytest.raises(LocalProtocolError):
        client.start(0.0)


# --- properties -------------------------------------------------------------------------------------------------------

_EVENTS = st.lists(st.tuples(st.sampled_from("pabcdeftT"), st.floats(0, 20)), max_size=25)


def _poke(transaction: Transaction, event: str, now: float) -> Outputs:
    request = _request("INVITE" if isinstance(transaction, InviteClient | InviteServer) else "MESSAGE")
    statuses = {"p": 180, "a": 100, "b": 200, "c": 404, "d": 408, "e": 699}
    if event == "T":
        return transaction.handle_deadline(now)
    if event == "t":
        return transaction.transport_failed(now)
    if isinstance(transaction, InviteClient | NonInviteClient):
        return transaction.receive(_answer(request, statuses.get(event, 302)), now)
    if event in statuses:
        return transaction.respond(_answer(request, statuses[event]), now)
    return transaction.receive(ack_of(request, _answer(request, 404)) if request.method == "INVITE" else request, now)


@given(events=_EVENTS, is_reliable=st.booleans(), kind=st.integers(0, 3))
def test_any_order_of_events_is_legal_or_our_own_mistake_and_all_end(
    events: list[tuple[str, float]], is_reliable: bool, kind: int
) -> None:
    machine = (InviteClient, NonInviteClient, InviteServer, NonInviteServer)[kind]
    transaction = machine(_request("INVITE" if kind in (0, 2) else "MESSAGE"), is_reliable=is_reliable)
    transaction.start(0.0)
    now, ended = 0.0, 0
    for event, after in events:
        now += after
        try:
            outputs = _poke(transaction, event, now)
        except LocalProtocolError:
            assert isinstance(transaction, InviteServer)
            continue
        ended += Terminated() in outputs
        assert Terminated() not in outputs[:-1]
        assert {state for state, _ in machine.TABLE} | {State.TERMINATED} >= {transaction.state}
    if transaction.state is State.PROCEEDING and kind in (0, 2):
        return  # the TU's own timers end a ringing INVITE
    for at, outputs in _run(transaction):
        ended += Terminated() in outputs
        assert at <= now + CORE_TIMERS.timeout_s + CORE_TIMERS.t4_s
    assert transaction.state is State.TERMINATED
    assert ended == 1


class _LossyWorld:
    """Two transactions with datagrams between them that are lost, doubled and late, out of one seed."""

    def __init__(self, seed: int, method: str, answer_after_s: float, loss: float) -> None:
        self.random, self.loss, self.answer_after_s = random.Random(seed), loss, answer_after_s
        self.request = _request(method)
        is_invite = method == "INVITE"
        self.client = (InviteClient if is_invite else NonInviteClient)(self.request, is_reliable=False)
        self.server: InviteServer | NonInviteServer | None = None
        self.server_is_over = False
        self.in_flight: list[tuple[float, bool, bytes]] = []
        self.answer_at: float | None = None
        self.delivered: list[tuple[bool, SipMessage]] = []
        self.results: list[object] = []

    def run(self) -> float:
        self.carry_out(False, self.client.start(0.0), 0.0)
        now = 0.0
        while (now := self.next_event()) < float("inf"):
            self.happen(now)
            last = now
        return last

    def next_event(self) -> float:
        deadlines = [self.client.next_deadline(), self.server and self.server.next_deadline(), self.answer_at]
        times = [at for at in deadlines if at is not None] + [at for at, _, _ in self.in_flight]
        return min(times, default=float("inf"))

    def happen(self, now: float) -> None:
        arrived = [each for each in self.in_flight if each[0] <= now]
        self.in_flight = [each for each in self.in_flight if each[0] > now]
        for _, to_server, octets in arrived:
            message = parse_datagram(octets)
            if to_server and isinstance(message, Request):
                self.at_server(message, now)
            elif isinstance(message, Response):
                assert response_key(message) == client_key(self.request)
                self.carry_out(False, self.client.receive(message, now), now)
        if self.answer_at is not None and self.answer_at <= now and self.server is not None:
            self.answer_at = None
            self.carry_out(True, self.server.respond(_answer(self.request, 404), now), now)
        for at_server, transaction in ((False, self.client), (True, self.server)):
            if transaction is not None and (due := transaction.next_deadline()) is not None and due <= now:
                self.carry_out(at_server, transaction.handle_deadline(now), now)

    def at_server(self, request: Request, now: float) -> None:
        assert transaction_key(request) == transaction_key(self.request)
        if self.server is not None:
            self.carry_out(True, self.server.receive(request, now), now)
        elif not self.server_is_over and request.method != "ACK":
            machine = InviteServer if request.method == "INVITE" else NonInviteServer
            self.server = machine(request, is_reliable=False)
            self.answer_at = now + self.answer_after_s
            self.carry_out(True, self.server.start(now), now)

    def carry_out(self, at_server: bool, outputs: Outputs, now: float) -> None:
        for output in outputs:
            match output:
                case Send(octets):
                    copies = 0 if self.random.random() < self.loss else self.random.choice((1, 1, 1, 2))
                    for _ in range(copies):
                        self.in_flight.append((now + self.random.uniform(0.001, 2.0), not at_server, octets))
                case Deliver(message):
                    self.delivered.append((at_server, message))
                case Terminated() if at_server:
                    self.server, self.server_is_over, self.answer_at = None, True, None
                case _:
                    self.results.append((at_server, output))


@given(
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["INVITE", "MESSAGE"]),
    answer_after_s=st.floats(0, 30),
    loss=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)
def test_a_world_that_loses_and_doubles_datagrams_still_ends_with_one_result(
    seed: int, method: str, answer_after_s: float, loss: float
) -> None:
    world = _LossyWorld(seed, method, answer_after_s, loss)
    last = world.run()
    finals = [m for at_server, m in world.delivered if not at_server and isinstance(m, Response) and m.status >= 200]
    timed_out = (False, TimedOut()) in world.results
    if world.client.state is State.PROCEEDING:
        assert method == "INVITE"  # a ringing INVITE whose refusals were all lost is for the TU to end
        assert not finals
    else:
        assert len(finals) + timed_out == 1
        assert world.client.state is State.TERMINATED
    assert world.server is None
    assert last <= 2 * 64 * 0.5 + answer_after_s + 40
    assert sum(at_server for at_server, _ in world.delivered) <= 1
    if loss == 0.0 and answer_after_s < 20:
        assert len(finals) == 1


# --- what owners do themselves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [InviteClient, NonInviteClient])
@pytest.mark.parametrize("is_reliable", [False, True])
def test_a_client_that_is_begun_is_where_one_that_was_started_is(
    kind: type[InviteClient | NonInviteClient], is_reliable: bool
) -> None:
    request = _request("INVITE" if kind is InviteClient else "MESSAGE")
    one, other = (kind(request, is_reliable=is_reliable) for _ in range(2))
    assert one.start(1.0) == (Send(other.begin(1.0)),)
    assert (one.state, one.next_deadline()) == (other.state, other.next_deadline())
    assert list(_run(one)) == list(_run(other))


@pytest.mark.parametrize("kind", [NonInviteClient, NonInviteServer])
@pytest.mark.parametrize("is_reliable", [False, True])
@pytest.mark.parametrize("statuses", [(), (100,), (200,), (100, 404), (200, 200), (500, 200)])
def test_the_short_way_to_the_end_is_that_of_the_table(
    kind: type[NonInviteClient | NonInviteServer], is_reliable: bool, statuses: tuple[int, ...]
) -> None:
    request = _request()
    one, other = (kind(request, is_reliable=is_reliable) for _ in range(2))
    for transaction in (one, other):
        transaction.start(0.0)
        for status in statuses:
            _final(transaction, _answer(request, status))
    before, outputs = other.state, _final(one, _answer(request, 202))
    assert other.end_at_once() is (is_reliable and before in (State.TRYING, State.PROCEEDING))
    if other.state is before:  # the long way is left to go
        assert _final(other, _answer(request, 202)) == outputs
    else:
        assert [type(output) for output in outputs] == [Deliver if kind is NonInviteClient else Send, Terminated]
    assert (one.state, one.next_deadline()) == (other.state, other.next_deadline())
    assert list(_run(one)) == list(_run(other))


def _final(transaction: NonInviteClient | NonInviteServer, response: Response) -> Outputs:
    if isinstance(transaction, NonInviteClient):
        return transaction.receive(response, 1.0)
    return transaction.respond(response, 1.0)
