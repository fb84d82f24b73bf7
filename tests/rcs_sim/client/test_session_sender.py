from __future__ import annotations

from ims_core.wire.msrp.message import FailureReport
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.fallback import Column, RcsOutcome
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.pager import compose_receipt, receipt_about
from rcs_sim.client.session_sender import ControlCarried, ReceiptCarried, SessionOutcome, typing_message
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage
from rcs_sim.wire.imdn import ImdnKind
from rcs_sim.wire.iscomposing import IsComposing

_NOW = "2026-03-02T10:15:30.120Z"


def _received() -> ReceivedMessage:
    conversation = Conversation(ContactKey("+12025550102"), "c1")
    return ReceivedMessage(conversation, "Hi", MessageTransport.RCS, 0, None, message_id="m1", date_time=_NOW)


def test_a_receipt_is_urgent_names_nobody_and_is_lost_when_it_fails() -> None:
    lost: list[bool] = []
    cpim_octets = compose_receipt(receipt_about(_received(), ImdnKind.DELIVERY, _NOW), "r1", _NOW)
    receipt = ReceiptCarried(cpim_octets, lambda: lost.append(True))
    message = receipt.outgoing("x1")
    assert message.is_urgent
    assert not message.success_report
    cpim = CpimMessage.parse(message.body)
    assert cpim.sender is not None
    assert cpim.sender.uri == ANONYMOUS_URI
    receipt.settled(SessionOutcome(200, Column.MSRP))
    assert lost == []
    receipt.settled(SessionOutcome(RcsOutcome.SESSION_LOST, Column.MSRP))
    assert lost == [True]


def test_a_control_message_is_told_what_became_of_it() -> None:
    outcomes: list[SessionOutcome] = []
    control = ControlCarried(b"cpim", outcomes.append)
    assert (control.outgoing("x1").body, control.outgoing("x1").content_type) == (b"cpim", "message/cpim")
    control.settled(SessionOutcome(RcsOutcome.SESSION_LOST, Column.MSRP))
    assert [each.outcome for each in outcomes] == [RcsOutcome.SESSION_LOST]


def test_typing_is_bare_urgent_and_unanswered_i09() -> None:
    message = typing_message("x1", is_active=True, refresh_s=60, date_time=_NOW)
    assert message.content_type == "application/im-iscomposing+xml"
    assert message.failure_report is FailureReport.NO
    assert message.is_urgent
    assert IsComposing.parse(message.body).is_active
    assert not IsComposing.parse(typing_message("x2", is_active=False, refresh_s=60, date_time=_NOW).body).is_active
