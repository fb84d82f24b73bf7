"""Dialogs: identity, routing, sequence numbers, forks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.dialog import (
    DIALOG,
    DIALOG_IGNORED,
    MAX_FORKS,
    Dialog,
    DialogId,
    DialogInput,
    DialogSet,
    DialogState,
    DialogVerdict,
)
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import From, Route, To, Via
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram

_ROUTES = ("<sip:p1.example;lr>", "<sip:p2.example;lr;x=y>")


def _invite(
    *headers: tuple[str, str], method: str = "INVITE", number: int = 10, contact: str = "<sip:a@192.0.2.1>"
) -> Request:
    fields = [
        ("Via", "SIP/2.0/TCP a.example;branch=z9hG4bK1"),
        ("From", '"Alice" <sip:alice@a.example>;tag=at'),
        ("To", "<sip:bob@b.example>"),
        ("Call-ID", "c1"),
        ("CSeq", f"{number} {method}"),
        ("Contact", contact),
        *headers,
    ]
    return Request.new(method, "sip:bob@b.example", fields)


def _answer(request: Request, status: int = 200, tag: str = "bt", contact: str = "<sip:b@192.0.2.2>") -> Response:
    routes = [("Record-Route", text) for text in request.texts("Record-Route")]
    contacts = [("Contact", contact)] if contact else []
    return Response.to(request, status, to_tag=tag or None, headers=routes + contacts)


def _both() -> tuple[Dialog, Dialog]:
    """Alice's and Bob's end of one confirmed dialog through two proxies; the nearest to Alice is p1."""
    invite = _invite(("Record-Route", _ROUTES[1]), ("Record-Route", _ROUTES[0]))
    return Dialog.as_uac(invite, _answer(invite)), Dialog.as_uas(invite, "bt")


def _arrived(request: Request) -> Request:
    message = parse_datagram(request.edit().push(Via("TCP", "x.example")).done().encode())
    assert isinstance(message, Request)
    return message


# --- making and finding -----------------------------------------------------------------------------------------------


def test_both_ends_have_mirrored_ids_and_route_sets() -> None:
    alice, bob = _both()
    assert alice.id == DialogId("c1", "at", "bt")
    assert bob.id == DialogId("c1", "bt", "at")
    assert [str(route) for route in alice.route_set] == list(_ROUTES)
    assert [str(route) for route in bob.route_set] == list(_ROUTES[::-1])
    assert str(alice.remote_target) == "sip:b@192.0.2.2"
    assert str(bob.remote_target) == "sip:a@192.0.2.1"
    assert (alice.local_cseq, alice.remote_cseq, bob.local_cseq, bob.remote_cseq) == (10, None, None, 10)


def test_messages_find_their_dialog_at_either_end() -> None:
    alice, bob = _both()
    message = _arrived(alice.request("MESSAGE"))
    assert bob.is_about(message)
    assert not alice.is_about(message)
    assert alice.is_about(_answer(message))
    assert DialogId.of(message) == bob.id


def test_a_peer_of_rfc_2543_without_tags_has_a_dialog_too() -> None:
    old = _invite().edit().set("From", "<sip:alice@a.example>").done()
    bob = Dialog.as_uas(old, "bt")
    assert bob.id == DialogId("c1", "bt", "")
    assert bob.request("BYE").require(To).tag is None


def test_a_request_without_contact_cannot_make_a_dialog() -> None:
    with pytest.raises(SipParseError):
        Dialog.as_uas(_invite().edit().remove("Contact").done(), "bt")


def test_a_response_without_contact_leaves_the_request_uri_as_target() -> None:
    assert str(Dialog.as_uac(_invite(), _answer(_invite(), 180, contact="")).remote_target) == "sip:bob@b.example"


def test_a_notify_makes_the_dialog_of_a_subscriber() -> None:
    subscribe = _invite(("Event", "reg"), method="SUBSCRIBE")
    notifier = Dialog.as_uas(subscribe, "nt")
    notify = _arrived(
        notifier.request(
            "NOTIFY", [("Contact", "<sip:n@192.0.2.9>"), ("Record-Route", ", ".join(_ROUTES)), ("Event", "reg")]
        )
    )
    subscriber = Dialog.by_notify(subscribe, notify)
    assert subscriber.id == DialogId("c1", "at", "nt")
    assert [str(route) for route in subscriber.route_set] == list(_ROUTES)
    assert str(subscriber.remote_target) == "sip:n@192.0.2.9"
    assert subscriber.receive_request(notify) is DialogVerdict.IN_ORDER
    assert notifier.is_about(_arrived(subscriber.request("SUBSCRIBE")))
    assert subscriber.local_cseq == 11


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_request_inside_goes_by_loose_routes_to_the_target() -> None:
    alice, _ = _both()
    via = Via.parse("SIP/2.0/TCP a.example;branch=z9hG4bK2")
    request = alice.request("MESSAGE", [("X", "1")], b"hi", "text/plain", via=via)
    assert request.request_uri_text == "sip:b@192.0.2.2"
    assert [str(route) for route in request.get_all(Route)] == list(_ROUTES)
    assert request.text("From") == "Alice <sip:alice@a.example>;tag=at"
    assert request.text("To") == "<sip:bob@b.example>;tag=bt"
    assert (str(request.cseq), request.call_id, request.text("Max-Forwards")) == ("11 MESSAGE", "c1", "70")
    assert (request.top_via, request.text("X"), request.body) == (via, "1", b"hi")


def test_to_a_strict_router_the_target_goes_last() -> None:
    strict = "<sip:old.example;method=INVITE?subject=x>"
    invite = _invite(("Record-Route", f"{_ROUTES[0]}, {strict}"))
    request = Dialog.as_uac(invite, _answer(invite)).request("BYE")
    assert request.request_uri_text == "sip:old.example"
    assert [str(route) for route in request.get_all(Route)] == [_ROUTES[0], "<sip:b@192.0.2.2>"]


def test_without_a_route_set_the_target_is_all() -> None:
    request = Dialog.as_uac(_invite(), _answer(_invite(), contact="<sip:b@h;method=BYE;x=y?a=b>")).request("BYE")
    assert request.request_uri_text == "sip:b@h;x=y"
    assert request.get_all(Route) == ()


def test_numbers_count_up_and_start_somewhere_at_the_uas() -> None:
    alice, bob = _both()
    assert [alice.request("INFO").cseq.number for _ in range(3)] == [11, 12, 13]
    assert [bob.request("INFO").cseq.number for _ in range(2)] == [1, 2]


def test_the_ack_to_a_2xx_has_the_number_of_its_invite() -> None:
    alice, _ = _both()
    ack = alice.ack(_invite())
    assert (str(ack.cseq), ack.request_uri_text) == ("10 ACK", "sip:b@192.0.2.2")
    assert alice.local_cseq == 10


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_ack_and_cancel_are_no_new_requests(method: str) -> None:
    with pytest.raises(LocalProtocolError, match=method):
        _both()[0].request(method)


def test_nothing_is_sent_in_a_dialog_that_is_over_or_out_of_numbers() -> None:
    alice, bob = _both()
    alice.step(DialogInput.ENDED)
    bob.local_cseq = 2**31 - 1
    for dialog in (alice, bob):
        with pytest.raises(LocalProtocolError):
            dialog.request("BYE")


# --- receiving --------------------------------------------------------------------------------------------------------


def test_a_lower_number_is_out_of_order_and_a_gap_is_not() -> None:
    alice, bob = _both()
    first, second, third = (_arrived(alice.request("MESSAGE")) for _ in range(3))
    assert bob.receive_request(first) is DialogVerdict.IN_ORDER
    assert bob.receive_request(third) is DialogVerdict.IN_ORDER
    assert bob.receive_request(second) is DialogVerdict.OUT_OF_ORDER
    assert bob.remote_cseq == 13
    assert bob.receive_request(_arrived(alice.ack(_invite()))) is DialogVerdict.IN_ORDER
    assert bob.remote_cseq == 13


def test_the_target_moves_with_refresh_requests_only() -> None:
    alice, bob = _both()
    moved = [("Contact", "<sip:a@192.0.2.77>")]
    bob.receive_request(_arrived(alice.request("MESSAGE", moved)))
    assert str(bob.remote_target) == "sip:a@192.0.2.1"
    bob.receive_request(_arrived(alice.request("UPDATE", moved)))
    assert str(bob.remote_target) == "sip:a@192.0.2.77"
    bob.receive_request(_arrived(alice.request("UPDATE")))
    assert str(bob.remote_target) == "sip:a@192.0.2.77"


def test_the_target_moves_with_the_answer_to_our_refresh() -> None:
    alice, _ = _both()
    update = alice.request("UPDATE", via=Via("TCP", "x.example"))
    alice.receive_response(_answer(update, contact="<sip:b@192.0.2.88>"))
    assert str(alice.remote_target) == "sip:b@192.0.2.88"
    info = alice.request("INFO", via=Via("TCP", "x.example"))
    alice.receive_response(_answer(info, contact="<sip:b@192.0.2.99>"))
    assert str(alice.remote_target) == "sip:b@192.0.2.88"


def test_a_malformed_contact_is_refused_and_changes_nothing() -> None:
    alice, bob = _both()
    bad = _arrived(alice.request("UPDATE", [("Contact", "<sip:a@")]))
    with pytest.raises(SipParseError):
        bob.receive_request(bad)
    assert (bob.remote_cseq, str(bob.remote_target)) == (10, "sip:a@192.0.2.1")


@pytest.mark.parametrize(("status", "is_over"), [(408, True), (481, True), (404, False), (500, False), (200, False)])
def test_a_request_inside_that_finds_nobody_ends_the_dialog(status: int, is_over: bool) -> None:
    alice, _ = _both()
    alice.receive_response(_answer(alice.request("INFO", via=Via("TCP", "x.example")), status))
    assert (alice.state is DialogState.TERMINATED) == is_over


def test_a_request_inside_that_times_out_ends_the_dialog() -> None:
    alice, _ = _both()
    alice.request_timed_out()
    assert alice.state is DialogState.TERMINATED


def test_the_2xx_confirms_an_early_dialog_and_fixes_its_route_anew() -> None:
    invite = _invite()
    alice = Dialog.as_uac(invite, _answer(invite.edit().append("Record-Route", _ROUTES[0]).done(), 180))
    assert alice.state is DialogState.EARLY
    assert len(alice.route_set) == 1
    alice.receive_response(_answer(invite.edit().append("Record-Route", _ROUTES[1]).done(), contact="<sip:b@new>"))
    assert alice.state is DialogState.CONFIRMED
    assert [str(route) for route in alice.route_set] == [_ROUTES[1]]
    assert str(alice.remote_target) == "sip:b@new"
    alice.receive_response(_answer(invite, 200))
    assert [str(route) for route in alice.route_set] == [_ROUTES[1]]


def test_the_answer_to_an_update_in_an_early_dialog_does_not_confirm_it() -> None:
    alice = Dialog.as_uac(_invite(), _answer(_invite(), 183))
    alice.receive_response(_answer(alice.request("UPDATE", via=Via("TCP", "x.example"))))
    assert alice.state is DialogState.EARLY


def test_an_early_dialog_of_the_uas_goes_with_our_answers() -> None:
    for status, state in ((180, DialogState.EARLY), (200, DialogState.CONFIRMED), (486, DialogState.TERMINATED)):
        bob = Dialog.as_uas(_invite(), "bt", state=DialogState.EARLY)
        bob.answered(status)
        assert bob.state is state


def test_a_dialog_lives_as_long_as_its_last_usage() -> None:
    alice, _ = _both()
    alice.begin_usage("call")
    alice.begin_usage("subscribe refer")
    alice.end_usage("call")
    assert alice.usages == {"subscribe refer"}
    assert alice.state is DialogState.CONFIRMED
    alice.end_usage("subscribe refer")
    assert alice.state is DialogState.TERMINATED


def test_every_pair_of_state_and_input_is_in_the_table_or_ignored() -> None:
    assert not DIALOG.keys() & DIALOG_IGNORED
    for state, event in itertools.product(DialogState, DialogInput):
        alice, _ = _both()
        alice.state = state
        alice.step(event)
        assert alice.state is DIALOG.get((state, event), state)
        assert ((state, event) in DIALOG) != ((state, event) in DIALOG_IGNORED)


# --- forks ------------------------------------------------------------------------------------------------------------


def test_each_tag_of_a_forked_invite_is_a_dialog() -> None:
    invite = _invite()
    dialogs = DialogSet(invite)
    assert dialogs.receive_response(_answer(invite, 100, "")) is None
    assert dialogs.receive_response(_answer(invite, 180, "")) is None
    one = dialogs.receive_response(_answer(invite, 180, "t1"))
    two = dialogs.receive_response(_answer(invite, 183, "t2"))
    assert one is not None
    assert two is not None
    assert dialogs.dialogs == (one, two)
    assert dialogs.receive_response(_answer(invite, 200, "t2")) is two
    assert (one.state, two.state) == (DialogState.EARLY, DialogState.CONFIRMED)
    three = dialogs.receive_response(_answer(invite, 200, "t3"))
    assert three is not None
    assert three.state is DialogState.CONFIRMED


def test_a_failure_ends_the_early_dialogs_only() -> None:
    invite = _invite()
    dialogs = DialogSet(invite)
    dialogs.receive_response(_answer(invite, 180, "t1"))
    dialogs.receive_response(_answer(invite, 200, "t2"))
    assert dialogs.receive_response(_answer(invite, 486, "t3")) is None
    assert [dialog.state for dialog in dialogs.dialogs] == [DialogState.TERMINATED, DialogState.CONFIRMED]


def test_a_2xx_without_a_tag_makes_a_dialog_and_repeats_find_it() -> None:
    dialogs = DialogSet(_invite())
    first = dialogs.receive_response(_answer(_invite(), 200, ""))
    assert first is not None
    assert dialogs.receive_response(_answer(_invite(), 200, "")) is first


def test_notify_and_2xx_of_one_notifier_are_one_dialog_in_either_order() -> None:
    subscribe = _invite(("Event", "reg"), method="SUBSCRIBE")
    notify = _arrived(Dialog.as_uas(subscribe, "nt").request("NOTIFY", [("Contact", "<sip:n@h>")]))
    for is_notify_first in (True, False):
        dialogs = DialogSet(subscribe)
        if is_notify_first:
            dialogs.receive_notify(notify)
        dialogs.receive_response(_answer(subscribe, 200, "nt"))
        dialogs.receive_notify(notify)
        assert len(dialogs.dialogs) == 1
        assert dialogs.is_about(notify)
        assert dialogs.dialogs[0].receive_request(notify) is DialogVerdict.IN_ORDER


def test_a_second_notifier_behind_a_fork_is_a_second_dialog() -> None:
    subscribe = _invite(method="SUBSCRIBE")
    dialogs = DialogSet(subscribe)
    for tag in ("n1", "n2"):
        dialogs.receive_notify(_arrived(Dialog.as_uas(subscribe, tag).request("NOTIFY", [("Contact", "<sip:n@h>")])))
    assert [dialog.id.remote_tag for dialog in dialogs.dialogs] == ["n1", "n2"]


def test_ever_new_tags_make_no_more_than_the_limit() -> None:
    dialogs = DialogSet(_invite())
    made = [dialogs.receive_response(_answer(_invite(), 180, f"t{number}")) for number in range(MAX_FORKS + 5)]
    assert len(dialogs.dialogs) == MAX_FORKS
    assert made[-1] is None


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["MESSAGE", "UPDATE", "BYE"])), max_size=20))
def test_two_ends_always_understand_each_other(exchange: list[tuple[bool, str]]) -> None:
    alice, bob = _both()
    for from_alice, method in exchange:
        sender, receiver = (alice, bob) if from_alice else (bob, alice)
        request = _arrived(sender.request(method, [("Contact", f"<sip:{method}@h>")]))
        assert receiver.is_about(request)
        assert receiver.receive_request(request) is DialogVerdict.IN_ORDER
        response = _answer(request)
        assert sender.is_about(response)
        sender.receive_response(response)
        assert (sender.local_cseq, sender.id.remote_tag) == (receiver.remote_cseq, receiver.id.local_tag)
    assert request_from(bob) == "bt"


def request_from(dialog: Dialog) -> str | None:
    return dialog.request("INFO").require(From).tag
