from __future__ import annotations

import pytest

from ims_core.wire.sip.message import Response
from rcs_sim.server.device_registry import Device
from rcs_sim.server.session_invite import (
    instance_of,
    invite_for_device,
    invite_for_message,
    is_large,
    is_of_group,
    leg_headers,
    onward_invite,
    services_of,
    session_ids,
    with_ids,
)
from tests.rcs_sim.server.messaging_lab import ALICE, BLUE, BOB, C1, ICSI, K1, PHONE, RED, Lab, gruu, message, sip

SESSION = f"{ICSI}.session"


def invite(service: str | None = SESSION, headers: tuple[tuple[str, str], ...] = ()):  # type: ignore[no-untyped-def]  # a Request
    ids = (("Conversation-ID", C1), ("Contribution-ID", K1))
    return message(b"v=0", method="INVITE", service=service, content_type="application/sdp", headers=(*ids, *headers))


def device(pub_gruu: str = gruu(PHONE), instance: str = PHONE) -> Device:
    made = Device(instance, 0.0)
    made.gruu = pub_gruu
    return made


def test_services_come_from_the_asserted_service_else_from_accept_contact_in_either_spelling() -> None:
    assert services_of(invite()) == {SESSION}
    for value in (SESSION, SESSION.replace(":", "%3A")):
        request = invite(None).edit().set("Accept-Contact", f'*;+g.3gpp.icsi-ref="{value}";require;explicit').done()
        assert services_of(request) == {SESSION}
    assert services_of(invite().edit().set("P-Asserted-Service", '"').done()) == frozenset()


def test_a_large_message_is_told_by_its_service() -> None:
    assert is_large(invite(f"{ICSI}.largemsg"))
    assert not is_large(invite())


def test_a_focus_and_a_device_are_told_by_contact() -> None:
    assert is_of_group(invite(headers=(("Contact", "<sip:f@x>; isfocus"),)))
    assert not is_of_group(invite())
    contact = f'<sip:b@x>;+sip.instance="<{PHONE}>"'
    assert instance_of(invite(headers=(("Contact", contact),))) == PHONE
    assert instance_of(invite(headers=(("Contact", "<<<"),))) == ""
    assert instance_of(invite()) == ""


def test_the_next_leg_has_its_own_dialog_and_nothing_of_the_first() -> None:
    context = Lab().core.context
    extra = (("Session-Expires", "1800"), ("Supported", "timer"), ("Allow", "INVITE"), ("Subject", "hi"))
    request = onward_invite(invite(headers=extra), context).done()
    assert request.call_id.endswith(f"@{BLUE}")
    assert (request.text("From") or "").startswith(f"<{sip(ALICE, RED)}>;tag=")
    assert "a21" not in (request.text("From") or "")
    assert request.text("CSeq") == "1 INVITE"
    assert request.text("Subject") == "hi"
    for gone in ("Via", "Route", "Session-Expires", "Supported", "Allow", "P-Served-User"):
        assert not request.has(gone)


@pytest.mark.parametrize(("pub_gruu", "target"), [(gruu(PHONE), gruu(PHONE)), ("", sip(BOB, BLUE))])
def test_a_device_is_invited_by_its_gruu_or_by_its_instance(pub_gruu: str, target: str) -> None:
    context = Lab().core.context
    request = invite_for_device(invite(), context, device(pub_gruu), sip(BOB, BLUE), "<sip:odi@s;lr>").done()
    assert request.request_uri_text == target
    assert request.text("Route") == "<sip:odi@s;lr>"
    assert any("+sip.instance" in text for text in request.texts("Accept-Contact")) is not bool(pub_gruu)


def test_a_session_that_hands_out_a_message_is_in_the_name_of_its_sender() -> None:
    context = Lab().core.context
    request = invite_for_message(message(), context, device(), sip(BOB, BLUE)).done()
    assert request.method == "INVITE"
    assert request.request_uri_text == gruu(PHONE)
    assert request.text("P-Asserted-Identity") == f"<{sip(ALICE, RED)}>, <tel:{ALICE}>"
    assert request.text("P-Asserted-Service") == SESSION
    assert session_ids(request) == (("Conversation-ID", C1), ("Contribution-ID", K1))
    assert request.text("Route") == f"<sip:term@scscf.{BLUE};lr>"


def test_what_concerns_one_leg_alone_is_not_passed_on() -> None:
    headers = (("Warning", '399 x "no"'), ("Supported", "timer"), ("Retry-After", "5"), ("Session-Expires", "90"))
    answer = Response.to(invite(), 480, headers=headers)
    assert {str(field[0]).lower() for field in leg_headers(answer) if isinstance(field, tuple)} == {
        "warning",
        "retry-after",
    }


def test_missing_ids_and_a_missing_service_are_supplied() -> None:
    context = Lab().core.context
    bare = invite(None).edit().remove("Conversation-ID", "Contribution-ID", "Accept-Contact").done()
    first, second = (with_ids(bare, (f"tel:{ALICE}", f"tel:{BOB}"), context) for _ in range(2))
    assert first.text("Conversation-ID") == second.text("Conversation-ID")
    assert first.text("Contribution-ID") != second.text("Contribution-ID")
    assert services_of(first) == {SESSION}
