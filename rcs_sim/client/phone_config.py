"""What one emulated phone is: its device, its SIM, its place in the network."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.transport.link import Address
from ims_core.wire.secret import Secret
from ims_core.wire.sip.transaction import TimerConfig
from rcs_sim.client.provisioning_values import Access
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["PhoneConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneConfig:
    """Settings of one phone.

    name               element name in the trace (``alice``)
    policy             the device profile; phones of one kind share it
    imsi, imei         digits of SIM and handset
    k, opc             USIM secrets; None for a SIM without AKA
    host               own IP address; *sip_port* 0 takes any free port
    acs_url            autoconfiguration URL; None with a *configuration* of its own (no ACS)
    enrichment_url     URL of the plain request before it; "" takes *acs_url*. Used with *header_enrichment* only
    header_enrichment  the access network tells the ACS the number (mobile data)
    msisdn_hint        the number, where the phone knows it
    smsc               address of the circuit-switched link; None for a phone without one
    service_centre     number of the SMSC as stored on the SIM (E.164 with "+"); "" for a SIM without
    configuration      used instead of autoconfiguration
    timers             SIP timers; None takes those of the configuration
    accepts_after_s    seconds after which the user takes an invitation to chat (``AutAccept`` 0); None: only when told
    encrypts_media     False where TLS is a name only, as on in-memory links
    reads_after_s      seconds after which the user looks at a new message; None: only when told
    access             mobile data or Wi-Fi
    ready_within_s     longest time that `Phone.power_on` takes
    """

    name: str
    policy: DevicePolicy
    imsi: str
    host: str
    imei: str = ""
    k: Secret | None = None
    opc: Secret | None = None
    acs_url: str | None = None
    enrichment_url: str = ""
    header_enrichment: bool = True
    msisdn_hint: str | None = None
    smsc: Address | None = None
    service_centre: str = ""
    configuration: RcsConfiguration | None = None
    timers: TimerConfig | None = None
    reads_after_s: float | None = None
    accepts_after_s: float | None = None
    encrypts_media: bool = True
    access: Access = Access.CELLULAR
    sip_port: int = 0
    ready_within_s: float = 300.0
