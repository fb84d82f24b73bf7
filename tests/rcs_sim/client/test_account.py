from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ims_core.transport.link import Transport
from rcs_sim.client.account import UnusableConfiguration, account_of, instance_urn
from rcs_sim.devices.policy import RegistrationPolicy, SignallingTransport
from rcs_sim.wire.rcs_configuration import PcscfAddress
from tests.support.stub_core import ALICE, HOME, subscriber

_POLICY = RegistrationPolicy()


def test_the_account_is_read_out_of_the_document() -> None:
    account = account_of(subscriber(ALICE), _POLICY, "00499901000101")
    assert (account.home_domain, account.impu, account.number) == (HOME, f"sip:{ALICE}@{HOME}", ALICE)
    assert account.instance == "urn:gsma:imei:00499901-000101-0"
    assert account.request_uri == f"sip:{HOME}"
    assert account.proxy_uri == "sip:127.0.1.10;transport=tcp;lr"


@pytest.mark.parametrize(
    "changes", [{"public_identities": ()}, {"public_identities": ("tel:+1", "x")}, {"pcscf_addresses": ()}]
)
def test_what_is_missing_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(UnusableConfiguration, match="names no"):
        account_of(subscriber(ALICE, **changes), _POLICY, "")


def test_a_dialable_identity_is_chosen_before_one_shaped_like_an_imsi() -> None:
    imsi = f"sip:001010000000101@{HOME}"
    both = account_of(subscriber(ALICE, public_identities=(imsi, f"sip:{ALICE}@{HOME};user=phone")), _POLICY, "")
    assert both.impu == f"sip:{ALICE}@{HOME}"
    only = account_of(subscriber(ALICE, public_identities=(imsi,)), _POLICY, "")
    assert only.impu == imsi
    assert only.shown_identity == f"tel:{ALICE}"


@pytest.mark.parametrize(
    ("signalling", "policy", "transport", "port"),
    [
        ("SIPoUDP", SignallingTransport.DOCUMENT, Transport.UDP, 5070),
        ("SIPoTLS", SignallingTransport.DOCUMENT, Transport.TLS, 5070),
        ("", SignallingTransport.DOCUMENT, Transport.TCP, 5070),
        ("SIPoTLS", SignallingTransport.UDP, Transport.UDP, 5070),
    ],
)
def test_the_transport_is_the_documents_or_the_devices(
    signalling: str, policy: SignallingTransport, transport: Transport, port: int
) -> None:
    document = subscriber(ALICE, ps_signalling=signalling, pcscf_addresses=(PcscfAddress("127.0.1.10", 5070),))
    account = account_of(document, replace(_POLICY, transport=policy), "")
    assert (account.transport, account.proxy_port) == (transport, port)


def test_a_device_that_ignores_ports_dials_5060_row_2() -> None:
    document = subscriber(ALICE, pcscf_addresses=(PcscfAddress("127.0.1.10", 5070),))
    assert account_of(document, replace(_POLICY, uses_document_port=False), "").proxy_port == 5060


@pytest.mark.parametrize(
    ("imei", "uuid", "urn"),
    [
        ("004999010001010", "", "urn:gsma:imei:00499901-000101-0"),
        ("", "0B0F3D8E-8F0E-4F43-9C0E-8F7F00000101", "urn:uuid:0b0f3d8e-8f0e-4f43-9c0e-8f7f00000101"),
        ("12", "", ""),
    ],
)
def test_the_instance_is_an_imei_or_a_uuid(imei: str, uuid: str, urn: str) -> None:
    assert instance_urn(imei, uuid) == urn


def test_an_ipv6_proxy_is_written_in_brackets() -> None:
    account = account_of(subscriber(ALICE, pcscf_addresses=(PcscfAddress("2001:db8::1", 5062),)), _POLICY, "")
    assert account.proxy_uri == "sip:[2001:db8::1]:5062;transport=tcp;lr"
