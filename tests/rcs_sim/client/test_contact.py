from __future__ import annotations

from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.feature_tags import AcceptContact, FeatureSet
from rcs_sim.client.contact import CPM_MESSAGE, accept_contact, contact_uri, feature_params
from tests.support.stub_core import ALICE, device, subscriber


def test_every_provisioned_tag_is_there_once_and_others_are_not_r02() -> None:
    params = feature_params(device("android"), subscriber(ALICE))
    features = FeatureSet.of_contact(Contact.parse(f"<sip:x@h>{params}"))
    assert features.has("+g.3gpp.icsi-ref", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg")
    assert features.has("+g.gsma.rcs.msgrevoke")
    assert features.has("+g.3gpp.smsip")
    assert params.count("+g.3gpp.icsi-ref") == 1
    assert "%3A" in params
    off = feature_params(device("android"), subscriber(ALICE, standalone_auth=0, chat_auth=False))
    assert "cpm.msg" not in off
    assert "systemmsg" in off


def test_a_device_without_sms_over_ip_does_not_announce_it() -> None:
    assert "smsip" not in feature_params(device("lineage-like"), subscriber(ALICE))


def test_accept_contact_matches_what_is_registered() -> None:
    features = FeatureSet.of_contact(Contact.parse(f"<sip:x@h>{feature_params(device('ios'), subscriber(ALICE))}"))
    assert AcceptContact.parse(accept_contact(CPM_MESSAGE)).matches(features)
    assert accept_contact(CPM_MESSAGE, is_strict=True).endswith(";require;explicit")


def test_the_contact_uri_names_the_transport_unless_it_is_udp() -> None:
    assert contact_uri("u", Address(Transport.TCP, "192.0.2.1", 5060)) == "sip:u@192.0.2.1:5060;transport=tcp"
    assert contact_uri("u", Address(Transport.UDP, "2001:db8::1", 5060)) == "sip:u@[2001:db8::1]:5060"
