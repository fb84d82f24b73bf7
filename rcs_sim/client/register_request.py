"""REGISTER as a phone writes it (RFC 3261 §10.2, TS 24.229 §5.1.1, digest §2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ims_core.wire.sip.message import HeaderInput, Request
from rcs_sim.client.account import Account
from rcs_sim.devices.policy import RegistrationPolicy

__all__ = ["ALLOW", "RegisterFields", "build_register"]

ALLOW = "INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS, NOTIFY, UPDATE, REFER"

_REG_ID = 1  # one flow per phone (RFC 5626 §4.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFields:
    """What changes from one REGISTER of a phone to the next. *contact* is the URI; *features* Contact parameters."""

    call_id: str
    cseq: int
    from_tag: str
    contact: str
    features: str
    expires_s: int
    is_bare: bool = False
    authorization: tuple[HeaderInput, ...] = ()
    security: tuple[HeaderInput, ...] = ()


def build_register(account: Account, policy: RegistrationPolicy, user_agent: str, fields: RegisterFields) -> Request:
    """The request without Via, which the stack adds."""
    return Request.new("REGISTER", account.request_uri, _headers(account, policy, user_agent, fields))


def _headers(
    account: Account, policy: RegistrationPolicy, user_agent: str, fields: RegisterFields
) -> Iterable[HeaderInput]:
    yield "Max-Forwards", "70"
    yield "From", f"<{account.impu}>;tag={fields.from_tag}"
    yield "To", f"<{account.impu}>"
    yield "Call-ID", fields.call_id
    yield "CSeq", f"{fields.cseq} REGISTER"
    yield "Contact", f"<{fields.contact}>{'' if fields.is_bare else _contact_params(account, policy, fields)}"
    if policy.sends_proxy_route:
        yield "Route", f"<{account.proxy_uri}>"
    yield "Supported", ", ".join(_option_tags(policy))
    if policy.sends_allow:
        yield "Allow", ALLOW
    yield "User-Agent", user_agent
    if policy.access_network_info is not None:
        yield "P-Access-Network-Info", policy.access_network_info
    yield from fields.security
    yield from fields.authorization
    yield "Expires", str(fields.expires_s)


def _contact_params(account: Account, policy: RegistrationPolicy, fields: RegisterFields) -> str:
    instance = f';+sip.instance="<{account.instance}>"' if account.instance else ""
    reg_id = f";reg-id={_REG_ID}" if policy.offers_outbound and account.instance else ""
    return f"{instance}{fields.features}{reg_id};expires={fields.expires_s}"


def _option_tags(policy: RegistrationPolicy) -> Iterable[str]:
    yield "path"
    if policy.offers_gruu:
        yield "gruu"
    if policy.offers_outbound:
        yield "outbound"
