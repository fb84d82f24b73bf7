"""MESSAGE for one of our users (digest §15.5, column "terminating")."""

from __future__ import annotations

from ims_core.store.record_table import StoreError
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri
from rcs_sim.server.deferred import Kept, StoreAndForward
from rcs_sim.server.device_capabilities import CPM_MSG
from rcs_sim.server.device_fork import DeviceFork, ForkEnd
from rcs_sim.server.device_registry import Device
from rcs_sim.server.duplicate_filter import MessageKey
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.pager_content import ContentKind, ContentRefused, PagerContent, read_pager
from rcs_sim.server.part_context import IncomingMessage, PartContext
from rcs_sim.server.passing_message import PassingMessage
from rcs_sim.server.relayed_request import ids_of, name_service, relay, route_of_dialog, supply_ids, wrap_bare_body
from rcs_sim.server.revocation_server import RevocationServer
from rcs_sim.server.served_users import ServedUser, asserted_identity, key_of_uri
from rcs_sim.server.server_notices import ServerNotices
from rcs_sim.wire.revocation import RevokeRequest

__all__ = ["TerminatingMessages"]


class TerminatingMessages:
    """Duplicates, revocations, interworking, and everything else to the devices or into the store."""

    __slots__ = ("_context", "_forward", "_interworking", "_pending", "_revocations")

    def __init__(
        self,
        context: PartContext,
        forward: StoreAndForward,
        notices: ServerNotices,
        interworking: Interworking | None,
    ) -> None:
        self._context = context
        self._forward = forward
        self._interworking = interworking
        self._pending: dict[MessageKey, DeviceFork] = {}
        self._revocations = RevocationServer(context, forward, notices, self._pending)

    def receive(
        self, exchange: Exchange, request: Request, user: ServedUser, now: float, *, is_own: bool = False
    ) -> None:
        """A MESSAGE for *user*. *is_own*: what a focus here says, which nobody takes out of the conversation."""
        sender = asserted_identity(request)
        if sender is None:
            self._context.refuse(exchange, 400, "no readable P-Asserted-Identity or From")
            return
        try:
            content = read_pager(request)
        except ContentRefused as refusal:
            self._context.refuse(exchange, refusal.status, refusal.text, refusal.headers)
            return
        sender_key = key_of_uri(sender) or str(sender)
        if sender_key in user.blocked:
            self._context.refuse(exchange, 403, "the recipient takes no messages from this sender")
            return
        if not is_own and self._is_taken(exchange, request, user, sender_key, content, now):
            return
        key = (sender_key, content.message_id, user.key)
        if self._is_repeated(exchange, key, now) or self._is_revocation(exchange, request, content, key, now):
            return
        template = self._template(request, content, key, now)
        message = IncomingMessage(user, sender, key, content, template, request.text("Conversation-ID"))
        self._deliver(exchange, request, message, now)

    def _is_taken(
        self, exchange: Exchange, request: Request, user: ServedUser, sender: str, content: PagerContent, now: float
    ) -> bool:
        """Whether the focus of the conversation, which is here, has taken it."""
        focus = self._context.ways.focus
        if focus is None or not focus.looks_at(content, is_from_user=False):
            return False
        passing = PassingMessage(user, sender, content, False, ids_of(request, (sender, user.key)))
        if focus.takes(passing, now):
            self._context.outbox.respond(exchange, 200)
            return True
        return False

    def _is_repeated(self, exchange: Exchange, key: MessageKey, now: float) -> bool:
        """P06: acknowledged without another delivery; while the first is pending it gets the answer of that."""
        if not key[1]:
            return False
        pending = self._pending.get(key)
        if pending is not None:
            pending.exchanges.append(exchange)
            return True
        if self._context.seen.get(key, now) is None:
            return False
        self._context.outbox.note("duplicate dropped", "seen from this sender before", key[1], user=key[2])
        self._context.outbox.respond(exchange, 200)
        return True

    def _is_revocation(
        self, exchange: Exchange, request: Request, content: PagerContent, key: MessageKey, now: float
    ) -> bool:
        """A revoke request ends here, never at a device. The answer to one goes on like a message."""
        if content.kind is not ContentKind.REVOCATION:
            return False
        document = content.revocation()
        if document is None:
            self._context.refuse(exchange, 400, "the revocation cannot be read")
        elif isinstance(document, RevokeRequest):
            self._context.outbox.respond(exchange, 200)
            self._revocations.decide(request, (key[0], document.message_id, key[2]), now)
        else:
            return False
        return True

    def _template(self, request: Request, content: PagerContent, key: MessageKey, now: float) -> Request:
        """What devices get, but for Request-URI, Route and Call-ID. `no-fork` would forbid what happens here."""
        editor = relay(request, self._context.tokens, self._context.config.domain, strip=("Request-Disposition",))
        supply_ids(request, editor, (key[0], key[2]), self._context.tokens)
        if content.is_bare:
            wrap_bare_body(editor, content, self._context.tokens, now)
            name_service(request, editor, CPM_MSG)
        return editor.done()

    def receive_own(self, request: Request, user: ServedUser, now: float) -> None:
        """A MESSAGE that this server itself made for one of its users: nobody waits for an answer."""
        sender = asserted_identity(request)
        if sender is not None:
            content = read_pager(request)
            key = (key_of_uri(sender), content.message_id, user.key)
            self._deliver(None, request, IncomingMessage(user, sender, key, content, request, None), now)

    def keep_copies(self, request: Request, user: ServedUser, taken_by: str, then: Kept, now: float) -> bool:
        """For the other devices of *user*, after *taken_by* took the message *request* in a session (F03): safe before
        *then* is told, and handed out after it. False if there is nobody to keep it for, or no place; without a store
        those that are there get it all the same."""
        known = {device.instance for device in self._context.devices.known(user.key) if device.may_be_rcs}
        others, sender = frozenset(known - {taken_by}), asserted_identity(request)
        if not others or taken_by not in known or sender is None:
            return False
        content = read_pager(request)
        key = (key_of_uri(sender) or str(sender), content.message_id, user.key)
        message = IncomingMessage(user, sender, key, content, request, request.text("Conversation-ID"))
        if not self._context.config.has_store_and_forward:
            self._offer_copies(message, others, now)
            return False
        if not self._forward.make_room(message):
            self._context.outbox.note("copies not kept", "no room in the message store", key[1], user=user.key)
            return False

        def kept(error: StoreError | None, at: float) -> None:
            then(error, at)
            if error is None:
                self._forward.wake(user.key, others, at)

        self._forward.keep(message, others, now, kept)
        return True

    def _offer_copies(self, message: IncomingMessage, others: frozenset[str], now: float) -> None:
        """To those of *others* that are registered now. Nobody waits for what becomes of it."""
        devices = self._context.devices.known(message.user.key)
        here = [device for device in devices if device.instance in others and device.is_reachable(now)]
        if here:
            fork = DeviceFork(self._context, self._forward, message, None, lambda fork, end, now: None)
            fork.start(here, [], self._context.terminating_route, now)

    def _deliver(self, exchange: Exchange | None, request: Request, message: IncomingMessage, now: float) -> None:
        owner = message.user.key
        if exchange is not None and self._is_of_no_use(message):
            self._context.refuse(exchange, 404, "no device of the recipient could show what this changes")
            return
        devices, away = self._devices(request, owner, now)
        if exchange is not None and not devices and not away and _names_device(request):
            self._context.refuse(exchange, 480, "that device of the recipient is not known")
            return
        fork = DeviceFork(self._context, self._forward, message, exchange, self._ended)
        if message.message_id:
            self._pending[message.key] = fork
        if self._interworking is not None and self._interworking.wants(message):
            self._interworking.submit_for(fork, now)
        else:
            fork.start(devices, away, route_of_dialog(request) or self._context.terminating_route, now)

    def _is_of_no_use(self, message: IncomingMessage) -> bool:
        """A reaction, an edit or a recall for a user who gets short messages in the place of texts: none is made of it,
        and it waits for no device that there is not (choice)."""
        interworking = self._interworking
        return interworking is not None and message.content.is_change and interworking.serves(message.user.key)

    def _devices(self, request: Request, owner: str, now: float) -> tuple[list[Device], list[Device]]:
        """The registered devices, and those that may come back; only the one that a pub-gruu names (RFC 5627)."""
        devices = self._context.devices.known(owner)
        if _names_device(request):
            devices = tuple(device for device in devices if device.gruu == request.request_uri_text)
        here = [device for device in devices if device.is_reachable(now)]
        return here, [device for device in devices if device.may_be_rcs and not device.is_reachable(now)]

    def _ended(self, fork: DeviceFork, end: ForkEnd, now: float) -> None:
        if fork.message.message_id:
            self._pending.pop(fork.message.key, None)


def _names_device(request: Request) -> bool:
    """Whether it is for one device alone, by its GRUU (RFC 5627 §6.1)."""
    try:
        uri = request.request_uri
    except SipParseError:
        return False
    return isinstance(uri, SipUri) and uri.params.has("gr")
