"""The messages of a conversation, as whoever uses the phone sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from ims_core.errors import SimulatorError
from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.alarms import Alarm
from rcs_sim.client.delivery import Delivery, StateChange
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_changes import MessageChanges
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.message_reference import ReferenceType

if TYPE_CHECKING:
    from rcs_sim.client.conversation import Conversation
    from rcs_sim.client.encryption import Scheme, SealedContent

__all__ = ["Change", "NotSeenInTime", "ReceivedMessage", "SentMessage", "label_of"]

LEAVES_WITHIN_S = 300.0  # longest time in "queued": a capability answer or a registration is awaited, both shorter

_DELIVERED = (MessageState.DELIVERED, MessageState.DISPLAYED)
_ENDED = (*_DELIVERED, MessageState.FAILED)


def label_of(transport: MessageTransport, scheme: Scheme | None) -> str:
    """``SMS``, ``RCS`` or ``RCS · encrypted``."""
    return transport.value if scheme is None or transport is MessageTransport.SMS else f"{transport.value} · encrypted"


class NotSeenInTime(SimulatorError):
    """A message did not get where it was expected to get in time. *seen* tells what happened to it instead."""

    def __init__(self, message_id: str, expected: str, seen: str, within_s: float) -> None:
        super().__init__(f"message {message_id} was not {expected} within {within_s:g} s; seen: {seen}")
        self.message_id, self.expected, self.seen, self.within_s = message_id, expected, seen, within_s


@dataclass(frozen=True, slots=True)
class Change:
    """What a message does to an earlier one, in place of being one itself. *target_id* is the id that the peers know it
    by, *key* the one that this phone does, "" where its own screen is not to change; *emoji* is that of a reaction,
    *text* the new text of an edit."""

    kind: ReferenceType
    target_id: str
    key: str
    emoji: str = ""
    text: str = ""


class _Shown:
    """What became of a message after it was sent, as this phone shows it."""

    __slots__ = ()
    id: str
    text: str | None
    conversation: Conversation

    @property
    def _changes(self) -> MessageChanges | None:
        return self.conversation.changes

    @property
    def reactions(self) -> dict[str, str]:
        """The emoji of each member who has one on it: "" is the own user, others are contact keys."""
        return {} if self._changes is None else self._changes.reactions(self.id)

    @property
    def is_recalled(self) -> bool:
        return self._changes is not None and self._changes.is_recalled(self.id)

    @property
    def is_edited(self) -> bool:
        return self._changes is not None and self._changes.text(self.id) is not None

    @property
    def shown_text(self) -> str | None:
        """The text on the screen now: after edits; "" after a recall."""
        if self._changes is None:
            return self.text
        new = self._changes.text(self.id)
        return "" if self.is_recalled else self.text if new is None else new


class SentMessage(_Shown):
    """A text that the user of this phone sent. Awaiting it waits until it has left the phone, or has failed. *change*:
    it is no text of its own but a reaction, an edit, a recall; *about* are the CPIM headers that name the earlier
    message, and *reply_to* is that message where this is an answer to it."""

    text: str
    direction: ClassVar[str] = "out"
    shown_count: ClassVar[int] = 1

    __slots__ = (
        "_scheme",
        "_sealed",
        "_waiters",
        "about",
        "alarm",
        "change",
        "contribution_id",
        "conversation",
        "cpim",
        "created_at",
        "date_time",
        "delivery",
        "has_report",
        "id",
        "last_request",
        "last_response",
        "on_consent",
        "on_retry",
        "reply_to",
        "shown_state",
        "text",
        "was_locked",
        "went_in_clear",
        "wire_id",
    )

    def __init__(
        self,
        conversation: Conversation,
        message_id: str,
        contribution_id: str,
        text: str,
        date_time: str,
        delivery: Delivery,
        on_consent: Callable[[SentMessage], None],
        *,
        has_report: bool,
    ) -> None:
        self.conversation = conversation
        self.id = message_id
        self.contribution_id = contribution_id
        self.text = text
        self.date_time = date_time
        self.delivery = delivery
        self.on_consent = on_consent
        self.on_retry: Callable[[SentMessage], None] | None = None
        self.has_report = has_report  # an SMS copy of it gets a status report
        self.created_at = delivery.history[0].at
        self.alarm: Alarm | None = None
        self.shown_state = delivery.state
        self.wire_id = message_id  # imdn.Message-ID: another one when it is sealed anew
        self._sealed: SealedContent | None = None
        self._scheme: Scheme | None = None
        self.was_locked = conversation.is_encrypted  # the user saw a lock when writing it
        self.went_in_clear = False  # somebody may have read it on the way
        self.cpim = b""
        self.last_request: Request | None = None
        self.last_response: Response | None = None
        self.about: tuple[CpimHeader, ...] = ()
        self.change: Change | None = None
        self.reply_to = ""
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    @property
    def state(self) -> MessageState:
        return self.delivery.state

    @property
    def transport(self) -> MessageTransport:
        """What carried it, or carries it now."""
        return self.delivery.transport

    @property
    def reason(self) -> FallbackReason:
        """Why it is not, or not only, an RCS message."""
        return self.delivery.reason

    @property
    def history(self) -> tuple[StateChange, ...]:
        return tuple(self.delivery.history)

    @property
    def scheme(self) -> Scheme | None:
        """How it was sealed, also while it waits to be sealed anew; None for a message in clear."""
        return self._scheme

    @property
    def sealed(self) -> SealedContent | None:
        """What goes out in its place."""
        return self._sealed

    @sealed.setter
    def sealed(self, content: SealedContent | None) -> None:
        self._sealed = content
        if content is not None:
            self._scheme = content.scheme

    @property
    def label(self) -> str:
        """The label of this one message."""
        return label_of(self.transport, self.scheme)

    @property
    def conversation_id(self) -> str:
        return self.conversation.id

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected to happen to it but being displayed."""
        is_handed_over = self.transport is MessageTransport.SMS and not self.has_report
        sent = (MessageState.SENT, MessageState.SENT_AS_SMS)
        return self.state in _ENDED or (is_handed_over and self.state in sent)

    @property
    def offers_sms(self) -> bool:
        """Whether "not delivered, send as text?" is the question: never in a conversation shown as encrypted."""
        return self.delivery.may_be_sent_as_sms and not self.conversation.is_encrypted

    def send_as_sms(self) -> None:
        """The user's answer to "not delivered, send as text?"; without effect when that is not the question."""
        self.on_consent(self)

    def send_again(self) -> None:
        """The user sends it once more; without effect unless it has failed."""
        if self.on_retry is not None:
            self.on_retry(self)

    def __await__(self) -> Generator[None, None, SentMessage]:
        return self._until("sent", lambda: self.state is not MessageState.QUEUED, LEAVES_WITHIN_S).__await__()

    async def sent(self, within_s: float) -> Self:
        """Accepted by RCS or by the service centre, or further. Raises NotSeenInTime."""
        before = (MessageState.QUEUED, MessageState.SENDING, MessageState.FAILED)
        return await self._until("sent", lambda: self.state not in before, within_s)

    async def delivered(self, within_s: float) -> Self:
        """Raises NotSeenInTime."""
        return await self._until("delivered", lambda: self.state in _DELIVERED, within_s)

    async def displayed(self, within_s: float) -> Self:
        """Raises NotSeenInTime."""
        return await self._until("displayed", lambda: self.state is MessageState.DISPLAYED, within_s)

    async def final(self, within_s: float) -> Self:
        """Delivered, displayed or failed; accepted by the SMSC where no report comes. Raises NotSeenInTime."""
        return await self._until("final", lambda: self.is_final, within_s)

    def changed(self) -> None:
        """Wakes those whose wait is over."""
        for is_met, waiter in self._waiters:
            if not waiter.done() and is_met():
                waiter.set_result(None)

    async def _until(self, expected: str, is_met: Callable[[], bool], within_s: float) -> Self:
        if is_met():
            return self
        entry = (is_met, asyncio.get_running_loop().create_future())
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(within_s):
                await entry[1]
        except TimeoutError:
            raise NotSeenInTime(self.id, expected, self._seen(), within_s) from None
        finally:
            self._waiters.remove(entry)
        return self

    def _seen(self) -> str:
        lines = [
            f"{change.state.value} by {change.transport.value} at +{change.at - self.created_at:.3f} s"
            for change in self.delivery.history
        ]
        reason = "" if self.reason is FallbackReason.NONE else f" ({self.reason.value})"
        return ", ".join(lines) + reason

    def __repr__(self) -> str:
        return f"<SentMessage {self.id} {self.state.value} by {self.transport.value}: {self.text[:40]!r}>"


