"""Settings of an autoconfiguration server, and where its subscribers come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rcs_sim.wire.autoconfig import ConfigurationMessage
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["ConfigFault", "ConfigServerSettings", "ProvisioningRecord", "ProvisioningSource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningRecord:
    """What the ACS needs to know of a subscriber. *validity_s* None means the server's; *message* is shown to the user
    with each full document."""

    msisdn: str
    configuration: RcsConfiguration
    imsi: str = ""
    validity_s: int | None = None
    message: ConfigurationMessage | None = None


class ProvisioningSource(Protocol):
    """The subscriber data of one carrier. Numbers are E.164 with "+"."""

    def by_msisdn(self, msisdn: str) -> ProvisioningRecord | None: ...

    def by_imsi(self, imsi: str) -> ProvisioningRecord | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigServerSettings:
    """Names and defaults of digest §18 (``acs.*``). With *uses_tls* requests with parameters are sent to https."""

    validity_s: int = 604_800
    token_validity_s: int = 2_592_000
    otp_s: float = 300.0
    otp_tries: int = 3
    otp_requests: int = 10  # one-time passwords for one number in otp_window_s, so that nobody can flood it or guess on
    otp_window_s: float = 600.0
    otp_text: str = "{otp} is your RCS code"
    max_requests_per_s: int | None = None
    uses_tls: bool = False
    https_port: int = 443
    server_name: str = "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFault:
    """Faults of the server itself (``acs.disabled``, ``acs.otp_required``, ``acs.stale``, and 503 with Retry-After)."""

    is_disabled: bool = False
    requires_otp: bool = False
    is_stale: bool = False
    retry_after_s: int | None = None
