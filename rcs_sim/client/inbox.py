"""What comes to a phone: messages, receipts, typing, revocation answers, short messages (digest §4.4, §5, §8.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import ServerTransaction
from ims_core.wire.msrp.session_events import MessageReceived
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri, Uri, parse_uri
from rcs_sim.client.capabilities import ContactState, Knowledge
from rcs_sim.client.change_receiver import ChangeReceiver
from rcs_sim.client.content import (
    Content,
    Discarded,
    Encrypted,
    Incoming,
    Receipts,
    Refused,
    Revocation,
    ShortMessage,
    Typing,
    read_message,
    read_session_content,
)
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.display import Shown
from rcs_sim.client.duplicates import CopyMerger, SeenMessages
from rcs_sim.client.encryption import EncryptedArrival, Scheme
from rcs_sim.client.fallback import LatchEvent
from rcs_sim.client.identity import ContactKey, NotAnAddress, dialled_key, is_number, nameless_key, sender_of
from rcs_sim.client.message_session import MessageSession
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.pager import compose_typing, date_time_of, epoch_of, message_headers
from rcs_sim.client.receipts import ReceiptSender, receipt_target
from rcs_sim.client.sms_incoming import TextReceived
from rcs_sim.client.typing import TypingSender, TypingSignal
from rcs_sim.client.user_agent import UserAgent
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE
from rcs_sim.wire.imdn import Imdn, ImdnKind
from rcs_sim.wire.iscomposing import IsComposing
from rcs_sim.wire.revocation import RevokeResponse

__all__ = ["BARE_UNDER_LOCK", "Arrival", "Inbox"]

BARE_UNDER_LOCK = "received without encryption"
_NETWORK_SUFFIX = ".3gppnetwork.org"
_LEGACY = "application/vnd.google.rcs.encrypted"
_SEALED = frozenset(("message/mls", _LEGACY))


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came: from whom, with which ids, on which session (None: in pager mode)."""

    sender: ContactKey
    thread_id: str
    contribution_id: str
    session: MessageSession | None = None


