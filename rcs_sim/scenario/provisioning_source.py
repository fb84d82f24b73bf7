"""What a carrier's ACS says of each subscriber: the carrier profile turned into configuration documents."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from rcs_sim.scenario.model import CarrierProfile
from rcs_sim.scenario.subscribers import LabSubscriber
from rcs_sim.server.config_settings import ProvisioningRecord
from rcs_sim.wire.rcs_configuration import AuthType, PcscfAddress, RcsConfiguration

__all__ = ["LabProvisioning"]

_DISPLAY_FORCED_OFF = 1  # displayNotificationSwitch


class LabProvisioning:
    """A `ProvisioningSource`. Only RCS subscribers with a number are served; records are made when asked for."""

    __slots__ = ("_by_imsi", "_by_msisdn", "_domain", "_pcscf", "_profile")

    def __init__(
        self,
        profile: CarrierProfile,
        domain: str,
        pcscf: tuple[PcscfAddress, ...],
        subscribers: Iterable[LabSubscriber],
    ) -> None:
        self._profile = profile
        self._domain = domain
        self._pcscf = pcscf
        served = [one for one in subscribers if one.service == "rcs" and one.msisdn and one.imsi]
        self._by_msisdn = {one.msisdn: one for one in served}
        self._by_imsi = {one.imsi: one for one in served}

    def by_msisdn(self, msisdn: str) -> ProvisioningRecord | None:
        return self._record(self._by_msisdn.get(msisdn))

    def by_imsi(self, imsi: str) -> ProvisioningRecord | None:
        return self._record(self._by_imsi.get(imsi))

    def _record(self, subscriber: LabSubscriber | None) -> ProvisioningRecord | None:
        if subscriber is None or subscriber.msisdn is None:
            return None
        return ProvisioningRecord(
            msisdn=subscriber.msisdn, imsi=subscriber.imsi or "", configuration=self._configuration(subscriber)
        )

    def _configuration(self, subscriber: LabSubscriber) -> RcsConfiguration:
        profile = self._profile
        uses_digest = subscriber.password is not None
        return RcsConfiguration(
            msisdn=subscriber.msisdn or "",
            public_identities=subscriber.impus,
            pcscf_addresses=self._pcscf,
            auth_type=AuthType.DIGEST if uses_digest else AuthType.AKA,
            realm=self._domain,
            user_name=subscriber.impi,
            password=subscriber.password,
            home_domain=self._domain,
            private_identity=subscriber.impi,
            instance_uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"sip:{subscriber.impi}")),
            ps_signalling=profile.signalling,
            ps_media="MSRPoTLS" if profile.msrp_tls else "MSRP",
            wifi_signalling=profile.signalling,
            wifi_media="MSRPoTLS" if profile.msrp_tls else "MSRP",
            supported_profiles="UP_2.4,UP_3.0",
            reg_retry_base_s=profile.retry_base_s,
            reg_retry_max_s=profile.retry_max_s,
            chat_auth=profile.chat_auth,
            auto_accept=profile.auto_accept,
            chat_idle_s=profile.chat_idle_s,
            max_chat_octets=profile.max_chat_octets,
            standalone_auth=profile.standalone_msg_auth,
            capability_expiry_s=profile.capability_expiry_s,
            non_rcs_capability_expiry_s=profile.non_rcs_capability_expiry_s,
            message_capability_validity_s=profile.message_capability_validity_s,
            display_notification_switch=0 if profile.display_notifications else _DISPLAY_FORCED_OFF,
            revoke_timer_s=profile.revoke_timer_s,
            reconnect_guard_s=profile.reconnect_guard_s,
            waits_for_revocation=bool(profile.cfs_trigger),
            max_standalone_octets=profile.max_message_octets,
            switchover_octets=profile.switchover_octets,
        )
