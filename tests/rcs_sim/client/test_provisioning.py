"""The client of autoconfiguration against answers that a test writes."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.http_message import HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.client.provisioning import Provisioning
from rcs_sim.client.provisioning_table import Procedure
from rcs_sim.client.provisioning_values import (
    Access,
    ConfigurationKept,
    Postponed,
    PostponedReason,
    ProvisioningOutput,
    ProvisioningSettings,
    Save,
    SendHttpRequest,
    ServiceState,
    StartService,
    StopReason,
    StopService,
    Subscription,
)
from rcs_sim.wire.autoconfig import Characteristic, ConfigurationToken, DocumentVersion, ProvisioningDocument
from tests.support.acs import ALICE, ALICE_SIM, CONFIG_URL

_COOKIE = (("Set-Cookie", "s=1"),)


def _phone(access: Access = Access.WIFI, **changes: bool) -> Provisioning:
    settings = ProvisioningSettings(
        configuration_url=CONFIG_URL, enrichment_url="http://config.example/", user_agent="IM-client/OMA1.0", **changes
    )
    return Provisioning(settings, ALICE_SIM, Tokens("t"), access=access)


def _document(version: int, validity_s: int, *settings: Characteristic) -> HttpResponse:
    head = (DocumentVersion(version, validity_s).characteristic(), ConfigurationToken("tok", 0).characteristic())
    return HttpResponse(200, (), ProvisioningDocument((*head, *settings)).encode())


_FULL = _document(1, 600, *ALICE.configuration.characteristics())


def _request(outputs: list[ProvisioningOutput]) -> SendHttpRequest:
    (request,) = [output for output in outputs if isinstance(output, SendHttpRequest)]
    return request


def _shown(outputs: list[ProvisioningOutput]) -> list[ProvisioningOutput]:
    return [output for output in outputs if not isinstance(output, Save)]


def _answer(
    phone: Provisioning, outputs: list[ProvisioningOutput], response: HttpResponse, now: float
) -> list[ProvisioningOutput]:
    return phone.received(_request(outputs).number, response, now)


def _active() -> Provisioning:
    phone = _phone()
    _answer(phone, phone.boot(0.0), _FULL, 0.0)
    assert phone.state is ServiceState.ACTIVE
    return phone


def test_requests_say_who_asks_and_in_which_language() -> None:
    request = _request(_phone(Access.CELLULAR).boot(0.0))
    assert request.url == "http://config.example/"
    assert request.headers == (("User-Agent", "IM-client/OMA1.0"), ("Accept-Language", "en"))


def test_failures_back_off_from_300_s_doubling_to_a_limit() -> None:
    phone, now, delays = _phone(), 0.0, []
    outputs = phone.boot(now)
    for _ in range(9):
        outputs = phone.failed(_request(outputs).number, now)
        (postponed,) = outputs
        assert isinstance(postponed, Postponed)
        assert postponed.reason is PostponedReason.UNAVAILABLE
        assert postponed.until is not None
        delays.append(postponed.until - now)
        now = postponed.until
        outputs = phone.handle_deadline(now)
    assert delays == [300, 600, 1200, 2400, 4800, 9600, 19_200, 19_200, 19_200]


@pytest.mark.parametrize("status", [201, 401, 404, 408, 500, 502, 503, 599])
def test_other_answers_keep_the_old_configuration_and_back_off(status: int) -> None:
    phone = _active()
    outputs = _answer(phone, phone.register_refused(1.0), HttpResponse(status), 1.0)
    assert outputs == [Postponed(PostponedReason.UNAVAILABLE, 301.0)]
    assert (phone.state, phone.configuration) == (ServiceState.ACTIVE, ALICE.configuration)


def test_a_back_off_ends_with_the_next_boot() -> None:
    phone = _phone()
    phone.failed(_request(phone.boot(0.0)).number, 0.0)
    assert _request(phone.boot(1.0)).number == 2


def test_a_request_that_nobody_answers_counts_as_failed() -> None:
    phone = _phone()
    phone.boot(0.0)
    deadline = phone.next_deadline()
    assert deadline == 35.0
    assert phone.handle_deadline(34.9) == []
    assert phone.handle_deadline(deadline) == [Postponed(PostponedReason.UNAVAILABLE, 335.0)]


def test_a_phone_at_rest_keeps_neither_the_request_nor_its_answer() -> None:
    phone = _phone()
    out = phone.boot(0.0)
    _answer(phone, out, _FULL, 0.0)
    assert phone._request == SendHttpRequest(_request(out).number, "", (), _request(out).timeout_s)
    assert phone._response == HttpResponse(0)
    assert _answer(phone, out, _FULL, 0.0) == []


def test_late_answers_have_no_effect() -> None:
    phone = _phone()
    number = _request(phone.boot(0.0)).number
    phone.failed(number, 0.0)
    assert phone.received(number, _FULL, 1.0) == []
    assert phone.failed(number, 1.0) == []
    assert phone.state is ServiceState.UNCONFIGURED


def test_five_511_in_a_row_then_it_gives_up() -> None:
    phone, now = _phone(), 0.0
    outputs = phone.boot(now)
    for _ in range(5):
        assert _answer(phone, outputs, HttpResponse(511), now) == []
        assert phone.next_deadline() == now + 5
        now += 5
        outputs = phone.handle_deadline(now)
    assert _answer(phone, outputs, HttpResponse(511), now) == [Postponed(PostponedReason.GIVEN_UP, None)]
    assert phone.next_deadline() is None


def test_giving_up_with_a_configuration_in_force_asks_again_much_later() -> None:
    phone, now = _active(), 1.0
    outputs = phone.register_refused(now)
    for _ in range(5):
        _answer(phone, outputs, HttpResponse(511), now)
        now += 5
        outputs = phone.handle_deadline(now)
    assert _answer(phone, outputs, HttpResponse(511), now) == [Postponed(PostponedReason.GIVEN_UP, now + 19_200)]
    assert phone.state is ServiceState.ACTIVE
    assert isinstance(phone.handle_deadline(now + 19_200)[0], SendHttpRequest)


def test_redirects_are_followed_three_times_without_foreign_cookies() -> None:
    phone = _phone(Access.CELLULAR)
    outputs = _answer(phone, phone.boot(0.0), HttpResponse(200, _COOKIE), 0.0)
    assert ("Cookie", "s=1") in _request(outputs).headers
    for hop in range(3):
        outputs = _answer(phone, outputs, HttpResponse(302, (("Location", f"https://other.example/{hop}"),)), 0.0)
        assert _request(outputs).url == f"https://other.example/{hop}"
        assert "Cookie" not in dict(_request(outputs).headers)
    outputs = _answer(phone, outputs, HttpResponse(302, (("Location", "https://other.example/"),)), 0.0)
    assert outputs == [Postponed(PostponedReason.UNAVAILABLE, 300.0)]


def test_a_redirect_to_plain_http_is_not_followed() -> None:
    phone = _phone()
    response = HttpResponse(307, (("Location", "http://config.example/"),))
    assert _answer(phone, phone.boot(0.0), response, 0.0) == [Postponed(PostponedReason.UNAVAILABLE, 300.0)]


def test_the_document_may_come_at_any_step() -> None:
    phone = _phone(Access.CELLULAR)
    assert _shown(_answer(phone, phone.boot(0.0), _FULL, 0.0)) == [StartService(ALICE.configuration)]


def test_one_time_passwords_come_to_a_drawn_port_or_to_that_of_the_server() -> None:
    phone = _phone(draws_otp_port=True)
    outputs = phone.boot(0.0)
    port = int(_request(outputs).url.partition("SMS_port=")[2].partition("&")[0])
    assert 10_000 <= port <= 40_000
    _answer(phone, outputs, HttpResponse(200, _COOKIE), 0.0)
    assert phone.sms_received(b"123456", port + 1, 0.0) == []
    assert "OTP=123456" in _request(phone.sms_received(b"123456", port, 0.0)).url

    phone = _phone()
    policy = ProvisioningDocument((Characteristic.of("POLICY", {"SMS_port": "37273"}),)).encode()
    _answer(phone, phone.boot(0.0), HttpResponse(200, _COOKIE, policy), 0.0)
    assert phone.sms_received("123456", 0, 0.0) == []
    assert "OTP=123456" in _request(phone.sms_received(b"123456", 37273, 0.0)).url


def test_nothing_new_for_a_phone_that_has_nothing_is_no_configuration() -> None:
    phone = _phone()
    outputs = _answer(phone, phone.boot(0.0), _document(3, 600), 0.0)
    assert outputs == [Postponed(PostponedReason.UNREADABLE, 300.0)]
    assert phone.snapshot.version == 0


def test_a_document_without_validity_lasts_until_the_next_boot() -> None:
    phone = _phone()
    _answer(phone, phone.boot(0.0), _document(1, 0, *ALICE.configuration.characteristics()), 0.0)
    assert phone.next_deadline() is None
    assert isinstance(phone.boot(1.0)[1], SendHttpRequest)


def test_a_valid_configuration_serves_at_boot_without_a_question() -> None:
    assert _active().boot(1.0) == [StartService(ALICE.configuration)]


def test_the_switch_of_the_user_stops_and_starts_without_a_question() -> None:
    phone = _active()
    assert _shown(phone.switch_off(1.0)) == [StopService(StopReason.SWITCHED_OFF)]
    assert phone.switch_off(1.0) == []
    assert phone.next_deadline() is None
    assert phone.sms_received("1-rcscfg", 0, 2.0) == []
    assert phone.boot(3.0) == []
    assert _shown(phone.switch_on(4.0)) == [StartService(ALICE.configuration)]
    assert phone.next_deadline() == 600.0


def test_another_sim_stops_the_service_and_starts_from_nothing() -> None:
    phone = _active()
    stopped, saved, asked = phone.sim_changed(Subscription("001010000000199"), 1.0)
    assert stopped == StopService(StopReason.SIM_CHANGED)
    assert isinstance(saved, Save)
    assert saved.snapshot.token == ""
    assert "vers=0" in _request([asked]).url
    assert phone.configuration is None


def test_the_same_sim_again_is_like_a_boot() -> None:
    assert _active().sim_changed(ALICE_SIM, 1.0) == [StartService(ALICE.configuration)]


def test_a_factory_reset_ends_off_for_good() -> None:
    phone = _active()
    _answer(phone, phone.register_refused(1.0), _document(-1, -1), 1.0)
    assert phone.boot(2.0) == []
    assert isinstance(phone.factory_reset(3.0)[-1], SendHttpRequest)


def test_a_trigger_while_the_server_is_being_asked_changes_nothing() -> None:
    phone = _phone()
    phone.boot(0.0)
    assert phone.sms_received("1-rcscfg", 37273, 0.0) == []
    assert phone.msisdn_given("+1", 0.0) == []
    assert phone.procedure is Procedure.OTP_REQUESTING


def test_a_snapshot_with_a_broken_document_is_asked_for_anew() -> None:
    phone = _active()
    broken = Provisioning(phone._settings, ALICE_SIM, Tokens("t"), snapshot=phone.snapshot)
    assert broken.configuration == ALICE.configuration
    assert _shown(_answer(broken, broken.register_refused(1.0), _document(1, 900), 1.0)) == [ConfigurationKept(1)]
    assert broken.next_deadline() == 901.0


@pytest.mark.parametrize("packed", [b"no zlib stream", zlib.compress(b"<no document"), zlib.compress(b" " * 10**7)])
def test_a_stored_document_that_cannot_be_read_counts_as_none(packed: bytes) -> None:
    phone = _active()
    snapshot = replace(phone.snapshot, packed_document=packed)
    assert Provisioning(phone._settings, ALICE_SIM, Tokens("t"), snapshot=snapshot).configuration is None


_EVENTS = st.lists(
    st.one_of(
        st.sampled_from(["boot", "on", "off", "refused", "sim", "reset", "deadline", "failed", "msisdn", "access"]),
        st.builds(
            HttpResponse,
            st.sampled_from([200, 204, 302, 403, 500, 503, 511]),
            st.sampled_from([(), _COOKIE, (("Retry-After", "7"),), (("Location", "https://x.example/"),)]),
            st.sampled_from(
                [
                    b"",
                    b"marker",
                    b"<",
                    _FULL.body,
                    *(_document(v, 60).body for v in (1, 0, -1, -2, -3)),
                    b"<wap-provisioningdoc/>",
                ]
            ),
        ),
        st.text(max_size=8).map(lambda text: f"{text}-rcscfg"),
        st.integers(0, 999_999).map("{:06d}".format),
    ),
    max_size=30,
)


@given(_EVENTS, st.sampled_from(Access))
def test_no_sequence_of_events_raises_or_leaves_two_requests_out(
    events: list[str | HttpResponse], access: Access
) -> None:
    phone, now, number = _phone(access), 0.0, 0
    for event in events:
        match event:
            case "boot":
                outputs = phone.boot(now)
            case "on":
                outputs = phone.switch_on(now)
            case "off":
                outputs = phone.switch_off(now)
            case "refused":
                outputs = phone.register_refused(now)
            case "sim":
                outputs = phone.sim_changed(Subscription("2"), now)
            case "reset":
                outputs = phone.factory_reset(now)
            case "deadline":
                now = max(now, phone.next_deadline() or now)
                outputs = phone.handle_deadline(now)
            case "failed":
                outputs = phone.failed(number, now)
            case "msisdn":
                outputs = phone.msisdn_given("+12025550101", now)
            case "access":
                phone.access = Access.WIFI if phone.access is Access.CELLULAR else Access.CELLULAR
                outputs = []
            case HttpResponse():
                outputs = phone.received(number, event, now)
            case _:
                outputs = phone.sms_received(event, 0, now)
        requests = [output for output in outputs if isinstance(output, SendHttpRequest)]
        assert len(requests) <= 1
        number = requests[0].number if requests else number
        assert phone.state is not ServiceState.ACTIVE or phone.configuration is not None
        deadline = phone.next_deadline()
        assert phone.procedure in (Procedure.IDLE, Procedure.MSISDN_WAITING) or deadline is not None
        assert phone.procedure is Procedure.IDLE or deadline is None or deadline >= now
