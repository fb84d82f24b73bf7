"""Odd and broken messages of our own against the parser and a running P-CSCF, over UDP and TCP."""

from __future__ import annotations

from ims_core.transport.link import Transport
from ims_core.wire.sip.parser import KeepAlive, SipParseError, StreamDecoder, check, parse_datagram
from tests.support.odd_messages import ODD_MESSAGES, OddMessage
from tests.torture.test_nodes import Stage, play

_FORMAT_FAULTS = {400, 505, 513}


def _is_read(octets: bytes) -> bool:
    try:
        check(parse_datagram(octets))
    except SipParseError:
        return False
    return True


def test_the_parser_takes_what_is_valid_however_odd_and_nothing_else() -> None:
    odd = [each.name for each in ODD_MESSAGES if 200 in each.statuses and not _is_read(each.octets("UDP", "r"))]
    broken = [each for each in ODD_MESSAGES if each.statuses and each.statuses <= _FORMAT_FAULTS]
    later = {"route-no-end", "register-with-half-credentials"}  # read by whom they concern
    taken = [each.name for each in broken if _is_read(each.octets("UDP", "r")) and each.name not in later]
    assert (odd, taken) == ([], [])


def test_a_stream_goes_on_after_each_unless_its_length_cannot_be_told() -> None:
    plain = ODD_MESSAGES[0].octets("TCP", "next")
    for each in ODD_MESSAGES:
        decoder = StreamDecoder()
        events = [event for event in decoder.feed(each.octets("TCP", "r") + plain) if not isinstance(event, KeepAlive)]
        assert (len(events) == 1) is each.ends_stream, each.name


async def _wrong_over(stage: Stage, transport: Transport) -> list[str]:
    target = next(each for each in stage.addresses("pcscf") if each.transport is transport)
    wrong = []
    for number, each in enumerate(ODD_MESSAGES):
        stranger = await stage.throw(each.octets(transport.value, f"r{transport.value}{number}"), target)
        if not _is_right(each, stranger.statuses):
            wrong.append(f"{each.name} over {transport.value}: {stranger.statuses}, not {set(each.statuses)}")
        if transport is Transport.TCP and stranger.is_closed is not each.ends_stream:
            wrong.append(f"{each.name}: the connection was {'closed' if stranger.is_closed else 'kept'}")
    return wrong


def _is_right(message: OddMessage, statuses: set[int]) -> bool:
    return statuses <= message.statuses and bool(statuses) is bool(message.statuses)


def test_each_gets_its_status_from_a_p_cscf_and_the_connection_lives_where_it_can() -> None:
    async def story(stage: Stage) -> None:
        wrong = [*await _wrong_over(stage, Transport.UDP), *await _wrong_over(stage, Transport.TCP)]
        assert wrong == []

    play(story)
