"""Configuration of a service centre, and what its decision core asks the shell to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ims_core.store.short_messages import ShortMessage
from ims_core.transport.link import Address
from ims_core.wire.sms.sm_link import SmLinkMessage

__all__ = [
    "Action",
    "Answered",
    "ApplicationMessage",
    "CloseLink",
    "Forget",
    "Note",
    "Persist",
    "SendFrame",
    "SendToPeer",
    "SmscConfig",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscConfig:
    """*address* is the number of the service centre (RP-OA). *peers* are the other carriers' service centres by element
    name. The gateway and the applications may bind from *trusted_hosts* only, a peer from its own host.

    Names in the digest: *retry_min* ``sms.retry_min``, *default_validity_h* ``sms.vp_default_h``, *cs_answer_s*
    ``sms.tr1_s``, *nni_answer_s* ``nni.timeout_s`` (below the TR1M of the phone that waits for the answer)."""

    name: str
    address: str
    listen: Address
    peers: Mapping[str, Address] = field(default_factory=dict)
    trusted_hosts: frozenset[str] = frozenset()
    region: str = "US"
    zone_quarters: int = 0
    retry_min: tuple[float, ...] = (1, 5, 30, 60, 360)
    default_validity_h: float = 24
    report_validity_h: float = 14 * 24  # longer than a phone is usually off: else nobody tells its user (choice)
    gateway_answer_s: float = 90  # SIP timer F (32 s) and TR1N (40 s) of the IP-SM-GW, and a margin
    cs_answer_s: float = 40
    nni_answer_s: float = 32
    application_answer_s: float = 32
    bind_s: float = 10
    connect_s: float = 10
    submit_answer_s: float = 60
    restore_delay_s: float = 5  # after a restart the gateway needs so long to bind
    max_links: int = 20_000
    max_stored: int = 100_000
    max_stored_per_destination: int = 500
    max_backlog: int = 10_000  # actions that wait for the store


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationMessage:
    """A message that an application of the network originates. *originator* is a number with "+" or a name of at most
    11 characters; *destination* a number with "+".

    With *port* it is a data message: *octets* (or *text* in UTF-8) as 8-bit data for that application port."""

    originator: str
    destination: str
    text: str = ""
    octets: bytes = b""
    port: int | None = None
    validity_s: float | None = None
    report_to: str = ""
    report_key: str = ""


@dataclass(frozen=True, slots=True)
class SendFrame:
    """To the far end of an accepted connection."""

    link: int
    message: SmLinkMessage


@dataclass(frozen=True, slots=True)
class SendToPeer:
    """To another service centre, dialled if need be."""

    name: str
    message: SmLinkMessage


@dataclass(frozen=True, slots=True)
class CloseLink:
    link: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Put *record*, then call `ServiceCentre.stored`, or `store_failed`."""

    record: ShortMessage


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the record with *key*."""

    key: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A local submission is stored (*cause* None), or refused with that RP-Cause."""

    ticket: int
    cause: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """A state change for the trace."""

    summary: str
    details: Mapping[str, str] = field(default_factory=dict)


Action: TypeAlias = SendFrame | SendToPeer | CloseLink | Persist | Forget | Answered | Note
