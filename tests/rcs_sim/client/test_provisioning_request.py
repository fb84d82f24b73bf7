"""What the client of autoconfiguration writes and reads over HTTP."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.http_message import HttpResponse
from rcs_sim.client.provisioning_request import (
    Answer,
    CookieJar,
    configuration_url,
    is_trigger,
    one_time_password,
    otp_url,
    read_answer,
    redirect_target,
    retry_after_s,
)
from rcs_sim.client.provisioning_values import ProvisioningSettings
from rcs_sim.devices.policy import ProvisioningPolicy, SoftwareIdentity
from rcs_sim.wire.autoconfig import Characteristic, ProvisioningDocument
from tests.support.acs import ALICE_SIM

_SETTINGS = ProvisioningSettings(
    configuration_url="https://config.example",
    software=SoftwareIdentity(terminal_vendor="Simulator", client_version="RcsSim-0.1-and-more"),
    policy=ProvisioningPolicy(rcs_profiles=("UP_2.4", "enriched_call"), provisioning_version="5.0"),
    imei="490154203237518",
    extra_parameters=(("rcs-sim-participant-key", "abc"),),
)


def _parameters(url: str) -> list[tuple[str, str]]:
    assert url.startswith("https://config.example/?")
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def test_the_request_has_the_parameters_of_the_digest() -> None:
    url = configuration_url(_SETTINGS, ALICE_SIM, vers=7, rcs_state=7, msisdn="+12025550101", token="", otp_port=0)
    assert "msisdn=%2B12025550101" in url
    assert _parameters(url) == [
        ("vers", "7"),
        ("IMSI", "001010000000101"),
        ("IMEI", "490154203237518"),
        ("terminal_vendor", "Simu"),
        ("terminal_model", "SimPhone"),
        ("terminal_sw_version", "1"),
        ("client_vendor", "RSim"),
        ("client_version", "RcsSim-0.1-and-"),
        ("rcs_version", "11.0"),
        ("rcs_profile", "UP_2.4"),
        ("rcs_profile", "enriched_call"),
        ("rcs_state", "7"),
        ("SMS_port", "0"),
        ("msisdn", "+12025550101"),
        ("token", ""),
        ("default_sms_app", "1"),
        ("provisioning_version", "5.0"),
        ("app", "ap2001"),
        ("app", "ap2002"),
        ("app", "urn:oma:mo:ext-3gpp-ims:1.0"),
        ("rcs-sim-participant-key", "abc"),
    ]


def test_what_does_not_apply_is_left_out() -> None:
    names = dict(_parameters(configuration_url(_SETTINGS, ALICE_SIM, vers=0, rcs_state=0, msisdn="")))
    assert "token" not in names
    assert "SMS_port" not in names
    assert _parameters(otp_url(_SETTINGS, "012345")) == [("OTP", "012345")]


def test_cookies_go_back_to_their_host_only_until_they_are_removed() -> None:
    jar = CookieJar()
    jar.store("http://a.example/", HttpResponse(200, (("Set-Cookie", "s=1; Path=/"), ("Set-Cookie", "t=2"))))
    assert jar.headers("https://a.example:8443/x") == (("Cookie", "s=1; t=2"),)
    assert jar.headers("https://b.example/") == ()
    jar.store("https://a.example/", HttpResponse(200, (("Set-Cookie", "s=; Max-Age=0"),)))
    assert jar.headers("https://a.example/") == (("Cookie", "t=2"),)
    jar.clear()
    assert jar.headers("https://a.example/") == ()


_COOKIE = (("Set-Cookie", "s=1"),)
_POLICY = ProvisioningDocument((Characteristic.of("POLICY", {"SMS_port": "9"}),)).encode()


@pytest.mark.parametrize(
    ("body", "headers", "is_announcement", "expected"),
    [
        (b"", (), False, Answer(True)),
        (b"OTP sent", _COOKIE, False, Answer(True)),
        (b"Please log in", (), False, Answer(False)),
        (b"<html/>", _COOKIE, False, Answer(False)),
        (b"<html/>", (), True, Answer(True)),
        (b"<wap-provisioningdoc/>", _COOKIE, False, Answer(False)),
        (_POLICY, (), False, Answer(True, None, 9)),
    ],
)
def test_answers_without_a_document(
    body: bytes, headers: tuple[tuple[str, str], ...], is_announcement: bool, expected: Answer
) -> None:
    assert read_answer(HttpResponse(200, headers, body), is_announcement=is_announcement) == expected


@pytest.mark.parametrize(
    ("location", "allows_http", "target"),
    [
        ("https://b.example/x?y#z", False, "https://b.example/x?y"),
        ("/x", False, "https://a.example/x"),
        ("http://b.example/", False, None),
        ("http://b.example/", True, "http://b.example/"),
        ("ftp://b.example/", True, None),
        ("https://b.example:99999/", False, None),
        ("https://[b/", False, None),
        ("https://b.example/ x", False, None),
        ("", False, None),
    ],
)
def test_redirects_are_followed_over_https(location: str, allows_http: bool, target: str | None) -> None:
    response = HttpResponse(302, (("Location", location),))
    assert redirect_target(response, "https://a.example/?vers=0", allows_http=allows_http) == target
    assert redirect_target(HttpResponse(200, (("Location", location),)), "https://a.example/", allows_http=True) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", None),
        ("9" * 40, 604_800.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text: str, seconds: float | None) -> None:
    assert retry_after_s(HttpResponse(503, (("Retry-After", text),)), 100.0) == seconds


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ("001010000000101-rcscfg", True),
        ("a@b-rcscfg,param\n", True),
        ("rcscfg", False),
        ("x-rcscfg y", False),
        ("", False),
    ],
)
def test_the_trigger_is_known_by_its_suffix(text: str, is_ours: bool) -> None:
    assert is_trigger(text) is is_ours


def test_one_time_passwords_are_taken_from_the_expected_port() -> None:
    assert one_time_password("Your code: 012345.", 0, 0) == "012345"
    assert one_time_password("call 12025550101", 0, 0) is None
    assert one_time_password(b"012345", 15000, 15000) == "012345"
    assert one_time_password(b" aB3 ", 15000, 15000) == "aB3"
    assert one_time_password(b"012345", 15001, 15000) is None
    assert one_time_password(b"", 15000, 15000) is None


@given(st.text(max_size=80), st.binary(max_size=80))
def test_no_answer_raises(text: str, body: bytes) -> None:
    for status in (200, 302, 503):
        response = HttpResponse(status, (("Location", text), ("Retry-After", text), ("Set-Cookie", text)), body)
        read_answer(response, is_announcement=False)
        redirect_target(response, "https://a.example/", allows_http=True)
        retry_after_s(response, 0.0)
        CookieJar().store("https://a.example/", response)
    one_time_password(body, 1, 1)
    is_trigger(text)


def test_the_participant_key_of_a_phone_that_encrypts_comes_last() -> None:
    url = configuration_url(_SETTINGS, ALICE_SIM, vers=0, rcs_state=0, msisdn="", participant_key=b"\xfb\xff")
    assert url.endswith("&rcs-sim-participant-key=-_8")