class Inbox:
    """The receiving side of one phone. *ua* is set while it has RCS; *reads_after_s* None never reads by itself.
    *opens_legacy*: its encryption has the scheme from before MLS."""

    __slots__ = ("_merger", "_messenger", "_reads_after_s", "_seen", "changes", "opens_legacy", "receipts", "ua")

    def __init__(self, messenger: Messenger, receipts: ReceiptSender, reads_after_s: float | None) -> None:
        self._messenger = messenger
        self._reads_after_s = reads_after_s
        self._seen = SeenMessages()
        self.changes = ChangeReceiver(messenger, self._seen, receipts)
        self._merger = CopyMerger(messenger.policy.fallback.merge_window_s)
        self.receipts = receipts
        self.ua: UserAgent | None = None
        self.opens_legacy = False

    # --- MESSAGE -----------------------------------------------------------------------------------------------------

    def message_received(self, request: Request, server: ServerTransaction, flow: Flow) -> None:
        """Handler for MESSAGE: answers when it has been parsed, then acts on it."""
        ua = self.ua
        if ua is None:
            return
        incoming = read_message(request)
        if isinstance(incoming, ShortMessage) and not self._messenger.policy.sms.over_ip:
            incoming = Refused(415, "SMS over IP is not registered", (("Accept", CPIM_CONTENT_TYPE),))
        if isinstance(incoming, Refused):
            self._messenger.display.error(f"MESSAGE refused: {incoming.why}", request.body)
            ua.respond(server, incoming.status, incoming.headers)
            return
        sender = sender_of(request, ua.account.home_domain.lower())
        if sender is None and not isinstance(incoming, ShortMessage):
            self._messenger.display.error("MESSAGE refused: no sender can be read", request.body)
            ua.respond(server, 400)
            return
        ua.respond(server, 200)
        match incoming:
            case ShortMessage():
                self._messenger.sms.received_by_ip(incoming.octets, request)
            case Discarded():
                self._messenger.display.error(f"MESSAGE dropped: {incoming.why}", request.body)
            case _ if sender is None:
                pass
            case Content():
                thread_id, contribution_id = (
                    request.text("Conversation-ID") or "",
                    request.text("Contribution-ID") or "",
                )
                self.content_received(Arrival(sender[0], thread_id, contribution_id), incoming)
            case Encrypted():
                thread_id, contribution_id = (
                    request.text("Conversation-ID") or "",
                    request.text("Contribution-ID") or "",
                )
                self._encrypted_received(Arrival(sender[0], thread_id, contribution_id), sender[1], incoming)
            case Receipts():
                self._receipts_received(sender, incoming)
            case Typing():
                self.typing_received(sender[0], incoming.state)
            case Revocation():
                self._revocation_received(sender, incoming)

    # --- message sessions --------------------------------------------------------------------------------------------

    def thread_of(self, peer: ContactKey, conversation_id: str) -> Conversation:
        """The conversation that a message session belongs to."""
        return self._messenger.conversation(peer, conversation_id)

    def session_message(self, session: MessageSession, message: MessageReceived) -> int:
        """A message over MSRP: acts on it, and says with which status it is answered."""
        incoming = read_session_content(message.content_type, message.body)
        if isinstance(incoming, Refused):
            self._messenger.display.error(f"MSRP message refused: {incoming.why}", message.body)
            return incoming.status
        if session.is_large and _is_for_the_focus_to_see(incoming):
            self._messenger.display.error(
                "MSRP message refused: encryption control in large message mode", message.body
            )
            return 415
        uri = session.peer_uri or _uri_of(session.peer)
        match incoming:
            case Content():
                arrival = Arrival(session.peer, session.conversation_id, session.contribution_id, session)
                self.content_received(arrival, incoming)
            case Encrypted():
                arrival = Arrival(session.peer, session.conversation_id, session.contribution_id, session)
                self._encrypted_received(arrival, uri, incoming)
            case Receipts():
                self._receipts_received((session.peer, uri), incoming)
            case Typing():
                self.typing_received(session.peer, incoming.state)
            case Revocation():
                self._revocation_received((session.peer, uri), incoming)
            case Discarded():
                self._messenger.display.error(f"MSRP message dropped: {incoming.why}", message.body)
            case _:
                pass  # a short message was refused before
        return 200

    # --- content -----------------------------------------------------------------------------------------------------

    def _encrypted_received(self, arrival: Arrival, uri: Uri, incoming: Encrypted) -> None:
        """What is known already is receipted again, and never opened twice."""
        encryption, message_id = self._messenger.encryption, incoming.cpim.message_id
        earlier = self._seen.find(arrival.sender, message_id) if message_id else None
        if isinstance(earlier, ReceivedMessage):
            self.content_received(arrival, incoming.content)
            return
        if encryption is None or (_is_legacy(incoming) and not self.opens_legacy):
            self._unreadable_received(arrival, incoming)
            return
        encryption.arrived(
            EncryptedArrival(
                arrival.sender, uri, incoming.cpim, arrival.thread_id, arrival.contribution_id, arrival.session
            )
        )

    def _unreadable_received(self, arrival: Arrival, incoming: Encrypted) -> None:
        """Kept unseen, as anything that this phone cannot show; of what is sealed for the user its sender is told."""
        messenger, content = self._messenger, incoming.content
        conversation = messenger.conversation(arrival.sender, arrival.thread_id)
        message = self._new_message(conversation, arrival, content, messenger.alarms.now())
        message.is_unreadable = incoming.cpim.content_type.essence in _SEALED
        if content.message_id:
            self._seen.remember(arrival.sender, content.message_id, message)
        conversation.add(message)
        messenger.display.error("sealed by a scheme that this phone has not", incoming.cpim.body)
        self.receipts.delivered(message)

    def content_received(
        self,
        arrival: Arrival,
        content: Content,
        scheme: Scheme | None = None,
        *,
        replaces: str = "",
        is_proven: bool = False,
    ) -> None:
        """Content for the user, in clear or as it was unsealed. *replaces* is the id of a message that its sender has
        sealed anew: another device could not read it, this one may have shown it. Ids are the network's to write: what
        was sealed is a copy of what says the same only (choice), or if it *is_proven* that its sender says so."""
        messenger, now, sender = self._messenger, self._messenger.alarms.now(), arrival.sender
        earlier = self._seen.find(sender, content.message_id) if content.message_id else None
        if isinstance(earlier, ReceivedMessage) and (scheme is None or _says(earlier, content)):
            earlier.session = arrival.session or earlier.session
            self._receipt_again(earlier)
            return
        conversation = messenger.conversation(sender, arrival.thread_id)
        messenger.latch(conversation, messenger.capabilities.message_received(sender, now))
        message = self._new_message(conversation, arrival, content, now)
        message.scheme = scheme
        is_shown = not self.changes.read(message, content)
        if content.message_id:
            self._seen.remember(sender, content.message_id, message)
        shown = self._seen.find(sender, replaces) if replaces else None
        if isinstance(shown, ReceivedMessage) and (is_proven or _says(shown, content)):
            message.merged_into = shown.merged_into or shown
            self._receipt_again(message)
            return
        if replaces and shown is None:
            self._seen.remember(sender, replaces, message)  # it may come yet, or go out a third time
        if not is_shown:
            self.changes.received(sender, message)
            return
        self._typing_ended(conversation)
        ids = (content.message_id, replaces) if replaces else (content.message_id,)
        self.changes.target_came(sender, ids, lambda: self._take(conversation, message))
        self.receipts.delivered(message)
        if message.merged_into is not None and message.is_read:
            self.receipts.displayed(message)

    def ids_of(self, sender: ContactKey) -> Iterator[str]:
        """The ids of what came from *sender*, the last one first."""
        return self._seen.ids_of(sender)

    def _new_message(
        self, conversation: Conversation, arrival: Arrival, content: Content, now: float
    ) -> ReceivedMessage:
        ua = self.ua
        home = ua.account.home_domain if ua is not None else ""
        message = ReceivedMessage(
            conversation,
            content.text,
            MessageTransport.RCS,
            now,
            epoch_of(content.date_time) if content.date_time else None,
            message_id=content.message_id,
            contribution_id=arrival.contribution_id,
            content_type=content.content_type,
            body=_words_of(content)[2],
            date_time=content.date_time,
            wishes=content.wishes,
            receipts_to=receipt_target(self._messenger.policy, arrival.sender, content.cpim_from, home),
        )
        message.about_id = "" if content.reference is None else content.reference.target_id
        message.thread_id = arrival.thread_id or conversation.id
        message.session = arrival.session
        return message

    def _receipt_again(self, message: ReceivedMessage) -> None:
        """A repeated Message-ID is acknowledged and receipted again, not shown (digest §4.4); so is a copy that was
        sealed anew, under its own id (RCC.16 §10.3)."""
        display = self._messenger.display
        is_copy = message.merged_into is not None and message.merged_into.scheme is not None
        reason = "sealed anew, shown before" if is_copy else "imdn.Message-ID was seen before"
        display.state("duplicate", "not shown", reason=reason, message_id=message.id)
        if not self.changes.is_kept(message.conversation.peer, message):
            self.receipts.delivered(message)
        if message.is_read:
            self.receipts.displayed(message)

    # --- SMS ---------------------------------------------------------------------------------------------------------

    def text_received(self, text: TextReceived) -> None:
        """A whole short message."""
        messenger, now = self._messenger, self._messenger.alarms.now()
        peer = self._peer_of(text.sender)
        conversation = messenger.conversation(peer)
        if messenger.capabilities.entry(peer).state is ContactState.OFFLINE:
            messenger.latch(conversation, LatchEvent.SMS_RECEIVED_WHILE_OFFLINE)
        message = ReceivedMessage(conversation, text.text, MessageTransport.SMS, now, text.sent_at)
        self._typing_ended(conversation)
        self._take(conversation, message)

    @staticmethod
    def _peer_of(sender: str) -> ContactKey:
        """Numbers are threads of their own; so are the names that services send from."""
        try:
            return dialled_key(sender) if sender.startswith("+") else nameless_key(sender)
        except NotAnAddress:
            return nameless_key(sender)

    # --- showing -----------------------------------------------------------------------------------------------------

    def _take(self, conversation: Conversation, message: ReceivedMessage) -> None:
        """Shows it, unless its other copy was shown (digest §8.3), or it is of a kind that is kept unseen."""
        if message.text is None or message.is_recalled:
            conversation.add(message)
            return
        other = self._merger.admit(
            conversation.peer,
            message.text,
            message.transport,
            arrived_at=message.received_at,
            sent_at=message.sent_at,
            message=message,
        )
        display = self._messenger.display
        if isinstance(other, ReceivedMessage):
            message.merged_into = other
            display.state(
                "duplicate",
                "not shown",
                reason=f"the same text was shown as {other.transport.value}",
                message_id=message.id or other.id,
                conversation_id=conversation.id,
            )
            return
        message.shown_count = 1
        self._mark_bare(conversation, message)
        conversation.add(message)
        conversation.unread.append(message)
        display.show(
            Shown.MESSAGE,
            conversation.peer,
            message=message,
            message_id=message.id or None,
            conversation_id=conversation.id,
            direction="in",
            text=message.text,
            transport=message.transport.value,
            scheme=message.scheme,
            reply_to=message.reply_to or None,
            quote=self.changes.quote_of(conversation.peer, message),
        )
        if self._reads_after_s is not None and conversation.read_at is None:
            conversation.read_at = message.received_at + self._reads_after_s
            self.arm(conversation)

    def _mark_bare(self, conversation: Conversation, message: ReceivedMessage) -> None:
        """A text in clear under a lock, as from a device of the peer that does not encrypt: the lock says nothing about
        it, and its user is told so before the first of several (choice)."""
        message.is_bare = conversation.is_encrypted and message.scheme is None
        if not message.is_bare:
            return
        earlier = (each for each in reversed(conversation.messages) if isinstance(each, ReceivedMessage))
        if not any(each.is_bare for each in islice(earlier, 1)):
            self._messenger.display.show(
                Shown.TOMBSTONE, conversation.peer, conversation_id=conversation.id, text=BARE_UNDER_LOCK
            )

    def read(self, conversation: Conversation) -> None:
        """The user looked at everything in it."""
        now = self._messenger.alarms.now()
        unread, conversation.unread = conversation.unread, []
        conversation.read_at = None
        for message in unread:
            message.displayed_at = now
            self.receipts.displayed(message)
        self.arm(conversation)

    # --- receipts and answers about our own messages -----------------------------------------------------------------

    def _receipts_received(self, sender: tuple[ContactKey, Uri], receipts: Receipts) -> None:
        messenger = self._messenger
        if receipts.is_bare and not messenger.policy.messaging.accepts_bare_imdn:
            messenger.display.error("a receipt without CPIM is ignored by this device")
            return
        for imdn in receipts.imdns:
            message, encryption = messenger.find(imdn.message_id), messenger.encryption
            if message is None:
                if encryption is not None:
                    encryption.reported(imdn, receipts.cpim, sender[0])
                continue  # about a received message, or one that is history: dropped (digest §5.3)
            if not self._may_report(sender, message):
                messenger.display.error(f"a receipt about {imdn.message_id} from {sender[0]} is ignored")
            elif message.scheme is None or (
                encryption is not None and encryption.accepts_receipt(message, imdn, receipts.cpim, sender[0])
            ):
                self.report(message, imdn)

    def _may_report(self, sender: tuple[ContactKey, Uri], message: SentMessage) -> bool:
        """The recipient, or a server of a carrier that speaks for itself; nobody else."""
        key, uri = sender
        if key == message.conversation.peer:
            return True
        if is_number(key) or not isinstance(uri, SipUri):
            return False
        host, ua = uri.host.lower(), self.ua
        return host.endswith(_NETWORK_SUFFIX) or (ua is not None and host == ua.account.home_domain.lower())

    def report(self, message: SentMessage, imdn: Imdn) -> None:
        """Acts on a notification that is believed."""
        messenger = self._messenger
        match imdn.kind:
            case ImdnKind.INTERWORKING if not imdn.is_failure:
                messenger.interworked(message)
            case ImdnKind.DELIVERY if not imdn.is_failure:
                messenger.delivered(message)
            case ImdnKind.DISPLAY if not imdn.is_failure:
                messenger.displayed(message)
            case ImdnKind.DELIVERY | ImdnKind.INTERWORKING:
                messenger.receipt_failed(message)
            case _:
                pass  # processing, and display refused: nothing that the user would see

    def _revocation_received(self, sender: tuple[ContactKey, Uri], revocation: Revocation) -> None:
        document = revocation.document
        if not isinstance(document, RevokeResponse):
            return  # a request is for the server that stores, never for a phone
        message = self._messenger.find(document.message_id)
        if message is not None and self._may_report(sender, message):
            self._messenger.revoke_answered(message, is_success=document.is_revoked)

    # --- typing ------------------------------------------------------------------------------------------------------

    def typing_received(self, sender: ContactKey, state: IsComposing) -> None:
        """The peer types, or has stopped."""
        messenger = self._messenger
        conversation = messenger.conversation(sender)
        if state.is_active:
            now, refresh = messenger.alarms.now(), state.refresh_s
            if conversation.peer_typing.active(None if refresh is None else float(refresh), now):
                self._show_typing(conversation)
        else:
            self._typing_ended(conversation)
        self.arm(conversation)

    def _typing_ended(self, conversation: Conversation) -> None:
        if conversation.peer_typing.ended():
            self._show_typing(conversation)

    def _show_typing(self, conversation: Conversation) -> None:
        self._messenger.display.show(
            Shown.TYPING,
            conversation.peer,
            conversation_id=conversation.id,
            is_typing=conversation.peer_typing.is_typing,
        )

    def key_pressed(self, conversation: Conversation) -> None:
        """The user types."""
        policy = self._messenger.policy.messaging
        if conversation.own_typing is None:
            conversation.own_typing = TypingSender(policy.tells_typing_idle_s, policy.typing_refresh_s)
        self._signal(conversation, conversation.own_typing.key_pressed(self._messenger.alarms.now()))
        self.arm(conversation)

    def _signal(self, conversation: Conversation, signal: TypingSignal | None) -> None:
        """Told in the session if there is one; else only where the device does so in pager mode, and to a peer that is
        known to have RCS."""
        messenger, typing = self._messenger, conversation.own_typing
        if signal is None or typing is None or self.ua is None or self._is_silent(conversation):
            return
        is_active, refresh_s = signal is TypingSignal.ACTIVE, typing.refresh_s
        sessions = messenger.sessions
        if sessions is not None and sessions.has_session(conversation.peer):
            sessions.send_typing(conversation.peer, is_active=is_active, refresh_s=refresh_s)
        elif messenger.policy.messaging.types_in_pager_mode:
            self._signal_by_pager(conversation, self.ua, is_active=is_active, refresh_s=refresh_s)

    def _is_silent(self, conversation: Conversation) -> bool:
        """Whether this device tells nobody under a lock that its user types: it would be in clear (digest RCC.16
        §14.11)."""
        profile = self._messenger.policy.e2ee
        return conversation.is_encrypted and profile is not None and not profile.typing_when_encrypted

    def _signal_by_pager(self, conversation: Conversation, ua: UserAgent, *, is_active: bool, refresh_s: int) -> None:
        messenger = self._messenger
        is_rcs = messenger.capabilities.entry(conversation.peer).knowledge is Knowledge.RCS
        if messenger.pager is None or not is_rcs or messenger.label(conversation) == "SMS":
            return
        cpim = compose_typing(
            is_active=is_active,
            refresh_s=refresh_s,
            message_id=ua.tokens.uuid(),
            date_time=date_time_of(messenger.alarms.wall()),
        )
        headers = message_headers(conversation.id, ua.tokens.uuid())
        request = ua.new_request("MESSAGE", messenger.pager.target(conversation.peer), headers, cpim, CPIM_CONTENT_TYPE)
        ua.send(request, lambda outcome, sent: None)

    # --- deadlines ---------------------------------------------------------------------------------------------------

    def arm(self, conversation: Conversation) -> None:
        deadline = conversation.next_deadline()
        if conversation.alarm is None:
            if deadline is None:
                return
            conversation.alarm = self._messenger.alarms.new(lambda now: self._rang(conversation, now))
        conversation.alarm.set(deadline)

    def _rang(self, conversation: Conversation, now: float) -> None:
        if conversation.peer_typing.handle_deadline(now):
            self._show_typing(conversation)
        if conversation.own_typing is not None:
            self._signal(conversation, conversation.own_typing.handle_deadline(now))
        if conversation.read_at is not None and now >= conversation.read_at:
            self.read(conversation)
        self.arm(conversation)


def _uri_of(peer: ContactKey) -> Uri:
    """Of the peer of a session that this phone began."""
    return parse_uri(f"tel:{peer}" if is_number(peer) else str(peer))


def _says(message: ReceivedMessage, content: Content) -> bool:
    """Whether both are the same words, about the same earlier message."""
    if (message.text, message.content_type, message.body) != _words_of(content):
        return False
    return content.reference is None or content.reference.target_id == message.about_id


def _words_of(content: Content) -> tuple[str | None, str, bytes]:
    return content.text, content.content_type, b"" if content.text is not None else content.body


def _is_legacy(incoming: Encrypted) -> bool:
    return incoming.cpim.content_type.essence == _LEGACY


def _is_for_the_focus_to_see(incoming: Incoming) -> bool:
    """Whether it goes where every messaging server sees it, or is not what a focus says: in large message mode nobody
    looks, so that any phone could speak for one (choice)."""
    match incoming:
        case Encrypted():
            return incoming.cpim.content_type.essence not in _SEALED
        case Receipts():
            return any(each.server_failure_reason is not None for each in incoming.imdns)
    return False
