from __future__ import annotations

import pytest

from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.identity import NotAnAddress, contact_key, dialled_key, request_uri_text, sender_of
from rcs_sim.devices.policy import RequestUriForm

_HOME = "ims.mnc001.mcc001.3gppnetwork.org"


@pytest.mark.parametrize(
    "text", ["+1 202 555 0152", "tel:+1-202-555-0152", f"sip:+12025550152@{_HOME};user=phone", "+1 (202) 555-0152"]
)
def test_every_spelling_of_a_number_has_one_key(text: str) -> None:
    assert dialled_key(text) == "+12025550152"


def test_a_national_number_is_read_as_in_the_country_of_the_own_number() -> None:
    assert dialled_key("(202) 555-0152", "+12025550101") == "+12025550152"


@pytest.mark.parametrize("text", ["", "hello", "+12", "+1202555015212345678", "2025550152", "sip:", "tel:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NotAnAddress):
        dialled_key(text)


def test_a_number_at_a_foreign_host_is_not_taken_for_the_subscriber() -> None:
    assert contact_key(parse_uri("sip:+12025550101@evil.example")) == "sip:+12025550101@evil.example"
    assert contact_key(parse_uri("sip:+12025550101@lab.example"), "lab.example") == "+12025550101"


def _message(*headers: tuple[str, str]) -> Request:
    return Request.new("MESSAGE", "tel:+12025550101", headers)


def test_the_sender_is_the_asserted_identity_and_its_number_before_its_sip_uri() -> None:
    request = _message(
        ("From", "<sip:forged@evil.example>;tag=1"),
        ("P-Asserted-Identity", "<sip:bob@blue.example>, <tel:+12025550152>"),
    )
    sender = sender_of(request)
    assert sender is not None
    assert sender[0] == "+12025550152"


def test_without_an_asserted_identity_the_sender_is_from() -> None:
    sender = sender_of(_message(("From", "<sip:linphone@lab.example>;tag=1")))
    assert sender is not None
    assert sender[0] == "sip:linphone@lab.example"


def test_a_request_without_a_readable_sender_has_none() -> None:
    assert sender_of(_message(("From", "@@"))) is None


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (RequestUriForm.TEL, "tel:+12025550152"),
        (RequestUriForm.SIP_PHONE, f"sip:+12025550152@{_HOME};user=phone"),
        (RequestUriForm.SIP, f"sip:+12025550152@{_HOME}"),
    ],
)
def test_the_request_uri_has_the_form_of_the_device(form: RequestUriForm, text: str) -> None:
    assert request_uri_text(dialled_key("+12025550152"), form, _HOME) == text
    assert request_uri_text(dialled_key("sip:bot@lab.example"), form, _HOME) == "sip:bot@lab.example"
