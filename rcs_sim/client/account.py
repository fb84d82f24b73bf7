"""The subscriber's account as IMS sees it, chosen out of an autoconfiguration document (digest §1.5, §2.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ims_core.errors import SimulatorError
from ims_core.transport.link import Transport
from ims_core.wire.secret import Secret
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.params import NO_PARAMS
from ims_core.wire.sip.uri import SipUri, parse_uri
from rcs_sim.client.identity import ContactKey, contact_key, is_number
from rcs_sim.devices.policy import RegistrationPolicy, SignallingTransport
from rcs_sim.wire.cpim import ANONYMOUS_URI
from rcs_sim.wire.rcs_configuration import AuthType, RcsConfiguration

__all__ = ["Account", "UnusableConfiguration", "account_of", "default_port", "instance_urn", "proxy_transport"]

DEFAULT_SIP_PORT, DEFAULT_TLS_PORT = 5060, 5061


class UnusableConfiguration(SimulatorError):
    """The configuration lacks what IMS registration needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """*impu* is the public identity that is registered, *number* its key, *instance* the value of ``+sip.instance``
    without brackets ("" for none). *proxy_host* and *proxy_port* name the P-CSCF."""

    home_domain: str
    impi: str
    impu: str
    number: ContactKey
    realm: str
    auth_type: str
    password: Secret | None
    instance: str
    proxy_host: str
    proxy_port: int
    transport: Transport

    @property
    def request_uri(self) -> str:
        """Request-URI of REGISTER, which is also the ``uri`` that Digest covers."""
        return f"sip:{self.home_domain}"

    @property
    def shown_identity(self) -> str:
        """The identity to put into content: dialable, never one that is shaped like an IMSI (digest §2.5)."""
        user = self.impu.partition(":")[2].partition("@")[0]
        if user.isdecimal():
            return f"tel:{self.number}" if is_number(self.number) else ANONYMOUS_URI
        return self.impu

    @property
    def proxy_uri(self) -> str:
        """URI of the P-CSCF, for Route."""
        host = f"[{self.proxy_host}]" if ":" in self.proxy_host else self.proxy_host
        port = "" if self.proxy_port == default_port(self.transport) else f":{self.proxy_port}"
        transport = "" if self.transport is Transport.UDP else f";transport={self.transport.value.lower()}"
        return f"sip:{host}{port}{transport};lr"


def default_port(transport: Transport) -> int:
    return DEFAULT_TLS_PORT if transport is Transport.TLS else DEFAULT_SIP_PORT


_OF_DOCUMENT = {"sipoudp": Transport.UDP, "sipotcp": Transport.TCP, "sipotls": Transport.TLS}
_FIXED = {
    SignallingTransport.UDP: Transport.UDP,
    SignallingTransport.TCP: Transport.TCP,
    SignallingTransport.TLS: Transport.TLS,
}


def proxy_transport(configuration: RcsConfiguration, policy: RegistrationPolicy) -> Transport:
    """``transportProto/psSignalling`` or what the device always does; TCP where nobody says (digest §9.4)."""
    fixed = _FIXED.get(policy.transport)
    return fixed or _OF_DOCUMENT.get(configuration.ps_signalling.lower(), Transport.TCP)


def instance_urn(imei: str, uuid: str) -> str:
    """``urn:gsma:imei:TTTTTTTT-SSSSSS-0`` (RFC 7254) of a 14 to 16 digit IMEI, else ``urn:uuid:``, else ""."""
    digits = imei.strip()
    if digits.isdecimal() and digits.isascii() and 14 <= len(digits) <= 16:
        return f"urn:gsma:imei:{digits[:8]}-{digits[8:14]}-0"
    return f"urn:uuid:{uuid.lower()}" if uuid else ""


def account_of(configuration: RcsConfiguration, policy: RegistrationPolicy, imei: str) -> Account:
    """Raises UnusableConfiguration, with the name of what is missing."""
    impu = _registered_identity(configuration)
    home = configuration.home_domain or impu.host
    if not configuration.pcscf_addresses:
        raise UnusableConfiguration("the configuration names no P-CSCF (LBO_P-CSCF_Address)")
    proxy, transport = configuration.pcscf_addresses[0], proxy_transport(configuration, policy)
    port = proxy.port if policy.uses_document_port and proxy.port else default_port(transport)
    impi = configuration.private_identity or configuration.user_name
    if not impi and configuration.auth_type != AuthType.EARLY_IMS:
        raise UnusableConfiguration("the configuration names no private identity (Private_User_Identity)")
    number = contact_key(parse_uri(f"tel:{configuration.msisdn}")) if _is_e164(configuration.msisdn) else None
    return Account(
        home_domain=home,
        impi=impi,
        impu=str(replace(impu, params=NO_PARAMS, headers=None)),
        number=number or _number_of(configuration) or contact_key(impu, home.lower()),
        realm=configuration.realm or home,
        auth_type=configuration.auth_type,
        password=configuration.password,
        instance=instance_urn(imei, configuration.instance_uuid) if policy.sends_instance_id else "",
        proxy_host=proxy.host,
        proxy_port=port,
        transport=transport,
    )


def _registered_identity(configuration: RcsConfiguration) -> SipUri:
    """The first ``sip:`` public identity that is dialable, else the first one: an IMSI-shaped one is kept for last."""
    found: list[SipUri] = []
    for text in configuration.public_identities:
        try:
            uri = parse_uri(text)
        except SipParseError:
            continue
        if isinstance(uri, SipUri) and uri.user:
            found.append(uri)
    if not found:
        raise UnusableConfiguration("the configuration names no sip: public identity (Public_User_Identity)")
    dialable = [uri for uri in found if (uri.user or "").startswith("+") or not (uri.user or "").isdecimal()]
    return (dialable or found)[0]


def _number_of(configuration: RcsConfiguration) -> ContactKey | None:
    home = configuration.home_domain.lower()
    for text in configuration.public_identities:
        try:
            key = contact_key(parse_uri(text), home)
        except SipParseError:
            continue
        if is_number(key):
            return key
    return None


def _is_e164(text: str) -> bool:
    return text.startswith("+") and text[1:].isdecimal() and text.isascii()
