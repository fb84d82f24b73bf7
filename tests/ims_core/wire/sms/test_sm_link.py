"""SM link frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.sm_link import (
    MAX_FRAME_OCTETS,
    Accepted,
    AlertReason,
    Attach,
    Bind,
    Detach,
    Failure,
    Forward,
    ForwardKind,
    LinkRole,
    MalformedFrame,
    Party,
    Refused,
    Result,
    SmAlert,
    SmError,
    SmLinkDecoder,
    SmLinkMessage,
    encode_frame,
    parse_frame,
)
from ims_core.wire.sms.timestamp import Timestamp

references = st.integers(0, 2**32 - 1)
imsis = st.text(alphabet="0123456789", min_size=5, max_size=15)
numbers = st.text(alphabet="0123456789", min_size=1, max_size=19).map(lambda digits: "+" + digits)
texts = st.text(st.characters(categories=["L", "N", "P"]), max_size=40)
parties = st.one_of(numbers.map(Party.msisdn), imsis.map(Party.imsi), texts.map(Party.name))
rpdus = st.binary(max_size=248)
forwards = st.builds(
    Forward,
    reference=references,
    kind=st.sampled_from(ForwardKind),
    rpdu=rpdus,
    originator=st.one_of(st.none(), parties),
    destination=st.one_of(st.none(), parties),
    more_messages=st.booleans(),
    submitted_at=st.one_of(st.none(), st.binary(min_size=7, max_size=7).map(Timestamp)),
    identifier=texts,
    report_to=texts,
    report_key=texts,
)
messages: st.SearchStrategy[SmLinkMessage] = st.one_of(
    st.builds(Bind, references, st.sampled_from(LinkRole), texts),
    st.builds(Attach, references, imsis),
    st.builds(Accepted, references, st.one_of(st.none(), numbers)),
    st.builds(Refused, references, st.integers(0, 255)),
    st.builds(Detach, references),
    forwards,
    st.builds(Result, references, rpdus),
    st.builds(Failure, references, st.integers(0, 255)),
    st.builds(SmAlert, parties, st.sampled_from(AlertReason), references),
)


@given(messages)
def test_frames_round_trip(message: SmLinkMessage) -> None:
    assert parse_frame(encode_frame(message)[2:]) == message


@given(st.lists(messages, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_chunking_does_not_matter(expected: list[SmLinkMessage], sizes: list[int]) -> None:
    stream = b"".join(map(encode_frame, expected))
    decoder, seen, position, turn = SmLinkDecoder(), [], 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        seen += decoder.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert seen == expected


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_a_parse_error(octets: bytes) -> None:
    try:
        message = parse_frame(octets)
    except SmsParseError:
        return
    assert parse_frame(encode_frame(message)[2:]) == message


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_the_decoder_never_raises_and_stays_small(chunks: list[bytes]) -> None:
    decoder = SmLinkDecoder()
    for chunk in chunks:
        decoder.feed(chunk)


def test_a_bad_frame_costs_only_itself() -> None:
    good = Failure(7, SmError.ABSENT_SUBSCRIBER)
    bad = (6).to_bytes(2, "big") + bytes((99, 0, 0, 0, 1, 0))
    out = SmLinkDecoder().feed(bad + encode_frame(good))
    assert isinstance(out[0], MalformedFrame)
    assert not out[0].is_fatal
    assert out[1:] == [good]


@pytest.mark.parametrize("length", [0, 4, MAX_FRAME_OCTETS + 1, 0xFFFF])
def test_an_impossible_length_ends_the_stream(length: int) -> None:
    decoder = SmLinkDecoder()
    out = decoder.feed(encode_frame(Detach()) + length.to_bytes(2, "big"))
    assert out[0] == Detach()
    assert isinstance(out[1], MalformedFrame)
    assert out[1].is_fatal
    assert decoder.feed(encode_frame(Detach())) == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("0900000001", "DESTINATION is missing"),
        ("09000000010906012B31323334", "REASON is missing"),
        ("090000000109020178" + "0F0101", "wrong form"),
        ("0200000001", "IMSI is missing"),
        ("020000000103033132FF", "no printable text"),
        ("020000000103023132", "wrong form"),
        ("0600000001" + "060101", "RPDU is missing"),
        ("0600000001" + "060109" + "0700", "unknown KIND 9"),
        ("0600000001" + "060101" + "0700" + "0B0100", "seven octets"),
        ("0600000001" + "060101" + "0701", "longer than its frame"),
        ("0600000001" + "060101" + "07", "longer than its frame"),
        ("010000000101010102", "longer than its frame"),
        ("0100000001010101", "NAME is missing"),
        ("01000000010102010102" + "0141", "ROLE is not one octet"),
        ("00000000", "frame of 4"),
    ],
)
def test_a_malformed_frame_is_refused_with_its_reason(frame: str, reason: str) -> None:
    with pytest.raises(SmsParseError, match=reason):
        parse_frame(bytes.fromhex(frame))


def test_unknown_elements_are_skipped_and_the_first_of_a_kind_counts() -> None:
    frame = bytes.fromhex("0800000001" + "C80401020304" + "05011B" + "050101")
    assert parse_frame(frame) == Failure(1, SmError.ABSENT_SUBSCRIBER)


@pytest.mark.parametrize(
    "message",
    [
        Result(1, bytes(256)),
        Result(2**32, b""),
        Bind(1, LinkRole.SMSC, "x" * 256),
        Forward(reference=1, kind=ForwardKind.MO, rpdu=b"", originator=Party.name("x" * 255)),
    ],
)
def test_what_does_not_fit_is_our_own_error(message: SmLinkMessage) -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(message)


def test_every_element_at_its_longest_fits_one_frame() -> None:
    longest = Forward(
        reference=1,
        kind=ForwardKind.MO,
        rpdu=bytes(248),
        originator=Party.name("x" * 254),
        destination=Party.name("x" * 254),
        identifier="x" * 255,
        report_to="x" * 255,
        report_key="x" * 255,
    )
    assert parse_frame(encode_frame(longest)[2:]) == longest
