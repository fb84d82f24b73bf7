from __future__ import annotations

import pytest

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.pager import (
    compose_receipt,
    compose_revocation,
    compose_text,
    compose_typing,
    date_time_of,
    epoch_of,
    message_headers,
    receipt_about,
    session_headers,
    wishes_of,
)
from rcs_sim.devices.policy import MessagingPolicy, SessionPolicy
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind
from rcs_sim.wire.iscomposing import IsComposing
from rcs_sim.wire.revocation import RevokeRequest, parse_revocation

_POLICY = MessagingPolicy(requests_interworking=False)


def _text(text: str = "Hello Bob") -> CpimMessage:
    return CpimMessage.parse(
        compose_text(
            text,
            sender="sip:+12025550101@ims.mnc001.mcc001.3gppnetwork.org",
            recipient="tel:+12025550102",
            message_id="7b0c2f1e-3c55-4c7b-9a55-0f4c6d1a0001",
            date_time="2026-03-02T10:15:30.120Z",
            wishes=wishes_of(_POLICY, allows_display=True),
        )
    )


def test_the_wrapper_has_the_octets_of_the_digests_example_p05() -> None:
    raw = _text().raw
    assert len(raw) == 339
    lines = raw.decode().split("\r\n")
    assert [line.partition(":")[0] for line in lines[:6]] == [
        "From",
        "To",
        "NS",
        "imdn.Message-ID",
        "DateTime",
        "imdn.Disposition-Notification",
    ]


def test_an_invitation_has_its_service_its_thread_and_the_session_timer() -> None:
    headers = dict(session_headers("c1", "k1", SessionPolicy(), is_large=False))
    assert headers["P-Preferred-Service"] == "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"
    assert headers["Conversation-ID"] == "c1"
    assert headers["Contribution-ID"] == "k1"
    assert (headers["Session-Expires"], headers["Supported"]) == ("1800", "timer")
    large = dict(session_headers("c1", "k1", SessionPolicy(sends_conversation_id=False), is_large=True))
    assert large["P-Preferred-Service"].endswith("cpm.largemsg")
    assert "Conversation-ID" not in large


@pytest.mark.parametrize("text", ["h\u00e9llo", "👍", "a\r\nb", "\ud800"])
def test_any_text_can_be_written(text: str) -> None:
    assert _text(text=text).text == text.encode("utf-8", "replace").decode()


def test_wishes_follow_policy_and_operator() -> None:
    everything = MessagingPolicy(requests_failure=True, requests_interworking=True)
    assert wishes_of(everything, allows_display=True) == (
        "positive-delivery",
        "display",
        "negative-delivery",
        "interworking",
    )
    assert wishes_of(_POLICY, allows_display=False) == ("positive-delivery",)


def test_a_receipt_has_its_own_id_and_asks_for_nothing_i06() -> None:
    conversation = Conversation(ContactKey("+1"), "c")
    message = ReceivedMessage(
        conversation, "x", MessageTransport.RCS, 0, None, message_id="m1", date_time="2026-03-02T10:15:30.120Z"
    )
    now = "2026-03-02T10:15:31.004Z"
    cpim = CpimMessage.parse(compose_receipt(receipt_about(message, ImdnKind.DISPLAY, now), "r1", now))
    imdn = Imdn.parse(cpim.body)
    assert (cpim.message_id, cpim.disposition_notification) == ("r1", ())
    assert (imdn.message_id, imdn.datetime, imdn.status) == ("m1", "2026-03-02T10:15:30.120Z", "displayed")
    assert ("Content-Disposition", "notification") in cpim.mime_headers


def test_a_revocation_names_message_and_parties() -> None:
    cpim = CpimMessage.parse(compose_revocation("m1", "tel:+1", "tel:+2", "r1", "2026-03-02T10:15:31Z"))
    assert parse_revocation(cpim.body) == RevokeRequest("m1", "tel:+1", "tel:+2")
    headers = dict(message_headers("c", "k", is_system=True))  # type: ignore[arg-type]  # all are pairs
    assert headers["P-Preferred-Service"] == "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.systemmsg"


@pytest.mark.parametrize("is_active", [True, False])
def test_typing_is_wrapped_with_an_id_of_its_own(is_active: bool) -> None:
    octets = compose_typing(is_active=is_active, refresh_s=60, message_id="t1", date_time="2026-03-02T10:16:40Z")
    cpim = CpimMessage.parse(octets)
    document = IsComposing.parse(cpim.body)
    assert (document.is_active, cpim.message_id) == (is_active, "t1")
    assert document.refresh_s == (60 if is_active else None)


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T01:00:01.500+01:00", 1.5),
        ("1970-01-01T00:00:01", 1.0),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_leniently(text: str, epoch: float | None) -> None:
    assert epoch_of(text) == epoch
    assert date_time_of(1.5) == "1970-01-01T00:00:01.500Z"
