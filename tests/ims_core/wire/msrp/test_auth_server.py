"""The relay's side alone: what it refuses, and what it forgets. With a client: test_auth.py."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest import DigestChallenge, DigestClient
from ims_core.wire.msrp.auth_server import AuthAnswer, RelayConfig, RelayRegistrar
from ims_core.wire.msrp.message import MsrpRequest
from ims_core.wire.msrp.uri import parse_msrp_uri
from tests.ims_core.wire.msrp.test_auth import CLIENT, OTHER, RELAY, registrar


class User:
    """A client that does what a test wants."""

    def __init__(self, relay: RelayRegistrar, connection: str = "connection", password: str = "secret") -> None:
        self.relay, self.connection, self.password = relay, connection, password
        self.count = 0

    def ask(self, to_path: str = RELAY, own: str = CLIENT, now: float = 0.0, **members: str) -> AuthAnswer:
        headers = [(name.replace("_", "-"), value) for name, value in members.items()]
        self.count += 1
        return self.relay.handle(MsrpRequest(f"ask{self.count}", "AUTH", to_path, own, headers), self.connection, now)

    def challenge(self, now: float = 0.0) -> DigestClient:
        answer = self.ask(now=now)
        assert answer.response.status == 401
        text = answer.response.texts("WWW-Authenticate")[0]
        return DigestClient(DigestChallenge.parse(text), "alice", self.password)

    def enter(self, to_path: str = RELAY, own: str = CLIENT, now: float = 0.0, **members: str) -> AuthAnswer:
        credentials = self.challenge(now).authorize("AUTH", to_path, "cnonce")
        return self.ask(to_path, own, now, Authorization=str(credentials), **members)


def test_each_algorithm_has_its_own_challenge_with_qop_auth_in_the_order_of_preference() -> None:
    texts = User(registrar()).ask().response.texts("WWW-Authenticate")
    assert [DigestChallenge.parse(text).hash_algorithm.name for text in texts] == ["SHA-256", "MD5"]
    assert all(DigestChallenge.parse(text).qop == ("auth",) for text in texts)


def test_a_grant_has_use_path_expires_and_a_proof_of_the_relay() -> None:
    answer = User(registrar()).enter(Expires="600")
    assert answer.response.status == 200
    assert answer.response.text("Use-Path") == "msrps://relay.example:2855/sess0001;tcp"
    assert answer.response.text("Expires") == "600"
    assert "rspauth" in (answer.response.text("Authentication-Info") or "")
    assert answer.grant is not None
    assert answer.grant.expires_at == 600.0


def test_credentials_that_are_used_twice_are_stale() -> None:
    user = User(registrar())
    text = str(user.challenge().authorize("AUTH", RELAY, "cnonce"))
    assert user.ask(Authorization=text).response.status == 200
    again = user.ask(Authorization=text).response
    assert again.status == 401
    assert DigestChallenge.parse(again.texts("WWW-Authenticate")[0]).stale


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Digest nonsense", 400),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 400),
        ('Digest username="alice", realm="relay.example", nonce="n", uri="sip:x", response="0"', 400),
        (f'Digest username="alice", realm="relay.example", nonce="n", uri="{RELAY}", response="0"', 401),
        (f'Digest username="nobody", realm="relay.example", nonce="n", uri="{RELAY}", response="0"', 401),
        (f'Digest username="alice", realm="other", nonce="n", uri="{RELAY}", response="0"', 401),
        (f'Digest username="alice", realm="relay.example", nonce="n", uri="{RELAY}", algorithm=X, response="0"', 401),
    ],
)
def test_credentials_that_prove_nothing(text: str, status: int) -> None:
    assert User(registrar()).ask(Authorization=text).response.status == status


def test_who_keeps_guessing_on_a_connection_is_sent_away() -> None:
    relay = registrar()
    guesser = User(relay, password="guess")
    assert [guesser.enter().response.status for _ in range(4)] == [401, 401, 403, 403]
    assert User(relay, connection="another").enter().response.status == 200


def test_a_right_password_in_between_forgives() -> None:
    relay = registrar()
    user, guesser = User(relay), User(relay, password="guess")
    assert [each.enter().response.status for each in (guesser, guesser, user, guesser)] == [401, 401, 200, 401]


@pytest.mark.parametrize(
    ("expires", "status", "name", "bound"),
    [("59", 423, "Min-Expires", "60"), ("0", 423, "Min-Expires", "60"), ("3601", 423, "Max-Expires", "3600")],
)
def test_a_time_out_of_bounds_is_a_423_with_the_bound(expires: str, status: int, name: str, bound: str) -> None:
    response = User(registrar()).enter(Expires=expires).response
    assert (response.status, response.text(name)) == (status, bound)


def test_a_time_that_is_no_number_is_a_400() -> None:
    assert User(registrar()).enter(Expires="soon").response.status == 400


@pytest.mark.parametrize(
    "to_path", ["msrps://relay.example:2855/nobody;tcp", f"{RELAY} msrps://further.example;tcp", f"{RELAY} {RELAY}"]
)
def test_another_path_is_a_481(to_path: str) -> None:
    assert User(registrar()).ask(to_path).response.status == 481


def test_another_method_is_a_501() -> None:
    answer = registrar().handle(MsrpRequest("x123", "FETCH", RELAY, CLIENT), "connection", 0.0)
    assert answer.response.status == 501


def test_asking_again_without_naming_the_uri_keeps_it_too() -> None:
    relay = registrar()
    user = User(relay)
    first, second = user.enter(now=0.0).grant, user.enter(now=10.0).grant
    assert first is not None
    assert second is not None
    assert first.uri is second.uri
    assert len(relay) == 1


def test_each_client_uri_has_its_own_grant() -> None:
    relay = registrar()
    user = User(relay)
    user.enter()
    user.enter(own=OTHER)
    assert len(relay) == 2


def test_nobody_prolongs_what_is_another_clients() -> None:
    user = User(registrar())
    granted = user.enter().grant
    assert granted is not None
    assert user.enter(str(granted.uri), own=OTHER).response.status == 403


def test_a_grant_follows_its_client_to_another_connection() -> None:
    relay = registrar()
    granted = User(relay, "first").enter().grant
    assert granted is not None
    assert User(relay, "second").enter(str(granted.uri), now=5.0).response.status == 200
    assert relay.forget_connection("first") == []
    assert [each.uri.key for each in relay.forget_connection("second")] == [granted.uri.key]
    assert len(relay) == 0
    assert relay.next_deadline() is None


def test_a_connection_has_only_so_many_grants() -> None:
    relay = registrar(max_grants_per_connection=2)
    user = User(relay)
    statuses = [user.enter(own=f"msrps://10.0.0.1:51001/s{number};tcp").response.status for number in range(3)]
    assert statuses == [200, 200, 403]


def test_the_relay_has_only_so_many_grants() -> None:
    relay = registrar(max_grants=1)
    assert User(relay, "a").enter().response.status == 200
    assert User(relay, "b").enter(own=OTHER).response.status == 403


def test_prolonging_costs_no_memory() -> None:
    relay = registrar()
    user = User(relay)
    for number in range(500):
        user.enter(now=float(number))
    assert len(relay._deadlines) < 100
    assert relay.next_deadline() == 499.0 + 1800.0


def test_bounds_have_to_fit() -> None:
    with pytest.raises(LocalProtocolError):
        RelayConfig(uri=parse_msrp_uri(RELAY), realm="r", min_expires_s=100, default_expires_s=50)


_PARTS = st.sampled_from(
    ["alice", "relay.example", RELAY, "n", "0" * 32, "auth", "auth-int", "00000001", "zz", "MD5", "SHA-256-sess", "é"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce", "algorithm", "auts"]),
        _PARTS,
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40),
    st.booleans(),
)
def test_no_client_makes_a_relay_raise(parameters: dict[str, str], text: str, is_plain: bool) -> None:
    joined = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    value = text if is_plain else f"Digest {joined}"
    answer = User(registrar()).ask(Authorization=value, Expires=text)
    assert answer.response.status in (400, 401)
