"""Values of autoconfiguration at the client."""

from __future__ import annotations

from ims_core.store.record_codec import RecordCodec
from ims_core.store.record_table import RecordType
from rcs_sim.client.provisioning_values import ProvisioningSettings, ProvisioningSnapshot, ServiceState, acs_host


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
