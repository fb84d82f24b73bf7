"""Splitting and reassembly (TS 23.040 §9.2.3.24.1)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.alphabet import ESCAPE
from ims_core.wire.sms.concatenation import (
    Abandoned,
    Assembled,
    Reassembler,
    SplitContent,
    TooManyParts,
    split_octets,
    split_text,
    submits_for,
)
from ims_core.wire.sms.data_coding import DataCoding
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsDeliver
from ims_core.wire.sms.user_data import ApplicationPorts, Concatenation, UserData, UserDataHeader
from tests.ims_core.wire.sms.test_alphabet import GSM7_TEXT

_A, _B = Address.international("+12025550101"), Address.international("+12025550152")


def _deliver(
    user_data: UserData, coding: DataCoding = DataCoding.GSM7, *, originator: Address = _A, at: float = 1.7e9
) -> SmsDeliver:
    return SmsDeliver(originator=originator, timestamp=Timestamp.at(at), user_data=user_data, data_coding=coding)


def _part(text: str, sequence: int, total: int, *, reference: int = 1, originator: Address = _A) -> SmsDeliver:
    header = UserDataHeader.of(Concatenation(reference, total, sequence).element())
    return _deliver(UserData.of_text(text, DataCoding.GSM7, header), originator=originator)


def _delivered(split: SplitContent) -> list[SmsDeliver]:
    return [_deliver(part, split.coding) for part in split.parts]


@given(
    st.one_of(st.text(alphabet=GSM7_TEXT, max_size=1500), st.text(max_size=600), st.text(alphabet="👍ж", max_size=600)),
    st.booleans(),
    st.integers(0, 255),
)
def test_a_split_text_reassembles_in_any_order(text: str, wide: bool, reference: int) -> None:
    split = split_text(text, reference=reference, wide_reference=wide, max_parts=255)
    parts = _delivered(split)
    random.Random(len(text)).shuffle(parts)
    reassembler = Reassembler()
    out = [result for part in parts for result in reassembler.receive(part, 0.0)]
    assert len(out) == 1
    assert isinstance(out[0], Assembled)
    assert out[0].text == text.encode("utf-16", "replace").decode("utf-16")
    assert reassembler.next_deadline() is None
    for part in split.parts:
        assert len(part.encode(split.coding)) <= 141


@given(st.text(alphabet="a€", min_size=161, max_size=600))
def test_no_part_ends_amid_an_escape_pair(text: str) -> None:
    for part in split_text(text, reference=1, max_parts=255).parts:
        assert part.content[-1] != ESCAPE


@given(st.text(alphabet="ж👍", min_size=71, max_size=300))
def test_no_part_ends_amid_a_surrogate_pair(text: str) -> None:
    for part in split_text(text, reference=1, max_parts=255).parts:
        part.content.decode("utf-16-be")


def test_the_limit_of_parts_is_kept() -> None:
    assert len(split_text("x" * 1530, reference=1).parts) == 10
    with pytest.raises(TooManyParts, match="11 parts where 10 are allowed"):
        split_text("x" * 1531, reference=1)
    with pytest.raises(TooManyParts):
        split_text("x" * 153 * 256, reference=1, max_parts=1000)


def test_an_empty_text_is_one_empty_part() -> None:
    assert split_text("", reference=1).parts == (UserData(b""),)


def test_a_given_coding_that_lacks_a_character_is_our_own_error() -> None:
    assert split_text("abc", reference=1, coding=DataCoding.UCS2).parts[0].content == "abc".encode("utf-16-be")
    with pytest.raises(LocalProtocolError):
        split_text("ж", reference=1, coding=DataCoding.GSM7)


def test_data_with_a_port_carries_it_in_every_part() -> None:
    ports = ApplicationPorts(37273, 0)
    short = split_octets(b"001010000000101-rcscfg", reference=7, elements=(ports.element(),))
    assert short.parts[0].encode(short.coding).hex().startswith("1d06050491990000")
    long = split_octets(bytes(300), reference=7, elements=(ports.element(),))
    assert [len(part.content) for part in long.parts] == [128, 128, 44]
    for sequence, part in enumerate(long.parts, start=1):
        assert part.header is not None
        assert part.header.ports == ports
        assert part.header.concatenation == Concatenation(7, 3, sequence)


def test_submits_count_their_references_round() -> None:
    submits = submits_for(split_text("x" * 400, reference=1), _B, message_reference=254, status_report=True)
    assert [submit.message_reference for submit in submits] == [254, 255, 0]
    assert all(submit.status_report_request and submit.destination == _B for submit in submits)


def test_duplicates_of_a_waiting_part_change_nothing() -> None:
    reassembler = Reassembler()
    assert reassembler.receive(_part("a", 1, 2), 0.0) == []
    assert reassembler.receive(_part("a", 1, 2), 1.0) == []
    out = reassembler.receive(_part("b", 2, 2), 2.0)
    assert [result.text for result in out if isinstance(result, Assembled)] == ["ab"]


def test_duplicates_of_a_complete_message_are_dropped() -> None:
    reassembler = Reassembler()
    whole = _deliver(UserData.of_text("hi", DataCoding.GSM7))
    assert len(reassembler.receive(whole, 0.0)) == 1
    assert reassembler.receive(whole, 60.0) == []
    parts = [_part("a", 1, 2), _part("b", 2, 2)]
    for part in parts:
        reassembler.receive(part, 61.0)
    assert [reassembler.receive(part, 62.0) for part in parts] == [[], []]
    assert reassembler.next_deadline() is None
    later = _deliver(UserData.of_text("hi", DataCoding.GSM7), at=1.7e9 + 1)
    assert len(reassembler.receive(later, 63.0)) == 1


def test_a_reference_that_comes_round_begins_a_new_message() -> None:
    reassembler = Reassembler()
    reassembler.receive(_part("old", 1, 2), 0.0)
    out = reassembler.receive(_part("new", 1, 2), 1.0)
    assert [[part.text for part in result.parts] for result in out if isinstance(result, Abandoned)] == [["old"]]
    assert [result.text for result in reassembler.receive(_part("!", 2, 2), 2.0) if isinstance(result, Assembled)] == [
        "new!"
    ]


def test_originators_and_totals_are_kept_apart() -> None:
    reassembler = Reassembler()
    for part in (_part("a", 1, 2), _part("b", 2, 2, originator=_B), _part("c", 2, 3), _part("d", 2, 2, reference=2)):
        assert reassembler.receive(part, 0.0) == []


def test_an_incomplete_message_is_abandoned_at_its_deadline() -> None:
    reassembler = Reassembler(timeout_s=60.0)
    reassembler.receive(_part("c", 3, 3), 10.0)
    reassembler.receive(_part("a", 1, 3), 20.0)
    assert reassembler.next_deadline() == 70.0
    assert reassembler.handle_deadline(69.0) == []
    (abandoned,) = reassembler.handle_deadline(70.0)
    assert ([part.text for part in abandoned.parts], abandoned.total) == (["a", "c"], 3)
    assert reassembler.next_deadline() is None


def test_the_number_of_waiting_messages_is_bounded() -> None:
    reassembler = Reassembler(max_pending=3)
    out = [result for index in range(100) for result in reassembler.receive(_part("x", 1, 2, reference=index), 0.0)]
    assert len(out) == 97
    assert all(isinstance(result, Abandoned) for result in out)


def test_senseless_concatenation_is_a_message_of_its_own() -> None:
    header = UserDataHeader(bytes.fromhex("0003010203"))  # part 3 of 2
    (out,) = Reassembler().receive(_deliver(UserData(b"hi", header)), 0.0)
    assert isinstance(out, Assembled)
    assert out.text == "hi"


def test_a_character_that_the_peer_split_is_joined() -> None:
    reassembler = Reassembler()
    halves = ["👍".encode("utf-16-be")[:2], "👍".encode("utf-16-be")[2:]]
    for sequence, half in enumerate(halves, start=1):
        header = UserDataHeader.of(Concatenation(1, 2, sequence).element())
        out = reassembler.receive(_deliver(UserData(half, header), DataCoding.UCS2), 0.0)
    (assembled,) = out
    assert isinstance(assembled, Assembled)
    assert assembled.text == "👍"
    assert assembled.content == "👍".encode("utf-16-be")


def test_parts_of_different_alphabets_are_decoded_each_by_its_own() -> None:
    reassembler = Reassembler()
    reassembler.receive(_part("a€", 1, 2), 0.0)
    header = UserDataHeader.of(Concatenation(1, 2, 2).element())
    (out,) = reassembler.receive(_deliver(UserData.of_text("ж", DataCoding.UCS2, header), DataCoding.UCS2), 0.0)
    assert isinstance(out, Assembled)
    assert out.text == "a€ж"
