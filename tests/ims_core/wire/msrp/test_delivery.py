from __future__ import annotations

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import MsrpRequest, report_of
from tests.support.msrp_pair import ALICE, BOB


def test_a_delivery_keeps_the_head_of_the_chunk_that_completed_the_message() -> None:
    head = MsrpRequest("tran1", "SEND", ALICE, BOB, (("Message-ID", "m1"),), None, None)
    delivery = Delivery(head, 7, 353)
    assert (delivery.message_id, delivery.head, delivery.total) == ("m1", head, 353)
    assert not delivery.is_settled
    assert repr(delivery) == "<Delivery m1 of 353 octets>"


def test_what_is_left_of_an_answered_delivery_still_tells_a_report_all() -> None:
    head = MsrpRequest("tran1", "SEND", ALICE, BOB, (("Message-ID", "m1"), ("Success-Report", "yes")), None, None)
    delivery = Delivery(head, 7, 353)
    before = report_of(head, "tran2").encode()
    delivery.heads.append(head)
    delivery.shed()
    assert delivery.heads == [head]
    assert report_of(delivery.head, "tran2").encode() == before
    assert delivery.head.success_report
