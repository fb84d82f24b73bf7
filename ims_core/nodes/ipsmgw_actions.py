"""Configuration of an IP-SM-GW, and what its decision core asks the shell to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ims_core.transport.link import Address
from ims_core.wire.sip.message import HeaderInput, Request
from ims_core.wire.sms.sm_link import SmLinkMessage

__all__ = ["Action", "IpSmGwConfig", "Note", "Respond", "SendMessage", "SendToSmsc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IpSmGwConfig:
    """*uri* is the own SIP URI, P-Asserted-Identity of every MESSAGE. *route* are the Route values of requests to UEs.

    Requests come from *trusted_hosts* only (the S-CSCF). *application_servers* maps the host of an AS that submits as
    interworking function to the URI that its answers and status reports go to. *tr1n_s* is ``sms.tr1_s``;
    *smsc_answer_s* lies between the NNI answer time of the SMSC and TR1M of the phone (35 s to 45 s)."""

    name: str
    uri: str
    listen: tuple[Address, ...]
    smsc: Address
    route: tuple[str, ...]
    trusted_hosts: frozenset[str] = frozenset()
    application_servers: Mapping[str, str] = field(default_factory=dict)
    tr1n_s: float = 40
    smsc_answer_s: float = 34
    sip_answer_s: float = 40  # longer than timer F: the stack tells first
    connect_s: float = 10
    reconnect_s: float = 5
    max_transfers: int = 50_000


@dataclass(frozen=True, slots=True)
class Respond:
    """Final answer to the request with this number."""

    exchange: int
    status: int
    headers: tuple[HeaderInput, ...] = ()


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Send *request*, then call `message_answered` with *errand*; its next hop is its topmost Route or its URI."""

    errand: int
    request: Request


@dataclass(frozen=True, slots=True)
class SendToSmsc:
    message: SmLinkMessage


@dataclass(frozen=True, slots=True)
class Note:
    """A state change for the trace."""

    summary: str
    details: Mapping[str, str] = field(default_factory=dict)


Action: TypeAlias = Respond | SendMessage | SendToSmsc | Note
