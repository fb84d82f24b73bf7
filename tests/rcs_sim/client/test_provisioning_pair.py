"""Phone and autoconfiguration server joined without sockets: rows C01 to C13 of the conformance checklist."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.transport.http_message import HttpResponse
from rcs_sim.client.provisioning_table import Procedure
from rcs_sim.client.provisioning_values import (
    Access,
    AskMsisdn,
    ConfigurationKept,
    Postponed,
    PostponedReason,
    ServiceState,
    ShowMessage,
    StartService,
    StopReason,
    StopService,
    Subscription,
)
from rcs_sim.server.config_settings import ConfigFault, ConfigServerSettings
from rcs_sim.wire.autoconfig import ConfigurationMessage
from tests.support.acs import ALICE, AcsPair


def _parameters(pair: AcsPair, index: int = -1) -> dict[str, str]:
    return dict(pair.requests[index].query())


def _configured(**changes: Access) -> AcsPair:
    pair = AcsPair()
    assert pair.run(pair.phone.boot(pair.now)) == [StartService(ALICE.configuration)]
    if changes:
        pair.phone.access = changes["access"]
    return pair


def test_c01_plain_http_without_parameters_comes_first_then_https_with_them() -> None:
    pair = _configured()
    first, second = pair.requests
    assert (first.scheme, first.target) == ("http", "/")
    assert second.scheme == "https"
    assert {"vers", "IMSI", "IMEI", "terminal_vendor", "rcs_version", "rcs_profile", "app"} <= _parameters(pair).keys()
    assert "token" not in _parameters(pair)


def test_c02_the_cookie_of_the_first_step_comes_back() -> None:
    pair = _configured()
    first, second = pair.requests
    assert first.cookies() == ()
    ((name, value),) = second.cookies()
    assert name == "rcs-config"
    assert len(value) == 32


def test_c03_vers_is_that_of_the_stored_document() -> None:
    pair = _configured()
    assert _parameters(pair)["vers"] == "0"
    pair.operate(pair.server.impose(ALICE.msisdn, 7))
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert _parameters(pair)["vers"] == "1"
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert _parameters(pair)["vers"] == "7"


def test_c04_a_valid_token_is_enough_on_wifi() -> None:
    pair = _configured(access=Access.WIFI)
    token = pair.phone.snapshot.token
    assert pair.operate(pair.server.reconfigure(ALICE.msisdn)) == [ConfigurationKept(1)]
    assert _parameters(pair)["token"] == token
    assert "SMS_port" not in _parameters(pair)


def test_c04_a_wrong_token_on_wifi_leads_to_511_then_to_a_one_time_password() -> None:
    pair = _configured(access=Access.WIFI)
    pair.server.revoke_tokens(ALICE.msisdn)
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert pair.statuses[-1] == 511
    assert pair.phone.snapshot.token == ""
    assert pair.wait() == [ConfigurationKept(1)]
    assert pair.statuses[-2:] == [200, 200]
    assert _parameters(pair, -2)["SMS_port"] == "0"
    assert _parameters(pair, -2)["token"] == ""
    assert pair.phone.snapshot.token != ""


def test_c04_a_phone_without_token_on_wifi_asks_for_a_one_time_password_at_once() -> None:
    pair = AcsPair(access=Access.WIFI)
    assert pair.run(pair.phone.boot(pair.now)) == [StartService(ALICE.configuration)]
    assert [request.scheme for request in pair.requests] == ["https", "https"]


def test_c05_the_one_time_password_goes_with_the_cookie_of_its_request() -> None:
    pair = AcsPair(access=Access.WIFI)
    pair.run(pair.phone.boot(pair.now))
    assert list(_parameters(pair)) == ["OTP"]
    assert len(_parameters(pair)["OTP"]) == 6
    assert pair.requests[0].cookies() == ()
    assert pair.requests[1].cookie("rcs-config")


def test_c05_wrong_one_time_passwords_bring_no_document() -> None:
    pair = AcsPair(access=Access.WIFI, loses_sms=True)
    pair.run(pair.phone.boot(pair.now))
    assert pair.phone.procedure is Procedure.OTP_WAITING
    assert pair.run(pair.phone.sms_received("Your code is 0000000", 0, pair.now)) == []
    assert pair.statuses[-1] == 511
    assert pair.phone.state is ServiceState.UNCONFIGURED
    assert pair.phone.procedure is Procedure.OTP_PAUSE


def test_c06_retry_after_is_respected_whatever_happens() -> None:
    pair = AcsPair()
    pair.server.fault = ConfigFault(retry_after_s=100)
    shown = pair.run(pair.phone.boot(pair.now))
    until = pair.now + 100
    assert shown == [Postponed(PostponedReason.BUSY, until)]
    pair.server.fault = ConfigFault()
    pair.now += 99
    for event in (pair.phone.boot, pair.phone.switch_on, pair.phone.handle_deadline):
        pair.run(event(pair.now))
    pair.power_cycle()
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert len(pair.requests) == 1
    assert pair.wait() == [StartService(ALICE.configuration)]
    assert pair.now == until


def test_c07_403_over_mobile_data_clears_the_configuration() -> None:
    pair = _configured()
    pair.source.records.clear()
    assert pair.run(pair.phone.register_refused(pair.now)) == [StopService(StopReason.FORBIDDEN)]
    assert pair.phone.configuration is None
    assert pair.phone.snapshot.version == 0
    assert pair.phone.next_deadline() is None


def test_403_on_wifi_asks_for_the_number_five_times_at_most() -> None:
    pair = AcsPair(access=Access.WIFI, subscription=Subscription("001019999999999"))
    assert pair.run(pair.phone.boot(pair.now)) == [AskMsisdn()]
    for _ in range(4):
        assert pair.run(pair.phone.msisdn_given("+12025550199", pair.now)) == [AskMsisdn()]
    assert pair.run(pair.phone.msisdn_given("+12025550199", pair.now)) == [Postponed(PostponedReason.GIVEN_UP, None)]
    assert pair.run(pair.phone.boot(pair.now)) == [AskMsisdn()]
    assert pair.run(pair.phone.msisdn_given(ALICE.msisdn, pair.now)) == [StartService(ALICE.configuration)]


def test_c08_version_0_clears_and_waits_for_boot_or_sim_or_trigger() -> None:
    pair = _configured()
    pair.server.impose(ALICE.msisdn, 0)
    assert pair.operate(pair.server.reconfigure(ALICE.msisdn)) == [StopService(StopReason.RESET)]
    assert (pair.phone.state, pair.phone.configuration) == (ServiceState.RESET, None)
    assert pair.phone.next_deadline() is None
    pair.server.release(ALICE.msisdn)
    assert pair.run(pair.phone.switch_on(pair.now)) == []
    assert pair.power_cycle() == [StartService(ALICE.configuration)]
    assert _parameters(pair)["vers"] == "0"


def test_c09_version_minus_1_clears_and_waits_for_another_sim() -> None:
    pair = _configured()
    pair.server.impose(ALICE.msisdn, -1)
    assert pair.operate(pair.server.reconfigure(ALICE.msisdn)) == [StopService(StopReason.OFF_FOR_GOOD)]
    asked = len(pair.requests)
    pair.server.release(ALICE.msisdn)
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    pair.run(pair.phone.switch_on(pair.now))
    assert pair.power_cycle() == []
    assert pair.phone.next_deadline() is None
    assert len(pair.requests) == asked
    shown = pair.run(pair.phone.sim_changed(Subscription("001010000000177"), pair.now))
    assert shown == [StartService(ALICE.configuration)]


def test_c10_version_minus_2_stops_until_the_user_acts() -> None:
    pair = _configured()
    pair.server.impose(ALICE.msisdn, -2)
    assert pair.operate(pair.server.reconfigure(ALICE.msisdn)) == [StopService(StopReason.OFF_UNTIL_USER)]
    asked = len(pair.requests)
    pair.server.release(ALICE.msisdn)
    pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert pair.power_cycle() == []
    assert pair.phone.next_deadline() is None
    assert len(pair.requests) == asked
    assert pair.run(pair.phone.switch_on(pair.now)) == [StartService(ALICE.configuration)]
    assert _parameters(pair)["rcs_state"] == "-2"


def test_c11_version_minus_3_keeps_the_configuration_and_keeps_polling() -> None:
    pair = _configured()
    pair.server.impose(ALICE.msisdn, -3, 3600)
    assert pair.operate(pair.server.reconfigure(ALICE.msisdn)) == [StopService(StopReason.DORMANT)]
    assert pair.phone.configuration == ALICE.configuration
    for _ in range(2):
        before = pair.now
        assert pair.wait() == []
        assert pair.now == before + 3600
        assert (_parameters(pair)["vers"], _parameters(pair)["rcs_state"]) == ("-3", "-3")
    pair.server.release(ALICE.msisdn)
    assert pair.run(pair.phone.switch_on(pair.now)) == [StartService(ALICE.configuration)]
    assert _parameters(pair)["vers"] == "1"


def test_c12_a_vers_only_answer_extends_the_validity_and_keeps_the_settings() -> None:
    pair = _configured()
    start = pair.now
    assert pair.wait() == [ConfigurationKept(1)]
    assert pair.now == start + 604_800
    assert pair.phone.next_deadline() == start + 2 * 604_800
    assert pair.phone.configuration == ALICE.configuration
    assert pair.power_cycle() == [StartService(ALICE.configuration)]


@pytest.mark.parametrize(
    "body",
    [b"<wap-provisioningdoc>", b"<html/>", b"<wap-provisioningdoc/>", b'<?xml version="1.0"?><!DOCTYPE a><a/>', b"x"],
)
def test_c13_an_unreadable_document_leaves_the_old_configuration_in_force(body: bytes) -> None:
    pair = _configured(access=Access.WIFI)
    pair.replaced = HttpResponse(200, (), body)
    shown = pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert shown == [Postponed(PostponedReason.UNREADABLE, pair.now + 300)]
    assert (pair.phone.state, pair.phone.configuration) == (ServiceState.ACTIVE, ALICE.configuration)
    assert pair.wait() == [ConfigurationKept(1)]


def test_changed_settings_arrive_with_the_next_request_under_a_new_version() -> None:
    pair = _configured()
    changed = replace(
        ALICE, configuration=replace(ALICE.configuration, revoke_timer_s=30), message=ConfigurationMessage("T", "M")
    )
    pair.source.records[:] = [changed]
    shown = pair.operate(pair.server.reconfigure(ALICE.msisdn))
    assert shown == [ShowMessage(ConfigurationMessage("T", "M")), StartService(changed.configuration)]
    assert pair.phone.snapshot.version == 2


def test_without_tls_both_steps_go_over_http() -> None:
    pair = AcsPair(settings=ConfigServerSettings(uses_tls=False), url="http://127.0.1.40:8080/")
    assert pair.run(pair.phone.boot(pair.now)) == [StartService(ALICE.configuration)]
    assert [(request.scheme, request.target == "/") for request in pair.requests] == [("http", True), ("http", False)]


def test_a_network_that_does_not_enrich_leads_to_a_one_time_password() -> None:
    pair = AcsPair()
    pair.server.fault = ConfigFault(requires_otp=True)
    assert pair.run(pair.phone.boot(pair.now)) == [StartService(ALICE.configuration)]
    assert pair.statuses == [511, 200, 200]


def test_a_lost_sms_is_asked_for_again_ten_times_at_most() -> None:
    pair = AcsPair(access=Access.WIFI, loses_sms=True, settings=ConfigServerSettings(otp_requests=100))
    pair.run(pair.phone.boot(pair.now))
    for _ in range(9):
        assert pair.wait() == []
    assert len(pair.requests) == 10
    assert pair.wait() == [Postponed(PostponedReason.GIVEN_UP, None)]
    assert len(pair.requests) == 10


def test_a_stale_server_says_that_nothing_is_new() -> None:
    pair = _configured()
    pair.source.records[:] = [replace(ALICE, configuration=replace(ALICE.configuration, revoke_timer_s=30))]
    pair.server.fault = ConfigFault(is_stale=True)
    assert pair.operate(pair.server.reconfigure(ALICE.msisdn)) == [ConfigurationKept(1)]
