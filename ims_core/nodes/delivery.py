"""Terminating delivery: from an identity to the contacts bound to it (RFC 3261 §16.5, RFC 3841, RFC 5626 §6, 5627)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from ims_core.nodes.decision import Decision, Forward, Persist, Reject, ResponseHook, Target
from ims_core.nodes.destination import Destination
from ims_core.nodes.registrar import Registrar
from ims_core.nodes.served_user import Binding, ServedUser
from ims_core.transport.sip_stack import Hop, Outcome
from ims_core.wire.sip.address_headers import Path
from ims_core.wire.sip.feature_tags import AcceptContact, FeatureSet, RejectContact, RequestDisposition
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.uri import SipUri, Uri, parse_uri

__all__ = ["Delivery"]

_INSTANCE = "+sip.instance"
_MAX_MODELS = 64  # tag sets whose fit is remembered, for each of as many preferences
_MAX_PLACES = 4096  # next hops that are remembered; a carrier has a handful of P-CSCFs

FlowFailed = Callable[[tuple[object, ...], tuple[Persist, ...]], None]


class Delivery:
    """Decision core. *flow_failed* carries out what the loss of a binding entails."""

    def __init__(self, registrar: Registrar, hop_of: Callable[[Uri], Hop | None], flow_failed: FlowFailed) -> None:
        self._registrar = registrar
        self._hop_of = hop_of
        self._flow_failed = flow_failed
        self._hops: dict[str, Hop] = {}

    def deliver(self, request: Request, user: ServedUser, target: Destination, now: float) -> Decision:
        """To the contacts of *user* that may have the request, best first; 480 if there is none."""
        bindings = [binding for binding in user.bindings if not target.instance or binding.instance == target.instance]
        if len(bindings) > 1 or _may_rule_out(request):
            bindings = self._select(request, bindings)
        if not bindings:
            return Reject(480)
        disposition = request.get(RequestDisposition) if request.has("Request-Disposition") else None
        chosen, spare = _one_for_each_instance(bindings) if len(bindings) > 1 else (bindings, [])
        if disposition is not None and "no-fork" in disposition:
            chosen = chosen[:1]
        is_sequential = disposition is not None and "sequential" in disposition
        called = f"<{_called_party(user, target, request)}>"
        hook = _DeliveryHook(self, request, user, spare, called)
        targets = [self.target(request, binding, called) for binding in chosen]
        found = tuple([target for target in targets if target is not None])
        return Forward(found, hook, is_sequential) if found else Reject(480)

    def target(self, request: Request, binding: Binding, called: str) -> Target | None:
        """The request as it goes to one contact (TS 24.229 §5.4.3.3). None if its path leads nowhere."""
        hop = self._hop(binding)
        if hop is None:
            return None
        editor = request.edit().request_uri(_request_target(binding.contact)).remove("Route", "P-Served-User")
        for path in binding.path:
            editor.append("Route", path)
        editor.set("P-Called-Party-ID", called)
        return Target(editor.done(), hop, binding)

    def binding_failed(self, user: ServedUser, binding: Binding, now: float) -> None:
        """430 came back for it."""
        self._flow_failed(*self._registrar.flow_failed(user, binding, now))

    def _hop(self, binding: Binding) -> Hop | None:
        """First hop of the Path; without one the contact itself, as for UEs that register here directly."""
        text = binding.path[0] if binding.path else f"<{binding.contact}>"
        place = text.partition("@")[2] or text  # what differs between users stands before it
        hop = self._hops.get(place)
        if hop is None:
            uri = Path.parse(text).uri if binding.path else parse_uri(binding.contact)
            hop = self._hop_of(uri)
            if hop is not None:
                if len(self._hops) >= _MAX_PLACES:
                    self._hops.clear()
                self._hops[place] = hop
        return hop

    def _select(self, request: Request, bindings: list[Binding]) -> list[Binding]:
        """RFC 3841 §7.2: who is ruled out, and the rest by q, by fit, the latest first."""
        preferences = _preferences(request.texts("Accept-Contact"), request.texts("Reject-Contact"))
        ranked = []
        for binding in bindings:
            fit = preferences.fit(binding)
            if fit is not None:
                ranked.append((binding.q, fit, binding.order, binding))
        ranked.sort(key=lambda entry: entry[:3], reverse=True)
        return [entry[3] for entry in ranked]


class _DeliveryHook(ResponseHook):
    """A contact whose flow is gone is dropped; another flow of the same device is tried (RFC 5626 §6)."""

    __slots__ = ("_called", "_delivery", "_request", "_spare", "_user")

    def __init__(
        self, delivery: Delivery, request: Request, user: ServedUser, spare: list[Binding], called: str
    ) -> None:
        self._delivery = delivery
        self._request = request
        self._user = user
        self._spare = spare
        self._called = called

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        if not isinstance(outcome, Response) or outcome.status != 430 or not isinstance(target.key, Binding):
            return None
        failed = target.key
        if failed in self._user.bindings and not _is_on_its_flow(target.request, failed):
            return self._again(failed) or Reject(
                480
            )  # it has registered over another flow meanwhile: the 430 is about the old one
        self._delivery.binding_failed(self._user, failed, now)
        for binding in self._spare:
            if binding.instance == failed.instance and binding in self._user.bindings:
                self._spare.remove(binding)
                again = self._again(binding)
                if again is not None:
                    return again
        return Reject(480)  # a 430 of the callee's flow would make the caller suspect his own

    def _again(self, binding: Binding) -> Forward | None:
        """The same request to that contact."""
        again = self._delivery.target(self._request, binding, self._called)
        return None if again is None else Forward((again,), self)


class _Preferences:
    """Accept-Contact and Reject-Contact of a request, and how well the tags of each phone model fit them."""

    __slots__ = ("_accepts", "_by_instance", "_fits", "_rejects")

    def __init__(self, accepts: tuple[AcceptContact, ...], rejects: tuple[RejectContact, ...]) -> None:
        self._accepts = accepts
        self._rejects = rejects
        self._by_instance = any(each.params.has(_INSTANCE) for each in (*accepts, *rejects))
        self._fits: dict[str, float | None] = {}

    def fit(self, binding: Binding) -> float | None:
        """How well a binding fits; None if it is ruled out."""
        if self._by_instance:
            return self._fit(_with_instance(binding))
        if binding.tags not in self._fits:
            if len(self._fits) >= _MAX_MODELS:
                self._fits.clear()
            self._fits[binding.tags] = self._fit(binding.features())
        return self._fits[binding.tags]

    def _fit(self, features: FeatureSet) -> float | None:
        if any(each.matches(features) for each in self._rejects):
            return None
        if all(each.matches(features) or not each.is_required for each in self._accepts):
            return sum(each.score(features) for each in self._accepts)
        return None


@lru_cache(64)
def _preferences(accepts: tuple[str, ...], rejects: tuple[str, ...]) -> _Preferences:
    """Of few services, so remembered. Raises SipParseError."""
    return _Preferences(AcceptContact.values_of(accepts), RejectContact.values_of(rejects))


def _may_rule_out(request: Request) -> bool:
    """Whether the caller's preferences could leave even the only contact out: otherwise they need not be read."""
    if request.has("Reject-Contact"):
        return True
    texts = request.texts("Accept-Contact")
    return bool(texts) and "require" in "".join(texts).lower()


