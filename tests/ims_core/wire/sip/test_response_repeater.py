"""Responses to INVITE that are sent again: 2xx, ringing, reliable ringing (RFC 3261 §13.3.1, RFC 3262)."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.core_headers import CSeq, RAck, RSeq
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.response_repeater import ReliableProvisionals, Repeat, SuccessRepeater, is_reliable, rack_of
from ims_core.wire.sip.transaction import CORE_TIMERS, TimerConfig

_INVITE = CSeq(7, "INVITE")


def _response(status: int = 180, *headers: tuple[str, str]) -> Response:
    return Response.new(status, headers=[("CSeq", "7 INVITE"), *headers])


def _times(repeater: SuccessRepeater | ReliableProvisionals, count: int) -> list[tuple[float, Repeat]]:
    times = []
    for _ in range(count):
        due = repeater.next_deadline()
        assert due is not None
        times.append((due, repeater.handle_deadline(due)))
    return times


def test_a_2xx_is_repeated_from_t1_up_to_t2_and_given_up_after_64_t1() -> None:
    timers = TimerConfig(t1_s=2.0, t2_s=16.0, t4_s=17.0)
    repeater = SuccessRepeater(Request.new("INVITE", "sip:b@h"), _response(200), timers, 0.0)
    assert repeater.handle_deadline(1.9) is Repeat.NOTHING
    times = _times(repeater, 11)
    assert [at for at, _ in times] == [2, 6, 14, 30, 46, 62, 78, 94, 110, 126, 128]
    assert [what for _, what in times] == [Repeat.SEND] * 10 + [Repeat.GIVE_UP]


def test_a_provisional_response_is_sent_again_each_minute() -> None:
    provisionals = ReliableProvisionals(None, CORE_TIMERS)
    response = _response()
    assert provisionals.next_deadline() is None
    assert provisionals.send(response, 0.0) is response
    assert not provisionals.is_reliable
    assert _times(provisionals, 3) == [(60.0, Repeat.SEND), (120.0, Repeat.SEND), (180.0, Repeat.SEND)]
    assert provisionals.last is response
    assert not provisionals.acknowledge(RAck(1, _INVITE), 1.0)


def test_a_reliable_one_is_numbered_and_repeated_until_its_prack() -> None:
    provisionals = ReliableProvisionals(41, CORE_TIMERS)
    sent = provisionals.send(_response(), 0.0)
    assert sent is not None
    assert (sent.text("Require"), sent.text("RSeq")) == ("100rel", "41")
    assert _times(provisionals, 3) == [(0.5, Repeat.SEND), (1.5, Repeat.SEND), (3.5, Repeat.SEND)]
    assert provisionals.last is sent
    for wrong in (RAck(40, _INVITE), RAck(41, CSeq(8, "INVITE")), RAck(41, CSeq(7, "BYE"))):
        assert not provisionals.acknowledge(wrong, 4.0)
    assert provisionals.acknowledge(RAck(41, _INVITE), 4.0)
    assert not provisionals.acknowledge(RAck(41, _INVITE), 4.1)
    assert provisionals.next_waiting(4.0) is None
    assert provisionals.next_deadline() == 64.0
    assert provisionals.handle_deadline(64.0) is Repeat.SEND
    assert provisionals.last is not None
    assert provisionals.last.get(RSeq) == RSeq(42)


def test_the_next_reliable_one_waits_for_the_prack() -> None:
    provisionals = ReliableProvisionals(1, CORE_TIMERS)
    provisionals.send(_response(), 0.0)
    assert provisionals.send(_response(181), 1.0) is None
    assert provisionals.send(_response(182), 2.0) is None
    assert provisionals.acknowledge(RAck(1, _INVITE), 3.0)
    following = provisionals.next_waiting(3.0)
    assert following is not None
    assert (following.status, following.get(RSeq)) == (182, RSeq(2))


def test_without_a_prack_a_reliable_one_is_given_up_after_64_t1() -> None:
    provisionals = ReliableProvisionals(1, CORE_TIMERS)
    provisionals.send(_response(), 0.0)
    times = _times(provisionals, 7)
    assert [at for at, _ in times] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert times[-1][1] is Repeat.GIVE_UP


def test_a_uac_acknowledges_reliable_responses_in_their_order() -> None:
    reliable = (("Require", "100rel"), ("RSeq", "5"))
    assert is_reliable(_response(183, *reliable))
    for plain in (_response(183), _response(183, ("Supported", "100rel")), _response(100, *reliable)):
        assert not is_reliable(plain)
    assert rack_of(_response(183, *reliable), None) == rack_of(_response(183, *reliable), 4) == RAck(5, _INVITE)
    assert rack_of(_response(183, *reliable), 5) is None
    assert rack_of(_response(183, *reliable), 3) is None
    with pytest.raises(SipParseError):
        rack_of(_response(183, ("Require", "100rel")), None)
