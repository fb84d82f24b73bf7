"""The reg event package (RFC 3680)."""

from __future__ import annotations

import pytest

from ims_core.cx import DeregistrationReason
from ims_core.nodes.decision import Answer, Decision, Defer, Delete, Put
from ims_core.nodes.reg_event import RegEventNotifier, SendNotify
from ims_core.nodes.registrar import ContactChange
from ims_core.nodes.served_user import ServedUser
from ims_core.store.bindings import StoredSubscription
from ims_core.transport.sip_stack import FailureReason, TransactionFailure
from ims_core.wire.reginfo import RegInfo
from ims_core.wire.sip.core_headers import SubscriptionState
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from tests.support.core_cases import NOW, make_request, status_of
from tests.support.scscf_bench import INSTANCE, ScscfBench

SIP = "sip:+12025550101@home.test"


def registered() -> tuple[ScscfBench, ServedUser]:
    bench = ScscfBench()
    bench.register()
    user = bench.registrar.users.get("tel:+12025550101")
    assert user is not None
    return bench, user


def subscribe(
    *headers: tuple[str, str], to_tag: str = "", cseq: int = 1, contact: str = "<sip:alice@192.0.2.11>"
) -> Request:
    return make_request(
        "SUBSCRIBE",
        SIP,
        ("Event", "reg"),
        ("Contact", contact),
        ("Record-Route", "<sip:token@127.0.1.10;lr>"),
        *headers,
        to_tag=to_tag,
        cseq=cseq,
    )


def notifies(decision: Decision) -> list[Request]:
    assert isinstance(decision, Answer), decision
    return [action.request for action in decision.actions if isinstance(action, SendNotify)]


def test_a_subscription_is_answered_and_the_full_state_notified_at_once() -> None:
    bench, user = registered()
    decision = bench.reg_event.subscribe(subscribe(("Expires", "600")), user, NOW)
    assert isinstance(decision, Answer)
    assert decision.response.status == 200
    assert decision.response.text("Expires") == "600"
    assert decision.response.text("Record-Route") == "<sip:token@127.0.1.10;lr>"
    assert decision.response.text("Contact") == "<sip:127.0.1.12:5060;transport=tcp>"
    (notify,) = notifies(decision)
    assert notify.texts("Route") == ("<sip:token@127.0.1.10;lr>",)
    assert notify.request_uri_text == "sip:alice@192.0.2.11"
    assert notify.require(SubscriptionState).expires == 600
    info = RegInfo.parse(notify.body)
    assert (info.version, info.state) == (0, "full")
    assert [each.aor for each in info.registrations] == [SIP, "tel:+12025550101"]
    contact = info.registrations[0].contacts[0]
    assert (contact.state, contact.event, contact.expires) == ("active", "registered", 3600)
    assert dict(contact.unknown_params)["+sip.instance"] == f'"<{INSTANCE}>"'
    assert contact.pub_gruu == f"{SIP};gr={INSTANCE}"


def test_the_id_of_the_event_comes_back_in_each_notify() -> None:
    bench, user = registered()
    request = subscribe().edit().set("Event", "reg;id=5").done()
    (notify,) = notifies(bench.reg_event.subscribe(request, user, NOW))
    assert notify.text("Event") == "reg;id=5"


def test_a_subscription_is_stored_before_it_is_answered_and_goes_on_after_a_restart() -> None:
    bench, user = registered()
    core = RegEventNotifier("sip:scscf", new_tag=bench.tokens.word, longest_s=600, is_durable=True)
    decision = core.subscribe(subscribe(("Expires", "600")), user, NOW)
    assert isinstance(decision, Defer)
    (put,) = decision.writes
    assert isinstance(put, Put)
    record = put.record
    assert isinstance(record, StoredSubscription)
    (before,) = notifies(decision.then)

    _, same_user = registered()
    again = RegEventNotifier("sip:scscf", new_tag=bench.tokens.word, longest_s=600, is_durable=True)
    again.restore(record, same_user, NOW + 10)
    (sent,) = again.changed(same_user, (), DeregistrationReason.REJECTED, NOW + 20, None)
    notify = sent.request
    assert notify.texts("Route") == before.texts("Route")
    for name in ("From", "To", "Call-ID", "Event", "Contact"):
        assert notify.text(name) == before.text(name), name
    assert notify.request_uri_text == before.request_uri_text
    assert notify.cseq.number > before.cseq.number
    assert RegInfo.parse(notify.body).version > RegInfo.parse(before.body).version
    assert [type(each) for each in again.take_writes()] == [Put, Delete]


def test_a_stored_subscription_to_somebody_who_is_gone_is_dropped() -> None:
    bench, user = registered()
    core = RegEventNotifier("sip:scscf", new_tag=bench.tokens.word, longest_s=600, is_durable=True)
    decision = core.subscribe(subscribe(("Expires", "600")), user, NOW)
    assert isinstance(decision, Defer)
    record = decision.writes[0].record  # type: ignore[union-attr]  # the Put of the test above
    for gone, now in ((None, NOW), (user, NOW + 600)):
        again = RegEventNotifier("sip:scscf", new_tag=bench.tokens.word, longest_s=600, is_durable=True)
        again.restore(record, gone, now)
        assert [type(each) for each in again.take_writes()] == [Delete]
        assert len(again) == 0


