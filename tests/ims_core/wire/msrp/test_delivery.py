from __future__ import annotations

from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.message import MsrpRequest
from tests.support.msrp_pair import ALICE, BOB


def test_a_delivery_keeps_the_head_of_the_chunk_that_completed_the_message() -> None:
    head = MsrpRequest("tran1", "SEND", ALICE, BOB, (("Message-ID", "m1"),), None, None)
    delivery = Delivery(head, 7, 353)
    assert (delivery.message_id, delivery.head, delivery.total) == ("m1", head, 353)
    assert not delivery.is_settled
    assert repr(delivery) == "<Delivery m1 of 353 octets>"
