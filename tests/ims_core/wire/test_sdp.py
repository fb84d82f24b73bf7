"""Session descriptions."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sdp import (
    MAX_DESCRIPTION_OCTETS,
    MAX_LINES,
    Connection,
    Line,
    MediaDescription,
    Origin,
    SdpParseError,
    SessionDescription,
    reject,
    verify_answer,
)

_HEAD = b"v=0\r\no=- 3981 3981 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
_CHAT = _HEAD + (
    b"m=message 51001 TCP/TLS/MSRP *\r\n"
    b"a=accept-types:message/cpim application/im-iscomposing+xml\r\n"
    b"a=sendrecv\r\n"
    b"a=path:msrps://192.0.2.11:51001/a1Sess0001;tcp\r\n"
)
_RICH = (
    b"v=0\r\no=jdoe 2890844526 2890842807 IN IP6 2001:db8::5\r\ns= \r\ni=A caf\xc3\xa9, and \xff\r\nu=http://h/x\r\n"
    b"e=j@example.com\r\np=+1 617 555-6011\r\nc=IN IP6 2001:db8::1\r\nb=AS:128\r\nt=2873397496 2873404696\r\n"
    b"r=7d 1h 0 25h\r\nz=0 -1h\r\nt=0 0\r\nk=prompt\r\na=recvonly\r\na=x-unknown:1\r\n"
    b"m=audio 49170/2 RTP/AVP 0 8\r\ni=sound\r\nc=IN IP4 224.2.1.1/127/3\r\nb=TIAS:1\r\n"
    b"k=clear:x\r\na=rtpmap:0 PCMU/8000\r\n"
    b"m=message 0 TCP/MSRP *\r\n"
    b"m=x-new 9 x/y/z a b c\r\na=\r\na=:\r\na=A:b:c\r\na=A\r\n"
)


@pytest.mark.parametrize("octets", [_HEAD, _CHAT, _RICH, b"v=0\r\no=- 0 007 IN IP4 h\r\n"])
def test_a_description_is_written_as_it_was_read(octets: bytes) -> None:
    assert SessionDescription.parse(octets).encode() == octets


def test_bare_lf_a_missing_last_end_and_empty_lines_after_it_are_read() -> None:
    for octets in (_CHAT.replace(b"\r\n", b"\n"), _CHAT[:-2], _CHAT + b"\r\n\n"):
        assert SessionDescription.parse(octets).encode() == _CHAT


def test_the_parts_of_a_description() -> None:
    description = SessionDescription.parse(_RICH)
    assert description.origin == Origin("jdoe", 2890844526, 2890842807, "IN", "IP6", "2001:db8::5")
    assert description.connection == Connection("IN", "IP6", "2001:db8::1")
    assert description.attribute("recvonly") == ""
    audio, rejected, new = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 49170, "RTP/AVP", ("0", "8"))
    assert (rejected.port, rejected.formats) == (0, ("*",))
    assert (new.kind, new.protocol, new.formats) == ("x-new", "x/y/z", ("a", "b", "c"))


def test_media_without_a_connection_has_that_of_the_session() -> None:
    audio, rejected, new = SessionDescription.parse(_RICH).media
    assert audio.connection == Connection("IN", "IP4", "224.2.1.1/127/3")
    assert audio.connection.host == "224.2.1.1"
    assert rejected.connection == new.connection == Connection("IN", "IP6", "2001:db8::1")


def test_attributes_keep_their_order_and_may_have_no_value() -> None:
    new = SessionDescription.parse(_RICH).media[2]
    assert new.attributes("a") == ("b:c", "")
    assert new.attribute("A") == "b:c"
    assert new.has("a")
    assert not new.has("b")
    assert new.attribute("recvonly") is None


def test_media_that_is_rejected_needs_no_connection() -> None:
    octets = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=message 0 TCP/MSRP *\r\n"
    assert SessionDescription.parse(octets).media[0].connection is None


@pytest.mark.parametrize(
    "octets",
    [
        *(
            b"",
            b"\r\n",
            b"v=0\r\n",
            b"v=1\r\no=- 1 1 IN IP4 h\r\n",
            b"o=- 1 1 IN IP4 h\r\nv=0\r\n",
            b"\xff\xfe",
            b"v=0\x00",
        ),
        *(
            _HEAD + line + b"\r\n"
            for line in (b"x=1", b"A=1", b"a", b"a =1", b" a=1", b"=", b"aa=1", b"a=1\r", b"a=\x00")
        ),
        *(_HEAD + line + b"\r\n" for line in (b"v=0", b"o=- 1 1 IN IP4 h", b"s=x", b"c=IN IP4 h")),
        *(_CHAT + line + b"\r\n" for line in (b"v=0", b"t=0 0", b"s=x", b"o=- 1 1 IN IP4 h", b"i=a\r\ni=b")),
        _HEAD + b"\r\na=x\r\n",
        _CHAT[1:],
        _CHAT.replace(b"c=IN IP4 192.0.2.11\r\n", b""),
    ],
)
def test_what_is_no_description_is_refused(octets: bytes) -> None:
    with pytest.raises(SdpParseError):
        SessionDescription.parse(octets)


@pytest.mark.parametrize(
    "line",
    [
        *("o=- 1 IN IP4 h", "o=- a 1 IN IP4 h", "o=- 1 -1 IN IP4 h", "o=-  1 1 IN IP4 h", "o=- 1 1 IN IP4 h x", "o="),
        *(f"o=- {'9' * 5000} 1 IN IP4 h", "o=- 1 1 IN IP4 ", "o=- \u0661 1 IN IP4 h"),
    ],
)
def test_a_malformed_origin_is_refused(line: str) -> None:
    with pytest.raises(SdpParseError):
        SessionDescription.parse(f"v=0\r\n{line}\r\ns=-\r\nt=0 0\r\n".encode())


@pytest.mark.parametrize(
    "line",
    [
        *("c=", "c=IN IP4", "c=IN IP4 ", "c=IN IP4 h x", "c=IN  IP4 h", "c=IN IP4 256.1.1.1", "c=IN IP4 1.2.3"),
        *(
            "c=IN IP4 ::1",
            "c=IN IP6 192.0.2.1",
            "c=IN IP6 [::1]",
            "c=IN IP6 fe80::1%eth0",
            "c=IN IP4 -h",
            "c=IN IP4 a..b",
        ),
        *("c=IN IP4 /127", f"c=IN IP4 {'h' * 256}", "c=IN IP4 h\u00f4te"),
    ],
)
def test_a_malformed_connection_is_refused(line: str) -> None:
    with pytest.raises(SdpParseError):
        SessionDescription.parse(_HEAD.replace(b"c=IN IP4 192.0.2.11", line.encode()))


@pytest.mark.parametrize(
    "line",
    [
        "c=IN IP4 host_1.example.",
        "c=IN IP6 2001:DB8::1",
        "c=IN IP6 name",
        "c=ATM NSAP x/y",
        "c=IN IP9 ?",
        "c=IN IP4 9a",
    ],
)
def test_addresses_and_names_are_connections_and_unknown_types_are_kept(line: str) -> None:
    octets = _HEAD.replace(b"c=IN IP4 192.0.2.11", line.encode())
    description = SessionDescription.parse(octets)
    assert str(description.connection) == line[2:]
    assert description.encode() == octets


@pytest.mark.parametrize(
    "line",
    [
        *("m=", "m=message", "m=message 9", "m=message 9 TCP/MSRP", "m=message 9 TCP/MSRP ", "m=message x TCP/MSRP *"),
        *(
            "m=message 65536 TCP/MSRP *",
            "m=message 999999 TCP/MSRP *",
            "m=message -1 TCP/MSRP *",
            "m=message 9/ TCP/MSRP *",
        ),
        *(" m=message 9 TCP/MSRP *", "m= message 9 TCP/MSRP *", "m=message \u0669 TCP/MSRP *"),
    ],
)
def test_a_malformed_media_line_is_refused(line: str) -> None:
    with pytest.raises(SdpParseError):
        SessionDescription.parse(_HEAD + f"{line}\r\n".encode())


def test_limits_are_kept() -> None:
    most = _HEAD + b"a=x\r\n" * (MAX_LINES - 5)
    assert SessionDescription.parse(most).encode() == most
    for octets in (most + b"a=x\r\n", _HEAD + b"a=" + b"x" * MAX_DESCRIPTION_OCTETS, b"\n" * MAX_DESCRIPTION_OCTETS):
        with pytest.raises(SdpParseError):
            SessionDescription.parse(octets)


def test_a_new_description_has_the_lines_in_their_order() -> None:
    media = MediaDescription.of("message", 9, "TCP/MSRP", ("*",), attributes=[("sendrecv", None), ("setup", "active")])
    made = SessionDescription.of(Origin.of("2001:db8::1", 7), [media], connection=Connection.of("2001:db8::1"))
    assert made.encode() == (
        b"v=0\r\no=- 7 7 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
        b"m=message 9 TCP/MSRP *\r\na=sendrecv\r\na=setup:active\r\n"
    )
    assert SessionDescription.parse(made.encode()) == made
    assert made.media[0].connection == Connection("IN", "IP6", "2001:db8::1")


def test_nobody_is_let_write_a_line_into_another() -> None:
    origin = Origin.of("h", 1)
    with pytest.raises(LocalProtocolError):
        Line("a", "x\r\nm=audio 9 RTP/AVP 0")
    with pytest.raises(LocalProtocolError):
        MediaDescription.of("message", 9, "TCP/MSRP", ("*", "a b"))
    with pytest.raises(LocalProtocolError):
        SessionDescription.of(replace(origin, username=""), [])
    with pytest.raises(LocalProtocolError):
        SessionDescription.of(origin, [MediaDescription.of("message", 9, "TCP/MSRP", ("*",))])
    with pytest.raises(LocalProtocolError):
        SessionDescription.of(origin, [], name="\ud800").encode()


def test_an_answer_has_the_media_of_the_offer_and_rejects_the_rest() -> None:
    offer = SessionDescription.parse(_RICH)
    mine = MediaDescription.of("x-new", 5, "x/y/z", ("a",), attributes=[("sendonly", None)])
    answer = SessionDescription.answering(offer, {2: mine}, Origin.of("192.0.2.1", 3), Connection.of("192.0.2.1"))
    assert [line for line in answer.encode().split(b"\r\n") if line[:1] in (b"m", b"t")] == [
        b"t=2873397496 2873404696",
        b"t=0 0",
        b"m=audio 0 RTP/AVP 0 8",
        b"m=message 0 TCP/MSRP *",
        b"m=x-new 5 x/y/z a",
    ]
    verify_answer(offer, answer)
    assert SessionDescription.parse(answer.encode()) == answer
    with pytest.raises(LocalProtocolError):
        SessionDescription.answering(offer, {3: mine}, Origin.of("h", 3), Connection.of("h"))


def test_rejected_media_keeps_its_line_but_for_the_port() -> None:
    assert [str(line) for line in reject(SessionDescription.parse(_RICH).media[0]).lines] == ["m=audio 0 RTP/AVP 0 8"]


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "m=message 9 TCP/MSRP *\r\nm=audio 9 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\n",
        "m=message 9 TCP/MSRP *\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 0\r\n",
        "m=audio 9 RTP/AVP 0\r\nm=message 9 TCP/MSRP *\r\nm=audio 0 RTP/AVP 0\r\n",
        "m=message 9 TCP/TLS/MSRP *\r\nm=audio 9 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n",
        "m=message 9 TCP/MSRP *\r\nm=audio 9 RTP/AVP 0\r\n",
    ],
)
def test_an_answer_that_does_not_fit_its_offer_is_refused(lines: str) -> None:
    offer = _HEAD + b"m=message 9 TCP/MSRP *\r\nm=audio 9 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n"
    with pytest.raises(SdpParseError):
        verify_answer(SessionDescription.parse(offer), SessionDescription.parse(_HEAD + lines.encode()))


def test_a_rejecting_answer_fits_whatever_protocol_it_names() -> None:
    offer = SessionDescription.parse(_HEAD + b"m=message 9 TCP/MSRP *\r\n")
    verify_answer(offer, SessionDescription.parse(_HEAD + b"m=MESSAGE 0 TCP/TLS/MSRP *\r\n"))
    verify_answer(offer, SessionDescription.parse(_HEAD + b"m=message 9 tcp/msrp *\r\n"))


def test_the_version_grows_by_one_when_something_changes_and_stays_when_nothing_does() -> None:
    first = SessionDescription.parse(_CHAT)
    again = SessionDescription.parse(_CHAT.replace(b"3981 3981", b"5 6")).following(first)
    assert again.encode() == _CHAT
    assert again.is_refresh_of(first)
    held = SessionDescription.parse(_CHAT.replace(b"sendrecv", b"sendonly")).following(first)
    assert (held.origin.session_id, held.origin.version) == (3981, 3982)
    assert held.encode() == _CHAT.replace(b"3981 3981", b"3981 3982").replace(b"sendrecv", b"sendonly")
    assert not held.is_refresh_of(first)
    with pytest.raises(LocalProtocolError):
        SessionDescription.parse(_HEAD).following(first)


@given(st.binary(max_size=400))
def test_any_octets_are_a_description_or_its_own_error(octets: bytes) -> None:
    for candidate in (octets, _HEAD + octets, _CHAT + octets):
        try:
            description = SessionDescription.parse(candidate)
        except SdpParseError:
            continue
        assert SessionDescription.parse(description.encode()) == description


@given(st.integers(0, len(_RICH) - 1), st.integers(0, 3), st.binary(max_size=3))
def test_a_description_with_a_fault_is_read_or_its_own_error(at: int, cut: int, octets: bytes) -> None:
    try:
        description = SessionDescription.parse(_RICH[:at] + octets + _RICH[at + cut :])
    except SdpParseError:
        return
    assert SessionDescription.parse(description.encode()) == description


_words = st.text(st.characters(exclude_characters="\0\r\n ", exclude_categories=["Cs"]), min_size=1, max_size=8)
_names = st.text("abz-", min_size=1, max_size=8)
_values = st.none() | st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=20)
_attributes = st.lists(st.tuples(_names, _values), max_size=5)
_hosts = st.sampled_from(["192.0.2.1", "2001:db8::1", "h.example.com"])
_media = st.builds(
    lambda kind, port, protocol, formats, connection, attributes: MediaDescription.of(
        kind, port, protocol, formats, connection=connection, attributes=attributes
    ),
    _words,
    st.integers(0, 65535),
    _words,
    st.lists(_words, min_size=1, max_size=3),
    st.none() | _hosts.map(Connection.of),
    _attributes,
)


@given(_hosts, st.integers(0, 2**64 - 1), st.lists(_media, max_size=4), _hosts, _attributes)
def test_every_description_survives_the_wire(
    host: str, session_id: int, media: list[MediaDescription], at: str, attributes: list[tuple[str, str | None]]
) -> None:
    made = SessionDescription.of(
        Origin.of(host, session_id), media, connection=Connection.of(at), attributes=attributes
    )
    assert SessionDescription.parse(made.encode()) == made
    answer = SessionDescription.answering(made, {}, Origin.of(host, 1), Connection.of(at))
    verify_answer(made, SessionDescription.parse(answer.encode()))


@pytest.mark.parametrize(
    "filler", [b"a", b"\n", b"m=a 9 b c\n", b" ", b"\r", b"m=", b"a=a:", b"\xff", b"c=IN IP4 h\n", b"9 "]
)
def test_hostile_descriptions_cost_linear_time(filler: bytes) -> None:
    began = time.process_time()
    for prefix in (_HEAD, _HEAD + b"m=", _HEAD + b"m=a 9 ", _HEAD + b"m=a 9 b c\na=", _HEAD[:4] + b"\no="):
        room = MAX_DESCRIPTION_OCTETS - len(prefix)
        try:
            SessionDescription.parse(prefix + (filler * room)[:room])
        except SdpParseError:
            continue
    assert time.process_time() - began < 2.0
