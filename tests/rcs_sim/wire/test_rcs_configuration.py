"""The typed view of a configuration: our documents, those of other servers, broken values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.wire.secret import Secret
from rcs_sim.wire.autoconfig import AutoconfigParseError, Characteristic, ProvisioningDocument
from rcs_sim.wire.encryption_parameters import EncryptionParameters
from rcs_sim.wire.rcs_configuration import AuthType, PcscfAddress, RcsConfiguration, StandaloneMessaging

_FULL = RcsConfiguration(
    msisdn="+12025550101",
    public_identities=("sip:+12025550101@ims.example", "tel:+12025550101"),
    pcscf_addresses=(
        PcscfAddress("127.0.1.10", 5060),
        PcscfAddress("2001:db8::1", 5061),
        PcscfAddress("pcscf.example"),
    ),
    realm="ims.example",
    user_name="001010000000101@ims.example",
    password=Secret.of_text("lab <secret> & é"),
    home_domain="ims.example",
    private_identity="001010000000101@ims.example",
    instance_uuid="0b0f3d8e-8f0e-4f43-9c0e-8f7f00000101",
    ps_signalling="SIPoTCP",
    wifi_signalling="SIPoTLS",
    chat_auth=True,
    standalone_auth=1,
    max_group_size=100,
    auto_accept=False,
    revoke_timer_s=30,
    reconnect_guard_s=10,
    max_chat_octets=2,
    max_standalone_octets=3,
    waits_for_revocation=False,
    file_password=Secret.of_text("ftpw"),
    extensions=(Characteristic.of("E2EE", {"any": "thing"}, Characteristic.of("deeper")),),
)


def _read(*lines: str) -> RcsConfiguration:
    octets = f"<wap-provisioningdoc>{''.join(lines)}</wap-provisioningdoc>".encode()
    return RcsConfiguration.from_document(ProvisioningDocument.parse(octets))


@pytest.mark.parametrize("configuration", [_FULL, RcsConfiguration(), RcsConfiguration(auth_type=AuthType.AKA)])
def test_a_configuration_survives_the_way_through_its_document(configuration: RcsConfiguration) -> None:
    octets = ProvisioningDocument(configuration.characteristics()).encode()
    assert RcsConfiguration.from_document(ProvisioningDocument.parse(octets)) == configuration


def test_credentials_stand_in_both_places_that_readers_look_into() -> None:
    (ims, *_) = [c for c in _FULL.characteristics() if c.own("AppID") == "ap2001"]
    for place in ("APPAUTH", "GSMA"):
        found = next(ims.characteristics(place))
        assert [found.own(name) for name in ("AuthType", "Realm", "UserName", "UserPwd")] == [
            "Digest",
            "ims.example",
            "001010000000101@ims.example",
            "lab <secret> & é",
        ]


def test_addresses_carry_their_type() -> None:
    (ims, *_) = [c for c in _FULL.characteristics() if c.own("AppID") == "ap2001"]
    assert list(ims.find_all("Address")) == ["127.0.1.10:5060", "[2001:db8::1]:5061", "pcscf.example"]
    assert list(ims.find_all("AddressType")) == ["IPv4", "IPv6", "FQDN"]


@pytest.mark.parametrize("text", ["", "a b", "host:port", "1.2.3.4:99999", "[1.2.3.4]:1", "[::1", "user@host", ":5060"])
def test_unreadable_addresses_are_skipped(text: str) -> None:
    assert PcscfAddress.parse(text) is None


def test_a_nested_document_with_aliases_and_other_spellings_is_read() -> None:
    configuration = _read(
        '<characteristic type="APPLICATION"><parm name="AppID" value="urn:oma:mo:ext-3gpp-ims:1.0"/>'
        '<characteristic type="XDMS"><characteristic type="APPAUTH"><parm name="UserName" value="xdm"/>'
        '<parm name="UserPwd" value="wrong"/></characteristic></characteristic>'
        '<characteristic type="3GPP_IMS"><parm name="home_network_domain_name" value="ims.example"/>'
        '<characteristic type="Public_user_identity_List">'
        '<parm name="public_user_identity" value="tel:+1"/></characteristic>'
        '<characteristic type="LBO_P-CSCF_Address"><parm name="Address" value="p.example"/></characteristic>'
        '<characteristic type="appauth"><parm name="AAuthType" value="digest"/><parm name="AAuthRealm" value="r"/>'
        '<parm name="AAuthName" value="u"/><parm name="AAuthSecret" value="s"/></characteristic></characteristic>'
        '<characteristic type="MESSAGING"><characteristic type="Chat"><parm name="maxsize" value="5"/></characteristic>'
        '</characteristic><characteristic type="CLIENTCONTROL"><parm name="reconnectGuardTimer" value="7"/>'
        "</characteristic></characteristic>"
    )
    assert (configuration.auth_type, configuration.realm, configuration.user_name) == (AuthType.DIGEST, "r", "u")
    assert configuration.password == Secret.of_text("s")
    assert configuration.home_domain == "ims.example"
    assert configuration.public_identities == ("tel:+1",)
    assert configuration.pcscf_addresses == (PcscfAddress("p.example"),)
    assert (configuration.max_chat_octets, configuration.max_standalone_octets) == (5, 65_536)
    assert configuration.reconnect_guard_s == 7


def test_credentials_of_another_application_do_not_win() -> None:
    def application(app_id: str, user: str) -> str:
        return (
            f'<characteristic type="APPLICATION"><parm name="AppID" value="{app_id}"/><characteristic type="APPAUTH">'
            f'<parm name="UserName" value="{user}"/></characteristic></characteristic>'
        )

    assert _read(application("w4", "mms"), application("ap2001", "ims")).user_name == "ims"


def test_credentials_under_ext_gsma_alone_are_found() -> None:
    configuration = _read(
        '<characteristic type="APPLICATION"><parm name="AppID" value="ap2001"/><characteristic type="Ext">'
        '<characteristic type="GSMA"><parm name="AuthType" value="AKA"/>'
        '<parm name="UserName" value="u"/></characteristic>'
        "</characteristic></characteristic>"
    )
    assert (configuration.auth_type, configuration.user_name, configuration.password) == (AuthType.AKA, "u", None)


@pytest.mark.parametrize("value", ["", "x", "-5", "99999999999", "1.5"])
def test_a_value_that_cannot_be_read_leaves_the_default(value: str) -> None:
    configuration = _read(f'<characteristic type="Chat"><parm name="TimerIdle" value="{value}"/></characteristic>')
    assert configuration.chat_idle_s == 300


@pytest.mark.parametrize(("value", "meaning"), [(0, "OFF"), (1, "SEND_AND_RECEIVE"), (2, "RECEIVE_ONLY"), (9, "OFF")])
def test_standalone_messaging_by_its_meaning(value: int, meaning: str) -> None:
    assert RcsConfiguration(standalone_auth=value).standalone is StandaloneMessaging[meaning]


def test_secrets_are_not_shown() -> None:
    for shown in (repr(_FULL), repr(_FULL.characteristics())):
        assert "lab <secret>" not in shown
        assert "ftpw" not in shown


@given(st.binary(max_size=120))
def test_any_octets_give_a_configuration_or_the_documents_error(octets: bytes) -> None:
    with contextlib.suppress(AutoconfigParseError):
        _read('<characteristic type="APPLICATION">', octets.decode("latin-1"), "</characteristic>")


@given(st.text(max_size=30))
def test_any_address_text_gives_an_address_or_none(text: str) -> None:
    address = PcscfAddress.parse(text)
    assert address is None or PcscfAddress.parse(str(address)) == address


def test_documents_that_differ_in_their_encryption_part_only_are_told_from_others() -> None:
    def configuration(generation: int, home: str = "ims.red.example") -> RcsConfiguration:
        parameters = EncryptionParameters(kds_uri="https://kds", trust_anchors_generation=generation)
        return RcsConfiguration(home_domain=home, extensions=(parameters.characteristic(),))

    one = configuration(1)
    assert one.differs_in_encryption_only(configuration(2))
    assert not one.differs_in_encryption_only(configuration(2, "ims.blue.example"))
    assert not one.differs_in_encryption_only(RcsConfiguration(home_domain="ims.red.example"))
    assert not RcsConfiguration(home_domain="ims.red.example").differs_in_encryption_only(one)
