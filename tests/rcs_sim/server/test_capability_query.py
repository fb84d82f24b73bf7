"""OPTIONS (digest §3.1, §15.5): D02, D03, union, deadline, row 10 of the real clients."""

from __future__ import annotations

from dataclasses import replace

from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.headers import Contact
from ims_core.wire.sip.message import Request
from rcs_sim.server.messaging_actions import Respond
from rcs_sim.server.messaging_config import OfflineOptions
from tests.rcs_sim.server.messaging_lab import (
    BLUE,
    BOB,
    CAROL,
    CONFIG,
    ICSI,
    PHONE,
    TABLET,
    Directory,
    Lab,
    UeBinding,
    gruu,
    message,
    sip,
)

TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13", tags=";+g.oma.sip-im")


def options() -> Request:
    return message(b"", method="OPTIONS", headers=(("Contact", "<sip:a@192.0.2.11>;+g.oma.sip-im"),))


def tags_of(answer: Respond) -> FeatureSet:
    (contact,) = (header for header in answer.headers if isinstance(header, Contact))
    return FeatureSet.of_contact(contact)


def test_the_device_is_asked_by_gruu_with_the_askers_contact() -> None:
    lab = Lab()
    lab.register()
    lab.receive(options())
    request = lab.take_one().request
    assert request.request_uri_text == gruu(PHONE)
    assert request.text("Contact") == "<sip:a@192.0.2.11>;+g.oma.sip-im"
    assert request.text("Route") == f"<sip:odi-7@scscf.{BLUE};lr>"


def test_the_answer_is_the_union_of_what_the_devices_say() -> None:
    lab = Lab()
    lab.register(UeBinding())
    lab.register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    exchange = lab.receive(options())
    first, second = lab.take()
    icsi = (
        '<sip:x@192.0.2.12>;+sip.instance="<urn:x>";+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"'
    )
    lab.answer(first, 200, (("Contact", icsi), ("Allow", "MESSAGE, OPTIONS")))
    assert exchange not in lab.answers
    lab.answer(second, 200, (("Contact", "<sip:y@192.0.2.13>;+g.gsma.rcs.msgrevoke"),))
    answer = lab.answers[exchange]
    tags = tags_of(answer)
    assert answer.status == 200
    assert tags.has("+g.3gpp.icsi-ref", f"{ICSI}.msg")
    assert tags.has("+g.gsma.rcs.msgrevoke")
    assert not tags.has("+sip.instance")
    assert ("Allow", "MESSAGE, OPTIONS") in answer.headers
    assert ("P-Asserted-Identity", f"<{sip(BOB, BLUE)}>") in answer.headers


def test_a_device_that_gives_no_answer_counts_by_its_registration_and_is_not_asked_again_for_a_while() -> None:
    lab = Lab()
    lab.register()
    exchange = lab.receive(options())
    sent = lab.take_one()
    lab.advance(3.9)
    assert exchange not in lab.answers
    lab.advance(0.2)
    answer = lab.answers[exchange]
    assert answer.status == 200
    assert tags_of(answer).has("+g.3gpp.icsi-ref", f"{ICSI}.msg")
    lab.finish(sent.errand, 408)
    second = lab.ask(options())
    assert second is not None
    assert tags_of(second) == tags_of(answer)
    assert lab.take() == []
    lab.advance(301)
    lab.receive(options())
    lab.take_one()


def test_none_registered_is_480() -> None:
    assert Lab().status_of(options()) == 480
    lab = Lab()
    lab.register()
    lab.deregister()
    assert lab.status_of(options()) == 480


def test_none_registered_is_200_with_stored_tags_and_automata_where_the_policy_says_so() -> None:
    lab = Lab(config=replace(CONFIG, offline_options=OfflineOptions.AUTOMATA))
    assert lab.status_of(options()) == 480  # nothing is known of him
    lab.register()
    lab.deregister()
    answer = lab.ask(options())
    assert answer is not None
    assert answer.status == 200
    assert tags_of(answer).has("automata")
    assert tags_of(answer).has("+g.3gpp.icsi-ref", f"{ICSI}.session")


def test_a_binding_that_the_core_no_longer_has_is_as_none() -> None:
    lab = Lab()
    lab.register()
    exchange = lab.receive(options())
    lab.answer(lab.take_one(), 480)
    assert lab.answers[exchange].status == 480


def test_404_is_for_those_who_are_no_subscribers() -> None:
    assert Lab(sh=Directory(BLUE, [CAROL])).status_of(options()) == 404
