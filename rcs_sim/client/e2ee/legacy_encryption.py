"""The legacy scheme of a phone, for conversations of two (digest RCC.16 §14.12): decides, seals, opens, begins anew.

It needs the libraries of the extra ``legacy``; whoever imports this module asks for them first. Nothing here gives a
message to anybody in clear: what cannot be sealed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from rcs_sim.client.capabilities import Occasion
from rcs_sim.client.content import content_of
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.control_channel import ControlChannel
from rcs_sim.client.e2ee.legacy_account import LegacyAccount
from rcs_sim.client.encryption import (
    EncryptedArrival,
    NotSealed,
    Scheme,
    SealDecision,
    SealedContent,
    SealingPower,
    seal_step,
)
from rcs_sim.client.errands import Errands
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import ContactKey, is_number
from rcs_sim.client.inbox import Arrival, Inbox
from rcs_sim.client.kds_client import ClaimResult, KdsClient
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.pager import compose_receipt, date_time_of
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, EntityError, referring_entity
from rcs_sim.e2ee.feature_tags import MlsTags
from rcs_sim.e2ee.identity_code import VerifiedUser, format_identity_code, identity_code
from rcs_sim.e2ee.legacy.body import LEGACY_CONTENT_TYPE
from rcs_sim.e2ee.legacy.conversation import LegacyConversation, LegacyOpened
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.key_directory import ClaimRequest
from rcs_sim.wire.prekey_directory import PrekeyBundle

__all__ = ["LegacyEncryption", "LegacyThread"]

CLAIM_PAUSE_S = 60.0  # after a claim that failed (choice)
ASK_PAUSE_S = 60.0  # between two questions for the tags of a peer who answers none (choice)
MAX_ATTEMPTS = 3  # of one message, the first included (choice)
MAX_REMEMBERED = 1024  # messages of one conversation of which something is known; the oldest are forgotten
_NAMESPACE, _ORIGINAL = "urn:rcs-sim:legacy", "Original-Message-ID"
_WISHES = ("positive-delivery", "negative-delivery", "display")
_NO_DISPLAY = ("positive-delivery", "negative-delivery")
_READ = (MessageState.DELIVERED, MessageState.DISPLAYED)
_P = SealingPower
V = TypeVar("V")


class LegacyThread:
    """A conversation's legacy side. *is_locked*: something was sealed in it, or opened, or is about to be;
    *is_ended*: the user went on without; *is_superseded*: MLS has taken over, for good. *beginning* counts the sessions
    begun anew, and *sealed_in* has it for each message: a late report about an old session says nothing about the one
    in use."""

    __slots__ = (
        "asks_again_at",
        "attempts",
        "beginning",
        "blocked_until",
        "conversation",
        "held",
        "is_claiming",
        "is_ended",
        "is_locked",
        "is_superseded",
        "reported",
        "sealed_in",
    )

    def __init__(self, conversation: Conversation, held: LegacyConversation) -> None:
        self.conversation = conversation
        self.held = held
        self.is_claiming = False
        self.is_ended = False
        self.is_locked = False
        self.is_superseded = False
        self.blocked_until = 0.0
        self.asks_again_at = 0.0
        self.beginning = 0
        self.attempts: dict[str, int] = {}
        self.sealed_in: dict[str, int] = {}
        self.reported: dict[str, None] = {}


class LegacyEncryption:
    """The `Encryption` of one phone by the legacy scheme. *may_lock* says whether a conversation is free of another
    scheme: what comes in one that is not is shown, and changes nothing."""

    __slots__ = ("_channel", "_errands", "_inbox", "_messenger", "_threads", "account", "may_lock")

    def __init__(self, account: LegacyAccount, messenger: Messenger, inbox: Inbox, errands: Errands) -> None:
        self.account = account
        self.may_lock: Callable[[Conversation], bool] = lambda conversation: True
        self._messenger, self._inbox, self._errands = messenger, inbox, errands
        self._channel = ControlChannel(messenger)
        self._threads: dict[ContactKey, LegacyThread] = {}
        inbox.opens_legacy = True

    # --- what the phone tells ----------------------------------------------------------------------------------------

    def configured(self, kds: KdsClient, msisdn: str) -> None:
        """A configuration with a directory is in force. *msisdn* is bare digits."""
        if self.account.configured(kds, msisdn):
            for thread in self._threads.values():
                thread.held = self._new_held(thread.conversation)

    def unconfigured(self) -> None:
        """A configuration without one. What is marked as encrypted stays so, and is refused."""
        self.account.unconfigured()

    def power_lost(self) -> None:
        """The phone goes off: what is under way has no answer any more; what it holds stays."""
        self.account.stop()
        for thread in self._threads.values():
            thread.is_claiming = False

    @property
    def tags(self) -> MlsTags:
        """What the phone announces of the legacy scheme."""
        return MlsTags(legacy=self.account.is_ready)

    # --- the user's hands --------------------------------------------------------------------------------------------

    def end(self, conversation: Conversation) -> None:
        """The user consents to go on without encryption: an explicit act. The peer is not told: the scheme has no word
        for it (choice)."""
        thread = self._thread(conversation)
        if thread is not None:
            thread.is_ended, thread.is_locked = True, False
        if conversation.is_encrypted:
            self._tombstone(conversation, "encryption ended")
            self._messenger.mark_encrypted(conversation, is_encrypted=False)

    def revive(self, conversation: Conversation) -> None:
        """The user wants it back."""
        thread = self._thread(conversation)
        if thread is not None and thread.is_ended:
            thread.is_ended = False
            if thread.held.can_seal:
                self._lock(thread)

    def security_code(self, conversation: Conversation) -> str | None:
        """From both identity keys, as RCC.16 Annex C.5 does it from participant keys (choice)."""
        thread = self._threads.get(conversation.peer)
        if thread is None or not thread.held.peer_identity:
            return None
        held = thread.held
        own = VerifiedUser(held.own, self.account.keys.identity_key)
        return format_identity_code(identity_code(own, VerifiedUser(held.peer, held.peer_identity)))

    # --- Encryption --------------------------------------------------------------------------------------------------

    def is_locked(self, conversation: Conversation) -> bool:
        """Whether this scheme is, or was last, what locks the conversation."""
        thread = self._threads.get(conversation.peer)
        return thread is not None and thread.is_locked

    def is_superseded(self, conversation: Conversation) -> bool:
        """Whether `supersede` was called for it."""
        thread = self._threads.get(conversation.peer)
        return thread is not None and thread.is_superseded

    def supersede(self, conversation: Conversation) -> None:
        """MLS locks the conversation: it never comes back to this scheme (digest RCC.16 §7.2)."""
        thread = self._thread(conversation)
        if thread is None or thread.is_superseded:
            return
        was_locked, thread.is_superseded, thread.is_locked = thread.is_locked, True, False
        if was_locked:
            self._note(thread, "superseded", "by mls")
            self._messenger.mark_encrypted(conversation, is_encrypted=conversation.is_encrypted)

    def decide(self, conversation: Conversation, *, may_wait: bool) -> SealDecision:
        return seal_step(self._power(conversation, may_wait=may_wait), is_marked=conversation.is_encrypted)

    def _power(self, conversation: Conversation, *, may_wait: bool) -> SealingPower:
        thread = self._thread(conversation)
        if thread is None:
            return _P.NO_IDENTITY
        if thread.is_ended:
            return _P.DOWNGRADED
        if thread.held.can_seal:
            return _P.CAN_SEAL
        if thread.is_claiming:
            return _P.BUSY
        is_blocked = self._messenger.alarms.now() < thread.blocked_until
        if not may_wait or is_blocked or not self.account.is_ready:
            return _P.NO_STATE
        if not self._asks(thread):
            if not self._may_begin(thread):
                return _P.NO_STATE
            self._claim(thread)
        return _P.BUSY

    def _asks(self, thread: LegacyThread) -> bool:
        """Whether the tags of a peer of whom none were ever seen are being asked for, as for MLS (choice)."""
        messenger, peer = self._messenger, thread.conversation.peer
        now, discovery = messenger.alarms.now(), messenger.discovery
        if thread.is_locked or discovery is None or messenger.capabilities.entry(peer).tags.services:
            return False
        if now >= thread.asks_again_at:
            thread.asks_again_at = now + ASK_PAUSE_S
            discovery.ask_if_due(peer, Occasion.FAILURE)
        return messenger.capabilities.entry(peer).is_asking

    def _may_begin(self, thread: LegacyThread) -> bool:
        """A conversation that is locked is repaired; another one is begun if both sides announce the scheme."""
        announces = self._messenger.capabilities.entry(thread.conversation.peer).tags.mls.legacy
        return thread.is_locked or announces

    def scheme_of(self, conversation: Conversation) -> Scheme | None:
        return Scheme.LEGACY if conversation.is_encrypted else None

    def seal(self, message: SentMessage) -> SealedContent:
        thread = self._thread(message.conversation)
        if thread is None:
            raise NotSealed("no keys", FallbackReason.NO_ENCRYPTION_IDENTITY)
        if thread.is_ended:
            raise NotSealed("the user goes on without", FallbackReason.ENCRYPTION_ENDED)
        try:
            octets = thread.held.seal(_entity_of(message).encode(), message.wire_id)
        except LegacyRefused as refused:
            raise NotSealed(str(refused), FallbackReason.NO_ENCRYPTION_STATE) from refused
        self._lock(thread)
        _remember(thread.sealed_in, message.wire_id, thread.beginning)
        is_read = self._inbox.receipts.allows_display and message.change is None
        wishes = _WISHES if is_read else _NO_DISPLAY
        return SealedContent(octets, LEGACY_CONTENT_TYPE, (), Scheme.LEGACY, wishes)

    def arrived(self, arrival: EncryptedArrival) -> None:
        conversation = self._messenger.conversation(arrival.sender, arrival.thread_id)
        thread = self._thread(conversation)
        if thread is None:
            self._messenger.display.error("a message of the legacy scheme, and no keys here", arrival.cpim.body)
            return
        message_id = arrival.cpim.message_id or ""
        try:
            opened = thread.held.open(arrival.cpim.body, message_id)
        except LegacyRefused as refused:
            self._refused(thread, message_id, refused)
            return
        self._opened(thread, arrival, opened)
        self.account.refill()

    def receipt_headers(self, message: ReceivedMessage, receipt_id: str, imdn: Imdn) -> Iterable[CpimHeader] | None:
        """None are needed: receipts are plain."""
        return ()

    def accepts_receipt(self, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        """Receipts are plain, and are believed; one that says failed leads to a new session."""
        thread = self._threads.get(message.conversation.peer)
        if not imdn.is_failure or thread is None:
            return True
        if imdn.message_id == message.wire_id and message.state not in _READ:
            self._not_read(thread, message)
        return False

    def reported(self, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        return False

    def capability_learned(self, conversation: Conversation) -> None:
        if conversation.peer in self._threads:
            self._messenger.encryption_moved(conversation)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _thread(self, conversation: Conversation) -> LegacyThread | None:
        """None where there can be none: no number of one's own yet, or a peer without."""
        found = self._threads.get(conversation.peer)
        if found is not None or not self.account.msisdn or not is_number(conversation.peer):
            return found
        found = self._threads[conversation.peer] = LegacyThread(conversation, self._new_held(conversation))
        return found

    def _new_held(self, conversation: Conversation) -> LegacyConversation:
        return LegacyConversation(self.account.keys, self.account.msisdn, conversation.peer.lstrip("+"))

    def _claim(self, thread: LegacyThread) -> None:
        thread.is_claiming = True
        self._errands.create_task(self._claimed(thread), name="claim of prekeys")

    async def _claimed(self, thread: LegacyThread) -> None:
        held, kds = thread.held, self.account.kds
        if kds is not None:
            found = await kds.claim_prekeys(
                ClaimRequest(target_msisdn=held.peer, requester_msisdn=held.own, kds=self._kds_of(thread))
            )
            self._begin(thread, held, found)
        thread.is_claiming = False
        self._messenger.encryption_moved(thread.conversation)

    def _kds_of(self, thread: LegacyThread) -> int | None:
        """The directory that the peer names; without one the own directory looks by the number."""
        return self._messenger.capabilities.entry(thread.conversation.peer).tags.mls.kds

    def _begin(self, thread: LegacyThread, held: LegacyConversation, found: PrekeyBundle | ClaimResult) -> None:
        if thread.held is not held or held.can_seal:
            return  # another number, or the peer was faster
        if isinstance(found, ClaimResult):
            self._blocked(thread, f"{found.outcome.name.lower().replace('_', ' ')}: {found.detail}")
            return
        try:
            is_new_identity = held.begin(found)
        except LegacyRefused as refused:
            self._blocked(thread, str(refused))
            return
        self._note(thread, "claimed", "with a one-time key" if found.one_time else "without one-time key")
        self._lock(thread)
        if is_new_identity:
            self._tombstone(thread.conversation, "security code changed")

    def _blocked(self, thread: LegacyThread, why: str) -> None:
        thread.blocked_until = self._messenger.alarms.now() + CLAIM_PAUSE_S
        self._note(thread, "claim failed", why)

    def _lock(self, thread: LegacyThread) -> None:
        if thread.is_superseded or not self.may_lock(thread.conversation):
            return
        thread.is_locked = True
        if not thread.conversation.is_encrypted:
            self._note(thread, "encrypted")
            self._messenger.mark_encrypted(thread.conversation, is_encrypted=True)

    def _opened(self, thread: LegacyThread, found: EncryptedArrival, opened: LegacyOpened) -> None:
        conversation, cpim = thread.conversation, found.cpim
        if not thread.is_ended:
            self._lock(thread)
        if opened.is_new_identity:
            self._tombstone(conversation, "security code changed")
        try:
            entity = EncryptedEntity.decode(opened.plaintext)
        except EntityError as error:
            self._note(thread, "dropped", str(error), cpim.message_id)
            return
        essence = entity.media_type.essence
        if not essence.startswith("text/"):
            self._note(thread, "dropped", f"content of the type {essence} is not known", cpim.message_id)
            return
        arrival = Arrival(found.sender, found.thread_id, found.contribution_id, found.session)
        content = content_of(cpim, "text/plain", entity.content_type, entity.body, entity.inner_headers)
        first_id = next((each.value for each in entity.inner_headers if _is_original(each)), "")
        self._inbox.content_received(arrival, content, Scheme.LEGACY, replaces=first_id, is_proven=True)

    def _refused(self, thread: LegacyThread, message_id: str, refused: LegacyRefused) -> None:
        """Whoever sent it is told once, unless it was read before."""
        self._note(thread, "not opened", str(refused), message_id)
        if refused.refusal is LegacyRefusal.REPLAYED or not message_id or message_id in thread.reported:
            return
        _remember(thread.reported, message_id, None)
        now = date_time_of(self._messenger.alarms.wall())
        imdn = Imdn(message_id, now, ImdnKind.DELIVERY, ImdnStatus.FAILED)
        self._channel.notify(thread.conversation, compose_receipt(imdn, self._messenger.tokens.uuid(), now))

    def _not_read(self, thread: LegacyThread, message: SentMessage) -> None:
        """The peer has no keys for what was sealed: a new session, and the message again in it."""
        attempts = thread.attempts.get(message.id, 1) + 1
        _remember(thread.attempts, message.id, attempts)
        self._note(thread, "peer could not read", f"attempt {attempts - 1}", message.id)
        if self._messenger.discovery is not None:  # he may have a handset without this scheme by now
            self._messenger.discovery.ask_if_due(thread.conversation.peer, Occasion.FAILURE)
        if not thread.is_ended and thread.sealed_in.get(message.wire_id) == thread.beginning:
            thread.beginning += 1
            thread.held.void()
        if attempts > MAX_ATTEMPTS or thread.is_ended:
            self._messenger.not_sealed(message, FallbackReason.NOT_DECRYPTED)
        else:
            self._messenger.seal_again(message, FallbackReason.NOT_DECRYPTED)

    def _tombstone(self, conversation: Conversation, text: str) -> None:
        self._messenger.display.show(Shown.TOMBSTONE, conversation.peer, conversation_id=conversation.id, text=text)

    def _note(self, thread: LegacyThread, state: str, reason: str = "", message_id: str | None = None) -> None:
        conversation = thread.conversation
        self._messenger.display.state(
            "legacy encryption",
            state,
            reason=reason,
            message_id=message_id,
            conversation_id=conversation.id,
            peer=conversation.peer,
        )


def _entity_of(message: SentMessage) -> EncryptedEntity:
    """What is sealed of a message; of one that was sealed before the id that it had then goes with it (choice)."""
    entity = referring_entity(message.text, message.about)
    if message.wire_id == message.id:
        return entity
    original = CpimHeader.of(_NAMESPACE, _ORIGINAL, message.id)
    return replace(entity, inner_headers=(*entity.inner_headers, original))


def _is_original(header: CpimHeader) -> bool:
    return (header.namespace, header.name) == (_NAMESPACE, _ORIGINAL)


def _remember(book: dict[str, V], message_id: str, value: V) -> None:
    book[message_id] = value
    if len(book) > MAX_REMEMBERED:
        del book[next(iter(book))]
