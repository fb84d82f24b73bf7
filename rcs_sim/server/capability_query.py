"""OPTIONS for one of our users: the union of what his devices can do (digest §3.1, §15.5; D02, D03)."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Contact
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.server.device_capabilities import NO_FEATURES, is_rcs
from rcs_sim.server.device_registry import Device
from rcs_sim.server.messaging_actions import Exchange, Respond, SendRequest
from rcs_sim.server.messaging_config import OfflineOptions
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.relayed_request import relay, route_of_dialog, to_device
from rcs_sim.server.served_users import ServedUser

__all__ = ["CapabilityQueries"]

_ALLOW = "INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS, NOTIFY, UPDATE"
_CARRIED = ("Allow", "Accept", "Supported", "User-Agent")  # of the first device that answers
_GONE = (404, 430, 480)  # what the core answers for a binding that is not there any more
_FALLBACK = FeatureSet.of({"+g.gsma.rcs.msgfallback": ()})
_NOT_OF_A_USER = ("+sip.instance", "automata")


class CapabilityQueries:
    """Asks each registered device, within a deadline; a device that does not answer counts by its registration tags."""

    __slots__ = ("_context",)

    def __init__(self, context: PartContext) -> None:
        self._context = context

    def receive(self, exchange: Exchange, request: Request, user: ServedUser, now: float) -> None:
        context = self._context
        devices = context.devices.reachable(user.key, now)
        if not devices:
            self.answer_for_absent(exchange, user)
            return
        query = _Query(self, exchange, user, devices)
        asked = [device for device in devices if device.options_silent_until <= now]
        template = self._template(request)
        for device in asked:
            copy = to_device(
                template,
                identity=user.identity,
                device=device,
                route=route_of_dialog(request) or context.terminating_route,
                call_id=f"{context.tokens.word()}@{context.config.domain}",
            )
            context.outbox.add(SendRequest(copy, query.ask(device)))
        if asked:
            context.deadlines.arm(now + context.config.options_answer_s, query)
        else:
            query.expired(now)

    def _template(self, request: Request) -> Request:
        editor = relay(request, self._context.tokens, self._context.config.domain, strip=("Request-Disposition",))
        for contact in request.texts("Contact"):
            editor.append("Contact", contact)  # the asker's tags are of use to the devices
        return editor.done()

    def answer_for_absent(self, exchange: Exchange, user: ServedUser) -> None:
        """No device is there: 480, or the automaton's answer (D02)."""
        known = [device.features for device in self._context.devices.known(user.key) if device.features is not None]
        features = _union(features for features in known if is_rcs(features))
        if self._context.config.offline_options is OfflineOptions.UNAVAILABLE or not features:
            self._context.refuse(exchange, 480, "the user is not registered")
        else:
            self.respond(exchange, user, features.union(FeatureSet.of({"automata": ()})), (("Allow", _ALLOW),))

    def respond(
        self, exchange: Exchange, user: ServedUser, features: FeatureSet, headers: tuple[HeaderInput, ...]
    ) -> None:
        """200 with the tags in Contact; one more if this network falls back to SMS for its users (digest §8.1)."""
        if self._context.config.falls_back:
            features = features.union(_FALLBACK)
        contact = Contact.of(user.identity, params=features.to_params())
        answer = (("P-Asserted-Identity", f"<{user.identity}>"), contact, *headers)
        self._context.outbox.add(Respond(exchange, 200, answer))

    def silent(self, device: Device, now: float) -> None:
        """Not asked again for a while: no storm of requests to a client that never answers OPTIONS."""
        device.options_silent_until = now + self._context.config.options_silence_s
        self._context.outbox.note("capability query unanswered", "registration tags count", user=device.instance)


def _union(all_features: Iterable[FeatureSet]) -> FeatureSet:
    merged = NO_FEATURES
    for features in all_features:
        merged = merged.union(features)
    return merged.without(*_NOT_OF_A_USER)


class _Query:
    """One OPTIONS at all devices."""

    __slots__ = ("_answers", "_devices", "_exchange", "_headers", "_open", "_queries", "_user", "is_over")

    def __init__(self, queries: CapabilityQueries, exchange: Exchange, user: ServedUser, devices: list[Device]) -> None:
        self._queries = queries
        self._exchange = exchange
        self._user = user
        self._devices = devices
        self._open: set[str] = set()
        self._answers: dict[str, FeatureSet] = {}
        self._headers: tuple[HeaderInput, ...] = (("Allow", _ALLOW),)
        self.is_over = False

    def ask(self, device: Device) -> _Asked:
        self._open.add(device.instance)
        return _Asked(self, device)

    def answered(self, device: Device, status: int, response: Response | None, now: float) -> None:
        if self.is_over:
            return
        self._open.discard(device.instance)
        if response is None or status == 408:
            self._queries.silent(device, now)
        elif status in _GONE:
            self._devices.remove(device)
        elif 200 <= status < 300:
            if not self._answers:
                self._headers = tuple((name, text) for name in _CARRIED if (text := response.text(name)) is not None)
            self._answers[device.instance] = _features_of(response)
        if not self._open:
            self._finish()

    def expired(self, now: float) -> None:
        for device in self._devices:
            if device.instance in self._open:
                self._queries.silent(device, now)
        self._finish()

    def _finish(self) -> None:
        self.is_over = True
        if not self._devices:
            self._queries.answer_for_absent(self._exchange, self._user)
            return
        features = [self._answers.get(device.instance, device.features or NO_FEATURES) for device in self._devices]
        self._queries.respond(self._exchange, self._user, _union(features), self._headers)


class _Asked:
    """OPTIONS at one device."""

    __slots__ = ("_device", "_query")

    def __init__(self, query: _Query, device: Device) -> None:
        self._query = query
        self._device = device

    def finished(self, status: int, response: Response | None, now: float) -> None:
        self._query.answered(self._device, status, response, now)


def _features_of(response: Response) -> FeatureSet:
    try:
        return _union(FeatureSet.of_contact(contact) for contact in response.get_all(Contact))
    except SipParseError:
        return NO_FEATURES
