"""Matching of messages to transactions."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.transaction_key import cancelled_key, client_key, response_key, transaction_key

_NEW = "SIP/2.0/UDP client.example:5062;branch=z9hG4bKa1"
_OLD = "SIP/2.0/UDP client.example:5062"


def _request(method: str, via: str = _NEW, **changes: str) -> Request:
    fields = {
        "to": "<sip:bob@b.example>",
        "from_": "<sip:alice@a.example>;tag=1",
        "call_id": "c1",
        "number": "7",
    } | changes
    return Request.new(
        method,
        fields.get("uri", "sip:bob@b.example"),
        [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", fields["from_"]),
            ("To", fields["to"]),
            ("Call-ID", fields["call_id"]),
            ("CSeq", f"{fields['number']} {method}"),
        ],
    )


def test_a_retransmission_has_the_key_of_the_first() -> None:
    assert transaction_key(_request("MESSAGE")) == transaction_key(_request("MESSAGE"))


def test_branch_method_and_sent_by_tell_transactions_apart() -> None:
    key = transaction_key(_request("MESSAGE"))
    assert key != transaction_key(_request("OPTIONS"))
    assert key != transaction_key(_request("MESSAGE", _NEW.replace("a1", "A1")))
    assert key != transaction_key(_request("MESSAGE", _NEW.replace("client", "other")))
    assert key != transaction_key(_request("MESSAGE", _NEW.replace("5062", "5063")))


def test_a_client_that_uses_one_branch_for_two_requests_is_told_apart_by_cseq() -> None:
    """aiosip keeps the Via when it answers a challenge."""
    first, again = _request("REGISTER"), _request("REGISTER", number="8")
    assert transaction_key(first) != transaction_key(again)


def test_the_host_of_sent_by_is_compared_without_case_and_received_does_not_count() -> None:
    seen_elsewhere = _NEW.replace("client.example", "CLIENT.Example") + ";received=192.0.2.1;rport=9"
    assert transaction_key(_request("MESSAGE")) == transaction_key(_request("MESSAGE", seen_elsewhere))


def test_an_ack_finds_its_invite_and_a_cancel_has_a_transaction_of_its_own() -> None:
    invite, cancel = _request("INVITE"), _request("CANCEL")
    assert transaction_key(_request("ACK")) == transaction_key(invite)
    assert transaction_key(cancel) != transaction_key(invite)
    assert cancelled_key(cancel) == transaction_key(invite)


def test_a_response_finds_the_client_transaction_whatever_was_added_to_via() -> None:
    request = _request("INVITE", _NEW + ";rport")
    arrived = _request("INVITE", _NEW + ";rport=9;received=192.0.2.1")
    response = Response.to(arrived, 180, to_tag="t")
    assert response_key(response) == client_key(request)
    assert response_key(response) != client_key(_request("CANCEL"))
    for spelling in (
        "SIP / 2.0 / UDP client.example:5062 ; Branch = z9hG4bKa1",
        f"{_NEW}, SIP/2.0/UDP b;branch=z9hG4bK2",
    ):
        assert response_key(response.edit().set("Via", spelling).done()) == client_key(request)


def test_a_response_without_a_readable_via_or_cseq_has_no_key() -> None:
    response = Response.to(_request("INVITE"), 180)
    for name, text in (("Via", "UDP a"), ("Via", "SIP/2.0/UDP a;branch=b c"), ("CSeq", "INVITE")):
        with pytest.raises(SipParseError):
            response_key(response.edit().set(name, text).done())


def test_without_the_cookie_the_request_itself_is_the_key() -> None:
    for via in (_OLD, _OLD + ";branch=1", _OLD + ";branch=z9hG4bK", _OLD + ";branch"):
        key = transaction_key(_request("MESSAGE", via))
        assert key == transaction_key(_request("MESSAGE", via))
        for changes in (
            {"uri": "sip:x@b"},
            {"from_": "<sip:alice@a.example>;tag=2"},
            {"call_id": "c2"},
            {"number": "8"},
        ):
            assert key != transaction_key(_request("MESSAGE", via, **changes))
        assert key != transaction_key(_request("MESSAGE", via, to="<sip:bob@b.example>;tag=9"))
        assert key != transaction_key(_request("OPTIONS", via))


def test_an_old_ack_finds_its_invite_although_it_has_the_tag_of_our_response() -> None:
    invite = transaction_key(_request("INVITE", _OLD))
    assert invite == transaction_key(_request("ACK", _OLD, to="<sip:bob@b.example>;tag=ours"))
    assert invite == cancelled_key(_request("CANCEL", _OLD))
    assert invite != transaction_key(_request("ACK", _OLD, number="8"))


def test_an_old_client_behind_a_via_of_two_values_is_matched_by_the_first() -> None:
    joined = _request("MESSAGE", f"{_OLD}, SIP/2.0/UDP behind.example")
    assert transaction_key(joined) == transaction_key(_request("MESSAGE", _OLD))
