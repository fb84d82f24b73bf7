from __future__ import annotations

from dataclasses import fields

from rcs_sim.client.phone_config import PhoneConfig
from tests.support.stub_core import device


def test_every_setting_is_documented() -> None:
    documented = PhoneConfig.__doc__ or ""
    assert [each.name for each in fields(PhoneConfig) if each.name not in documented] == []


def test_a_name_a_device_a_sim_and_an_address_are_enough() -> None:
    config = PhoneConfig(name="alice", policy=device("android"), imsi="001010000000101", host="192.0.2.11")
    assert config.smsc is None
    assert config.header_enrichment
