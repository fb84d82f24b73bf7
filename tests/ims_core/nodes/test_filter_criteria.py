from __future__ import annotations

import pytest

from ims_core.nodes.filter_criteria import CriteriaIndex, contains, holds
from ims_core.service_profile import (
    FilterCriteria,
    ServicePointTrigger,
    ServiceProfile,
    SessionCase,
    TriggerKind,
)
from tests.support.core_cases import make_request

ORIG = SessionCase.ORIGINATING


def header(name: str, content: str = "", *, is_negated: bool = False) -> ServicePointTrigger:
    return ServicePointTrigger(TriggerKind.SIP_HEADER, content, name, is_negated)


def criterion(
    name: str, priority: int, *groups: tuple[ServicePointTrigger, ...], methods: tuple[str, ...] = ()
) -> FilterCriteria:
    return FilterCriteria(
        name=name,
        priority=priority,
        session_cases=frozenset((ORIG,)),
        methods=frozenset(methods),
        as_uri="sip:as",
        triggers=groups,
    )


def test_criteria_are_evaluated_in_the_order_of_their_priority_and_go_on_behind_the_last() -> None:
    index = CriteriaIndex(
        ServiceProfile("p", (criterion("b", 20), criterion("a", 10), criterion("c", 30, (header("X"),))))
    )
    request = make_request("MESSAGE", "sip:b@x")
    found, place = index.first_match(request, ORIG) or (None, 0)
    assert (found.name if found else "", place) == ("a", 1)
    found, place = index.first_match(request, ORIG, place) or (None, 0)
    assert (found.name if found else "", place) == ("b", 2)
    assert index.first_match(request, ORIG, place) is None
    assert index.first_match(request, SessionCase.TERMINATING) is None


def test_all_groups_have_to_hold_and_one_trigger_of_each() -> None:
    both = criterion("x", 1, (header("A"), header("B")), (header("C"),))
    assert holds(both, make_request("MESSAGE", "sip:b@x", ("B", "1"), ("C", "1")))
    assert not holds(both, make_request("MESSAGE", "sip:b@x", ("A", "1"), ("B", "1")))
    assert holds(criterion("x", 1, (header("A", is_negated=True),)), make_request("MESSAGE", "sip:b@x"))


def test_methods_limit_a_criterion() -> None:
    index = CriteriaIndex(ServiceProfile("p", (criterion("m", 1, methods=("MESSAGE",)),)))
    assert index.first_match(make_request("INVITE", "sip:b@x"), ORIG) is None
    assert index.first_match(make_request("MESSAGE", "sip:b@x"), ORIG)


def test_invented_methods_are_not_remembered() -> None:
    index = CriteriaIndex(ServiceProfile("p", (criterion("m", 1, methods=("MESSAGE",)),)))
    for number in range(100):
        index.candidates(ORIG, f"METHOD{number}")
    assert len(index._by_case_and_method) == 0


@pytest.mark.parametrize(
    ("trigger", "uri", "is_true"),
    [
        (ServicePointTrigger(TriggerKind.REQUEST_USER, "factory"), "sip:Factory@home.test", True),
        (ServicePointTrigger(TriggerKind.REQUEST_USER, "factory"), "sip:home.test", False),
        (ServicePointTrigger(TriggerKind.REQUEST_HOST, "focus.home.test"), "sip:x@FOCUS.home.test", True),
        (ServicePointTrigger(TriggerKind.REQUEST_HOST, "focus.home.test"), "tel:+1", False),
    ],
)
def test_the_request_uri_is_a_trigger(trigger: ServicePointTrigger, uri: str, is_true: bool) -> None:
    assert holds(criterion("x", 1, (trigger,)), make_request("MESSAGE", uri)) is is_true


def test_content_is_found_plain_escaped_and_in_any_case() -> None:
    escaped = '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"'
    assert contains((escaped,), "urn:urn-7:3gpp-service.ims.icsi.OMA.cpm.msg")
    assert contains(("text/plain", "Application/VND.3gpp.sms"), "application/vnd.3gpp.sms")
    assert contains(("anything",), "")
    assert not contains((), "")


def test_a_profile_tells_whether_it_has_services_for_the_unregistered() -> None:
    assert not CriteriaIndex(ServiceProfile("p", (criterion("a", 1),))).has_unregistered_services()
