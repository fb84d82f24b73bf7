"""Challenges and credentials: text to value and back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire import digest_parameters
from ims_core.wire.digest_algorithm import MD5, SHA_256, Algorithm
from ims_core.wire.digest_parameters import (
    DigestAuthenticationInfo,
    DigestChallenge,
    DigestCredentials,
    DigestParseError,
    parse_challenges,
    plain_authentication_info,
    plain_challenge,
)
from ims_core.wire.secret import Secret

_REALM = "ims.mnc001.mcc001.3gppnetwork.org"
_IMPI = f"001010000000101@{_REALM}"

# Values that a SIP header field can hold: no line ends, no NUL
_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=12)
_token = st.text("abcXYZ019-_.~", min_size=1, max_size=8)
_other = st.tuples(st.from_regex(r"x-[a-z]{1,5}", fullmatch=True), _text)
_others = st.lists(_other, max_size=3, unique_by=lambda pair: pair[0]).map(tuple)
_algorithm = st.none() | st.sampled_from(["MD5", "SHA-256-sess", "AKAv1-MD5", "NEW"]).map(Algorithm.parse)
_key = st.none() | st.binary(min_size=16, max_size=16).map(Secret)

_challenges = st.builds(
    DigestChallenge,
    realm=_text,
    nonce=_text,
    algorithm=_algorithm,
    qop=st.sampled_from([(), ("auth",), ("auth", "auth-int"), ("new",)]),
    opaque=st.none() | _text,
    stale=st.booleans(),
    domain=st.none() | _text,
    userhash=st.booleans(),
    charset=st.none() | st.just("UTF-8"),
    ck=_key,
    ik=_key,
    others=_others,
)
_credentials = st.builds(
    DigestCredentials,
    username=_text,
    realm=_text,
    uri=_text,
    nonce=_text,
    response=_text,
    algorithm=_algorithm,
    qop=st.none() | _token,
    nc=st.none() | _token,
    cnonce=st.none() | _text,
    opaque=st.none() | _text,
    auts=st.none() | _text,
    integrity_protected=st.none() | _text,
    userhash=st.booleans(),
    others=_others,
)
_infos = st.builds(
    DigestAuthenticationInfo,
    qop=_token,
    rspauth=st.none() | _text,
    cnonce=st.none() | _text,
    nc=st.none() | _token,
    nextnonce=st.none() | _text,
    others=_others,
)


def test_the_challenge_is_written_as_on_the_wire() -> None:
    challenge = DigestChallenge(_REALM, "8f3c1a5e7d904b22a6e1c0ffee001122", algorithm=MD5)
    text = f'Digest realm="{_REALM}", nonce="8f3c1a5e7d904b22a6e1c0ffee001122", algorithm=MD5, qop="auth"'
    assert str(challenge) == text
    assert DigestChallenge.parse(text) == challenge


def test_the_first_register_names_the_user_and_nothing_else() -> None:
    credentials = DigestCredentials(_IMPI, _REALM, f"sip:{_REALM}")
    text = f'Digest username="{_IMPI}", realm="{_REALM}", uri="sip:{_REALM}", nonce="", response=""'
    assert str(credentials) == text
    assert DigestCredentials.parse(text) == credentials
    assert not credentials.is_answer


def test_the_answer_is_written_as_on_the_wire() -> None:
    text = (
        f'Digest username="{_IMPI}", realm="{_REALM}", uri="sip:{_REALM}", nonce="8f3c", response="09b0", '
        'algorithm=MD5, qop=auth, nc=00000001, cnonce="3b1f6c0a9d4e2211"'
    )
    credentials = DigestCredentials.parse(text)
    assert str(credentials) == text
    assert credentials.is_answer
    assert credentials.nonce_count == 1
    assert credentials.algorithm == MD5


def test_authentication_info_is_written_as_on_the_wire() -> None:
    text = 'qop=auth, rspauth="e55a", cnonce="3b1f", nc=00000001'
    assert str(DigestAuthenticationInfo.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        'Digest username="u", realm="r", nonce="n", uri="sip:x", response="00", qop="auth", nc="00000002", cnonce="c"',
        "digest username=u,realm=r,nonce=n,uri=sip:x,response=00,qop=auth,nc=00000002,cnonce=c",
        'DIGEST  ,, username = "u" ,\trealm="r", nonce="n", uri="sip:x", response="00", QOP=auth, NC=2, CNonce="c",',
    ],
)
def test_quotes_case_and_space_of_peers_do_not_matter(text: str) -> None:
    credentials = DigestCredentials.parse(text)
    assert (credentials.username, credentials.realm, credentials.uri) == ("u", "r", "sip:x")
    assert (credentials.qop, credentials.nonce_count, credentials.cnonce) == ("auth", 2, "c")


def test_a_quoted_algorithm_and_an_unquoted_base64_nonce_are_read() -> None:
    challenge = DigestChallenge.parse('Digest realm="r", nonce=I1U8vpY3qJ0hiuZNrke/NQ==, algorithm="sha-256"')
    assert challenge.nonce == "I1U8vpY3qJ0hiuZNrke/NQ=="
    assert challenge.algorithm == SHA_256
    assert challenge.qop == ()


_FORMS = [
    'Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"',
    'digest  username="%s",realm="%s",cnonce="%s",nc=00000001,qop=auth,uri="%s",nonce="%s",algorithm=MD5',
    'Digest username="%s", qop="%s", nonce="%s", response="%s", algorithm="%s", nc=00000001',
    'Digest username="%s", realm="%s", nonce="%s", x-unknown="%s", uri="%s"',
    'Digest username="%s", realm=home.test, nonce="%s", opaque="%s", auts="%s", integrity-protected="%s", userhash=1',
    'Digest username="%s", realm="%s", response="%s", nc=1, uri="%s", nonce="%s", algorithm=SHA-256-sess, qop=auth-int',
]


@given(form=st.sampled_from(_FORMS), values=st.lists(st.lists(_text, min_size=5, max_size=5), min_size=3, max_size=5))
def test_what_a_client_writes_like_another_is_read_like_it(form: str, values: list[list[str]]) -> None:
    for each in values:
        text = form % tuple(value.replace('"', "").replace("\\", "") for value in each)
        assert DigestCredentials.parse(text) == DigestCredentials._parse_whole(text)


@pytest.mark.parametrize("odd", ["\\", '\\"', "\0", "\r\n x", '"', '", nc=2, x="', "\1", "\x011"])
def test_a_value_that_is_more_than_a_value_is_not_taken_for_one(odd: str) -> None:
    for value in ("plain", "plain", "plain", odd, f"a{odd}", f"{odd}a"):
        text = f'Digest username="{value}", realm="r", nonce="n", uri="u", response="{value}"'
        try:
            expected: object = DigestCredentials._parse_whole(text)
        except DigestParseError:
            with pytest.raises(DigestParseError):
                DigestCredentials.parse(text)
        else:
            assert DigestCredentials.parse(text) == expected


def test_the_forms_that_are_remembered_stay_bounded_and_hold_nothing_personal() -> None:
    for number in range(3000):
        for _ in range(2):
            text = f'Digest username="u{number}", nonce="n{number}", response="r", uri="s", cnonce="c", nc={number:08x}'
            assert DigestCredentials.parse(text).nc == f"{number:08x}"
            bare = DigestCredentials.parse(f'Digest username="u", nonce=secret{number}, response="r"')
            assert bare.nonce == f"secret{number}"
    assert len(digest_parameters._forms) <= digest_parameters._MOST_FORMS
    assert len(digest_parameters._seen_once) <= digest_parameters._MOST_FORMS
    assert not any("secret" in part for form in digest_parameters._forms for part in form)


def test_missing_parameters_of_credentials_are_empty() -> None:
    assert DigestCredentials.parse('Digest username="u"') == DigestCredentials("u", "", "")


def test_escapes_inside_quotes_are_undone_and_made() -> None:
    challenge = DigestChallenge.parse(r'Digest realm="a \"b\" \\c", nonce="n, x=\"y\""')
    assert challenge.realm == r'a "b" \c'
    assert challenge.nonce == 'n, x="y"'
    assert DigestChallenge.parse(str(challenge)) == challenge


@pytest.mark.parametrize("nc", ["", "g", "000000001", "-1", "+1", "0x1"])
def test_a_malformed_nonce_count_has_no_value(nc: str) -> None:
    assert DigestCredentials("u", "r", "x", qop="auth", nc=nc).nonce_count is None


def test_a_nonce_count_without_qop_has_no_value_because_nothing_covers_it() -> None:
    assert DigestCredentials("u", "r", "x", nc="00000005").nonce_count is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Digest",
        "Digest ",
        "Basic dXNlcg==",
        'Basic realm="r"',
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r, nonce="n"',
        'Digest realm="r" nonce="n"',
        'Digest realm="r", realm="r", nonce="n"',
        'Digest realm="r", nonce="n", garbage',
        'Digest realm="r", nonce="n"; opaque="o"',
        'Digest realm="r", nonce="n", ck="zz"',
        'Digest realm="r\r\nEvil: x", nonce="n"',
        'Digest realm="r", nonce="n", Digest realm="s", nonce="m"',
        "Digest " + ", ".join(f"p{index}=1" for index in range(65)),
    ],
)
def test_what_is_no_single_challenge_is_refused(text: str) -> None:
    with pytest.raises(DigestParseError):
        DigestChallenge.parse(text)


def test_credentials_without_a_user_are_refused() -> None:
    with pytest.raises(DigestParseError, match="username"):
        DigestCredentials.parse('Digest realm="r", nonce="n"')


def test_several_challenges_are_read_in_order_and_foreign_ones_passed_over() -> None:
    texts = [
        'Basic realm="b", Digest realm="r", nonce="1", algorithm=SHA-256, qop="auth", Digest realm="r", nonce="2"',
        "Negotiate YII=",
        "garbage",
        'Digest realm="r", nonce="3"',
    ]
    assert [challenge.nonce for challenge in parse_challenges(texts)] == ["1", "2", "3"]


def test_keys_between_the_cscfs_are_carried_but_not_shown() -> None:
    key = bytes(range(16))
    challenge = DigestChallenge("r", "n", ck=Secret(key), ik=Secret(key))
    assert f'ck="{key.hex()}", ik="{key.hex()}"' in str(challenge)
    assert key.hex() not in repr(challenge)
    assert DigestChallenge.parse(str(challenge)) == challenge
    assert "ck=" not in str(challenge.without_keys())


def test_qop_auth_is_chosen_over_auth_int_and_unknown_offers_are_ignored() -> None:
    def chosen(*qop: str) -> str | None:
        return DigestChallenge("r", "n", qop=qop).chosen_qop

    assert chosen("auth-int", "auth") == "auth"
    assert chosen("new", "auth-int") == "auth-int"
    assert chosen() is None
    assert DigestChallenge("r", "n", qop=()).is_answerable
    assert not DigestChallenge("r", "n", qop=("new",)).is_answerable
    assert not DigestChallenge("r", "n", algorithm=Algorithm.parse("SHA-1")).is_answerable


def test_a_line_end_cannot_be_smuggled_into_a_header() -> None:
    with pytest.raises(LocalProtocolError):
        str(DigestCredentials("u\r\nEvil: x", "r", "sip:x"))


@given(_challenges)
def test_every_challenge_survives_text(challenge: DigestChallenge) -> None:
    assert DigestChallenge.parse(str(challenge)) == challenge


@given(_credentials)
def test_all_credentials_survive_text(credentials: DigestCredentials) -> None:
    assert DigestCredentials.parse(str(credentials)) == credentials


@given(_infos)
def test_every_authentication_info_survives_text(info: DigestAuthenticationInfo) -> None:
    assert DigestAuthenticationInfo.parse(str(info)) == info


@given(st.text(st.characters() | st.sampled_from('",=\\ Digest'), max_size=80))
def test_any_text_is_parsed_or_refused_with_our_error(text: str) -> None:
    for parse in (DigestChallenge.parse, DigestCredentials.parse, DigestAuthenticationInfo.parse):
        for prefix in ("", "Digest ", 'Digest username="u", realm="r", nonce="n", '):
            try:
                str(parse(prefix + text))
            except DigestParseError:
                continue
    parse_challenges([text])


@pytest.mark.parametrize(
    "unit", ['"', "\\", '\\"', "a", "a=", "a ", ", ", 'a="', "a=b ", " ", "Digest a=b,", "Digest a=b ", 'a="b\\']
)
def test_hostile_repetition_costs_linear_time(unit: str) -> None:
    for head in ("", "Digest ", 'Digest username="'):
        text = (head + unit * 16_000)[: 16 * 1024]
        started = time.process_time()
        parse_challenges([text])
        assert time.process_time() - started < 0.5


def test_a_field_beyond_the_limit_is_refused() -> None:
    with pytest.raises(DigestParseError, match="16384"):
        DigestCredentials.parse('Digest username="' + "u" * 20_000 + '"')


_pieces = st.lists(
    st.sampled_from(
        [
            'username="u"',
            "nonce=n",
            'uri="a,b=c"',
            "qop=auth",
            'x="',
            "=",
            ",",
            ", ",
            " ",
            "\t",
            '"',
            "\\",
            "Y=é",
            "x-y=",
        ]
    ),
    max_size=12,
).map("".join)


@given(_pieces | _text)
def test_what_nearly_all_peers_send_is_read_like_the_rest(rest: str) -> None:
    def read(text: str) -> DigestCredentials | None:
        try:
            return DigestCredentials.parse(text)
        except DigestParseError:
            return None

    assert read(f"Digest {rest}") == read(f", Digest {rest}")  # the second form is not what nearly all peers send


def test_a_parameter_that_comes_twice_is_refused_in_the_plain_form_too() -> None:
    with pytest.raises(DigestParseError, match="twice"):
        DigestCredentials.parse('Digest username="u",nonce="n",Username="v"')


@given(_text, _text, st.booleans())
def test_a_plain_challenge_is_written_like_any_other(realm: str, nonce: str, is_stale: bool) -> None:
    challenge = DigestChallenge(realm, nonce, SHA_256, stale=is_stale)
    assert plain_challenge(realm, nonce, SHA_256, is_stale=is_stale) == str(challenge)


@given(st.none() | _token, _text, st.none() | _text, st.none() | _token)
def test_a_plain_authentication_info_is_written_like_any_other(
    qop: str | None, rspauth: str, cnonce: str | None, nc: str | None
) -> None:
    assert plain_authentication_info(qop, rspauth, cnonce, nc) == str(
        DigestAuthenticationInfo(qop, rspauth, cnonce, nc)
    )


def test_a_plain_challenge_refuses_a_line_end() -> None:
    with pytest.raises(LocalProtocolError):
        plain_challenge("r\r\nX: y", "n", MD5)
