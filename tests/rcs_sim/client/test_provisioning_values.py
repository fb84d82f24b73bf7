"""Values of autoconfiguration at the client."""

from __future__ import annotations

import zlib

import pytest

from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordType
from rcs_sim.client.provisioning_values import (
    ProvisioningSettings,
    ProvisioningSnapshot,
    ServiceState,
    acs_host,
    pack_document,
    unpack_document,
)
from rcs_sim.wire.autoconfig import MAX_DOCUMENT_OCTETS, ProvisioningDocument
from rcs_sim.wire.rcs_configuration import RcsConfiguration


def test_the_server_name_has_codes_of_three_digits() -> None:
    assert acs_host("001", "01") == "config.rcs.mnc001.mcc001.pub.3gppnetwork.org"


def test_the_limits_are_those_of_the_digest() -> None:
    settings = ProvisioningSettings(configuration_url="https://config.example/")
    assert (settings.max_511, settings.pause_511_s, settings.otp_requests) == (5, 5, 10)
    assert (settings.back_off_base_s, settings.otp_wait_s, settings.msisdn_questions) == (300, 120, 5)


def test_a_snapshot_can_be_stored_and_shows_no_secret() -> None:
    snapshot = ProvisioningSnapshot(
        imsi="1", state=ServiceState.DORMANT, version=3, packed_document=b"<secret/>", token="hidden", expires_at=1.5
    )
    assert "secret" not in repr(snapshot)
    assert "hidden" not in repr(snapshot)
    codec = RecordCodec(RecordType("provisioning", ProvisioningSnapshot, lambda record: record.imsi))
    assert codec.decode(codec.encode(snapshot)) == snapshot


def test_a_packed_document_is_small_and_comes_back_whole() -> None:
    document = ProvisioningDocument(RcsConfiguration(msisdn="+12125550101", chat_auth=True).characteristics()).encode()
    packed = pack_document(document)
    assert unpack_document(packed) == document
    assert len(packed) < len(zlib.compress(document)) / 3


def test_what_is_no_packed_document_is_refused_and_a_large_one_cut() -> None:
    with pytest.raises(zlib.error):
        unpack_document(b"no zlib stream")
    assert len(unpack_document(zlib.compress(b" " * 10**7))) == MAX_DOCUMENT_OCTETS
