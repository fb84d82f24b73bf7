"""Messages of moments to come (RCC.16 §6.1.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.parked_messages import ParkedMessage, ParkedMessages
from tests.support.member_devices import ALICE, NOW_S


def _message(message_id: str, octets: bytes = b"x", parked_s: int = NOW_S) -> ParkedMessage:
    return ParkedMessage(Envelope(message_id=message_id, asserted_sender=ALICE, era=1), octets, parked_s)


def _ids(messages: list[ParkedMessage]) -> list[str]:
    return [each.envelope.message_id for each in messages]


def test_only_the_exact_moment_is_drained_and_in_order() -> None:
    parked = ParkedMessages()
    for message_id, moment in (("a", Moment(1, 3)), ("b", Moment(1, 2)), ("c", Moment(1, 3)), ("d", Moment(2, 1))):
        parked.add(moment, _message(message_id))
    assert _ids(parked.take(Moment(1, 4))) == []
    assert _ids(parked.take(Moment(1, 3))) == ["a", "c"]
    assert _ids(parked.take(Moment(1, 3))) == []
    assert _ids(parked.take_before(Moment(2, 1))) == ["b"]
    assert len(parked) == 1


def test_the_same_message_is_parked_once() -> None:
    parked = ParkedMessages()
    parked.add(Moment(1, 3), _message("a"))
    parked.add(Moment(1, 3), _message("a"))
    assert len(parked) == 1


def test_nothing_goes_stale_but_the_oldest_of_too_many_give_way() -> None:
    parked = ParkedMessages()
    gone = list[str]()
    for number in range(1030):
        gone += _ids(parked.add(Moment(1, 2 + number % 5), _message(str(number), parked_s=NOW_S + number)))
    assert gone == [str(number) for number in range(6)]
    assert len(parked) == 1024
    huge = _message("huge", bytes(8 * 1024 * 1024), NOW_S + 2000)
    assert len(parked.add(Moment(9, 9), huge)) == 1024


def test_what_waits_since_before_a_time_can_be_taken() -> None:
    parked = ParkedMessages()
    parked.add(Moment(1, 2), _message("old", parked_s=NOW_S - 9))
    parked.add(Moment(1, 2), _message("new"))
    assert _ids(parked.take_older(NOW_S - 1)) == ["old"]
    assert [message.envelope.message_id for _, message in parked] == ["new"]


@pytest.mark.parametrize("is_control", [False, True])
@given(message_id=st.text(max_size=20), octets=st.binary(max_size=50))
def test_parked_messages_survive_their_octets(is_control: bool, message_id: str, octets: bytes) -> None:
    parked = ParkedMessages()
    envelope = Envelope(
        message_id=message_id, asserted_sender=ALICE, era=2**32 - 1, epoch_authenticator=b"\x01" * 32, named_sender="1"
    )
    parked.add(Moment(2**32 - 1, 2**64 - 1), ParkedMessage(envelope, octets, NOW_S, is_control))
    assert list(ParkedMessages.decode(parked.encode())) == list(parked)
