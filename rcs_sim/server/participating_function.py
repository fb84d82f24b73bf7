"""CPM participating function of a carrier: the decision core of the messaging server (OMA CPM 2.2 §8.3, digest §15.5).

Synchronous, without I/O: requests, answers, stored records and deadlines in, actions out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ims_core.cx import Sh
from ims_core.store.deferred_messages import DeferredMessage, DeliveryCursor
from ims_core.store.mls_conversations import StoredControlMessage, StoredConversation
from ims_core.store.record_table import StoreError
from ims_core.store.registered_devices import REGISTERED_DEVICES, StoredDevices
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import PAssertedIdentity, PServedUser, Require, To
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import OtherUri
from rcs_sim.mls.seams import Seams
from rcs_sim.server.capability_query import CapabilityQueries
from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.delivery_ways import DeliveryWays
from rcs_sim.server.device_registry import DeviceRegistry
from rcs_sim.server.duplicate_filter import DuplicateFilter
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.mailbox import Mailboxes
from rcs_sim.server.messaging_actions import (
    Action,
    CallErrand,
    Deadlines,
    Errand,
    Exchange,
    Outbox,
    Persist,
    StoreErrand,
)
from rcs_sim.server.messaging_config import MessagingServerConfig
from rcs_sim.server.mls_delivery import MlsDelivery
from rcs_sim.server.mls_focus import MlsFocus
from rcs_sim.server.network_fallback import NetworkFallback
from rcs_sim.server.originating import OriginatingMessages
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.relayed_request import max_forwards_of
from rcs_sim.server.served_users import ServedUser, Subscribers, key_of_uri
from rcs_sim.server.server_notices import ServerNotices
from rcs_sim.server.session_case import SessionCase, SessionPart
from rcs_sim.server.session_invite import is_of_group
from rcs_sim.server.session_media import SessionMedia
from rcs_sim.server.session_part import Sessions
from rcs_sim.server.terminating import TerminatingMessages
from rcs_sim.server.third_party_registration import read_third_party_registration

__all__ = ["ParticipatingFunction"]

_SECONDS_PER_DAY = 86400.0
_ALLOW: HeaderInput = ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, MESSAGE, OPTIONS, REGISTER")
_NO_SESSIONS = "this network has no sessions: use pager mode"
_IN_DIALOG = frozenset(("BYE", "UPDATE", "PRACK", "INFO"))
_MAY_REQUIRE = frozenset(("INVITE", "UPDATE"))
_OF_SESSIONS = ("timer", "100rel")  # option tags
_EVENT_METHODS = frozenset(("SUBSCRIBE", "NOTIFY", "PUBLISH"))


class ParticipatingFunction:
    """Each `handle_...` returns what is to be done, in order. An `Errand` or `StoreErrand` of an action is handed back
    with its outcome; `next_deadline` tells when `handle_deadline` is to be called."""

    def __init__(
        self,
        config: MessagingServerConfig,
        sh: Sh,
        tokens: Tokens,
        *,
        blocked: Mapping[str, frozenset[str]] | None = None,
        media: SessionMedia | None = None,
        seams: Seams | None = None,
    ) -> None:
        """Without *media*, the anchor of sessions, there are no sessions; without *seams*, which know whom to trust,
        encrypted conversations have no focus here."""
        memory_s = config.store_days * _SECONDS_PER_DAY
        self.context = context = PartContext(
            config=config,
            tokens=tokens,
            subscribers=Subscribers(sh, blocked),
            devices=DeviceRegistry(memory_s, config.max_known_devices),
            mailboxes=Mailboxes(
                config.store_max_per_user,
                config.store_max_total,
                max_octets=config.store_max_octets_per_user,
                max_octets_total=config.store_max_octets,
            ),
            seen=DuplicateFilter(config.duplicate_memory_s, config.duplicate_memory_size),
            outbox=Outbox(),
            deadlines=Deadlines(),
            ways=DeliveryWays(),
        )
        self._notices = ServerNotices(context)
        self._forward = StoreAndForward(context, self._notices)
        self._interworking = Interworking(context, self._notices) if config.has_interworking else None
        if self._interworking is not None and config.falls_back:
            context.ways.fallback = NetworkFallback(context, self._forward, self._interworking)
        self._originating = OriginatingMessages(context, self._forward, self._interworking)
        self._terminating = TerminatingMessages(context, self._forward, self._notices, self._interworking)
        self._queries = CapabilityQueries(context)
        self.sessions: SessionPart | None = None
        if media is not None:
            parts = (self._originating, self._terminating, self._forward, self._interworking)
            self.sessions = Sessions(context, media, *parts)
        self._notices.deliver_own = self._terminating.receive_own
        self.focus: MlsFocus | None = None
        if config.mls_rules is not None and seams is not None:
            delivery = MlsDelivery(context, self._terminating)
            self.focus = context.ways.focus = MlsFocus(context, config.mls_rules, seams, delivery)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def load(
        self,
        messages: Iterable[DeferredMessage],
        cursors: Iterable[DeliveryCursor],
        devices: Iterable[StoredDevices],
        now: float,
    ) -> list[Action]:
        """Takes over what the last run left in the store; hands out what can be handed out when the network stands."""
        self.context.devices.load(devices)
        self._forward.load(messages, cursors, now)
        if len(self.context.mailboxes):
            self.context.deadlines.arm(now + self.context.config.restart_wait_s, self._forward.resumption())
        return self.context.outbox.take(now)

    def load_focus(
        self, conversations: Iterable[StoredConversation], log: Iterable[StoredControlMessage], now: float
    ) -> list[Action]:
        """The same for encrypted conversations, which come with their logs of control messages."""
        if self.focus is not None:
            self.focus.load(conversations, log, now)
        return self.context.outbox.take(now)

    def handle_request(self, exchange: Exchange, request: Request, now: float) -> list[Action]:
        """A request that is not ACK. Everything that it calls for is answered, whatever its content."""
        try:
            self._dispatch(exchange, request, now)
        except SipParseError as error:
            self.context.refuse(exchange, 400, str(error))
        return self.context.outbox.take(now)

    def handle_cancel(self, exchange: Exchange, cancel: Request, invite: Exchange | None, now: float) -> list[Action]:
        """A CANCEL, and the exchange of the INVITE that it is about, if that is open."""
        if self.sessions is None:
            self.context.outbox.respond(exchange, 481)
        else:
            self.sessions.cancel(exchange, cancel, invite, now)
        return self.context.outbox.take(now)

    def handle_ack(self, ack: Request, now: float) -> list[Action]:
        """The ACK to a 2xx."""
        with suppress(SipParseError):
            if self.sessions is not None:
                self.sessions.acknowledge(ack, now)
        return self.context.outbox.take(now)

    def handle_stray(self, response: Response, now: float) -> list[Action]:
        """A response that no transaction waits for."""
        with suppress(SipParseError):
            if self.sessions is not None:
                self.sessions.stray_response(response, now)
        return self.context.outbox.take(now)

    def handle_progress(self, errand: CallErrand, response: Response, now: float) -> list[Action]:
        """A provisional response to a `SendInCall`."""
        errand.progressed(response, now)
        return self.context.outbox.take(now)

    def handle_outcome(self, errand: Errand, status: int, response: Response | None, now: float) -> list[Action]:
        """The final answer to a `SendRequest`."""
        errand.finished(status, response, now)
        return self.context.outbox.take(now)

    def handle_stored(self, errand: StoreErrand, error: StoreError | None, now: float) -> list[Action]:
        """The outcome of a `Persist` or `Forget`."""
        errand.stored(error, now)
        return self.context.outbox.take(now)

    def handle_submission(self, submission: str, is_accepted: bool, now: float) -> list[Action]:
        """The SMSC took a `SubmitText`, or not."""
        if self._interworking is not None:
            self._interworking.submitted(submission, is_accepted, now)
        return self.context.outbox.take(now)

    def handle_report(self, submission: str, is_delivered: bool, now: float) -> list[Action]:
        """The status report of a `SubmitText`."""
        if self._interworking is not None:
            self._interworking.reported(submission, is_delivered, now)
        return self.context.outbox.take(now)

    def shut_down(self, now: float, at_most: int) -> tuple[list[Action], bool]:
        """The server ends: so many of its sessions do so in order. Also whether there are more."""
        has_more = self.sessions is not None and self.sessions.shut_down(now, at_most)
        return self.context.outbox.take(now), has_more

    @property
    def has_sessions(self) -> bool:
        return self.sessions is not None and not self.sessions.is_idle

    def next_deadline(self) -> float | None:
        return self.context.deadlines.next()

    def handle_deadline(self, now: float) -> list[Action]:
        self.context.deadlines.fire(now)
        return self.context.outbox.take(now)

    # -- dispatch ----------------------------------------------------------------------------------------------------

    def _dispatch(self, exchange: Exchange, request: Request, now: float) -> None:
        method = request.method
        if method == "REGISTER":
            self._register(exchange, request, now)
        elif not self._is_refused(exchange, request):
            self._serve(exchange, request, method, now)

    def _is_refused(self, exchange: Exchange, request: Request) -> bool:
        """What a UAS looks at first (RFC 3261 §8.2)."""
        if request.method not in _IN_DIALOG and max_forwards_of(request) == 0:
            self.context.refuse(exchange, 483, "too many hops")
        elif isinstance(request.request_uri, OtherUri):
            self.context.refuse(exchange, 416, f"URI scheme {request.request_uri.scheme}")
        elif unsupported := self._unsupported(request):
            self.context.refuse(exchange, 420, "extension not supported", (("Unsupported", ", ".join(unsupported)),))
        else:
            return False
        return True

    def _unsupported(self, request: Request) -> list[str]:
        require = request.get(Require)
        if require is None:
            return []
        supported = _OF_SESSIONS if self.sessions is not None and request.method in _MAY_REQUIRE else ()
        return [token for token in require.tokens if token.lower() not in supported]

    def _serve(self, exchange: Exchange, request: Request, method: str, now: float) -> None:
        if self._is_in_dialog(request) and (method == "INVITE" or self._is_of_session(request)):
            self._serve_dialog(exchange, request, now)
        elif method == "MESSAGE" or method == "OPTIONS" or method == "INVITE":
            self._serve_user(exchange, request, method, now)
        elif method in _EVENT_METHODS:
            self.context.refuse(exchange, 489, "no event package is served here")
        elif method == "REFER":
            self.context.refuse(exchange, 403, "REFER is for groups")
        elif method in _IN_DIALOG:
            self._serve_dialog(exchange, request, now)
        elif method == "CANCEL":
            self.context.outbox.respond(exchange, 481)
        else:
            self.context.refuse(exchange, 405, f"method {method}"[:80], (_ALLOW,))

    def _is_in_dialog(self, request: Request) -> bool:
        return request.require(To).tag is not None

    def _is_of_session(self, request: Request) -> bool:
        return self.sessions is not None and self.sessions.knows(request)

    def _serve_dialog(self, exchange: Exchange, request: Request, now: float) -> None:
        if self.sessions is None:
            self.context.outbox.respond(exchange, 481)
        else:
            self.sessions.in_dialog(exchange, request, now)

    def _serve_user(self, exchange: Exchange, request: Request, method: str, now: float) -> None:
        case, user = self._served(request)
        if user is None:
            is_originating = case is SessionCase.ORIGINATING
            why = "the sender is no RCS subscriber" if is_originating else "no RCS subscriber"
            self.context.refuse(exchange, 403 if is_originating else 404, why)
            return
        if case is SessionCase.ORIGINATING and not self.context.devices.is_registered(user.key, now):
            self._note_alive(request, user, now)
        if method == "INVITE":
            self._invite(exchange, request, case, user, now)
        elif case is SessionCase.ORIGINATING:
            part = self._originating
            (part.receive if method == "MESSAGE" else part.query)(exchange, request, user, now)
        elif method == "MESSAGE":
            self._terminating.receive(exchange, request, user, now)
        else:
            self._queries.receive(exchange, request, user, now)

    def _served(self, request: Request) -> tuple[SessionCase, ServedUser | None]:
        """The session case and its user: P-Served-User (RFC 5502) if it is there, else by whose identities these are.

        Without that header a request between two of our own users counts as originating."""
        find = self.context.subscribers.find
        served = request.get(PServedUser)
        if served is not None:
            user = find(key_of_uri(served.uri))
            case = (served.params.get("sescase") or "").lower()
            if case in ("orig", "term"):
                return (SessionCase.ORIGINATING if case == "orig" else SessionCase.TERMINATING), user
        asserted = request.get(PAssertedIdentity)
        sender = None if asserted is None else find(key_of_uri(asserted.uri))
        if sender is not None:
            return SessionCase.ORIGINATING, sender
        return SessionCase.TERMINATING, find(key_of_uri(request.request_uri))

    def _invite(self, exchange: Exchange, request: Request, case: SessionCase, user: ServedUser, now: float) -> None:
        if self.sessions is not None:
            self.sessions.invite(exchange, request, case, user, now)
        elif case is SessionCase.TERMINATING and not self.context.devices.reachable(user.key, now):
            self.context.refuse(exchange, 480, "the recipient is not registered")
        elif case is SessionCase.TERMINATING and is_of_group(request):
            self.context.refuse(exchange, 480, _NO_SESSIONS)  # the focus stores for its members (digest §19.6)
        else:
            self.context.refuse(exchange, 488, _NO_SESSIONS)

    # -- third-party registration ------------------------------------------------------------------------------------

    def _register(self, exchange: Exchange, request: Request, now: float) -> None:
        """Noted and stored, then 200 always; then what waits for the user goes out."""
        report = read_third_party_registration(request)
        user = self.context.subscribers.find(report.user)
        if user is None:
            self.context.outbox.note("registration ignored", "no RCS subscriber", user=report.user)
            self.context.outbox.respond(exchange, 200)
            return
        returned = self.context.devices.apply(user.key, report, now)
        instances = frozenset(binding.instance for binding in report.registering) or None
        record = self.context.devices.record_of(user.key)
        errand = _Registration(self, exchange, user.key, instances, returned)
        self.context.outbox.add(Persist(REGISTERED_DEVICES, record, errand))

    def _note_alive(self, request: Request, user: ServedUser, now: float) -> None:
        """The S-CSCF says that it serves a registered user: his REGISTER came while this server was down."""
        served = request.get(PServedUser)
        if served is None or (served.params.get("regstate") or "").lower() != "reg":
            return
        returned = (self.context.devices.seen_alive(user.key, now),)
        self.context.outbox.note("registration inferred", f"from {request.method}", user=user.key)
        self._forward.returned(user.key, returned, now)
        self._forward.wake(user.key, returned, now)

    def registered(self, report: _Registration, error: StoreError | None, now: float) -> None:
        """A report of the S-CSCF is safe, or could not be stored."""
        if error is not None:
            self.context.outbox.note("registration not stored", str(error), user=report.owner)
        self.context.outbox.respond(report.exchange, 200)
        self._forward.returned(report.owner, report.returned, now)
        self._forward.wake(report.owner, report.instances, now)


@dataclass(frozen=True, slots=True)
class _Registration:
    """A report of the S-CSCF on its way into the store: which *instances* registered (None: unknown), and which of them
    *returned* rather than refreshed."""

    function: ParticipatingFunction
    exchange: Exchange
    owner: str
    instances: frozenset[str] | None
    returned: frozenset[str]

    def stored(self, error: StoreError | None, now: float) -> None:
        self.function.registered(self, error, now)
