from __future__ import annotations

import pytest

from rcs_sim.server.device_copy import send_copy
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.device_registry import Device
from tests.rcs_sim.server.messaging_lab import BLUE, BOB, PHONE, Lab, UeBinding, gruu, message, sip
from tests.rcs_sim.server.test_device_offer import Keeper


@pytest.mark.parametrize(("pub_gruu", "target"), [(gruu(PHONE), gruu(PHONE)), ("", sip(BOB, BLUE))])
def test_a_copy_goes_to_the_gruu_or_else_the_identity_and_has_a_deadline(pub_gruu: str, target: str) -> None:
    lab, keeper, device = Lab(), Keeper(), Device(PHONE, 0.0)
    device.gruu = pub_gruu
    offer = DeviceOffer(keeper, device, lab.now)
    template = message().edit().remove("Via", "Route").done()
    send_copy(lab.core.context, offer, template, sip(BOB, BLUE), "<sip:term@scscf;lr>", lab.now)
    lab.run(lab.core.context.outbox.take(lab.now))
    request = lab.take_one().request
    assert (request.request_uri_text, request.text("Route")) == (target, "<sip:term@scscf;lr>")
    by_instance = f'*;+sip.instance="<{PHONE}>";require;explicit'
    assert (by_instance in request.texts("Accept-Contact")) is (not pub_gruu)
    lab.advance(20.0)
    assert keeper.told == ["absent 408"]


def test_the_copy_of_a_device_that_cannot_be_named_is_not_for_those_that_can_be() -> None:
    """RFC 3841 §7.2.3: by the identity alone the S-CSCF would give it to each of them once more."""
    lab = Lab()
    nameless = UeBinding("", host="192.0.2.77")
    lab.register(UeBinding(), nameless, by=UeBinding())
    lab.register(UeBinding(), nameless, by=nameless)
    lab.receive(message())
    copies = {sent.request.request_uri_text: sent.request for sent in lab.take()}
    assert set(copies) == {gruu(PHONE), sip(BOB, BLUE)}
    assert copies[sip(BOB, BLUE)].texts("Reject-Contact") == (f'*;+sip.instance="<{PHONE}>"',)
    assert not copies[gruu(PHONE)].has("Reject-Contact")
