from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.server.caller_preferences import rules_out
from rcs_sim.server.device_capabilities import features_of_text
from rcs_sim.server.device_registry import Device
from rcs_sim.wire.cpim import CpimMessage
from tests.rcs_sim.server.messaging_lab import PHONE, RCS_TAGS, TABLET, Lab, UeBinding, cpim, message


def _device(tags: str | None = RCS_TAGS) -> Device:
    device = Device(PHONE, 0.0)
    device.features = None if tags is None else features_of_text(tags)
    return device


@pytest.mark.parametrize(
    ("header", "value", "is_out"),
    [
        ("Accept-Contact", "*;+g.foo;require;explicit", True),
        ("Accept-Contact", "*;+g.foo;require", False),  # the contact does not contradict it
        ("Accept-Contact", "*;+g.foo;explicit", False),  # a wish
        ("Accept-Contact", '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3Afoo";require;explicit', False),  # the service
        ("Accept-Contact", f'*;+sip.instance="<{TABLET}>";require;explicit', True),
        ("Accept-Contact", f'*;+sip.instance="<{PHONE}>";require;explicit', False),
        ("Reject-Contact", f'*;+sip.instance="<{PHONE}>"', True),
        ("Reject-Contact", f'*;+sip.instance="<{TABLET}>"', False),
        ("Reject-Contact", ";;", False),
        ("Accept-Contact", "require", False),
    ],
)
def test_a_device_is_out_if_the_s_cscf_would_never_choose_it(header: str, value: str, is_out: bool) -> None:
    request = message().edit().append(header, value).done()
    assert rules_out(request, _device()) is is_out
    assert not rules_out(request, _device(None)), "of a device that nothing is known of, nothing is known"


@given(st.text(max_size=60).filter(lambda text: not set(text) & set("\r\n\0")))
def test_any_preference_is_read_or_passed_over(text: str) -> None:
    request = message().edit().append("Accept-Contact", f"*;require;{text}").append("Reject-Contact", text).done()
    assert rules_out(request, _device()) in (True, False)


def test_a_message_that_no_device_may_have_is_480_and_keeps_nothing_back() -> None:
    lab = Lab()
    lab.register()
    impossible = message(cpim(message_id="m1")).edit().append("Accept-Contact", "*;+g.foo;require;explicit").done()
    exchange = lab.receive(impossible)
    assert lab.answers[exchange].status == 480
    lab.receive(message(cpim(message_id="m2")))
    assert CpimMessage.parse(lab.take_one().request.body).message_id == "m2"


def test_one_that_was_stored_gives_way_when_a_device_comes_that_may_not_have_it() -> None:
    lab = Lab()
    for number in range(300):
        impossible = message(cpim(message_id=f"x{number}")).edit()
        lab.receive(impossible.append("Accept-Contact", "*;+g.foo;require;explicit").done())
    lab.receive(message(cpim(message_id="m2")))
    lab.register(UeBinding())
    assert CpimMessage.parse(lab.take_one().request.body).message_id == "m2"
