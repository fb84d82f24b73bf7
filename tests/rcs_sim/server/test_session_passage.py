from __future__ import annotations

from typing import cast

import pytest

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import FailureReport, MsrpRequest
from ims_core.wire.msrp.session_events import MessageReceived
from ims_core.wire.msrp.uri import parse_path
from rcs_sim.server.pager_content import read_content
from rcs_sim.server.session_leg import SessionLeg
from rcs_sim.server.session_passage import Passage, PassageState, outgoing_of, status_for_sender
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.rcs_sim.server.messaging_lab import M1, cpim, imdn_cpim

PATH = parse_path("msrp://192.0.2.1:2855/a1;tcp")


class Leg:
    def __init__(self) -> None:
        self.settled: list[tuple[Delivery, int]] = []

    def settle(self, delivery: Delivery, status: int, *, reports: bool = True) -> None:
        self.settled.append((delivery, status))


def received(body: bytes, *headers: tuple[str, str], wants_report: bool = False) -> MessageReceived:
    fields = (("Message-ID", "msrp-1"), ("Byte-Range", f"1-{len(body)}/{len(body)}"), *headers)
    head = MsrpRequest("t1xx", "SEND", PATH, PATH, fields)
    return MessageReceived("msrp-1", "message/cpim", body, wants_report, Delivery(head, 0, len(body)))


def test_all_who_sent_it_get_the_answer_once() -> None:
    first, again = Leg(), Leg()
    message, repeated = received(cpim()), received(cpim())
    passage = Passage(cast(SessionLeg, first), message, read_content("message/cpim", message.body))
    assert passage.message_id == M1
    passage.join(cast(SessionLeg, again), repeated.delivery)
    passage.settle(413)
    passage.settle(200)
    assert first.settled == [(message.delivery, 413)]
    assert again.settled == [(repeated.delivery, 413)]
    assert passage.state is PassageState.OVER


def test_reports_are_asked_for_as_they_were_and_content_is_the_same() -> None:
    message = received(cpim(), ("Failure-Report", "partial"), wants_report=True)
    onward = outgoing_of(message, read_content("message/cpim", message.body), "msrp-1")
    assert (onward.body, onward.success_report, onward.is_urgent) == (message.body, True, False)
    assert onward.failure_report is FailureReport.PARTIAL


def test_a_receipt_goes_between_the_chunks_of_other_messages() -> None:
    body = imdn_cpim(Imdn(M1, "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED))
    assert outgoing_of(received(body), read_content("message/cpim", body), "x").is_urgent


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, 200),
        (202, 200),
        (400, 400),
        (403, 403),
        (413, 413),
        (415, 415),
        (481, 481),
        (480, 408),
        (503, 408),
        (603, 403),
    ],
)
def test_a_sip_status_becomes_one_of_msrp(status: int, told: int) -> None:
    assert status_for_sender(status) == told
