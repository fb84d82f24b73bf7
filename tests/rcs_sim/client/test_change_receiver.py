"""What a phone makes of references: changes, answers, texts; from whom it takes them, and what it forgets."""

from __future__ import annotations

from dataclasses import replace

from ims_core.trace import Trace
from ims_core.transport.tokens import Tokens
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.change_receiver import MAX_WAITING, MAX_WAITING_PER_TARGET, ChangeReceiver
from rcs_sim.client.content import Content
from rcs_sim.client.display import Display, Shown, ShownEvent
from rcs_sim.client.duplicates import SeenMessages
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.receipts import ReceiptSender
from rcs_sim.devices.policy import DevicePolicy, ReferencePolicy, ReferenceUse
from rcs_sim.wire.message_reference import MessageReference, ReferenceType

BOB, EVE = ContactKey("+12025550152"), ContactKey("+12025550199")
_NOON = 1_772_452_800.0
_EDIT, _ADD = ReferenceType.EDIT, ReferenceType.ADD_REACTION


class _Noon:
    def now(self) -> float:
        return _NOON


class _Side:
    """The receiving side of a phone, without a network."""

    def __init__(self, references: ReferencePolicy | None = None) -> None:
        policy = DevicePolicy(name="test", references=references or ReferencePolicy())
        self.display = Display("alice", _Noon(), Trace())
        self.shown: list[ShownEvent] = []
        self.display.watchers.append(self.shown.append)
        self.messenger = Messenger(
            policy,
            Alarms(_Noon()),
            Tokens("7"),
            self.display,
            register_anew=lambda: None,
            configuration_doubted=lambda: None,
        )
        self.seen = SeenMessages()
        self.receipts = ReceiptSender(policy)
        self.changes = ChangeReceiver(self.messenger, self.seen, self.receipts)

    @property
    def receipted(self) -> list[ReceivedMessage]:
        """What it would receipt if there were a network."""
        return [message for message, _ in self.receipts._owed or ()]

    def text(self, text: str, message_id: str, sender: ContactKey = BOB, at: float = _NOON) -> ReceivedMessage:
        conversation = self.messenger.conversation(sender)
        message = ReceivedMessage(conversation, text, MessageTransport.RCS, at, at, message_id=message_id)
        self.seen.remember(sender, message_id, message)
        self.changes.target_came(sender, (message_id,), lambda: conversation.add(message))
        return message

    def change(
        self,
        kind: str,
        target: str,
        text: str | None,
        message_id: str = "x1",
        sender: ContactKey = BOB,
        at: float = _NOON,
        scheme: Scheme | None = None,
    ) -> tuple[bool, bool]:
        """Whether it was no text of its own, and whether it is receipted."""
        conversation = self.messenger.conversation(sender)
        wishes = ("positive-delivery",)
        message = ReceivedMessage(
            conversation, text, MessageTransport.RCS, at, at, message_id=message_id, wishes=wishes
        )
        message.scheme = scheme
        reference = MessageReference(target, kind) if kind else None
        content = Content(text, "text/plain", b"", message_id, reference=reference)
        if not self.changes.read(message, content):
            return False, True
        self.seen.remember(sender, message_id, message)
        self.changes.received(sender, message)
        return True, message in self.receipted


async def test_a_reaction_that_comes_before_its_message_waits_for_it() -> None:
    side = _Side()
    assert side.change(_ADD, "m1", "👍") == (True, False)
    assert side.shown == side.receipted == []
    message = side.text("hello", "m1")
    assert message.reactions == {BOB: "👍"}
    assert [event.what for event in side.shown] == [Shown.CHANGE]
    assert [each.id for each in side.receipted] == ["x1"]


async def test_a_recall_that_comes_first_keeps_the_text_from_the_screen() -> None:
    side = _Side()
    side.change(_EDIT, "m1", "other", "x1")
    side.change(ReferenceType.RECALL, "m1", "", "x2")
    message = side.text("hello", "m1")
    assert (message.is_recalled, message.shown_text) == (True, "")


async def test_only_the_author_changes_a_text_and_only_in_time() -> None:
    side = _Side()
    own = side.messenger.maker.new(side.messenger.conversation(BOB), "mine")
    side.messenger._remember(own)
    message = side.text("hello", "m1")
    assert side.change(_EDIT, own.id, "not mine", "x1") == (True, False)
    assert side.change(_EDIT, "m1", "somebody else's", "x2", sender=EVE) == (True, False)  # one that never comes
    assert side.change(_EDIT, "m1", "late", "x3", at=_NOON + 901) == (True, False)
    assert (message.shown_text, own.shown_text) == ("hello", "mine")
    assert side.change(_EDIT, "m1", "in time", "x4", at=_NOON + 899) == (True, True)
    assert message.shown_text == "in time"