def test_versions_count_and_a_change_is_told() -> None:
    bench, user = registered()
    bench.reg_event.subscribe(subscribe(), user, NOW)
    (binding,) = user.bindings
    user.bindings.remove(binding)
    changes = (ContactChange(binding, "expired"),)
    (sent,) = bench.reg_event.changed(user, changes, None, NOW + 1, None)
    info = RegInfo.parse(sent.request.body)
    assert info.version == 1
    contact = info.registrations[0].contacts[0]
    assert (info.registrations[0].state, contact.state, contact.event) == ("terminated", "terminated", "expired")


@pytest.mark.parametrize(
    ("reason", "word", "retry"),
    [
        (DeregistrationReason.REJECTED, "rejected", None),
        (DeregistrationReason.DEACTIVATED, "deactivated", None),
        (DeregistrationReason.PROBATION, "probation", "30"),
        (DeregistrationReason.UNREGISTERED, "noresource", None),
    ],
)
def test_the_end_by_the_network_ends_the_subscription(
    reason: DeregistrationReason, word: str, retry: str | None
) -> None:
    bench, user = registered()
    bench.reg_event.subscribe(subscribe(), user, NOW)
    (sent,) = bench.reg_event.changed(user, (), reason, NOW, 30)
    state = sent.request.require(SubscriptionState)
    assert (state.state, state.reason, state.params.get("retry-after")) == ("terminated", word, retry)
    assert user.subscriptions is None
    assert len(bench.reg_event) == 0


def test_a_refresh_extends_it_and_zero_ends_it() -> None:
    bench, user = registered()
    decision = bench.reg_event.subscribe(subscribe(("Expires", "600")), user, NOW)
    assert isinstance(decision, Answer)
    tag = (decision.response.text("To") or "").rpartition("tag=")[2]
    again = bench.reg_event.refresh(subscribe(("Expires", "900"), to_tag=tag, cseq=2), NOW + 300)
    assert len(notifies(again)) == 1
    assert bench.reg_event.deadlines.next_deadline() == NOW + 1200
    assert status_of(bench.reg_event.refresh(subscribe(to_tag=tag, cseq=1), NOW + 300)) == 500
    last = bench.reg_event.refresh(subscribe(("Expires", "0"), to_tag=tag, cseq=3), NOW + 300)
    (notify,) = notifies(last)
    assert notify.require(SubscriptionState).state == "terminated"
    assert status_of(bench.reg_event.refresh(subscribe(to_tag=tag, cseq=4), NOW + 300)) == 481


def test_nobody_refreshes_it_and_it_times_out() -> None:
    bench, user = registered()
    bench.reg_event.subscribe(subscribe(("Expires", "600")), user, NOW)
    assert bench.reg_event.handle_deadline(NOW + 599) == ()
    (sent,) = bench.reg_event.handle_deadline(NOW + 600)
    assert sent.request.require(SubscriptionState).reason == "timeout"


def test_a_subscriber_that_has_forgotten_it_or_is_silent_ends_it() -> None:
    for outcome in (Response.new(481), TransactionFailure(FailureReason.TIMEOUT)):
        bench, user = registered()
        bench.reg_event.subscribe(subscribe(), user, NOW)
        (subscription,) = user.subscriptions or []
        bench.reg_event.notify_answered(subscription, Response.new(100))
        assert len(bench.reg_event) == 1
        bench.reg_event.notify_answered(subscription, outcome)
        assert len(bench.reg_event) == 0


def test_a_device_that_subscribes_anew_replaces_what_it_forgot_and_the_number_is_bounded() -> None:
    bench, user = registered()
    for number in range(3):
        bench.reg_event.subscribe(subscribe().edit().set("Call-ID", f"c{number}").done(), user, NOW)
    assert len(bench.reg_event) == 1
    for number in range(40):
        request = subscribe(contact=f"<sip:alice@192.0.2.{number}>").edit().set("Call-ID", f"d{number}").done()
        bench.reg_event.subscribe(request, user, NOW)
    assert len(bench.reg_event) == 16


def test_a_fetch_gets_the_state_once() -> None:
    bench, user = registered()
    (notify,) = notifies(bench.reg_event.subscribe(subscribe(("Expires", "0")), user, NOW))
    assert notify.require(SubscriptionState).state == "terminated"
    assert RegInfo.parse(notify.body).registrations[0].state == "active"
    assert len(bench.reg_event) == 0


def test_a_subscriber_that_cannot_read_reginfo_is_406_and_one_without_contact_malformed() -> None:
    bench, user = registered()
    refused = bench.reg_event.subscribe(subscribe(("Accept", "text/plain")), user, NOW)
    assert status_of(refused) == 406
    with pytest.raises(SipParseError):
        bench.reg_event.subscribe(subscribe().edit().remove("Contact").done(), user, NOW)
