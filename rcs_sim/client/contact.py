"""Contact of a phone: its address, its instance and the tags of its services (RFC 3840, digest §2.2, §3.3)."""

from __future__ import annotations

from functools import lru_cache

from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.grammar import quote
from rcs_sim.devices.policy import DevicePolicy, FeaturePolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration, StandaloneMessaging

__all__ = [
    "CPM_LARGE",
    "CPM_MESSAGE",
    "CPM_SESSION",
    "SYSTEM_MESSAGE",
    "accept_contact",
    "contact_uri",
    "feature_params",
    "service_urn",
    "session_tags",
]

_SERVICE_PREFIX = "urn:urn-7:3gpp-service."
_APPLICATION_PREFIX = "urn:urn-7:3gpp-application."

CPM_MESSAGE = "ims.icsi.oma.cpm.msg"
CPM_LARGE = "ims.icsi.oma.cpm.largemsg"
CPM_SESSION = "ims.icsi.oma.cpm.session"
SYSTEM_MESSAGE = "ims.icsi.oma.cpm.systemmsg"

_STANDALONE = frozenset((CPM_MESSAGE, CPM_LARGE, "ims.icsi.oma.cpm.deferred", "+g.gsma.rcs.cpm.pager-large"))
_CHAT = frozenset((CPM_SESSION, "+g.oma.sip-im"))


def service_urn(icsi: str) -> str:
    """The plain URN, for P-Preferred-Service."""
    return _SERVICE_PREFIX + icsi


@lru_cache(64)
def accept_contact(icsi: str, *, is_strict: bool = False) -> str:
    """Value of Accept-Contact for a service, percent-encoded (digest §0.4.1)."""
    strictness = ";require;explicit" if is_strict else ""
    return f'*;+g.3gpp.icsi-ref="{_encoded(_SERVICE_PREFIX + icsi)}"{strictness}'


def _encoded(urn: str) -> str:
    return urn.replace(":", "%3A")


def contact_uri(user: str, address: Address) -> str:
    """``sip:<user>@<host>:<port>``, with the transport unless it is UDP."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    transport = "" if address.transport is Transport.UDP else f";transport={address.transport.value.lower()}"
    return f"sip:{user}@{host}:{address.port}{transport}"


def session_tags(policy: DevicePolicy) -> str:
    """Contact parameters inside a message session: its service, and what the device announces (digest §4.2)."""
    return _session_tags(policy.features)


@lru_cache(64)
def _session_tags(features: FeaturePolicy) -> str:
    icsi = quote(_encoded(_SERVICE_PREFIX + CPM_SESSION))
    return "".join(f";{param}" for param in (f"+g.3gpp.icsi-ref={icsi}", *features.tags))


def feature_params(policy: DevicePolicy, configuration: RcsConfiguration) -> str:
    """Every provisioned service tag once, as Contact parameters; phones of one kind share the text."""
    return _feature_params(
        policy.features,
        configuration.standalone is not StandaloneMessaging.OFF,
        configuration.chat_auth,
        policy.sms.over_ip,
    )


@lru_cache(256)
def _feature_params(features: FeaturePolicy, has_standalone: bool, has_chat: bool, has_sms: bool) -> str:
    off = (frozenset() if has_standalone else _STANDALONE) | (frozenset() if has_chat else _CHAT)
    icsi = ",".join(_encoded(_SERVICE_PREFIX + name) for name in features.icsi if name not in off)
    iari = ",".join(_encoded(_APPLICATION_PREFIX + name) for name in features.iari)
    tags = [tag for tag in features.tags if tag.partition("=")[0].lower() not in off]
    if has_sms:
        tags.append("+g.3gpp.smsip")
    params = [
        *([f"+g.3gpp.icsi-ref={quote(icsi)}"] if icsi else []),
        *([f"+g.3gpp.iari-ref={quote(iari)}"] if iari else []),
    ]
    return "".join(f";{param}" for param in (*params, *dict.fromkeys(tags)))
