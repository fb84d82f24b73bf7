"""The encryption part of a configuration document, ours and others'."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.wire.autoconfig import Characteristic, ProvisioningDocument
from rcs_sim.wire.encryption_parameters import (
    ENCRYPTION_PARAMETERS,
    EncryptionParameters,
    MlsServerProperties,
    participant_key_value,
)
from rcs_sim.wire.rcs_configuration import RcsConfiguration

_ALL = EncryptionParameters(
    kds_uri="http://kds.example/",
    trust_anchors_uri="http://kds.example/mls/v1/trust-anchors",
    trust_anchors_generation=3,
    trust_anchors_signer=b"spki",
    identity_proof=bytes(range(81)),
    server=MlsServerProperties(accepts_member_external_commit=True),
)


def _configuration(document: str) -> RcsConfiguration:
    return RcsConfiguration.from_document(ProvisioningDocument.parse(document.encode()))


def test_what_is_written_into_a_document_is_read_from_it() -> None:
    sent = RcsConfiguration(msisdn="+12025550101", extensions=(_ALL.characteristic(),))
    octets = ProvisioningDocument(sent.characteristics()).encode()
    received = RcsConfiguration.from_document(ProvisioningDocument.parse(octets))
    assert received.encryption == _ALL
    assert received.encryption.is_complete
    assert received == sent


def test_names_count_in_any_characteristic_and_any_case() -> None:
    found = _configuration(
        '<wap-provisioningdoc><characteristic type="APPLICATION"><parm name="AppID" value="ap2002"/>'
        '<characteristic type="OTHER"><parm name="OpenRCS-KDS-URI" value=" http://k/ "/></characteristic>'
        '<parm name="openrcs-trust-anchors-generation" value="12"/></characteristic></wap-provisioningdoc>'
    ).encryption
    assert found == EncryptionParameters(kds_uri="http://k/", trust_anchors_generation=12)
    assert not found.is_complete


def test_a_stray_parameter_survives_being_kept_and_read_again() -> None:
    first = _configuration(
        '<wap-provisioningdoc><characteristic type="APPLICATION">'
        '<parm name="openrcs-kds-uri" value="http://k/"/></characteristic></wap-provisioningdoc>'
    )
    again = RcsConfiguration.from_document(ProvisioningDocument(first.characteristics()))
    assert again.encryption == first.encryption == EncryptionParameters(kds_uri="http://k/")


def test_a_document_without_them_says_nothing_of_encryption() -> None:
    assert RcsConfiguration().encryption is None
    assert RcsConfiguration(extensions=(Characteristic.of("E2EE", {"x": "y"}),)).encryption is None


@pytest.mark.parametrize(("text", "generation"), [("", None), ("-1", None), ("1x", None), ("9" * 16, None), ("7", 7)])
def test_a_generation_that_is_no_number_counts_as_absent(text: str, generation: int | None) -> None:
    values = {"openrcs-kds-uri": "u", "openrcs-trust-anchors-generation": text}
    found = EncryptionParameters.read(values.get)
    assert found is not None
    assert found.trust_anchors_generation == generation


@given(st.dictionaries(st.sampled_from(ENCRYPTION_PARAMETERS), st.text()))
def test_any_values_are_read_without_an_error(values: dict[str, str]) -> None:
    found = EncryptionParameters.read(values.get)
    assert found is None or isinstance(found.characteristic(), Characteristic)


def test_a_participant_key_is_base64url_without_padding() -> None:
    assert participant_key_value(b"\xfb\xff") == base64.urlsafe_b64encode(b"\xfb\xff").decode().rstrip("=") == "-_8"


@pytest.mark.parametrize("arbitrates", [False, True])
@pytest.mark.parametrize("acks", [False, True])
@pytest.mark.parametrize("commits", [False, True])
@pytest.mark.parametrize("informs", [False, True])
def test_what_a_server_does_is_read_as_it_is_written(
    arbitrates: bool, acks: bool, commits: bool, informs: bool
) -> None:
    server = MlsServerProperties(
        arbitrates_era=arbitrates,
        requires_convergence_ack=acks,
        accepts_member_external_commit=commits,
        has_server_group_info=informs,
    )
    assert MlsServerProperties.parse(server.encode()) == server


def test_a_server_that_does_nothing_of_it_says_so_and_unknown_words_are_passed_over() -> None:
    nothing = MlsServerProperties.parse("none, or more")
    assert nothing.encode() == "none"
    assert MlsServerProperties.parse("Arbitrates-Era SINGS") == MlsServerProperties.parse("arbitrates-era")