class ReceivedMessage(_Shown):
    """A message of the peer. *text* is None for content that is kept but not rendered; *sent_at* is what the sender or
    the service centre says, None if it cannot be read. *shown_count* never exceeds 1. *change* and *reply_to* as in
    `SentMessage`; *about_id* is what its reference names, whether this device knows such references or not. Where
    receipts go is *receipts_to*, a URI."""

    direction: ClassVar[str] = "in"

    __slots__ = (
        "about_id",
        "body",
        "change",
        "content_type",
        "contribution_id",
        "conversation",
        "date_time",
        "displayed_at",
        "id",
        "is_bare",
        "is_unreadable",
        "merged_into",
        "receipts_to",
        "received_at",
        "reply_to",
        "scheme",
        "sent_at",
        "session",
        "shown_count",
        "text",
        "thread_id",
        "transport",
        "wishes",
    )

    def __init__(
        self,
        conversation: Conversation,
        text: str | None,
        transport: MessageTransport,
        received_at: float,
        sent_at: float | None,
        *,
        message_id: str = "",
        contribution_id: str = "",
        content_type: str = "text/plain",
        body: bytes = b"",
        date_time: str = "",
        wishes: tuple[str, ...] = (),
        receipts_to: str = "",
        reply_to: str = "",
    ) -> None:
        self.conversation = conversation
        self.text = text
        self.transport = transport
        self.received_at, self.sent_at = received_at, sent_at
        self.id, self.contribution_id = message_id, contribution_id
        self.content_type, self.body = content_type, body
        self.date_time = date_time
        self.wishes = wishes
        self.receipts_to = receipts_to
        self.reply_to = reply_to
        self.about_id = ""
        self.change: Change | None = None
        self.scheme: Scheme | None = None  # how it was sealed
        self.is_bare = False  # it came in clear under a lock
        self.is_unreadable = False  # it is sealed by a scheme that this phone has not
        self.session: object | None = None  # the message session that it came on
        self.thread_id = conversation.id  # Conversation-ID that it came with
        self.displayed_at: float | None = None
        self.shown_count = 0
        self.merged_into: ReceivedMessage | None = None

    @property
    def state(self) -> MessageState:
        return MessageState.DELIVERED if self.displayed_at is None else MessageState.DISPLAYED

    @property
    def label(self) -> str:
        """The label of this one message."""
        return label_of(self.transport, self.scheme)

    @property
    def is_read(self) -> bool:
        return (self.merged_into or self).displayed_at is not None

    @property
    def conversation_id(self) -> str:
        return self.conversation.id

    def __repr__(self) -> str:
        return f"<ReceivedMessage {self.id} by {self.transport.value}: {(self.text or self.content_type)[:40]!r}>"
