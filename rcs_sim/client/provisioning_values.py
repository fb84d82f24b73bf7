"""Values of autoconfiguration at the client (RCC.14, digest §1): settings, what is kept over a power cycle, outputs."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from functools import cache
from typing import Any, TypeAlias

from ims_core.transport.http_message import HeaderFields
from rcs_sim.devices.policy import ProvisioningPolicy, SoftwareIdentity
from rcs_sim.wire.autoconfig import MAX_DOCUMENT_OCTETS, ConfigurationMessage, ProvisioningDocument
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = [
    "Access",
    "AskMsisdn",
    "ConfigurationKept",
    "Postponed",
    "PostponedReason",
    "ProvisioningOutput",
    "ProvisioningSettings",
    "ProvisioningSnapshot",
    "Save",
    "SendHttpRequest",
    "ServiceState",
    "ShowMessage",
    "StartService",
    "StopReason",
    "StopService",
    "Subscription",
    "acs_host",
    "pack_document",
    "unpack_document",
]


class Access(Enum):
    """The network that a phone is on: only mobile data is recognised by its operator (header enrichment)."""

    CELLULAR = "cellular"
    WIFI = "wifi"


class ServiceState(Enum):
    """State names of digest §1.4. REGISTER is sent in ACTIVE only."""

    UNCONFIGURED = "unconfigured"
    ACTIVE = "active"
    RESET = "reset"
    OFF_FOR_GOOD = "off for good"
    OFF_UNTIL_USER = "off until the user acts"
    DORMANT = "dormant"


class StopReason(Enum):
    """Why the service stops."""

    RESET = "the server deleted the configuration"
    OFF_FOR_GOOD = "the server switched RCS off for this SIM"
    OFF_UNTIL_USER = "the server switched RCS off until the user acts"
    DORMANT = "the server made RCS dormant"
    FORBIDDEN = "RCS is not available for this subscription"
    SWITCHED_OFF = "the user switched RCS off"
    SIM_CHANGED = "the SIM was changed"


@dataclass(frozen=True, slots=True)
class Subscription:
    """The SIM in the phone. *msisdn* is "" where the phone does not know its number."""

    imsi: str
    msisdn: str = ""


def acs_host(mcc: str, mnc: str) -> str:
    """Name of a carrier's autoconfiguration server (digest §1.1); codes of two digits are padded."""
    return f"config.rcs.mnc{mnc:0>3}.mcc{mcc:0>3}.pub.3gppnetwork.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningSettings:
    """How a phone asks. *configuration_url* takes the real request; *enrichment_url* the plain one before it over
    mobile data, None for a network without header enrichment. From https nothing is followed to http.

    *draws_otp_port*: one-time passwords come to an application port drawn from 10000 to 40000, not to the policy's."""

    configuration_url: str
    enrichment_url: str | None = None
    software: SoftwareIdentity = field(default_factory=SoftwareIdentity)
    policy: ProvisioningPolicy = field(default_factory=ProvisioningPolicy)
    user_agent: str = ""
    imei: str = ""
    language: str = "en"
    default_sms_app: int = 1
    apps: tuple[str, ...] = ("ap2001", "ap2002", "urn:oma:mo:ext-3gpp-ims:1.0")
    extra_parameters: tuple[tuple[str, str], ...] = ()  # such as the participant key of the encryption layer
    draws_otp_port: bool = False

    request_timeout_s: float = 30.0
    otp_wait_s: float = 120.0
    otp_requests: int = 10
    max_511: int = 5
    pause_511_s: float = 5.0
    msisdn_questions: int = 5
    back_off_base_s: float = 300.0
    back_off_max_s: float = 19_200.0  # (choice) six doublings
    max_redirects: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningSnapshot:
    """What a phone keeps over a power cycle. *packed_document* is the last full one (`pack_document`: there may be ten
    thousand phones), *version* the last positive one.

    *expires_at* and *not_before* (of a Retry-After) are seconds since the epoch; None asks at the next boot only."""

    imsi: str = ""
    state: ServiceState = ServiceState.UNCONFIGURED
    version: int = 0
    packed_document: bytes = field(default=b"", repr=False)
    expires_at: float | None = None
    token: str = field(default="", repr=False)
    token_expires_at: float | None = None  # None: never
    not_before: float = 0.0
    is_switched_on: bool = True


@dataclass(frozen=True, slots=True)
class SendHttpRequest:
    """GET *url*. The answer comes back with *number*; there is never more than one that counts."""

    number: int
    url: str
    headers: HeaderFields
    timeout_s: float


@dataclass(frozen=True, slots=True)
class StartService:
    """RCS is to run with *configuration* from now on: it is new, or the service was off."""

    configuration: RcsConfiguration


@dataclass(frozen=True, slots=True)
class StopService:
    """RCS is to stop: de-register, register no more."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class ConfigurationKept:
    """The server was asked and what is in force stays in force."""

    version: int


@dataclass(frozen=True, slots=True)
class AskMsisdn:
    """The user is to say the phone's number (`Provisioning.msisdn_given`)."""


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """A text of the operator for the user."""

    message: ConfigurationMessage


class PostponedReason(Enum):
    """Why the server is asked later."""

    BUSY = "the server asked for patience (503)"
    UNAVAILABLE = "no usable answer"
    UNREADABLE = "the document cannot be read"
    GIVEN_UP = "too many attempts"


@dataclass(frozen=True, slots=True)
class Postponed:
    """The server is asked again at *until* (seconds since the epoch); None: not before a boot or a trigger."""

    reason: PostponedReason
    until: float | None


@dataclass(frozen=True, slots=True)
class Save:
    """To be kept over a power cycle, in place of what was kept before."""

    snapshot: ProvisioningSnapshot


ProvisioningOutput: TypeAlias = (
    SendHttpRequest | StartService | StopService | ConfigurationKept | AskMsisdn | ShowMessage | Postponed | Save
)


def pack_document(octets: bytes) -> bytes:
    """A document as it is kept: what most of them have in common is left out (RFC 1950 §2.2, FDICT)."""
    packer = zlib.compressobj(9, zdict=_usual_document())
    return packer.compress(octets) + packer.flush()


def unpack_document(packed: bytes) -> bytes:
    """The octets of `pack_document`, at most MAX_DOCUMENT_OCTETS of them. Raises zlib.error."""
    return zlib.decompressobj(zdict=_usual_document()).decompress(packed, MAX_DOCUMENT_OCTETS)


@cache
def _usual_document() -> bytes:
    """All settings with their defaults, and something where a text is expected."""
    empty = RcsConfiguration()
    texts: dict[str, Any] = {each.name: "sip:" for each in fields(empty) if getattr(empty, each.name) == ""}
    return ProvisioningDocument(replace(empty, **texts).characteristics()).encode()
