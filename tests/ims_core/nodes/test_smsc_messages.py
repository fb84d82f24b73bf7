"""What a service centre writes."""

from __future__ import annotations

import pytest

from ims_core.nodes.smsc_actions import ApplicationMessage
from ims_core.nodes.smsc_messages import (
    application_submits,
    originator_address,
    party_of,
    rp_ack,
    rp_error,
    status_of_cause,
)
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.rpdu import RpCause
from ims_core.wire.sms.sm_link import Party
from ims_core.wire.sms.timestamp import EnhancedValidity, RelativeValidity, Timestamp
from ims_core.wire.sms.tpdu import DeliveryStatus, FailureCause

_STAMP = Timestamp.at(1772446684.0)  # 2026-03-02T10:18:04Z


def test_answers_are_the_octets_of_the_example() -> None:
    assert rp_ack(7, _STAMP).hex() == "03074109010062302001814000"
    assert rp_error(7, RpCause.NETWORK_OUT_OF_ORDER).hex() == "05070126"
    with_report = rp_error(7, RpCause.NETWORK_OUT_OF_ORDER, FailureCause.SC_SYSTEM_FAILURE, _STAMP)
    assert with_report.hex() == "05070126410a01c20062302001814000"


def test_numbers_and_names_are_told_apart() -> None:
    assert originator_address("+12025550101") == Address.international("+12025550101")
    assert originator_address("LabBank") == Address.alphanumeric("LabBank")
    assert party_of("+12025550101") == Party.msisdn("+12025550101")
    assert party_of("LabBank") == Party.name("LabBank")


@pytest.mark.parametrize(
    ("cause", "status"),
    [(1, DeliveryStatus.NOT_OBTAINABLE), (21, DeliveryStatus.CONNECTION_REJECTED), (99, 0x40), (500, 0x40)],
)
def test_every_cause_has_a_status(cause: int, status: int) -> None:
    assert status_of_cause(cause) == status


@pytest.mark.parametrize(
    ("validity_s", "validity"),
    [(None, None), (64, EnhancedValidity.seconds(64)), (300, RelativeValidity(0)), (0.5, RelativeValidity(0))],
)
def test_an_application_says_its_validity_in_seconds(validity_s: float | None, validity: object) -> None:
    message = ApplicationMessage(originator="Lab", destination="+12025550101", text="x", validity_s=validity_s)
    (submit,) = application_submits(message, reference=3)
    assert submit.validity == validity
