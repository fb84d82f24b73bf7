"""What peers do to earlier messages: reactions, edits, recalls, answers (digest §5.5, §10.3, RCC.16 digest §14.11).

Only who wrote a message changes it, within 15 minutes by the sender's clock, and what was sealed is not changed by what
was not. A change that comes before its target waits for it: after a while it is shown by itself, for its target may be
on another device of the user alone, and only what the user can see is receipted (choice).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rcs_sim.client.alarms import Alarm
from rcs_sim.client.content import Content
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.display import Shown
from rcs_sim.client.duplicates import SeenMessages
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.messages import Change, ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.narration import change_details
from rcs_sim.client.own_changes import apply_change
from rcs_sim.client.receipts import ReceiptSender
from rcs_sim.devices.policy import ReferencePolicy, ReferenceUse
from rcs_sim.wire.message_reference import ReferenceType, read_reaction
from rcs_sim.wire.reaction_text import quotes, read_reaction_text

__all__ = ["ChangeReceiver"]

MAX_WAITING = 512  # targets of a phone for which changes wait; the oldest are given up
MAX_WAITING_PER_TARGET = 32
PLACED_WITHIN_S = 20.0  # else it is shown without what it is about (choice)
_T = ReferenceType
_TEXT_CHANGES = (_T.EDIT, _T.RECALL)
_Target = SentMessage | ReceivedMessage


@dataclass(eq=False, slots=True)
class _Kept:
    """A change whose target has not come; *due* is when it is shown without."""

    message: ReceivedMessage
    due: float
    is_shown: bool = False


class ChangeReceiver:
    """Of one phone. *seen* are the messages that came; of *receipts* a change that the user can see gets its own."""

    __slots__ = ("_alarm", "_messenger", "_queue", "_receipts", "_seen", "_waiting")

    def __init__(self, messenger: Messenger, seen: SeenMessages, receipts: ReceiptSender) -> None:
        self._messenger, self._seen, self._receipts = messenger, seen, receipts
        self._waiting: dict[tuple[ContactKey, str], list[_Kept]] | None = None  # of most phones never any
        self._queue: deque[_Kept] | None = None  # by when they are due
        self._alarm: Alarm | None = None

    @property
    def _policy(self) -> ReferencePolicy:
        return self._messenger.policy.references

    # --- what it is --------------------------------------------------------------------------------------------------

    def read(self, message: ReceivedMessage, content: Content) -> bool:
        """Whether *message* is no text of its own: then its ``change`` is set, or there is nothing to be done. What
        stands beside a reference that this device does not know is a text."""
        reference, conversation = content.reference, message.conversation
        if reference is None or not self._policy.reads:
            is_text = content.text is not None and self._policy.reads_text
            message.change = self._read_text(conversation, content.text or "") if is_text else None
            return message.change is not None
        target_id, kind = reference.target_id, reference.type
        if kind is _T.REPLY:
            message.reply_to = target_id
        if kind is _T.DELETE:
            return True  # it is for the sender's own devices
        if kind is not None and kind.is_change and content.text is not None:
            message.change = self._read_change(message, kind, target_id, content.text)
        return message.change is not None or (kind is _T.RECALL and not content.text)

    def _read_change(self, message: ReceivedMessage, kind: ReferenceType, target_id: str, text: str) -> Change | None:
        if kind.is_reaction:
            emoji = read_reaction(text)
            return None if emoji is None else Change(kind, target_id, target_id, emoji)
        use = self._policy.edits if kind is _T.EDIT else self._policy.recalls
        is_known = use is ReferenceUse.ALWAYS or (use is ReferenceUse.SEALED and message.scheme is not None)
        if not is_known or (kind is _T.EDIT and not text):
            return None
        return Change(kind, target_id, target_id, text=text if kind is _T.EDIT else "")

    def _read_text(self, conversation: Conversation, text: str) -> Change | None:
        """A reaction of a device that has none but in words: to the only recent message that it can be about."""
        found = read_reaction_text(text) if conversation.messages else None
        if found is None:
            return None
        recent = conversation.messages[-self._policy.quoted_among :]
        places = quotes([each.shown_text or "" for each in recent], found.quote)
        if len(places) != 1 or not recent[places[0]].id:
            return None
        kind = _T.REMOVE_REACTION if found.is_removal else _T.ADD_REACTION
        target = recent[places[0]].id
        return Change(kind, target, target, found.emoji)

    # --- what it does ------------------------------------------------------------------------------------------------

    def received(self, sender: ContactKey, message: ReceivedMessage) -> None:
        """A change came, or what is nothing to be shown. What is dropped is not receipted, nor what waits."""
        change = message.change
        if change is None:
            self._messenger.display.state("change", "nothing to do", message_id=message.id)
            self._receipts.delivered(message)
            return
        target = self.find(sender, change.target_id)
        if target is None:
            self._wait(sender, message, change)
        elif not self._is_refused(message, change, target):
            if self._apply(sender, message, change, target):
                self._show(message, change)
            self._receipts.delivered(message)

    def find(self, sender: ContactKey, target_id: str) -> _Target | None:
        """The message that the peer *sender* knows by that id; None if it has not come, or is none of the
        conversation."""
        own = self._messenger.find(target_id)
        if own is not None:
            return own if own.conversation.peer == sender and own.change is None else None
        found = self._seen.find(sender, target_id)
        if not isinstance(found, ReceivedMessage) or found.change is not None:
            return None
        return found.merged_into or found

    def _is_refused(self, message: ReceivedMessage, change: Change, target: _Target) -> bool:
        refusal = self._refusal(message, change, target)
        if refusal:
            message.wishes = ()  # nor when it comes again
            self._messenger.display.state("change", "dropped", reason=refusal, message_id=message.id)
        return bool(refusal)

    def _apply(self, sender: ContactKey, message: ReceivedMessage, change: Change, target: _Target) -> bool:
        """Whether anything is another than before."""
        change = message.change = Change(change.kind, change.target_id, target.id, change.emoji, change.text)
        at = message.received_at if message.sent_at is None else message.sent_at
        conversation = message.conversation
        if not apply_change(conversation.changing(), change, sender, at, message.id):
            why = "a later one came before"
            self._messenger.display.state("change", "overtaken", reason=why, message_id=message.id)
            return False
        if change.kind is _T.RECALL and target in conversation.unread:
            conversation.unread = [each for each in conversation.unread if each is not target]
        return True

    def _refusal(self, message: ReceivedMessage, change: Change, target: _Target) -> str:
        if change.kind not in _TEXT_CHANGES:
            return ""
        if not isinstance(target, ReceivedMessage):
            return "not of the author"
        if target.scheme is not None and message.scheme is None:
            return "in clear, and its target was sealed"
        written, changed = target.sent_at, message.sent_at
        if written is None or changed is None or abs(changed - written) <= self._policy.change_within_s:
            return ""
        return "too late"

    def _show(self, message: ReceivedMessage, change: Change, *, is_placed: bool = True) -> None:
        conversation = message.conversation
        self._messenger.display.show(
            Shown.CHANGE,
            conversation.peer,
            message=message,
            message_id=message.id,
            conversation_id=conversation.id,
            direction="in",
            text=message.text or "",
            transport=message.transport.value,
            scheme=message.scheme,
            **change_details(change),
            **({} if is_placed else {"is_placed": False}),
        )

    # --- before its target -------------------------------------------------------------------------------------------

    def _wait(self, sender: ContactKey, message: ReceivedMessage, change: Change) -> None:
        if self._waiting is None:
            self._waiting = {}
        waiting = self._waiting.setdefault((sender, change.target_id), [])
        kept = _Kept(message, self._messenger.alarms.now() + PLACED_WITHIN_S)
        waiting.append(kept)
        self._messenger.display.state("change", "kept", reason="what it is about has not come", message_id=message.id)
        given_up, waiting[:-MAX_WAITING_PER_TARGET] = waiting[:-MAX_WAITING_PER_TARGET], []
        if len(self._waiting) > MAX_WAITING:
            given_up += self._waiting.pop(next(iter(self._waiting)))
        for each in given_up:
            self._show_unplaced(each)
        self._arm(kept)

    def _arm(self, kept: _Kept) -> None:
        if self._alarm is None or self._queue is None:
            self._queue, self._alarm = deque(), self._messenger.alarms.new(self._rang)
        self._queue.append(kept)
        self._alarm.set(self._queue[0].due)

    def _rang(self, now: float) -> None:
        queue, alarm = self._queue, self._alarm
        while queue and now >= queue[0].due:
            self._show_unplaced(queue.popleft())
        if alarm is not None:
            alarm.set(queue[0].due if queue else None)

    def _show_unplaced(self, kept: _Kept) -> None:
        """Its user hears of it all the same; should its target come after all, it is made without another word."""
        change = kept.message.change
        if kept.is_shown or change is None:
            return
        kept.is_shown = True
        self._show(kept.message, change, is_placed=False)
        self._receipts.delivered(kept.message)

    def is_kept(self, sender: ContactKey, message: ReceivedMessage) -> bool:
        """Whether it waits, and its user has not seen it yet."""
        target_id = "" if message.change is None else message.change.target_id
        waiting = () if self._waiting is None else self._waiting.get((sender, target_id), ())
        return any(each.message is message and not each.is_shown for each in waiting)

    def quote_of(self, sender: ContactKey, message: ReceivedMessage) -> str | None:
        """The text that *message* answers; None if it answers nothing that is known here."""
        target = self.find(sender, message.reply_to) if message.reply_to else None
        return None if target is None else target.shown_text

    def target_came(self, sender: ContactKey, ids: Iterable[str], show: Callable[[], None]) -> None:
        """The message with one of *ids* has come, and *show* shows it: what waited for it is made. A recall is made
        first: nobody sees its text."""
        found = self._waiting
        waiting = [each for one in ids for each in found.pop((sender, one), ())] if found else []
        recalls = [each for each in waiting if each.message.change and each.message.change.kind is _T.RECALL]
        for each in recalls:
            self._place(sender, each)
        show()
        for each in waiting:
            if each not in recalls:
                self._place(sender, each)

    def _place(self, sender: ContactKey, kept: _Kept) -> None:
        message, change = kept.message, kept.message.change
        target = None if change is None else self.find(sender, change.target_id)
        if not kept.is_shown:
            kept.is_shown = True
            self.received(sender, message)
            return
        if change is None or target is None or self._is_refused(message, change, target):
            return
        if self._apply(sender, message, change, target):
            self._messenger.display.state("change", "placed", message_id=message.id)
