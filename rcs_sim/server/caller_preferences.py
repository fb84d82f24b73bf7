"""Caller preferences, as the messaging server has to know them: whom a request could never reach (RFC 3841 §7.2)."""

from __future__ import annotations

from ims_core.wire.sip.feature_tags import AcceptContact, FeatureSet, RejectContact
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request
from rcs_sim.server.device_registry import Device

__all__ = ["rules_out"]

_SERVICE, _INSTANCE = "+g.3gpp.icsi-ref", "+sip.instance"


def rules_out(request: Request, device: Device) -> bool:
    """Whether the S-CSCF will never give *request* to *device*: a copy that is kept for it would keep back all others.

    The service that is asked for does not count (choice): what comes in one mode can be handed out in another."""
    if device.features is None or not _may_rule_out(request):
        return False
    features = device.features
    if device.instance:
        features = FeatureSet((*features.features, (_INSTANCE, frozenset((f"<{device.instance}>",)))))
    try:
        rejects = any(each.matches(features) for each in request.get_all(RejectContact))
        return rejects or any(_is_contradicted(each, features) for each in request.get_all(AcceptContact))
    except SipParseError:
        return False


def _may_rule_out(request: Request) -> bool:
    """Whether the preferences have to be read at all."""
    return request.has("Reject-Contact") or "require" in "".join(request.texts("Accept-Contact")).lower()


def _is_contradicted(preference: AcceptContact, features: FeatureSet) -> bool:
    if not preference.is_required:
        return False
    rest = AcceptContact(preference.params.without(_SERVICE))
    return bool(rest.terms) and not rest.matches(features)
