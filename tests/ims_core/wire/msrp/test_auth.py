"""A client and a relay: each alone, then both against each other."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest import MD5, SHA_256, Algorithm, compute_ha1
from ims_core.wire.msrp.auth import AuthClient, AuthClientConfig, AuthFailed, AuthOutputs, AuthState, Granted
from ims_core.wire.msrp.auth import read_seconds as seconds
from ims_core.wire.msrp.auth_server import RelayConfig, RelayRegistrar
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder
from ims_core.wire.msrp.session_events import Transmit
from ims_core.wire.msrp.uri import parse_msrp_uri, parse_path
from ims_core.wire.nonce_book import NonceBook
from ims_core.wire.secret import Secret
from tests.support.msrp_pair import counter, of_type

RELAY = "msrps://relay.example:2855;tcp"
CLIENT = "msrps://10.0.0.1:51001/a1Sess0001;tcp"
OTHER = "msrps://10.0.0.2:51001/b1Sess0001;tcp"
GRANTED = "msrps://relay.example:2855/r1;tcp"


def client(*, path: str = RELAY, password: str = "secret", own: str = CLIENT, **members: Any) -> AuthClient:
    config = AuthClientConfig(
        relay_path=parse_path(path),
        own_uri=parse_msrp_uri(own),
        username="alice",
        password=Secret.of_text(password),
        **members,
    )
    return AuthClient(config, counter("client"))


def registrar(*, book: NonceBook | None = None, **members: Any) -> RelayRegistrar:
    config = RelayConfig(uri=parse_msrp_uri(RELAY), realm="relay.example", **members)

    def ha1_of(username: str, algorithm: Algorithm) -> str | None:
        return compute_ha1(algorithm, username, config.realm, "secret") if username == "alice" else None

    numbers = iter(range(10**6))

    def octets(count: int) -> bytes:
        return hashlib.sha256(str(next(numbers)).encode()).digest()[:count]

    return RelayRegistrar(config, ha1_of, octets, counter("sess"), book)


def sent(outputs: AuthOutputs) -> MsrpRequest:
    (frame,) = of_type(list(outputs), Transmit)
    (request,) = FrameDecoder().feed(frame.octets)
    assert isinstance(request, MsrpRequest)
    assert request.method == "AUTH"
    return request


def respond(target: AuthClient, request: MsrpRequest, status: int, *headers: tuple[str, str]) -> AuthOutputs:
    return target.receive(MsrpResponse.to(request, status, headers=headers), 1.0)


CHALLENGE = ("WWW-Authenticate", 'Digest realm="relay.example", nonce="n1", qop="auth"')
USE_PATH = ("Use-Path", GRANTED)


class TestClient:
    def test_the_first_request_has_no_credentials(self) -> None:
        frame = of_type(list(client(expires_s=600).start(0.0)), Transmit)[0]
        assert (
            frame.octets
            == (
                f"MSRP client0001 AUTH\r\nTo-Path: {RELAY}\r\nFrom-Path: {CLIENT}\r\nExpires: 600\r\n"
                "-------client0001$\r\n"
            ).encode()
        )

    def test_a_challenge_is_answered_with_auth_and_the_relay_as_uri(self) -> None:
        target = client()
        request = sent(respond(target, sent(target.start(0.0)), 401, CHALLENGE))
        text = request.text("Authorization") or ""
        ha1 = hashlib.md5(b"alice:relay.example:secret").hexdigest()
        ha2 = hashlib.md5(f"AUTH:{RELAY}".encode()).hexdigest()
        expected = hashlib.md5(f"{ha1}:n1:00000001:client0003:auth:{ha2}".encode()).hexdigest()
        assert f'response="{expected}"' in text
        assert f'uri="{RELAY}"' in text

    def test_what_is_granted_is_asked_for_again_at_half_time(self) -> None:
        target = client()
        outputs = respond(target, sent(target.start(0.0)), 200, USE_PATH, ("Expires", "600"))
        assert outputs == [Granted(parse_path(GRANTED), 600, True)]
        assert target.use_path == parse_path(GRANTED)
        assert target.next_deadline() == 301.0
        assert target.handle_deadline(300.0) == []
        request = sent(target.handle_deadline(301.0))
        assert target.state is AuthState.REFRESHING
        assert request.to_path == parse_path(GRANTED)
        assert respond(target, request, 200, USE_PATH) == [Granted(parse_path(GRANTED), None, False)]
        assert target.next_deadline() is None

    @pytest.mark.parametrize("headers", [(), (("Use-Path", "nonsense"),)])
    def test_an_answer_without_use_path_is_of_no_use(self, headers: tuple[tuple[str, str], ...]) -> None:
        target = client()
        (failed,) = respond(target, sent(target.start(0.0)), 200, *headers)
        assert isinstance(failed, AuthFailed)
        assert (failed.status, target.state, target.next_deadline()) == (400, AuthState.FAILED, None)

    @pytest.mark.parametrize("status", [400, 403, 481, 501, 302])
    def test_a_refusal_is_final(self, status: int) -> None:
        target = client()
        (failed,) = respond(target, sent(target.start(0.0)), status)
        assert isinstance(failed, AuthFailed)
        assert failed.status == status
        assert sent(target.start(2.0)).text("Authorization") is None

    def test_a_second_challenge_is_a_refusal(self) -> None:
        target = client()
        request = sent(respond(target, sent(target.start(0.0)), 401, CHALLENGE))
        assert respond(target, request, 401, CHALLENGE) == [AuthFailed(401, "the credentials are refused")]

    def test_a_relay_that_always_says_stale_is_given_up(self) -> None:
        target = client()
        outputs = target.start(0.0)
        for _ in range(4):
            outputs = respond(target, sent(outputs), 401, (CHALLENGE[0], CHALLENGE[1] + ", stale=true"))
        assert outputs == [AuthFailed(401, "the credentials are refused")]

    @pytest.mark.parametrize("text", ["Basic realm=x", "Digest nonsense", 'Digest realm="r", nonce="n", algorithm=X'])
    def test_a_challenge_that_cannot_be_answered_fails(self, text: str) -> None:
        target = client()
        (failed,) = respond(target, sent(target.start(0.0)), 401, ("WWW-Authenticate", text))
        assert failed == AuthFailed(401, "no challenge that can be answered")

    @pytest.mark.parametrize(
        ("wanted", "headers", "then"),
        [
            (10, (("Min-Expires", "60"),), "60"),
            (9999, (("Max-Expires", "3600"),), "3600"),
            (None, (("Min-Expires", "60"),), "60"),
        ],
    )
    def test_423_asks_for_what_the_relay_allows(
        self, wanted: int | None, headers: tuple[tuple[str, str], ...], then: str
    ) -> None:
        target = client(expires_s=wanted)
        assert sent(respond(target, sent(target.start(0.0)), 423, *headers)).text("Expires") == then

    @pytest.mark.parametrize("headers", [(), (("Min-Expires", "x"),), (("Min-Expires", "5"),)])
    def test_423_without_a_way_out_fails(self, headers: tuple[tuple[str, str], ...]) -> None:
        target = client(expires_s=10)
        (failed,) = respond(target, sent(target.start(0.0)), 423, *headers)
        assert failed == AuthFailed(423, "no expiry suits the relay")

    def test_bounds_that_contradict_each_other_do_not_go_round_for_ever(self) -> None:
        target = client(expires_s=10)
        outputs = target.start(0.0)
        for number in range(8):
            if not of_type(list(outputs), Transmit):
                break
            outputs = respond(target, sent(outputs), 423, ("Min-Expires" if number % 2 else "Max-Expires", str(number)))
        assert target.state is AuthState.FAILED

    def test_no_answer_is_a_time_out(self) -> None:
        target = client()
        target.start(0.0)
        assert target.next_deadline() == 30.0
        assert target.handle_deadline(30.0) == [AuthFailed(408, "no response in 30 s")]

    def test_an_answer_to_something_else_is_nothing(self) -> None:
        target = client()
        request = sent(target.start(0.0))
        assert target.receive(MsrpResponse("other", 200, "OK", CLIENT, RELAY), 1.0) == []
        respond(target, request, 200, USE_PATH)
        assert respond(target, request, 403) == []

    def test_a_lost_connection_ends_what_was_granted(self) -> None:
        target = client()
        respond(target, sent(target.start(0.0)), 200, USE_PATH, ("Expires", "600"))
        assert target.lost(2.0) == []
        assert (target.state, target.use_path, target.next_deadline()) == (AuthState.IDLE, (), None)
        assert target.lost(2.0) == []

    def test_start_is_for_who_is_not_asking(self) -> None:
        target = client()
        target.start(0.0)
        with pytest.raises(LocalProtocolError):
            target.start(0.0)

    def test_a_client_needs_a_relay(self) -> None:
        with pytest.raises(LocalProtocolError):
            AuthClient(
                AuthClientConfig(
                    relay_path=(), own_uri=parse_msrp_uri(CLIENT), username="alice", password=Secret.of_text("x")
                ),
                counter("c"),
            )

    def test_the_password_is_not_shown(self) -> None:
        target = client(password="hunter2")
        assert "hunter2" not in repr(target._config)

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([200, 401, 423, 403, 999]),
                st.lists(
                    st.tuples(
                        st.sampled_from(
                            [USE_PATH[0], CHALLENGE[0], "Expires", "Min-Expires", "Max-Expires", "Authentication-Info"]
                        ),
                        st.one_of(
                            st.sampled_from([CHALLENGE[1], GRANTED, "60", 'rspauth="0"', CHALLENGE[1] + ",stale=true"]),
                            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30),
                        ),
                    ),
                    max_size=4,
                ),
            ),
            max_size=8,
        )
    )
    def test_no_relay_makes_a_client_raise(self, script: list[tuple[int, list[tuple[str, str]]]]) -> None:
        target = client(expires_s=100)
        outputs = target.start(0.0)
        for status, headers in script:
            frames = of_type(list(outputs), Transmit)
            if frames:
                outputs = respond(target, sent(outputs), status, *headers)
            else:
                outputs = target.handle_deadline(1e9)


def test_seconds_are_digits_and_bounded() -> None:
    assert [seconds(text) for text in (None, "", "x", "-1", "60", "٣", "99999999999", "9999999999")] == [
        *(None, None, None, None, 60, None, None),
        2**31 - 1,
    ]


# --- both against each other -----------------------------------------------------------------------------------------


class Both:
    """A client on a connection to a relay."""

    def __init__(self, target: AuthClient, relay: RelayRegistrar) -> None:
        self.client, self.relay = target, relay
        self.statuses: list[int] = []
        self.events: list[object] = []

    def run(self, outputs: AuthOutputs, now: float) -> list[object]:
        self.events = []
        while outputs:
            frames = of_type(list(outputs), Transmit)
            self.events += [each for each in outputs if not isinstance(each, Transmit)]
            outputs = []
            for frame in frames:
                (request,) = FrameDecoder().feed(frame.octets)
                assert isinstance(request, MsrpRequest)
                answer = self.relay.handle(request, "connection", now)
                self.statuses.append(answer.response.status)
                (response,) = FrameDecoder().feed(answer.response.encode())
                assert isinstance(response, MsrpResponse)
                outputs = self.client.receive(response, now)
        return self.events


class TestBoth:
    @pytest.mark.parametrize("algorithms", [(SHA_256, MD5), (MD5,), (SHA_256,)])
    def test_the_right_password_is_let_in(self, algorithms: tuple[Algorithm, ...]) -> None:
        both = Both(client(), registrar(algorithms=algorithms))
        (granted,) = both.run(both.client.start(0.0), 0.0)
        assert granted == Granted(parse_path("msrps://relay.example:2855/sess0001;tcp"), 1800, True)
        assert both.statuses == [401, 200]
        assert both.relay.lookup("sess0001", 0.0) is not None

    def test_a_wrong_password_is_not(self) -> None:
        both = Both(client(password="wrong"), registrar())
        assert both.run(both.client.start(0.0), 0.0) == [AuthFailed(401, "the credentials are refused")]
        assert len(both.relay) == 0

    def test_asking_again_keeps_the_uri(self) -> None:
        both = Both(client(), registrar())
        both.run(both.client.start(0.0), 0.0)
        for round_ in range(1, 5):
            now = 900.0 * round_
            assert both.client.next_deadline() == now
            assert both.run(both.client.handle_deadline(now), now) == [
                Granted(parse_path("msrps://relay.example:2855/sess0001;tcp"), 1800, False)
            ]
        assert both.statuses == [401, 200, 200, 200, 200, 200]
        assert len(both.relay) == 1
        assert both.relay.next_deadline() == 3600.0 + 1800.0

    def test_a_stale_nonce_costs_one_more_round(self) -> None:
        both = Both(client(), registrar(book=NonceBook(used_life_s=100.0)))
        both.run(both.client.start(0.0), 0.0)
        both.statuses.clear()
        (granted,) = both.run(both.client.handle_deadline(900.0), 900.0)
        assert isinstance(granted, Granted)
        assert not granted.is_new
        assert both.statuses == [401, 200]

    def test_a_challenge_that_is_not_said_to_be_stale_is_answered_when_asking_again(self) -> None:
        both = Both(client(), registrar())
        both.run(both.client.start(0.0), 0.0)
        request = sent(both.client.handle_deadline(900.0))
        fresh = both.relay.handle(MsrpRequest("x123", "AUTH", RELAY, CLIENT), "other", 900.0).response
        outputs = respond(both.client, request, 401, *fresh.headers)
        (granted,) = both.run(outputs, 900.0)
        assert isinstance(granted, Granted)

    @pytest.mark.parametrize(("wanted", "granted_s"), [(5, 60), (100_000, 3600), (61, 61), (None, 1800)])
    def test_the_time_is_what_both_can_live_with(self, wanted: int | None, granted_s: int) -> None:
        both = Both(client(expires_s=wanted), registrar())
        (granted,) = both.run(both.client.start(0.0), 0.0)
        assert isinstance(granted, Granted)
        assert granted.expires_s == granted_s

    def test_what_is_not_asked_for_again_ends(self) -> None:
        both = Both(client(), registrar())
        both.run(both.client.start(0.0), 0.0)
        assert both.relay.next_deadline() == 1800.0
        assert both.relay.lookup("sess0001", 1800.0) is None
        (ended,) = both.relay.handle_deadline(1800.0)
        assert ended.uri.session_id == "sess0001"
        assert both.relay.next_deadline() is None
        request = sent(both.client.handle_deadline(1800.0))
        assert both.relay.handle(request, "connection", 1800.0).response.status == 481

    def test_a_relay_that_does_not_know_the_password_is_found_out(self) -> None:
        both = Both(client(), registrar())
        request = sent(both.client.start(0.0))
        challenge = both.relay.handle(request, "c", 0.0).response
        request = sent(respond(both.client, request, 401, *challenge.headers))
        info = ("Authentication-Info", 'qop=auth, rspauth="0123", cnonce="x", nc=00000001')
        assert respond(both.client, request, 200, USE_PATH, info) == [
            AuthFailed(400, "the relay does not know the password")
        ]

    def test_a_client_behind_an_inner_relay_gets_both_in_use_path(self) -> None:
        inner = "msrps://inner.example:2855/i1;tcp"
        both = Both(client(path=f"{inner} {RELAY}"), registrar())
        request = sent(both.client.start(0.0))
        assert request.to_path == parse_path(f"{inner} {RELAY}")
        for status in (401, 200):  # the inner relay moves itself from To-Path to From-Path (RFC 4976 §6.4)
            forwarded = MsrpRequest(request.transaction_id, "AUTH", RELAY, f"{inner} {CLIENT}", request.headers)
            response = both.relay.handle(forwarded, "inner", 0.0).response
            assert response.status == status
            outputs = both.client.receive(response, 0.0)
            if status == 401:
                request = sent(outputs)
        path = parse_path(f"msrps://relay.example:2855/sess0001;tcp {inner}")
        assert outputs == [Granted(path, 1800, True)]
        assert sent(both.client.handle_deadline(900.0)).to_path == path[::-1]
