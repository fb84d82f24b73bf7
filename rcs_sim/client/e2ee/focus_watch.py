"""What the focuses hold of conversations in which this phone has no group (RCC.16 §7.10.2, digest RCC.16 §7.2).

A phone that has lost its state, or whose number was somebody else's, knows of no group. That is not the same as that
there is none: before anything leaves in clear the focus is asked, and while it holds a group that was not ended
everything is sealed or fails (choice). Where nobody arbitrates the same question goes to the peer's phones, and they
answer it (choice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.e2ee.control_channel import ControlAnswer, ControlChannel, ControlRequest, NoAnswer
from rcs_sim.client.e2ee.credentials import Credentials
from rcs_sim.client.e2ee.server_state import read_answer
from rcs_sim.client.fallback import Latch
from rcs_sim.client.identity import ContactKey, is_number
from rcs_sim.client.messenger import Messenger
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.budgets import SERVER_READS, RollingBudget
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.server_message import AcceptedMessage
from rcs_sim.wire.encryption_parameters import MlsServerProperties

__all__ = ["FocusWatch", "Held"]

FRESH_S = 20.0  # so long an answer counts (choice); a focus may answer ten pulls in 200 s
EMPTY_FRESH_S = 3600.0  # one that there is nothing, while the peer does not encrypt (choice)
UNANSWERED_S = 600.0  # until it is asked again whether there is a focus at all (choice)
ENDED_FRESH_S = 2.0  # one that says that encryption has ended: the other side may revive it at any time (choice)


@dataclass(frozen=True, slots=True)
class Held:
    """What a focus said last, at *at* (seconds of the phone's clock). *state* is None where it holds nothing or does
    not name it; *has_ended* is None where it did not say whether encryption was ended."""

    is_held: bool
    state: EpochIdentifier | None
    has_ended: bool | None
    at: float

    def is_fresh(self, now: float) -> bool:
        """Whether it need not be asked again."""
        return now - self.at < (ENDED_FRESH_S if self.has_ended else FRESH_S)


_SUSPECTED = Held(True, None, None, float("-inf"))


class FocusWatch:
    """Of one phone. *has_group* tells whether it has a group with somebody itself, *new_id* mints message ids,
    *server_of* tells what the focus of a conversation does."""

    __slots__ = (
        "_channel",
        "_credentials",
        "_has_group",
        "_held",
        "_looking",
        "_messenger",
        "_new_id",
        "_reads",
        "_server_of",
        "_told_state",
        "_unanswered",
        "_waived",
    )

    def __init__(
        self,
        messenger: Messenger,
        channel: ControlChannel,
        credentials: Credentials,
        has_group: Callable[[ContactKey], bool],
        new_id: Callable[[], str],
        server_of: Callable[[ContactKey], MlsServerProperties],
    ) -> None:
        self._messenger, self._channel, self._credentials = messenger, channel, credentials
        self._has_group, self._new_id, self._server_of = has_group, new_id, server_of
        self._held: dict[ContactKey, Held] = {}
        self._reads: dict[ContactKey, RollingBudget] = {}
        self._looking: set[ContactKey] = set()
        self._told_state: set[ContactKey] = set()
        self._unanswered: dict[ContactKey, float] = {}
        self._waived: set[ContactKey] = set()

    # --- what is known -----------------------------------------------------------------------------------------------

    def state(self, peer: ContactKey) -> EpochIdentifier | None:
        """The state that the focus has named last."""
        held = self._held.get(peer)
        return None if held is None else held.state

    def is_locked_out(self, peer: ContactKey) -> bool:
        """Whether the focus holds a group that was not ended, as far as is known, and this phone is not in it. Not
        after its user has given encryption up."""
        held = self._held.get(peer)
        is_held = held is not None and held.is_held and not held.has_ended
        return is_held and peer not in self._waived and not self._has_group(peer)

    def has_ended(self, peer: ContactKey) -> bool:
        """Whether the focus has just said that encryption was ended in the group that it holds."""
        held = self._held.get(peer)
        is_ended = held is not None and bool(held.has_ended) and held.is_fresh(self._messenger.alarms.now())
        return is_ended and not self._has_group(peer)

    def is_empty(self, peer: ContactKey) -> bool:
        """Whether the focus has just said that it holds nothing."""
        held = self._held.get(peer)
        return held is not None and not held.is_held and held.is_fresh(self._messenger.alarms.now())

    def has_told_state(self, peer: ContactKey) -> bool:
        """Whether the state of the group was ever given out on a pull, which a focus does and no phone."""
        return peer in self._told_state

    def is_waived(self, peer: ContactKey) -> bool:
        """Whether the user goes on without encryption although the focus holds a group."""
        return peer in self._waived and not self._has_group(peer)

    def waive(self, peer: ContactKey) -> None:
        """The user consents to go on without: an explicit act."""
        self._waived.add(peer)

    def want_back(self, peer: ContactKey) -> None:
        """The user has changed his mind, or there is a group again."""
        self._waived.discard(peer)

    # --- what is told ------------------------------------------------------------------------------------------------

    def learned(self, conversation: Conversation, answer: ControlAnswer) -> None:
        """An answer of the focus to whatever. A refusal names the state that it holds, if it holds any."""
        now, peer = self._messenger.alarms.now(), conversation.peer
        before = self._held.get(peer)
        match answer:
            case NoAnswer() | AcceptedMessage():
                return
            case FocusRefusal():
                held = Held(answer.server is not None, answer.server, _has_ended(answer, before), now)
            case _:
                self._told_state.add(peer)
                server = read_answer(answer)
                held = Held(True, server.latest, None if server.latest is None else server.has_end_mls, now)
        self._held[peer] = held
        if held.has_ended is False and self.is_locked_out(peer) and not conversation.is_encrypted:
            self._note(conversation, "locked out")
            self._messenger.mark_encrypted(conversation, is_encrypted=True)

    def suspect(self, conversation: Conversation) -> None:
        """Something has come that nobody without a group could have made: the focus is asked before the next message
        leaves, what still waits for a session included, and until it has said otherwise there is one."""
        if not self._has_group(conversation.peer):
            held = self._held.get(conversation.peer)
            if held is None or not held.is_held or held.has_ended:
                self._held[conversation.peer] = _SUSPECTED
            sessions = self._messenger.sessions
            for message in sessions.take_back_plain(conversation.peer) if sessions is not None else ():
                self._messenger.lock_came(message, is_certain=False)

    def may_read(self, peer: ContactKey) -> bool:
        """Whether the focus may be asked for its state once more, which counts as done: servers throttle who asks too
        often (digest RCC.16 §10.3, §10.8)."""
        budget = self._reads.get(peer)
        if budget is None:
            budget = self._reads[peer] = RollingBudget(SERVER_READS)
        return budget.take(int(self._messenger.alarms.now()))

    def has_reads_left(self, peer: ContactKey) -> bool:
        """Whether `may_read` would say so, and nothing is counted."""
        budget = self._reads.get(peer)
        return budget is None or budget.is_left(int(self._messenger.alarms.now()))

    # --- asking ------------------------------------------------------------------------------------------------------

    def look(self, conversation: Conversation) -> bool:
        """Whether the focus is being asked what it holds; asks it unless it is known, or there is nobody to ask."""
        peer = conversation.peer
        if peer in self._looking:
            return True
        if peer in self._waived or self._is_known(peer) or not self._can_ask(conversation) or not self.may_read(peer):
            return False  # beyond the budget what was said last counts
        self._looking.add(peer)
        self.pull(conversation, lambda answer: self._looked(conversation, answer))
        return True

    def _is_known(self, peer: ContactKey) -> bool:
        now, held, silent_at = self._messenger.alarms.now(), self._held.get(peer), self._unanswered.get(peer)
        if held is None:
            return silent_at is not None and now - silent_at < UNANSWERED_S
        tags = self._messenger.capabilities.entry(peer).tags
        is_plain = not held.is_held and bool(tags.services) and tags.mls.kds is None
        is_old = silent_at is None or now - silent_at >= FRESH_S
        return held.is_fresh(now) or not is_old or (is_plain and now - held.at < EMPTY_FRESH_S)

    def pull(self, conversation: Conversation, answered: Callable[[ControlAnswer], None]) -> None:
        """The ordinary pull of who holds no group (digest RCC.16 §14.3)."""
        control_id = self._new_id()
        self._note(conversation, "focus asked", control_id)

        def told(answer: ControlAnswer) -> None:
            self.learned(conversation, answer)
            answered(answer)

        request = ControlRequest(control_id=control_id, body=b"", content_type=MlsContentType.GROUP_INFO_REQUEST)
        self._channel.send(conversation, request, told)

    def power_lost(self) -> None:
        """Nothing is under way any more."""
        self._looking.clear()

    def _looked(self, conversation: Conversation, answer: ControlAnswer) -> None:
        """Without an answer there is no reason to believe anything else than before; a focus that is there and says
        nothing may hold a group."""
        peer = conversation.peer
        self._looking.discard(peer)
        if isinstance(answer, NoAnswer):
            now = self._unanswered[peer] = self._messenger.alarms.now()
            if self._has_focus(conversation) and peer not in self._held:
                self._held[peer] = Held(True, None, None, now)
        self._messenger.encryption_moved(conversation)

    def _can_ask(self, conversation: Conversation) -> bool:
        """Whether there is a focus to be asked, or may be: where nothing is known of the peer there may be one."""
        messenger = self._messenger
        if not is_number(conversation.peer):
            return False
        if messenger.pager is None or not messenger.own.is_registered or conversation.latch is Latch.SMS:
            return False
        return self._has_focus(conversation) or not messenger.capabilities.entry(conversation.peer).tags.services

    def _has_focus(self, conversation: Conversation) -> bool:
        """That of the own carrier for the lower number; for the higher one that of the peer's, whose tags say that he
        encrypts: then there are at least his phones (choice)."""
        own, peer = self._credentials.msisdn, conversation.peer
        is_ours = self._server_of(peer).arbitrates_era and own < peer.lstrip("+")
        tags = self._messenger.capabilities.entry(peer).tags
        return bool(own) and (is_ours or tags.mls.kds is not None)

    def _note(self, conversation: Conversation, state: str, message_id: str | None = None) -> None:
        display, peer = self._messenger.display, conversation.peer
        display.state("encryption", state, message_id=message_id, conversation_id=conversation.id, peer=peer)


def _has_ended(refusal: FocusRefusal, before: Held | None) -> bool | None:
    """A focus that gives no GroupInfo out says it with the reason of its refusal; the others say nothing of it, and it
    is as it was while the state is the same (choice)."""
    server = read_answer(refusal)
    if server.is_only_named:
        return server.is_said_to_have_ended
    return before.has_ended if before is not None and before.state == refusal.server else None
