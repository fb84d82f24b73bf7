"""Requests as the autoconfiguration server reads them, and its redirects."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.transport.http_message import HttpRequest
from rcs_sim.server.config_exchange import ConfigQuery, ConfigRefused, enriched_msisdn, redirect_location


def _read(query: str) -> ConfigQuery:
    return ConfigQuery.read(HttpRequest("GET", f"/?{query}"))


def test_parameters_are_read_without_regard_to_case_and_unknown_ones_are_tolerated() -> None:
    query = _read("vers=-3&imsi=001&IMEI=1&SMS_port=37273&msisdn=%2B1202555&token=t&OTP=&future=x&app=a&app=b")
    assert (query.vers, query.imsi, query.imei, query.sms_port) == (-3, "001", "1", 37273)
    assert (query.msisdn, query.token, query.otp, query.is_empty) == ("+1202555", "t", "", False)
    assert _read("otp=1").otp == "1"


def test_absent_parameters_have_their_neutral_value() -> None:
    query = _read("")
    assert (query.is_empty, query.vers, query.msisdn, query.otp, query.sms_port) == (True, 0, "", None, None)


@pytest.mark.parametrize(
    "text", ["%2B12025550101", "+12025550101", "12025550101", "tel:%2B12025550101", "+1-202-555-0101"]
)
def test_numbers_are_read_in_every_spelling(text: str) -> None:
    assert _read(f"msisdn={text}").msisdn == "+12025550101"


@pytest.mark.parametrize(
    "query",
    [
        *(
            "vers=x",
            "vers=1.5",
            "vers=99999999999999999999",
            "vers=%D9%A3",
            "SMS_port=-1",
            "SMS_port=65536",
            "SMS_port=",
        ),
        *(
            "SMS_port=x",
            "msisdn=abc",
            "msisdn=12",
            "msisdn=" + "1" * 40,
            "é=1",
            "a=\x00",
            "a=b c",
            "a&" * 300,
            "a" * 9000,
        ),
    ],
)
def test_hostile_parameters_get_400(query: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        _read(query)
    assert refused.value.response.status == 400


def _enriched(*values: str) -> str | None:
    return enriched_msisdn(HttpRequest("GET", "/", tuple(("x-msisdn", value) for value in values)))


def test_the_number_of_the_access_network_has_to_be_one_and_unambiguous() -> None:
    assert _enriched("12025550101") == _enriched(" +12025550101 ", "+12025550101") == "+12025550101"
    assert [_enriched(), _enriched(""), _enriched("junk"), _enriched("+1202555", "+1202556")] == [None] * 4


@pytest.mark.parametrize(
    ("host", "port", "location"),
    [
        ("config.example", 443, "https://config.example/?vers=0"),
        ("config.example:80", 8443, "https://config.example:8443/?vers=0"),
        ("[::1]:80", 8443, "https://[::1]:8443/?vers=0"),
        ("evil.example/@x", 443, "https://acs.example/?vers=0"),
        ("", 443, "https://acs.example/?vers=0"),
    ],
)
def test_redirects_go_to_https_on_the_same_host(host: str, port: int, location: str) -> None:
    request = HttpRequest("GET", "/?vers=0", (("Host", host),))
    assert redirect_location(request, "acs.example", port) == location


@given(st.text(max_size=80))
def test_any_target_gives_a_query_or_a_refusal(target: str) -> None:
    with contextlib.suppress(ConfigRefused):
        ConfigQuery.read(HttpRequest("GET", target))
    with contextlib.suppress(ConfigRefused):
        ConfigQuery.read(HttpRequest("GET", f"/?vers={target}&msisdn={target}"))
