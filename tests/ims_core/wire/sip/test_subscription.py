"""Subscriptions: both ends, their tables and their clocks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.subscription import (
    NOTIFIER,
    NOTIFIER_IGNORED,
    SUBSCRIBER,
    SUBSCRIBER_IGNORED,
    Notifier,
    NotifierInput,
    NotifierState,
    RefreshDue,
    Subscriber,
    SubscriberInput,
    SubscriberState,
    SubscriptionEnded,
    refresh_after_s,
)


def _notify(state: str) -> Request:
    return Request.new("NOTIFY", "sip:a@h", [("Subscription-State", state)] if state else [])


def _answer(status: int, expires: str | None = None) -> Response:
    return Response.new(status, headers=[] if expires is None else [("Expires", expires)])


def _active(expires: int = 3600) -> Subscriber:
    subscriber = Subscriber()
    subscriber.start(0.0)
    subscriber.receive_response(_answer(200, str(expires)), 0.0)
    subscriber.receive_notify(_notify("active"), 0.0)
    return subscriber


# --- subscriber -------------------------------------------------------------------------------------------------------


def test_renewal_is_600_seconds_before_the_end_or_at_half() -> None:
    assert [refresh_after_s(lifetime) for lifetime in (600000, 1201, 1200, 60)] == [599400, 601, 600, 30]


def test_a_subscriber_refreshes_in_time_and_goes_on() -> None:
    subscriber = _active()
    assert subscriber.state is SubscriberState.ACTIVE
    assert subscriber.next_deadline() == 3000.0
    assert subscriber.handle_deadline(3000.0) == [RefreshDue()]
    assert subscriber.next_deadline() == 3600.0
    assert subscriber.receive_response(_answer(200, "7200"), 3001.0) == []
    assert subscriber.next_deadline() == 3001.0 + 6600


def test_the_lifetime_in_a_notify_counts() -> None:
    subscriber = _active()
    subscriber.receive_notify(_notify("active;expires=100"), 10.0)
    assert subscriber.next_deadline() == 60.0
    subscriber.receive_notify(_notify("active"), 20.0)
    assert subscriber.next_deadline() == 60.0


def test_a_notify_may_come_before_the_2xx() -> None:
    subscriber = Subscriber()
    subscriber.start(0.0)
    subscriber.receive_notify(_notify("pending;expires=500"), 0.1)
    assert subscriber.state is SubscriberState.PENDING
    subscriber.receive_response(_answer(202, "500"), 0.2)
    subscriber.receive_notify(_notify("active;expires=490"), 10.0)
    assert subscriber.state is SubscriberState.ACTIVE


def test_without_any_notify_a_subscription_is_given_up() -> None:
    subscriber = Subscriber(notify_wait_s=128.0)
    subscriber.start(0.0)
    subscriber.receive_response(_answer(200, "3600"), 1.0)
    assert subscriber.next_deadline() == 128.0
    assert subscriber.handle_deadline(128.0) == [SubscriptionEnded("timeout")]
    assert subscriber.next_deadline() is None


def test_a_subscription_that_nobody_refreshes_runs_out() -> None:
    subscriber = _active(60)
    subscriber.handle_deadline(30.0)
    assert subscriber.receive_response(_answer(503), 31.0) == []
    assert subscriber.handle_deadline(60.0) == [SubscriptionEnded("timeout")]


@pytest.mark.parametrize("status", [404, 481, 489, 604])
def test_a_refusal_that_leaves_nothing_ends_at_once(status: int) -> None:
    assert _active().receive_response(_answer(status), 1.0) == [SubscriptionEnded("timeout")]


def test_a_refresh_without_an_answer_ends_at_once() -> None:
    assert _active().subscribe_timed_out() == [SubscriptionEnded("timeout")]


def test_any_failure_of_the_first_subscribe_ends() -> None:
    subscriber = Subscriber()
    subscriber.start(0.0)
    assert subscriber.receive_response(_answer(100), 0.5) == []
    assert subscriber.receive_response(_answer(503), 1.0) == [SubscriptionEnded("timeout")]


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("terminated;reason=rejected", SubscriptionEnded("rejected")),
        ("terminated;reason=deactivated", SubscriptionEnded("deactivated", 0)),
        ("terminated;reason=probation;retry-after=77", SubscriptionEnded("probation", 77)),
        ("terminated;reason=probation;retry-after=x", SubscriptionEnded("probation")),
        ("TERMINATED", SubscriptionEnded(None)),
    ],
)
def test_the_notifier_tells_why_it_ends_and_when_to_come_back(state: str, ended: SubscriptionEnded) -> None:
    subscriber = _active()
    assert subscriber.receive_notify(_notify(state), 1.0) == [ended]
    assert subscriber.receive_notify(_notify(state), 2.0) == []
    assert subscriber.next_deadline() is None


def test_an_unsubscribed_subscriber_waits_for_the_last_notify() -> None:
    subscriber = _active()
    subscriber.receive_response(_answer(200, "0"), 10.0)
    assert subscriber.next_deadline() == 42.0
    ended = subscriber.receive_notify(_notify("terminated;reason=timeout"), 11.0)
    assert [type(each) for each in ended] == [SubscriptionEnded]


def test_an_unknown_state_counts_as_active() -> None:
    subscriber = Subscriber()
    subscriber.start(0.0)
    subscriber.receive_notify(_notify("strange;expires=60"), 1.0)
    assert subscriber.state is SubscriberState.ACTIVE


def test_a_notify_without_its_state_is_refused() -> None:
    with pytest.raises(SipParseError):
        _active().receive_notify(_notify(""), 1.0)


# --- notifier ---------------------------------------------------------------------------------------------------------


def test_a_notify_is_due_after_each_subscribe_with_the_time_left() -> None:
    notifier = Notifier()
    (first,) = notifier.start(600, 0.0)
    assert str(first.subscription_state) == "active;expires=600"
    assert str(notifier.subscription_state(100.0)) == "active;expires=500"
    (second,) = notifier.refresh(3600, 300.0)
    assert str(second.subscription_state) == "active;expires=3600"
    assert notifier.next_deadline() == notifier.expires_at == 3900.0


def test_a_subscription_that_runs_out_is_told_so() -> None:
    notifier = Notifier()
    notifier.start(600, 0.0)
    assert notifier.handle_deadline(599.0) == []
    (last,) = notifier.handle_deadline(600.0)
    assert str(last.subscription_state) == "terminated;reason=timeout"
    assert notifier.next_deadline() is None


@pytest.mark.parametrize("at_start", [True, False])
def test_expires_0_gets_one_last_notify(at_start: bool) -> None:
    notifier = Notifier()
    due = notifier.start(0, 0.0) if at_start else notifier.start(600, 0.0) and notifier.refresh(0, 1.0)
    assert [str(each.subscription_state) for each in due] == ["terminated;reason=timeout"]
    with pytest.raises(LocalProtocolError):
        notifier.refresh(600, 2.0)
    with pytest.raises(LocalProtocolError):
        notifier.subscription_state(2.0)


def test_a_pending_subscription_becomes_active() -> None:
    notifier = Notifier()
    (first,) = notifier.start(600, 0.0, is_pending=True)
    (second,) = notifier.accept(10.0)
    assert [str(first.subscription_state), str(second.subscription_state)] == [
        "pending;expires=600",
        "active;expires=590",
    ]


def test_the_notifier_can_end_it() -> None:
    notifier = Notifier()
    notifier.start(600, 0.0)
    (last,) = notifier.deactivate("probation", 30)
    assert str(last.subscription_state) == "terminated;reason=probation;retry-after=30"
    assert notifier.deactivate("noresource") == []


def test_a_subscriber_that_has_forgotten_gets_no_more() -> None:
    notifier = Notifier()
    notifier.start(600, 0.0)
    notifier.receive_response(_answer(503))
    assert notifier.state is NotifierState.ACTIVE
    notifier.receive_response(_answer(481))
    assert notifier.state is NotifierState.TERMINATED
    notifier.notify_timed_out()
    assert notifier.next_deadline() is None


def test_a_stored_subscription_goes_on() -> None:
    notifier = Notifier.restored(600.0)
    assert str(notifier.subscription_state(100.0)) == "active;expires=500"
    assert notifier.next_deadline() == 600.0
    assert Notifier.restored(600.0, is_pending=True).state is NotifierState.PENDING


# --- tables -----------------------------------------------------------------------------------------------------------


def test_every_pair_of_the_subscriber_is_in_the_table_or_ignored_or_raises() -> None:
    assert not SUBSCRIBER.keys() & SUBSCRIBER_IGNORED
    for state, event in itertools.product(SubscriberState, SubscriberInput):
        subscriber = Subscriber()
        subscriber._state = state
        if (state, event) in SUBSCRIBER or (state, event) in SUBSCRIBER_IGNORED:
            subscriber._step(event)
        else:
            with pytest.raises(LocalProtocolError):
                subscriber._step(event)
        assert subscriber.state is SUBSCRIBER.get((state, event), state)


def test_every_pair_of_the_notifier_is_in_the_table_or_ignored_or_raises() -> None:
    assert not NOTIFIER.keys() & NOTIFIER_IGNORED
    for state, event in itertools.product(NotifierState, NotifierInput):
        notifier = Notifier()
        notifier._state = state
        if (state, event) in NOTIFIER or (state, event) in NOTIFIER_IGNORED:
            notifier._step(event)
        else:
            with pytest.raises(LocalProtocolError):
                notifier._step(event)
        assert notifier.state is NOTIFIER.get((state, event), state)


@given(
    st.lists(st.tuples(st.sampled_from(["active", "pending;expires=9", "terminated", 200, 481, 503]), st.floats(0, 50)))
)
def test_a_subscription_ends_once_whatever_the_notifier_does(events: list[tuple[str | int, float]]) -> None:
    subscriber, now = Subscriber(), 0.0
    outputs = subscriber.start(now)
    for event, after in events:
        now += after
        if isinstance(event, int):
            outputs += subscriber.receive_response(_answer(event, "100"), now)
        else:
            outputs += subscriber.receive_notify(_notify(event), now)
    while (at := subscriber.next_deadline()) is not None:
        assert at <= now + 3600
        outputs += subscriber.handle_deadline(at)
    assert subscriber.state is SubscriberState.TERMINATED
    assert sum(isinstance(output, SubscriptionEnded) for output in outputs) == 1