def test_what_is_dropped_is_not_receipted_when_it_comes_again_either() -> None:
    side = _Side()
    side.text("hello", "m1")
    side.change(_EDIT, "m1", "late", "x3", at=_NOON + 901)
    dropped = side.seen.find(BOB, "x3")
    assert isinstance(dropped, ReceivedMessage)
    assert dropped.wishes == ()


def test_what_was_sealed_is_not_changed_by_what_was_not() -> None:
    side = _Side()
    message = side.text("hello", "m1")
    message.scheme = Scheme.MLS
    assert side.change(_EDIT, "m1", "in clear", "x1") == (True, False)
    assert side.change(_EDIT, "m1", "sealed", "x2", scheme=Scheme.MLS) == (True, True)
    assert message.shown_text == "sealed"


def test_an_unknown_type_and_a_reaction_that_is_none_are_texts() -> None:
    side = _Side()
    assert side.change("Novel", "m1", "hello") == (False, True)
    assert side.change(_ADD, "m1", "not an emoji") == (False, True)
    assert side.change(_EDIT, "m1", "") == (False, True)
    assert side.change(ReferenceType.ADD_CUSTOM_REACTION, "m1", None) == (False, True)


def test_deletions_are_for_the_senders_own_devices() -> None:
    side = _Side()
    message = side.text("hello", "m1")
    assert side.change(ReferenceType.DELETE, "m1", "") == (True, True)
    assert message.shown_text == "hello"


def test_a_device_that_reads_no_references_shows_texts() -> None:
    side = _Side(ReferencePolicy(reads=False, reads_text=False))
    side.text("hello", "m1")
    assert side.change(_EDIT, "m1", "another") == (False, True)
    assert side.change("", "", "Liked “hello”") == (False, True)


def test_a_feature_may_be_there_under_a_lock_alone() -> None:
    side = _Side(ReferencePolicy(edits=ReferenceUse.SEALED))
    message = side.text("hello", "m1")
    assert side.change(_EDIT, "m1", "in clear", "x1") == (False, True)
    assert side.change(_EDIT, "m1", "sealed", "x2", scheme=Scheme.MLS) == (True, True)
    assert message.shown_text == "sealed"


def test_m07_a_text_is_a_reaction_if_it_quotes_exactly_one_of_the_recent_messages() -> None:
    side = _Side(ReferencePolicy(quoted_among=3))
    first = side.text("hello", "m1")
    assert side.change("", "", "Liked “hello”", "x1") == (True, True)
    assert first.reactions == {BOB: "👍"}
    assert side.change("", "", "Removed a like from “hello”", "x2") == (True, True)
    assert first.reactions == {}
    side.text("hello", "m2")
    assert side.change("", "", "Liked “hello”", "x3") == (False, True)
    for number in range(3):
        side.text(f"line {number}", f"m{number + 3}")
    assert side.change("", "", "Liked “hello”", "x4") == (False, True)  # both have scrolled away
    assert side.change("", "", "Liked “line 0”", "x5") == (True, True)


def test_there_is_nothing_to_react_to_but_messages() -> None:
    side = _Side()
    side.text("hello", "m1")
    side.change(_ADD, "m1", "👍", "x1")
    assert side.changes.find(BOB, "x1") is None
    found = side.changes.find(BOB, "m1")
    assert found is not None
    answer = replace(Content("yes", "text/plain", b"", "m2"), reference=MessageReference("m1", ReferenceType.REPLY))
    message = ReceivedMessage(found.conversation, "yes", MessageTransport.RCS, _NOON, _NOON, message_id="m2")
    assert not side.changes.read(message, answer)
    assert (message.reply_to, side.changes.quote_of(BOB, message)) == ("m1", "hello")


async def test_changes_of_messages_that_never_come_are_shown_and_forgotten() -> None:
    side = _Side()
    for number in range(MAX_WAITING + 10):
        side.change(_ADD, f"m{number}", "👍", f"x{number}")
    assert len(side.changes._waiting or ()) == MAX_WAITING
    assert side.text("hello", "m0").reactions == {}
    expected = [f"x{number}" for number in range(10)]
    assert [event.message for event in side.shown] == side.receipted
    assert [each.id for each in side.receipted] == expected


async def test_of_many_changes_that_wait_for_one_message_the_oldest_are_shown_without_it() -> None:
    side = _Side()
    for number in range(MAX_WAITING_PER_TARGET + 2):
        side.change(_ADD, "m1", "👍", f"x{number}", at=_NOON + number)
    assert [each.id for each in side.receipted] == ["x0", "x1"]
    assert side.text("hello", "m1").reactions == {BOB: "👍"}
    assert len(side.receipted) == MAX_WAITING_PER_TARGET + 2
