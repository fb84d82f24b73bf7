from __future__ import annotations

from dataclasses import replace

from ims_core.wire.sip.message import Request
from rcs_sim.server.device_registry import DeviceRegistry
from rcs_sim.server.third_party_registration import read_third_party_registration
from tests.rcs_sim.server.messaging_lab import BOB, PHONE, TABLET, UeBinding, third_party_register

KEY = f"tel:{BOB}"
WEEK_S = 7 * 86400.0
TABLET_BINDING = UeBinding(TABLET, host="192.0.2.13")


def registry(*requests: Request, now: float = 0.0, max_devices: int = 16) -> DeviceRegistry:
    made = DeviceRegistry(WEEK_S, max_devices)
    for request in requests:
        made.apply(KEY, read_third_party_registration(request), now)
    return made


def instances(made: DeviceRegistry, now: float = 1.0) -> set[str]:
    return {device.instance for device in made.reachable(KEY, now)}


def test_a_second_device_does_not_replace_the_first() -> None:
    made = registry(
        third_party_register(UeBinding()), third_party_register(UeBinding(), TABLET_BINDING, by=TABLET_BINDING)
    )
    assert instances(made) == {PHONE, TABLET}


def test_one_that_the_200_no_longer_lists_is_gone_but_known() -> None:
    made = registry(third_party_register(UeBinding(), TABLET_BINDING), third_party_register(UeBinding()))
    assert instances(made) == {PHONE}
    assert {device.instance for device in made.known(KEY)} == {PHONE, TABLET}


def test_one_that_deregisters_is_gone() -> None:
    leaving = replace(TABLET_BINDING, expires=0)
    made = registry(third_party_register(UeBinding(), TABLET_BINDING), third_party_register(UeBinding(), by=leaving))
    assert instances(made) == {PHONE}


def test_a_refresh_without_rcs_tags_makes_a_device_that_takes_no_rcs() -> None:
    made = registry(third_party_register(UeBinding()), third_party_register(UeBinding(tags="")))
    assert instances(made) == set()
    assert not made.known(KEY)[0].may_be_rcs


def test_tags_of_another_device_are_unknown_until_it_registers() -> None:
    made = registry(third_party_register(UeBinding(), TABLET_BINDING, by=UeBinding()))
    assert {device.instance: device.features is None for device in made.known(KEY)} == {PHONE: False, TABLET: True}
    assert instances(made) == {PHONE, TABLET}


def test_contacts_without_instance_id_are_one_device_whatever_their_port() -> None:
    made = registry(
        third_party_register(UeBinding(instance="")), third_party_register(UeBinding(instance="", host="192.0.2.99"))
    )
    assert [device.contact for device in made.known(KEY)] == ["sip:001010000000152@192.0.2.99:5060;transport=tcp"]


def test_a_sign_of_life_brings_back_the_device_seen_last() -> None:
    made = registry(third_party_register(UeBinding(), TABLET_BINDING))
    made.apply(KEY, read_third_party_registration(third_party_register(UeBinding())), 10.0)
    assert made.is_registered(KEY, 3000.0)
    assert not made.is_registered(KEY, 4000.0)
    assert made.seen_alive(KEY, 4000.0) == PHONE
    assert instances(made, 5000.0) == {PHONE}
    assert made.is_registered(KEY, 7599.0)
    assert not made.is_registered(KEY, 7601.0)
    assert DeviceRegistry(WEEK_S, 16).seen_alive(KEY, 0.0) == ""


def test_a_device_is_forgotten_when_nobody_waits_for_it_any_more() -> None:
    made = registry(third_party_register(UeBinding(), TABLET_BINDING))
    made.apply(KEY, read_third_party_registration(third_party_register(UeBinding())), WEEK_S + 1)
    assert [device.instance for device in made.known(KEY)] == [PHONE]


def test_the_number_of_devices_is_bounded_and_the_registered_ones_stay() -> None:
    made = registry(max_devices=2)
    for number in range(5):
        binding = UeBinding(f"urn:uuid:{number}")
        made.apply(KEY, read_third_party_registration(third_party_register(binding)), float(number))
    assert [device.instance for device in made.known(KEY)] == ["urn:uuid:4", "urn:uuid:3"]


def test_a_stored_record_gives_the_same_devices() -> None:
    made = registry(third_party_register(UeBinding(), TABLET_BINDING, by=UeBinding()))
    again = DeviceRegistry(WEEK_S, 16)
    again.load([made.record_of(KEY)])
    assert again.record_of(KEY) == made.record_of(KEY)
    assert instances(again) == {PHONE, TABLET}


def test_phones_of_one_model_share_their_feature_set() -> None:
    made = registry(third_party_register(UeBinding()))
    report = read_third_party_registration(third_party_register(UeBinding(), number="+12025550154"))
    made.apply("tel:+12025550154", report, 0.0)
    assert made.known(KEY)[0].features is made.known("tel:+12025550154")[0].features


def test_a_report_without_embedded_messages_adds_nobody_to_those_that_are_known() -> None:
    made = registry(third_party_register(UeBinding()), third_party_register(embedded=False))
    assert instances(made) == {PHONE}
