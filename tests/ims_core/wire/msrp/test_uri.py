"""MSRP URIs and paths."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.msrp.uri import (
    MAX_PATH_URIS,
    MAX_URI_CHARACTERS,
    MsrpUri,
    MsrpUriError,
    encode_path,
    parse_msrp_uri,
    parse_path,
)


@pytest.mark.parametrize(
    "text",
    [
        "msrp://atlanta.example.com:7654/jshA7weztas;tcp",
        "msrps://192.0.2.11:51001/a1Sess0001;tcp",
        "msrp://bob@alicepc.example.com/iau39soe2843z;tcp",
        "msrp://a:b;c@host/x;tcp",
        "msrp://@host/x;tcp",
        "msrps://[2001:db8::10]:2855/s;tcp",
        "msrp://[::ffff:192.0.2.1]/s;tcp",
        "msrps://relay.example.com:9000;tcp",
        "MSRPS://Relay_1.example.com./a+b=c/d~e._-;TCP",
        "msrp://h/s;sctp;foo;bar=baz;x='!#$*+.^_`{|}~",
        "msrp://h%6Fst:9/s;tcp",
        "msrp://host:0/s;tcp",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    uri = parse_msrp_uri(text)
    assert str(uri) == text
    assert parse_msrp_uri(str(uri)) is uri


def test_the_parts_of_a_uri() -> None:
    assert parse_msrp_uri("msrps://alice@[2001:db8::1]:9000/aeiug;tcp;q=1;lr") == MsrpUri(
        "msrps", "alice", "[2001:db8::1]", 9000, "aeiug", "tcp", (("q", "1"), ("lr", None))
    )


def test_what_a_connection_needs() -> None:
    secure = parse_msrp_uri("msrps://[2001:db8::1]:9000/S;tcp")
    assert (secure.is_tls, secure.address, secure.connect_port, secure.key) == (True, "2001:db8::1", 9000, "S")
    plain = parse_msrp_uri("MSRP://h;tcp")
    assert (plain.is_tls, plain.address, plain.connect_port, plain.key) == (False, "h", 2855, "")


@pytest.mark.parametrize(
    "text",
    [
        *("", "msrp://h/s", "msrp:h/s;tcp", "sip:h;tcp", "msrpx://h/s;tcp", "msrp://;tcp", "msrp:///s;tcp"),
        *(
            "msrp://h/;tcp",
            "msrp://h/s;",
            "msrp://h/s;tcp;",
            "msrp://h/s;tc-p",
            "msrp://h/s;tcp;a=",
            "msrp://h/s;tcp;=a",
        ),
        *("msrp://h:/s;tcp", "msrp://h:x/s;tcp", "msrp://h:65536/s;tcp", "msrp://h:123456/s;tcp", "msrp://h:-1/s;tcp"),
        *("msrp://-h/s;tcp", "msrp://h-/s;tcp", "msrp://a..b/s;tcp", "msrp://256.1.1.1/s;tcp", "msrp://1.2.3/s;tcp"),
        *(
            "msrp://::1/s;tcp",
            "msrp://[::1/s;tcp",
            "msrp://[1.2.3.4]/s;tcp",
            "msrp://[]/s;tcp",
            "msrp://[fe80::1%25e]/s;tcp",
        ),
        *("msrp://h%/s;tcp", "msrp://h%zz/s;tcp", "msrp://h%20/s;tcp", "msrp://a@b@c/s;tcp", "msrp://h/s s;tcp"),
        *(
            "msrp://h/s%41;tcp",
            "msrp://h/s?x;tcp",
            "msrp://h/s;tcp\r\n",
            " msrp://h/s;tcp",
            "msrp://h/s;tcp ",
            "<null>",
        ),
        *(
            "msrp://hôte/s;tcp",
            "msrp://h/\u017f;tcp",
            "m\u017frp://h/s;tcp",
            "msrp://h/s;tcp;a=\x00",
            "msrp://h:\u0661/s;tcp",
        ),
        f"msrp://{'h' * 256}/s;tcp",
        f"msrp://h/{'s' * MAX_URI_CHARACTERS};tcp",
    ],
)
def test_what_is_not_a_uri_is_refused(text: str) -> None:
    with pytest.raises(MsrpUriError):
        parse_msrp_uri(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("msrp://host/s;tcp", "MSRP://HOST/s;TCP"),
        ("msrp://alice@host:1/s;tcp", "msrp://bob@host:1/s;tcp;x=y"),
        ("msrp://[2001:db8:0:0::1]:1/s;tcp", "msrp://[2001:DB8::1]:1/s;tcp"),
        ("msrp://h%6fst/s;tcp", "msrp://HOST/s;tcp"),
    ],
)
def test_uris_that_are_the_same(one: str, other: str) -> None:
    assert parse_msrp_uri(one).same_as(parse_msrp_uri(other))
    assert parse_msrp_uri(other).same_as(parse_msrp_uri(one))


@pytest.mark.parametrize(
    "other",
    [
        "msrps://host:2855/s;tcp",
        "msrp://host/s;tcp",
        "msrp://host:2855/S;tcp",
        "msrp://host:2855;tcp",
        "msrp://host:2855/s;sctp",
        "msrp://other:2855/s;tcp",
        "msrp://host:02856/s;tcp",
    ],
)
def test_uris_that_differ(other: str) -> None:
    uri = parse_msrp_uri("msrp://host:2855/s;tcp")
    assert not uri.same_as(parse_msrp_uri(other))
    assert not parse_msrp_uri(other).same_as(uri)


def test_a_path_has_its_uris_in_order() -> None:
    text = "msrps://relay.example.com:9000/aeiug;tcp msrps://alice.example.com:8145/foo;tcp"
    path = parse_path(text)
    assert [uri.session_id for uri in path] == ["aeiug", "foo"]
    assert encode_path(path) == text
    assert parse_path(f"  {text.replace(' ', '   ')} ") == path


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "msrp://h/s;tcp\tmsrp://h/s;tcp", "msrp://h/s;tcp,msrp://h/s;tcp", "msrp://h/s;tcp x"),
        " ".join(["msrp://h/s;tcp"] * (MAX_PATH_URIS + 1)),
        " " * 100_000,
    ],
)
def test_what_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(MsrpUriError):
        parse_path(text)


def test_the_longest_path_is_read() -> None:
    assert len(parse_path(" ".join(["msrp://h/s;tcp"] * MAX_PATH_URIS))) == MAX_PATH_URIS


@given(st.text())
def test_any_text_is_a_path_or_its_own_error(text: str) -> None:
    try:
        path = parse_path(text)
    except MsrpUriError:
        return
    assert parse_path(encode_path(path)) == path


@given(st.text("msrp:/@[];=%0a.1\ud800", max_size=60))
def test_near_misses_are_uris_or_their_own_error(text: str) -> None:
    try:
        uri = parse_msrp_uri(f"msrp://{text};tcp")
    except MsrpUriError:
        return
    assert parse_msrp_uri(str(uri)) == uri


_hosts = st.sampled_from(["h", "msrp.example.com", "192.0.2.1", "[2001:db8::1]", "a_b.c."])
_words = st.text("-._~+=/0aZ", min_size=1, max_size=40)
_params = st.tuples(
    st.text("!#az09^~-", min_size=1, max_size=8), st.none() | st.text("!#az09^~-", min_size=1, max_size=8)
)


@given(
    st.builds(
        MsrpUri,
        st.sampled_from(["msrp", "msrps", "MSRPs"]),
        st.none() | st.text("-._~;:=a1", max_size=20),
        _hosts,
        st.none() | st.integers(0, 65535),
        st.none() | _words,
        st.sampled_from(["tcp", "TCP", "sctp", "x9"]),
        st.lists(_params, max_size=4).map(tuple),
    )
)
def test_every_uri_survives_the_wire(uri: MsrpUri) -> None:
    assert parse_msrp_uri(str(uri)) == uri
    assert uri.same_as(parse_msrp_uri(str(uri)))


@pytest.mark.parametrize("filler", [";", "%", ":", "@", "a;", "/", "=;", "[", ";a=b", "%41"])
def test_hostile_uris_cost_linear_time(filler: str) -> None:
    began = time.process_time()
    for length in range(900, 1000):
        with pytest.raises(MsrpUriError):
            parse_msrp_uri("msrp://" + (filler * length)[:length] + "\x00")
    assert time.process_time() - began < 1.0
