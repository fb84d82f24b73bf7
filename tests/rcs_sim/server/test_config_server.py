"""The autoconfiguration server: who gets what, and what hostile requests get."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.store.configuration import CONFIGURATIONS, ConfigurationRecord
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import StoreError
from ims_core.transport.http_message import HeaderFields, HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.server.config_actions import ConfigAction, Persist, SendSms
from rcs_sim.server.config_server import MAX_TOKENS, RECONFIGURATION_PORT, ConfigServer, ConfigServerListener
from rcs_sim.server.config_settings import ConfigFault, ConfigServerSettings
from rcs_sim.wire.autoconfig import DocumentVersion
from rcs_sim.wire.rcs_configuration import RcsConfiguration
from tests.support.acs import ALICE, SubscriberTable, document_of, response_of

_ENRICHED = (("X-MSISDN", "+12025550101"),)
_NOW = 1_000_000.0


class _Rig:
    """A server and what was asked of it."""

    def __init__(self, settings: ConfigServerSettings | None = None) -> None:
        self.source = SubscriberTable(ALICE)
        self.server = ConfigServer(self.source, settings or ConfigServerSettings(uses_tls=True), Tokens("acs"))
        self.now = _NOW

    def actions(
        self,
        query: str = "",
        headers: HeaderFields = (),
        *,
        scheme: str = "https",
        trusted: bool = False,
        method: str = "GET",
    ) -> list[ConfigAction]:
        request = HttpRequest(method, f"/?{query}" if query else "/", headers, scheme=scheme)
        return self.server.handle(request, self.now, trusts_enrichment=trusted)

    def get(
        self, query: str = "", headers: HeaderFields = (), *, scheme: str = "https", trusted: bool = False
    ) -> HttpResponse:
        return response_of(self.actions(query, headers, scheme=scheme, trusted=trusted))

    def otp(self, query: str = "vers=0&SMS_port=0&msisdn=%2B12025550101") -> tuple[str, HeaderFields]:
        """The code that was sent, and the cookie that goes with it."""
        sms, answer = self.actions(query)
        assert isinstance(sms, SendSms)
        content = sms.content if isinstance(sms.content, str) else sms.content.decode()
        return content.split()[0], _cookie(response_of([answer]))


def _cookie(response: HttpResponse) -> HeaderFields:
    (cookie,) = response.set_cookies()
    return (("Cookie", f"{cookie.name}={cookie.value}"),)


def _token(response: HttpResponse) -> str:
    token = document_of(response).token
    assert token is not None
    return token.token


def test_enrichment_gives_a_cookie_and_the_cookie_gives_the_document() -> None:
    rig = _Rig()
    announced = rig.get(headers=_ENRICHED, scheme="http", trusted=True)
    assert (announced.status, announced.body) == (200, b"")
    document = document_of(rig.get("vers=0", _cookie(announced)))
    assert document.vers == DocumentVersion(1, 604_800)
    assert RcsConfiguration.from_document(document) == ALICE.configuration


def test_enrichment_counts_on_the_trusted_listener_only() -> None:
    rig = _Rig()
    assert rig.get(headers=_ENRICHED, scheme="http").status == 511
    assert rig.get("vers=0", _ENRICHED).status == 511
    assert rig.get(scheme="http", trusted=True).status == 511


def test_an_unknown_number_is_forbidden() -> None:
    headers = (("X-MSISDN", "+12025550199"),)
    assert _Rig().get(headers=headers, scheme="http", trusted=True).status == 403
    assert _Rig().get("vers=0&SMS_port=0&msisdn=12025550199").status == 403
    assert _Rig().get("vers=0&SMS_port=0").status == 403


def test_a_subscriber_who_left_is_forbidden_even_with_token_or_cookie() -> None:
    rig = _Rig()
    code, cookie = rig.otp()
    token = _token(rig.get(f"OTP={code}", cookie))
    rig.source.records.clear()
    assert rig.get(f"vers=1&token={token}").status == 403
    assert rig.get("vers=1", cookie).status == 403


def test_requests_with_parameters_are_sent_from_http_to_https() -> None:
    rig = _Rig()
    response = rig.get("vers=0&x=%20", (*_ENRICHED, ("Host", "config.example")), scheme="http", trusted=True)
    assert response.status == 302
    assert response.header("Location") == "https://config.example/?vers=0&x=%20"
    assert document_of(rig.get("vers=0", _cookie(response))).has_settings
    assert rig.get("vers=0", scheme="http").set_cookies() == ()


def test_without_tls_one_enriched_request_is_enough() -> None:
    rig = _Rig(ConfigServerSettings())
    assert document_of(rig.get("vers=0", _ENRICHED, scheme="http", trusted=True)).has_settings


def test_a_one_time_password_goes_by_text_or_to_a_port() -> None:
    rig = _Rig()
    (text, _), (data, _) = (rig.actions(f"SMS_port={port}&IMSI=001010000000101") for port in (0, 15000))
    assert isinstance(text, SendSms)
    assert isinstance(data, SendSms)
    assert isinstance(text.content, str)
    assert (text.msisdn, text.port) == ("+12025550101", 0)
    assert (data.port, len(data.content)) == (15000, 6)


def test_the_right_password_gives_the_document_that_the_first_request_asked_for() -> None:
    rig = _Rig()
    code, cookie = rig.otp("vers=1&SMS_port=0&msisdn=12025550101")
    first = rig.get(f"OTP={code}", cookie)
    assert not document_of(first).has_settings
    assert document_of(rig.get(f"otp={code}", cookie)).vers == DocumentVersion(1, 604_800)


def test_a_wrong_password_gets_511_twice_then_403_and_ends_the_session() -> None:
    rig = _Rig()
    code, cookie = rig.otp()
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert [rig.get(f"OTP={wrong}", cookie).status for _ in range(3)] == [511, 511, 403]
    assert rig.get(f"OTP={code}", cookie).status == 511


def test_a_password_without_its_cookie_or_after_its_life_is_worth_nothing() -> None:
    rig = _Rig()
    code, cookie = rig.otp()
    assert rig.get(f"OTP={code}").status == 511
    rig.now += 300
    assert rig.get(f"OTP={code}", cookie).status == 511


def test_asking_anew_voids_the_older_password() -> None:
    rig = _Rig()
    code, cookie = rig.otp()
    rig.actions("SMS_port=0&msisdn=12025550101", cookie)
    assert rig.get(f"OTP={code}", cookie).status == 511


def test_one_number_cannot_be_flooded_with_passwords() -> None:
    rig = _Rig()
    for _ in range(10):
        rig.otp()
    busy = rig.get("SMS_port=0&msisdn=12025550101")
    assert (busy.status, busy.header("Retry-After")) == (503, "600")


def test_tokens_are_checked_renewed_and_forgotten() -> None:
    rig = _Rig()
    code, cookie = rig.otp()
    token = _token(rig.get(f"OTP={code}", cookie))
    assert rig.get("vers=1&token=wrong").status == 511
    assert rig.get("vers=1&token=").status == 511
    assert _token(rig.get(f"vers=1&token={token}")) == token
    rig.now += 2_000_000  # more than half of its life
    renewed = _token(rig.get(f"vers=1&token={token}"))
    assert renewed != token
    assert _token(rig.get(f"vers=1&token={token}")) != token  # the answer with the new one may have been lost
    rig.now = _NOW + 2_592_000
    assert rig.get(f"vers=1&token={token}").status == 511
    assert _token(rig.get(f"vers=1&token={renewed}")) == renewed
    rig.server.revoke_tokens(ALICE.msisdn)
    assert rig.get(f"vers=1&token={renewed}").status == 511


def test_devices_of_one_subscriber_have_tokens_of_their_own() -> None:
    rig = _Rig(ConfigServerSettings())
    tokens = {
        imei: _token(rig.get(f"vers=0&IMEI={imei}", _ENRICHED, scheme="http", trusted=True))
        for imei in ("1", "2", "1", "1")
    }
    assert len(rig.server.record(ALICE.msisdn).tokens) == 2
    assert all(rig.get(f"token={token}").status == 200 for token in tokens.values())
    for imei in range(20):
        rig.get(f"vers=0&IMEI={imei}", _ENRICHED, scheme="http", trusted=True)
    assert len(rig.server.record(ALICE.msisdn).tokens) == MAX_TOKENS


@pytest.mark.parametrize(
    ("version", "validity_s", "expected"),
    [(0, None, 0), (-1, None, -1), (-2, None, -2), (-3, None, 604_800), (-3, 60, 60)],
)
def test_every_version_of_the_operator_comes_alone(version: int, validity_s: int | None, expected: int) -> None:
    rig = _Rig(ConfigServerSettings())
    rig.server.impose(ALICE.msisdn, version, validity_s)
    response = rig.get("vers=1", _ENRICHED, scheme="http", trusted=True)
    assert document_of(response).vers == DocumentVersion(version, expected)
    assert len(document_of(response).characteristics) == 1
    rig.server.release(ALICE.msisdn)
    assert document_of(rig.get("vers=0", _ENRICHED, scheme="http", trusted=True)).has_settings


def test_a_version_of_the_operator_is_kept_until_the_settings_change() -> None:
    rig = _Rig(ConfigServerSettings())
    rig.server.impose(ALICE.msisdn, 41, 60)
    for _ in range(2):
        assert document_of(rig.get("vers=0", _ENRICHED, scheme="http", trusted=True)).vers == DocumentVersion(41, 60)
    rig.source.records[:] = [replace(ALICE, configuration=RcsConfiguration(chat_auth=True), validity_s=5)]
    document = document_of(rig.get("vers=41", _ENRICHED, scheme="http", trusted=True))
    assert document.vers == DocumentVersion(42, 60)
    assert document.has_settings
    with pytest.raises(LocalProtocolError):
        rig.server.impose(ALICE.msisdn, -4)


def test_nothing_new_is_said_with_vers_and_token_alone() -> None:
    rig = _Rig(ConfigServerSettings())
    rig.get("vers=0", _ENRICHED, scheme="http", trusted=True)
    document = document_of(rig.get("vers=1", _ENRICHED, scheme="http", trusted=True))
    assert [c.type for c in document.characteristics] == ["VERS", "TOKEN"]
    assert document_of(rig.get("vers=9", _ENRICHED, scheme="http", trusted=True)).has_settings


def test_the_trigger_sms_names_imsi_first_and_private_identity_later() -> None:
    rig = _Rig(ConfigServerSettings())
    assert rig.server.reconfigure(ALICE.msisdn) == [
        SendSms(ALICE.msisdn, b"001010000000101-rcscfg", RECONFIGURATION_PORT)
    ]
    rig.get("vers=0", _ENRICHED, scheme="http", trusted=True)
    (sms,) = rig.server.reconfigure(ALICE.msisdn)
    assert sms == SendSms(ALICE.msisdn, b"001010000000101@ims.example-rcscfg", RECONFIGURATION_PORT)
    assert rig.server.reconfigure("+12025550199") == []


def test_faults_and_rates_answer_as_the_digest_says() -> None:
    rig = _Rig(ConfigServerSettings(max_requests_per_s=2))
    rig.server.fault = ConfigFault(retry_after_s=120)
    assert (rig.get("vers=0").status, rig.get("vers=0").header("Retry-After")) == (503, "120")
    rig.server.fault = ConfigFault(is_disabled=True)
    rig.now += 1
    assert rig.get("vers=0").status == 403
    rig.server.fault = ConfigFault()
    assert rig.get("vers=0").status == 511
    assert (rig.get("vers=0").status, rig.get("vers=0").header("Retry-After")) == (503, "1")


def test_other_methods_and_paths_are_refused() -> None:
    rig = _Rig()
    assert response_of(rig.actions("vers=0", method="POST")).header("Allow") == "GET"
    request = HttpRequest("GET", "/admin?vers=0")
    assert response_of(rig.server.handle(request, _NOW, trusts_enrichment=False)).status == 404


def test_a_restart_keeps_versions_and_tokens() -> None:
    rig = _Rig()
    code, cookie = rig.otp()
    (persist, answer) = rig.actions(f"OTP={code}", cookie)
    assert isinstance(persist, Persist)
    token = _token(response_of([answer]))
    assert token not in repr(persist)
    other = _Rig()
    other.server.restore([persist.record])
    assert document_of(other.get(f"vers=1&token={token}")).vers == DocumentVersion(1, 604_800)


_FIELDS = st.lists(
    st.tuples(st.sampled_from(["Cookie", "X-MSISDN", "Host", "x"]), st.text(max_size=30)), max_size=4
).map(tuple)


@given(st.text(max_size=10), st.text(max_size=60), _FIELDS, st.booleans(), st.sampled_from(["http", "https", ""]))
def test_no_request_raises(method: str, query: str, headers: HeaderFields, trusted: bool, scheme: str) -> None:
    rig = _Rig()
    for request in (HttpRequest(method, query, headers), HttpRequest("GET", f"/?{query}", headers, scheme=scheme)):
        response = response_of(rig.server.handle(request, _NOW, trusts_enrichment=trusted))
        assert response.status in {200, 302, 400, 403, 404, 405, 511}


@given(st.dictionaries(st.sampled_from(["vers", "msisdn", "IMSI", "token", "OTP", "SMS_port"]), st.text(max_size=12)))
def test_no_parameter_raises(parameters: dict[str, str]) -> None:
    rig = _Rig()
    _, cookie = rig.otp()
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    assert rig.get(query, cookie).status in {200, 302, 400, 403, 511}


class _Clock:
    def now(self) -> float:
        return _NOW


class _FullStore:
    async def load_all(self) -> list[ConfigurationRecord]:
        return []

    async def put(self, record: ConfigurationRecord) -> None:
        raise StoreError("the disk is full: make room")

    async def delete(self, key: str) -> None: ...


async def test_the_listener_stores_and_sends_before_it_answers() -> None:
    sent: list[tuple[str, str | bytes, int]] = []
    server = ConfigServer(SubscriberTable(ALICE), ConfigServerSettings(), Tokens("acs"))
    store = MemoryStore().table(CONFIGURATIONS)
    listener = ConfigServerListener(server, _Clock(), store, lambda *sms: sent.append(sms), trusts_enrichment=True)
    assert (await listener(HttpRequest("GET", "/?vers=0", _ENRICHED))).status == 200
    assert await store.load_all() == [server.record(ALICE.msisdn)]
    assert (await listener(HttpRequest("GET", "/?vers=0&SMS_port=0&msisdn=12025550101"))).status == 200
    ((msisdn, text, port),) = sent
    assert (msisdn, port) == (ALICE.msisdn, 0)
    assert (await listener.carry_out(server.impose(ALICE.msisdn, 0))).status == 200
    assert (await store.load_all())[0].imposed_version == 0
    assert isinstance(text, str)


async def test_what_cannot_be_stored_is_not_promised() -> None:
    server = ConfigServer(SubscriberTable(ALICE), ConfigServerSettings(), Tokens("acs"))
    listener = ConfigServerListener(server, _Clock(), _FullStore(), lambda *sms: None, trusts_enrichment=True)
    assert (await listener(HttpRequest("GET", "/?vers=0", _ENRICHED))).status == 503
