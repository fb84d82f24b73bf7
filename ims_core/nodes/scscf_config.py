"""Settings of an S-CSCF."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.transport.link import Address

__all__ = ["ScscfConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScscfConfig:
    """*name* is the element name (``red.scscf``), *uri* how the HSS knows this S-CSCF.

    *trusted_hosts* are the hosts of the own core: from anywhere else P-Asserted-Identity is taken away and nothing may
    originate. *server_hosts* are those of the own application servers, *sms_hosts* those of the IP-SM-GW (digest §16).
    *ibcf* is the border, None for a carrier without neighbours. Times in seconds: *granted_s* is what a binding gets at
    most, *min_s* what it has to ask for at least, *await_auth_s* how long a challenge may stay unanswered."""

    name: str
    home_domain: str
    uri: str
    listen: tuple[Address, ...]
    host_names: tuple[str, ...] = ()
    ibcf: Address | None = None
    trusted_hosts: frozenset[str] = frozenset()
    server_hosts: frozenset[str] = frozenset()
    sms_hosts: frozenset[str] = frozenset()
    granted_s: int = 3600
    min_s: int = 60
    await_auth_s: float = 240.0
    max_auth_failures: int = 3
    max_bindings: int = 16
    probation_s: int = 30
    subscription_s: int = 600_000
