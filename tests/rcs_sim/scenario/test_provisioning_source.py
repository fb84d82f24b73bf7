"""The carrier profile as configuration documents."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.transport.tokens import Tokens
from rcs_sim.scenario.loader import load_carrier_profile, load_network
from rcs_sim.scenario.provisioning_source import LabProvisioning
from rcs_sim.scenario.subscribers import subscribers_of
from rcs_sim.wire.rcs_configuration import AuthType, PcscfAddress, RcsConfiguration

_DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
_ALICE, _AKA = "+12025550101", "+12025550105"


def _source(**profile: Any) -> LabProvisioning:
    red = load_network("two-carriers-plain").carriers["red"]
    settings = load_carrier_profile("google-like").model_copy(update=profile)
    subscribers = subscribers_of(red, Tokens("s"), "net.yaml")
    return LabProvisioning(settings, _DOMAIN, (PcscfAddress("127.0.1.10", 5060),), subscribers)


def _configuration(number: str = _ALICE, **profile: Any) -> RcsConfiguration:
    record = _source(**profile).by_msisdn(number)
    assert record is not None
    return record.configuration


def test_a_subscriber_is_found_by_number_and_by_imsi() -> None:
    source = _source()
    assert source.by_msisdn(_ALICE) == source.by_imsi("001012025550101")
    assert source.by_msisdn("+12025550199") is None
    assert source.by_imsi("") is None


def test_plain_sip_subscribers_are_not_served() -> None:
    assert _source().by_imsi("carol") is None


def test_the_document_names_identities_proxy_and_credentials() -> None:
    document = _configuration()
    assert document.public_identities[0] == f"sip:{_ALICE}@{_DOMAIN}"
    assert (document.realm, document.home_domain) == (_DOMAIN, _DOMAIN)
    assert document.pcscf_addresses == (PcscfAddress("127.0.1.10", 5060),)
    assert document.auth_type is AuthType.DIGEST
    assert document.password is not None


def test_an_aka_subscriber_gets_no_password() -> None:
    document = _configuration(_AKA)
    assert (document.auth_type, document.password) == (AuthType.AKA, None)


@pytest.mark.parametrize(
    ("member", "value", "attribute", "expected"),
    [
        ("revoke_timer_s", 0, "revoke_timer_s", 0),
        ("retry_base_s", 2, "reg_retry_base_s", 2),
        ("retry_max_s", 60, "reg_retry_max_s", 60),
        ("reconnect_guard_s", 3, "reconnect_guard_s", 3),
        ("cfs_trigger", 0, "waits_for_revocation", False),
        ("standalone_msg_auth", 2, "standalone_auth", 2),
        ("chat_auth", True, "chat_auth", True),
        ("auto_accept", False, "auto_accept", False),
        ("chat_idle_s", 30, "chat_idle_s", 30),
        ("max_chat_octets", 4000, "max_chat_octets", 4000),
        ("msrp_tls", True, "ps_media", "MSRPoTLS"),
        ("msrp_tls", False, "wifi_media", "MSRP"),
        ("switchover_octets", 900, "switchover_octets", 900),
        ("capability_expiry_s", 60, "capability_expiry_s", 60),
        ("non_rcs_capability_expiry_s", 61, "non_rcs_capability_expiry_s", 61),
        ("message_capability_validity_s", 7, "message_capability_validity_s", 7),
        ("display_notifications", False, "display_notification_switch", 1),
        ("max_message_octets", 2000, "max_standalone_octets", 2000),
        ("signalling", "SIPoUDP", "ps_signalling", "SIPoUDP"),
        ("signalling", "SIPoTLS", "wifi_signalling", "SIPoTLS"),
    ],
)
def test_each_setting_of_the_carrier_is_in_the_document(member: str, value: Any, attribute: str, expected: Any) -> None:
    assert getattr(_configuration(**{member: value}), attribute) == expected


def test_each_subscriber_has_an_instance_of_his_own_that_stays() -> None:
    assert _configuration().instance_uuid == _configuration().instance_uuid
    assert _configuration().instance_uuid != _configuration(_AKA).instance_uuid
