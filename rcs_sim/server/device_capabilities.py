"""What registered devices can do, from their feature tags (digest §3.3), shared between devices that say the same."""

from __future__ import annotations

from functools import lru_cache

from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.params import parse_header_params

__all__ = [
    "CPM_LARGE",
    "CPM_MSG",
    "CPM_SESSION",
    "CPM_SYSTEM",
    "NO_FEATURES",
    "features_of_text",
    "is_rcs",
    "takes_large_messages",
    "takes_messages",
    "takes_sessions",
    "text_of",
]

_ICSI = "urn:urn-7:3gpp-service.ims.icsi."
CPM_MSG = f"{_ICSI}oma.cpm.msg"
CPM_LARGE = f"{_ICSI}oma.cpm.largemsg"
CPM_SESSION = f"{_ICSI}oma.cpm.session"
CPM_SYSTEM = f"{_ICSI}oma.cpm.systemmsg"

NO_FEATURES = FeatureSet()
_ICSI_TAG, _IARI_TAG = "+g.3gpp.icsi-ref", "+g.3gpp.iari-ref"
_OF_ONE_DEVICE = ("+sip.instance",)


@lru_cache(maxsize=4096)
def features_of_text(tags: str) -> FeatureSet:
    """Feature tags as Contact parameters (``;+g.oma.sip-im;...``), the device's own id left out. The same text gives
    the same object, so that thousands of phones of one model share it. Text that cannot be read gives none."""
    try:
        return FeatureSet.of_params(parse_header_params(tags)).without(*_OF_ONE_DEVICE)
    except SipParseError:
        return NO_FEATURES


def text_of(features: FeatureSet) -> str:
    """Inverse of `features_of_text`: one parameter per tag."""
    return str(features.to_params())


@lru_cache(maxsize=4096)
def is_rcs(features: FeatureSet) -> bool:
    """Whether a device takes RCS messages in any way."""
    if any("oma.cpm." in icsi for icsi in features.values(_ICSI_TAG)):
        return True
    if features.has("+g.oma.sip-im") or features.has("+g.gsma.rcs.cpm.pager-large"):
        return True
    return any("ims.iari.rcs" in iari for iari in features.values(_IARI_TAG))


@lru_cache(maxsize=4096)
def takes_sessions(features: FeatureSet) -> bool:
    """Whether a device takes chat sessions, of CPM or of SIMPLE IM (digest §3.3)."""
    return features.has(_ICSI_TAG, CPM_SESSION) or features.has("+g.oma.sip-im")


@lru_cache(maxsize=4096)
def takes_messages(features: FeatureSet) -> bool:
    """Whether a device takes pager messages: it is not known to have sessions alone."""
    if not features.has(_ICSI_TAG, CPM_SESSION):
        return True
    return features.has(_ICSI_TAG, CPM_MSG) or features.has("+g.gsma.rcs.cpm.pager-large")


@lru_cache(maxsize=4096)
def takes_large_messages(features: FeatureSet) -> bool:
    """Whether a device takes large message mode: as a service of its own or as one with pager mode (digest §4.1)."""
    return features.has(_ICSI_TAG, CPM_LARGE) or features.has("+g.gsma.rcs.cpm.pager-large")
