"""Settings of a P-CSCF."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.transport.link import Address

__all__ = ["PcscfConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PcscfConfig:
    """*name* is the element name (``red.pcscf``); *icscf* the entry point of the home network for REGISTER.

    *core_hosts* are the hosts that requests toward UEs may come from. *keep_s* goes into ``keep`` (RFC 6223).
    With *requires_agreement* a REGISTER without sec-agree gets 421."""

    name: str
    home_domain: str
    listen: tuple[Address, ...]
    icscf: Address
    host_names: tuple[str, ...] = ()
    core_hosts: frozenset[str] = frozenset()
    keep_s: int = 120
    requires_agreement: bool = False