def _one_for_each_instance(bindings: list[Binding]) -> tuple[list[Binding], list[Binding]]:
    """One binding of each device, the latest (RFC 5626 §6), in the order given; and the others, the latest first."""
    if len(bindings) == 1:
        return bindings, []
    latest: dict[str, Binding] = {}
    for binding in bindings:
        if binding.instance:
            known = latest.get(binding.instance)
            if known is None or binding.order > known.order:
                latest[binding.instance] = binding
    chosen = [each for each in bindings if not each.instance or latest[each.instance] is each]
    spare = [each for each in bindings if each not in chosen]
    spare.sort(key=lambda each: each.order, reverse=True)
    return chosen, spare


def _is_on_its_flow(request: Request, binding: Binding) -> bool:
    """Whether *request* went where *binding* is now: its path names the flow (RFC 5626 §5.2)."""
    is_same_contact = request.request_uri_text == _request_target(binding.contact)
    return is_same_contact and tuple(request.texts("Route")) == binding.path


def _request_target(contact: str) -> str:
    """A contact as a Request-URI, where headers and method have no place (RFC 3261 §19.1.1, §16.6 step 2)."""
    if "?" not in contact and ";method" not in contact:
        return contact
    uri = parse_uri(contact)
    if not isinstance(uri, SipUri):
        return contact
    return str(SipUri(uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params.without("method")))


def _called_party(user: ServedUser, target: Destination, request: Request) -> str:
    """The IMPU that was called, as P-Called-Party-ID has it: never a GRUU."""
    if target.key in user.impus:
        return target.key
    return user.default_impu if target.instance else request.request_uri_text


def _with_instance(binding: Binding) -> FeatureSet:
    features = binding.features()
    if not binding.instance:
        return features
    return FeatureSet((*features.features, (_INSTANCE, frozenset((f"<{binding.instance}>",)))))
