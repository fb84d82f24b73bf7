"""The m= line of a message session."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.media import (
    NO_PORT,
    Direction,
    Fingerprint,
    MediaRefused,
    MsrpMedia,
    Setup,
    answer,
    offer,
)
from ims_core.wire.msrp.uri import parse_path
from ims_core.wire.sdp import Origin, SdpParseError, SessionDescription

_PRINT = Fingerprint.of(b"certificate")
_SHA_1 = Fingerprint.of(b"certificate", "SHA-1")
_HEAD = "v=0\r\no=- 3981 3981 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n"
_TYPES = "a=accept-types:*\r\n"
_PATH = f"{_TYPES}a=path:msrp://192.0.2.11:51001/s;tcp\r\n"
_PLAIN = f"m=message 51001 TCP/MSRP *\r\n{_PATH}"
_TLS = f"m=message 51001 TCP/TLS/MSRP *\r\n{_TYPES}a=path:msrps://192.0.2.11:51001/s;tcp\r\n"

_MEDIA = MsrpMedia(
    host="192.0.2.11",
    port=51001,
    is_tls=True,
    path=parse_path("msrps://192.0.2.11:51001/a1Sess0001;tcp"),
    accept_types=("message/cpim", "application/im-iscomposing+xml"),
    accept_wrapped_types=("text/plain", "message/imdn+xml"),
    setup=Setup.ACTPASS,
    has_cema=True,
    fingerprints=(_PRINT,),
)
_ORIGIN = Origin.of("192.0.2.11", 3981)


def described(lines: str, head: str = _HEAD) -> SessionDescription:
    return SessionDescription.parse((head + lines).encode())


def read(lines: str, head: str = _HEAD) -> MsrpMedia:
    return MsrpMedia.of(described(lines, head))[1]


def test_an_offer_has_the_lines_of_the_profile_in_their_order() -> None:
    assert offer(_MEDIA, _ORIGIN).encode().decode() == (
        f"{_HEAD}"
        "m=message 51001 TCP/TLS/MSRP *\r\n"
        "a=accept-types:message/cpim application/im-iscomposing+xml\r\n"
        "a=accept-wrapped-types:text/plain message/imdn+xml\r\n"
        "a=sendrecv\r\n"
        "a=path:msrps://192.0.2.11:51001/a1Sess0001;tcp\r\n"
        "a=setup:actpass\r\n"
        "a=msrp-cema\r\n"
        f"a=fingerprint:{_PRINT}\r\n"
    )


def test_what_is_offered_is_read() -> None:
    assert MsrpMedia.of(SessionDescription.parse(offer(_MEDIA, _ORIGIN).encode())) == (0, _MEDIA)


def test_ip6_is_offered_and_read_without_brackets() -> None:
    media = replace(_MEDIA, host="2001:db8::1", path=parse_path("msrps://[2001:DB8:0::1]:51001/s;tcp"))
    made = offer(media, Origin.of("2001:db8::1", 1))
    assert b"c=IN IP6 2001:db8::1\r\n" in made.encode()
    assert MsrpMedia.of(made) == (0, media)
    assert media.cm_equals_path


def test_a_plain_client_of_the_field_is_read() -> None:
    media = read(
        "m=message 9 tcp/msrp *\r\na=accept-types:*\r\na=path:msrp://192.0.2.11:9/s;tcp\r\na=Setup:ACTIVE\r\n"
        'a=connection:new\r\na=file-selector:name:"x"\r\na=chatroom\r\na=maxsize:10000\r\n'
    )
    assert media == MsrpMedia(
        host="192.0.2.11",
        port=NO_PORT,
        is_tls=False,
        path=parse_path("msrp://192.0.2.11:9/s;tcp"),
        setup=Setup.ACTIVE,
        max_size=10000,
        extra=(("file-selector", 'name:"x"'), ("chatroom", None)),
    )


def test_a_connection_attribute_is_never_sent_on() -> None:
    media = read(f"{_PLAIN}a=connection:existing\r\na=x:1\r\n")
    made = offer(replace(media, setup=Setup.ACTPASS), _ORIGIN).encode()
    assert b"a=connection" not in made
    assert b"a=x:1\r\n" in made


def test_a_path_with_relays_keeps_its_order() -> None:
    media = read(f"m=message 9000 TCP/MSRP *\r\n{_TYPES}a=path:msrp://relay:9000/r;tcp msrp://192.0.2.11:7/s;tcp\r\n")
    assert [uri.session_id for uri in media.path] == ["r", "s"]


def test_the_first_media_that_can_be_used_is_taken() -> None:
    lines = (
        "m=audio 5000 RTP/AVP 0\r\n"
        f"m=message 0 TCP/MSRP *\r\n{_PATH}"
        f"m=message 9 UDP/MSRP *\r\n{_PATH}"
        "m=message 9 TCP/MSRP *\r\n"
        f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path:x\r\n"
        f"m=message 51001 TCP/TLS/MSRP *\r\n{_PATH}"
        f"m=MESSAGE 51002 TCP/MSRP *\r\nc=IN IP4 192.0.2.12\r\n{_PATH}"
        f"{_PLAIN}"
    )
    index, media = MsrpMedia.of(described(lines))
    assert (index, media.host, media.port) == (6, "192.0.2.12", 51002)


@pytest.mark.parametrize(
    "lines",
    [
        *(
            "",
            "m=audio 5000 RTP/AVP 0\r\n",
            f"m=message 0 TCP/MSRP *\r\n{_PATH}",
            f"m=message 9 UDP/TLS/MSRP *\r\n{_PATH}",
        ),
        *(
            f"m=message 9 TCP/MSRP *\r\n{_TYPES}",
            "m=message 9 TCP/MSRP *\r\na=path:msrp://h/s;tcp\r\n",
            "m=message 9 TCP/MSRP *\r\na=accept-types:\r\na=path:msrp://h/s;tcp\r\n",
            f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path:msrp://h;tcp\r\n",
            f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path:msrp://relay/r;tcp msrp://h:7;tcp\r\n",
            f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path\r\n",
            f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path:x\r\n",
        ),
        f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path:msrp://h/s;sctp\r\n",
        f"m=message 9 TCP/MSRP *\r\n{_TYPES}a=path:msrps://h/s;tcp\r\n",
        f"m=message 9 TCP/MSRP *\r\nc=ATM NSAP x\r\n{_PATH}",
        _TLS,
        f"{_TLS}a=fingerprint:SHA-256 AA\r\n",
        f"{_TLS}a=fingerprint:MD5 {'AA:' * 15}AA\r\n",
    ],
)
def test_a_description_without_usable_media_is_refused_with_488(lines: str) -> None:
    with pytest.raises(MediaRefused) as refused:
        read(lines)
    assert refused.value.status == 488
    assert not refused.value.is_cema_in_the_way


def test_fingerprints_of_old_clients_are_read_and_unreadable_ones_left_out() -> None:
    media = read(
        f"{_TLS}a=fingerprint:sha-1 {str(_SHA_1)[6:].lower()}\r\na=fingerprint:x\r\na=fingerprint:{_PRINT}\r\n"
    )
    assert media.fingerprints == (_SHA_1, _PRINT)


def test_what_stands_at_session_level_holds_for_media_that_do_not_say_it() -> None:
    head = f"{_HEAD}a=fingerprint:{_PRINT}\r\na=setup:active\r\na=recvonly\r\n"
    media = read(_TLS, head)
    assert (media.fingerprints, media.setup, media.direction) == ((_PRINT,), Setup.ACTIVE, Direction.RECVONLY)
    media = read(f"{_TLS}a=fingerprint:{_SHA_1}\r\na=setup:passive\r\na=sendonly\r\n", head)
    assert (media.fingerprints, media.setup, media.direction) == ((_SHA_1,), Setup.PASSIVE, Direction.SENDONLY)


@pytest.mark.parametrize(
    ("line", "setup"),
    [
        ("", None),
        ("a=setup\r\n", None),
        ("a=setup:new\r\n", None),
        ("a=setup:holdconn\r\n", Setup.HOLDCONN),
        ("a=setup: passive \r\n", Setup.PASSIVE),
    ],
)
def test_a_setup_that_nobody_knows_counts_as_none(line: str, setup: Setup | None) -> None:
    assert read(_PLAIN + line).setup is setup


@pytest.mark.parametrize(
    ("lines", "octets"),
    [
        ("", None),
        ("a=max-size:2000\r\n", 2000),
        ("a=maxsize:2000\r\na=max-size:1000\r\n", 1000),
        ("a=max-size:x\r\na=maxsize\r\n", None),
        (f"a=max-size:{'9' * 5000}\r\n", None),
    ],
)
def test_the_largest_size_is_read_under_both_names(lines: str, octets: int | None) -> None:
    assert read(_PLAIN + lines).max_size == octets


def test_the_largest_size_is_written_under_both_names() -> None:
    made = offer(replace(_MEDIA, max_size=10), _ORIGIN)
    assert (made.media[0].attribute("max-size"), made.media[0].attribute("maxsize")) == ("10", "10")


@pytest.mark.parametrize(
    ("content_type", "wrapped", "is_accepted"),
    [
        ("message/cpim", None, True),
        ("Message/CPIM; charset=utf-8", "text/PLAIN;charset=UTF-8", True),
        ("message/cpim", "image/png", True),
        ("message/cpim", "application/im-iscomposing+xml", True),
        ("message/cpim", "text/html", False),
        ("text/plain", None, False),
        ("application/im-iscomposing+xml", None, True),
        ("", None, False),
        ("message/cpim", "", False),
    ],
)
def test_types_are_accepted_as_the_lists_say(content_type: str, wrapped: str | None, is_accepted: bool) -> None:
    media = replace(_MEDIA, accept_wrapped_types=("text/plain", "image/*"))
    assert media.accepts(content_type, wrapped) is is_accepted


def test_a_star_accepts_all_and_a_container_alone_accepts_all_in_it() -> None:
    anything = replace(_MEDIA, accept_types=("*",), accept_wrapped_types=("text/plain",))
    assert anything.accepts("x/y", "z/z")
    assert replace(_MEDIA, accept_wrapped_types=("*",)).accepts("message/cpim", "z/z")
    assert replace(_MEDIA, accept_wrapped_types=()).accepts("message/cpim", "z/z")
    assert read(_PLAIN).accepts("x/y")


@pytest.mark.parametrize(
    ("host", "port", "path", "is_equal"),
    [
        ("192.0.2.1", 5, "msrp://192.0.2.1:5/s;tcp", True),
        ("192.0.2.1", 2855, "msrp://192.0.2.1/s;tcp", True),
        ("192.0.2.1", 6, "msrp://192.0.2.1:5/s;tcp", False),
        ("192.0.2.2", 5, "msrp://192.0.2.1:5/s;tcp", False),
        ("192.0.2.1", 9, "msrp://192.0.2.1:5/s;tcp", True),
        ("192.0.2.2", 9, "msrp://192.0.2.1:9/s;tcp", False),
        ("2001:db8:0::1", 5, "msrp://[2001:db8::1]:5/s;tcp", True),
        ("Relay.example.", 5, "msrp://relay.EXAMPLE:5/s;tcp", True),
        ("relay.example", 5, "msrp://other.example:5/s;tcp", False),
        ("192.0.2.1", 5, "msrp://relay.example:5/s;tcp", True),
        ("192.0.2.1", 6, "msrp://relay.example:5/s;tcp", False),
        ("192.0.2.9", 7, "msrp://192.0.2.1:5/r;tcp msrp://192.0.2.9:7/s;tcp", True),
    ],
)
def test_connection_and_path_are_compared_by_value(host: str, port: int, path: str, is_equal: bool) -> None:
    media = MsrpMedia(host=host, port=port, is_tls=False, path=parse_path(path))
    assert media.cm_equals_path is is_equal


@pytest.mark.parametrize(
    "wrong",
    [
        dict(setup=Setup.PASSIVE),
        dict(setup=Setup.HOLDCONN),
        dict(port=NO_PORT),
        dict(port=0),
        dict(path=()),
        dict(path=parse_path("msrp://192.0.2.11:51001/s;tcp")),
        dict(is_tls=False),
        dict(fingerprints=()),
        dict(fingerprints=(Fingerprint("MD5", bytes(16)),)),
        dict(path=parse_path("msrps://relay:1/s;tcp msrps://192.0.2.11:51001/s;tcp")),
        dict(host="[2001:db8::1]"),
        dict(host="a b"),
        dict(accept_types=("a\r\nb",)),
        dict(extra=(("x", "\n"),)),
    ],
)
def test_what_no_offer_may_have_is_our_own_mistake(wrong: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        offer(replace(_MEDIA, **wrong), _ORIGIN)  # type: ignore[arg-type]  # any field with any value


def test_an_answer_takes_one_and_rejects_the_others() -> None:
    offered = described(f"m=audio 5000 RTP/AVP 0 8\r\n{_PLAIN}a=sendonly\r\na=msrp-cema\r\n{_PLAIN}")
    index, theirs = MsrpMedia.of(offered)
    mine = replace(theirs, setup=Setup.PASSIVE, direction=Direction.SENDRECV, has_cema=True)
    answered = answer(offered, index, mine, Origin.of("192.0.2.11", 5))
    assert [str(media.lines[0]) for media in answered.media] == [
        "m=audio 0 RTP/AVP 0 8",
        "m=message 51001 TCP/MSRP *",
        "m=message 0 TCP/MSRP *",
    ]
    got = MsrpMedia.of_answer(offered, index, SessionDescription.parse(answered.encode()))
    assert got == replace(mine, direction=Direction.RECVONLY)


def test_an_answer_has_cema_only_if_the_offer_has() -> None:
    offered = described(_PLAIN)
    mine = replace(MsrpMedia.of(offered)[1], setup=Setup.PASSIVE, has_cema=True)
    assert not MsrpMedia.of(answer(offered, 0, mine, _ORIGIN))[1].has_cema


@pytest.mark.parametrize("wrong", [dict(setup=Setup.ACTPASS), dict(setup=Setup.HOLDCONN), dict(port=NO_PORT)])
def test_what_no_answer_may_have_is_our_own_mistake(wrong: dict[str, object]) -> None:
    offered = offer(_MEDIA, _ORIGIN)
    mine = replace(_MEDIA, **{"setup": Setup.PASSIVE, **wrong})  # type: ignore[arg-type]  # any field with any value
    with pytest.raises(LocalProtocolError):
        answer(offered, 0, mine, _ORIGIN)
    with pytest.raises(LocalProtocolError):
        answer(described(_PLAIN), 0, replace(_MEDIA, setup=Setup.PASSIVE), _ORIGIN)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        f"{_PLAIN}{_PLAIN}",
        "m=message 0 TCP/MSRP *\r\n",
        f"{_TLS}a=fingerprint:{_PRINT}\r\n",
        "m=message 9 TCP/MSRP *\r\n",
    ],
)
def test_an_answer_that_takes_nothing_or_something_else_is_refused(lines: str) -> None:
    with pytest.raises(MediaRefused):
        MsrpMedia.of_answer(described(_PLAIN), 0, described(lines))


def test_an_answer_to_media_of_another_kind_is_refused() -> None:
    lines = "m=audio 5000 RTP/AVP 0\r\n"
    with pytest.raises(MediaRefused):
        MsrpMedia.of_answer(described(lines), 0, described(lines))


@pytest.mark.parametrize(("wanted", "offered"), list(itertools.product(Direction, repeat=2)))
def test_an_answer_sends_only_what_the_offerer_receives(wanted: Direction, offered: Direction) -> None:
    left = wanted.answering(offered)
    assert left.sends == (wanted.sends and offered.receives)
    assert left.receives == (wanted.receives and offered.sends)


@given(
    st.lists(
        st.sampled_from(
            ["a=path:", "a=setup:", "a=fingerprint:", "a=max-size:", "a=accept-types:", "a=", "c="]
        ).flatmap(lambda start: st.binary(max_size=40).map(lambda rest: start.encode() + rest)),
        max_size=8,
    )
)
def test_any_description_is_media_or_refused(lines: list[bytes]) -> None:
    for start in (_TLS, _PLAIN):
        octets = _HEAD.encode() + start.encode() + b"".join(line + b"\r\n" for line in lines)
        try:
            description = SessionDescription.parse(octets)
        except SdpParseError:
            continue
        try:
            media = MsrpMedia.of(description)[1]
        except MediaRefused:
            continue
        media.accepts("message/cpim", "text/plain")
        assert media.cm_equals_path in (True, False)


_types = st.text("abc/+.*-", min_size=1, max_size=12)


@given(
    st.builds(
        MsrpMedia,
        host=st.sampled_from(["192.0.2.1", "2001:db8::1", "h.example"]),
        port=st.integers(10, 65535),
        is_tls=st.just(False),
        path=st.sampled_from([parse_path("msrp://h:1/s;tcp"), parse_path("msrp://[::1];tcp msrp://h/s;tcp")]),
        accept_types=st.lists(_types, min_size=1, max_size=4).map(tuple),
        accept_wrapped_types=st.lists(_types, max_size=4).map(tuple),
        setup=st.sampled_from([None, Setup.ACTIVE, Setup.ACTPASS]),
        fingerprints=st.lists(st.sampled_from([_PRINT, _SHA_1]), max_size=3).map(tuple),
        max_size=st.none() | st.integers(0, 2**62),
        direction=st.sampled_from(Direction),
        extra=st.lists(
            st.tuples(st.text("xyz-", min_size=1, max_size=6).filter(lambda name: name != "path"), st.none() | _types),
            max_size=4,
        ).map(tuple),
    )
)
def test_every_media_survives_the_wire(media: MsrpMedia) -> None:
    made = offer(media, Origin.of(media.host, 1))
    assert MsrpMedia.of(SessionDescription.parse(made.encode())) == (0, media)
