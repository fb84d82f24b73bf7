from __future__ import annotations

import pytest

from ims_core.nodes.request_check import check_request, is_same_place, max_forwards_below, own_branches
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request
from tests.support.core_cases import make_request

OWN = ("127.0.1.12:5060",)
OWN_VIA = "SIP/2.0/TCP 127.0.1.12:5060;branch=z9hG4bKmine.1"


def check(request: Request, sent: dict[str, Request] | None = None) -> int | None:
    rejection = check_request(request, OWN, frozenset(("path",)), sent or {})
    return None if rejection is None else rejection.status


def test_an_ordinary_request_passes() -> None:
    assert check(make_request("MESSAGE", "tel:+1")) is None
    assert check(make_request("MESSAGE", "sips:b@x", ("Proxy-Require", "PATH"))) is None


def test_schemes_that_nobody_routes_are_416() -> None:
    assert check(make_request("MESSAGE", "mailto:b@x")) == 416


def test_no_hop_left_is_483_also_for_options() -> None:
    request = make_request("OPTIONS", "sip:b@x").edit().set("Max-Forwards", "0").done()
    assert check(request) == 483


def test_a_malformed_max_forwards_raises() -> None:
    request = make_request("MESSAGE", "sip:b@x").edit().set("Max-Forwards", "many").done()
    with pytest.raises(SipParseError):
        check(request)
    with pytest.raises(SipParseError):
        max_forwards_below(request)


def test_what_only_a_user_agent_has_to_understand_passes() -> None:
    assert check(make_request("x-unknown", "sip:b@x", ("Require", "x"), ("Content-Type", "any/thing"))) is None


def test_unknown_proxy_require_is_420_with_unsupported_but_not_for_ack() -> None:
    request = make_request("MESSAGE", "sip:b@x", ("Proxy-Require", "path, warp"), ("Proxy-Require", "time"))
    rejection = check_request(request, OWN, frozenset(("path",)), {})
    assert rejection is not None
    assert (rejection.status, rejection.headers) == (420, (("Unsupported", "warp, time"),))
    assert check(make_request("ACK", "sip:b@x", ("Proxy-Require", "warp"))) is None


def test_a_request_that_comes_back_the_same_is_a_loop_and_another_one_a_spiral() -> None:
    first = make_request("MESSAGE", "sip:b@x", ("Route", "<sip:me;lr>"))
    again = first.edit().push("Via", OWN_VIA).done()
    assert own_branches(again, OWN) == ["z9hG4bKmine.1"]
    assert check(again, {"z9hG4bKmine.1": first}) == 482
    assert check(again.edit().request_uri("sip:c@x").done(), {"z9hG4bKmine.1": first}) is None
    assert check(again.edit().set("Route", "<sip:other;lr>").done(), {"z9hG4bKmine.1": first}) is None
    assert check(again) is None  # that transaction is over
    assert is_same_place(first, again)


def test_max_forwards_goes_down_and_begins_at_70() -> None:
    request = make_request("MESSAGE", "sip:b@x")
    assert max_forwards_below(request) == "69"
    assert max_forwards_below(request.edit().remove("Max-Forwards").done()) == "70"
    assert max_forwards_below(request.edit().set("Max-Forwards", "007").done()) == "6"
