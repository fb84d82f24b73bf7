"""The messaging server as arbiter of encrypted one-to-one conversations (RCC.16 §6.1.2; digest §14.1, §14.4, §14.6).

The server of the participant with the lower number is the focus: it takes control messages out of the conversation,
decides, stores, answers, fans out, and compares the headers of application messages. The others forward.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from ims_core.store.mls_conversations import (
    MLS_CONTROL_MESSAGES,
    MLS_CONVERSATIONS,
    StoredAnswer,
    StoredControlMessage,
    StoredConversation,
    StoredFanOut,
    control_message_key,
)
from ims_core.store.record_table import StoreError
from rcs_sim.e2ee.content_types import MlsContentType, classify_content_type
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.message_id import mx_message_id
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.mls.seams import Seams
from rcs_sim.server.messaging_actions import Forget, Persist
from rcs_sim.server.mls_answers import compose_acceptance, compose_pulled, compose_refusal
from rcs_sim.server.mls_arbiter import MlsArbiter, MlsDecision, refusal_answer
from rcs_sim.server.mls_checks import digits_of
from rcs_sim.server.mls_conversation import ConversationUnreadable, MlsConversation, Pair, pair_of
from rcs_sim.server.mls_delivery import MlsDelivery
from rcs_sim.server.mls_fault import MlsFocusFault, as_forked, with_lie, with_lie_in_fan_out
from rcs_sim.server.mls_gate import verify_application_message
from rcs_sim.server.mls_pull import PulledState, ReadThrottle, answer_pull
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.server.pager_content import ContentKind, PagerContent
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.passing_message import PassingMessage
from rcs_sim.server.relayed_request import rfc3339

__all__ = ["MlsFocus"]

_MAX_EMPTY = 10_000  # conversations without a group that are remembered
_Told = tuple[PulledState, EpochIdentifier]
_ANSWER_WITHIN_S = 8.0  # of a request, whatever the store does: 10 s are allowed (choice)
_PULLS_KEPT = 4  # answers to pulls that may be repeated; in memory (choice)
_SERVER_REASON = b"mls-server-failure-reason"
_AS_USUAL = b'<?xml version="1.0" encoding="UTF-8"?>'  # what is written so has no name in disguise
_OF_SERVERS = frozenset({MlsContentType.SERVER, MlsContentType.SERVER_KICK})
_TAKEN = frozenset({MlsContentType.CLIENT, MlsContentType.GROUP_INFO_REQUEST})


class MlsFocus:
    """A `ConversationFocus`. *seams* know the roots of all vendors; *fault* is for scenarios to set."""

    __slots__ = ("_arbiter", "_context", "_delivery", "_empty", "_lines", "_rules", "_seams", "_throttle", "fault")

    def __init__(self, context: PartContext, rules: MlsFocusRules, seams: Seams, delivery: MlsDelivery) -> None:
        self._context = context
        self._rules = rules
        self._seams = seams
        self._arbiter = MlsArbiter(rules, seams)
        self._delivery = delivery
        self._throttle = ReadThrottle(rules)
        self._lines: dict[Pair, _Line] = {}
        self.fault = MlsFocusFault()
        self._empty: dict[Pair, None] = {}  # those that began without a group, the oldest first

    def conversation(self, one: str, other: str) -> MlsConversation | None:
        """What is known of the conversation of two numbers, in digits."""
        line = self._lines.get(pair_of(one, other))
        return None if line is None else line.conversation

    # -- what passes -------------------------------------------------------------------------------------------------

    def looks_at(self, content: PagerContent, *, is_from_user: bool) -> bool:
        if self._rules.is_peer_to_peer and not is_from_user:
            return False
        if content.kind is ContentKind.RECEIPT:
            return is_from_user and _is_for_servers_to_say(None, content)
        return classify_content_type(content.media_type) is not None

    def is_control(self, content: PagerContent) -> bool:
        media_type = classify_content_type(content.media_type)
        return media_type in _TAKEN or _is_for_servers_to_say(media_type, content)

    def takes(self, message: PassingMessage, now: float) -> bool:
        content = message.content
        media_type = classify_content_type(content.media_type)
        own, peer = _digits(message.user.key), _digits(message.peer_key)
        if message.is_from_user and _is_for_servers_to_say(media_type, content):
            if self._has_no_focus(own, peer):
                return False
            self._note("control message discarded", "only a focus says that", message)
            return True
        if self._rules.is_peer_to_peer or media_type is None or content.cpim is None:
            return False
        if not own or not peer or own >= peer:
            return False
        if media_type in _TAKEN and content.message_id:
            self._enqueue(_Asked(message, media_type, own if message.is_from_user else peer), (own, peer), now)
            return True
        return media_type is MlsContentType.MESSAGE and self._refuses(message, (own, peer), now)

    def _has_no_focus(self, own: str, peer: str) -> bool:
        """Whether nobody arbitrates between the two, so that phones say to each other what else a focus says: the
        server of the lower number counts, and where nothing is known of another's, this one (choice)."""
        elsewhere = tuple(prefix.lstrip("+") for prefix in self._context.config.numbers_without_focus)
        if not own or not peer or own < peer or not elsewhere:
            return self._rules.is_peer_to_peer
        return peer.startswith(elsewhere)

    def _refuses(self, message: PassingMessage, pair: Pair, now: float) -> bool:
        """Whether an application message is not forwarded; its sender is told."""
        line, content = self._line(pair), message.content
        assert content.cpim is not None
        headers = MlsHeaders.of(content.cpim)
        authenticator = headers.epoch_authenticator or None
        try:
            verify_application_message(self._rules, line.conversation, headers.era_id, authenticator, int(now))
        except MlsRefused as refusal:
            asked = _Asked(message, MlsContentType.MESSAGE, pair[0] if message.is_from_user else pair[1])
            self._refuse(line, asked, refusal, now)
            return True
        return False

    def _line(self, pair: Pair) -> _Line:
        line = self._lines.get(pair)
        if line is None:
            line = self._lines[pair] = _Line(MlsConversation(pair))
            self._empty[pair] = None
            if len(self._empty) > _MAX_EMPTY:
                self._forget_oldest_empty()
        return line

    def _forget_oldest_empty(self) -> None:
        """What was asked where there is no group is not remembered for ever."""
        pair = next(iter(self._empty))
        del self._empty[pair]
        line = self._lines[pair]
        if line.conversation.live is None and not line.is_busy:
            del self._lines[pair]

    # -- one at a time -----------------------------------------------------------------------------------------------

    def _enqueue(self, asked: _Asked, pair: Pair, now: float) -> None:
        line = self._line(pair)
        if line.is_stuck:
            self._refuse(line, asked, _store_away(), now)
        elif not line.is_busy:
            self._decide(line, asked, now)
        elif len(line.waiting) < self._rules.max_waiting:
            line.waiting.append(asked)
        else:
            self._refuse(line, asked, MlsRefused(0, ServerFailureReason.TRANSIENT_ERROR, "busy"), now)

    def _decide(self, line: _Line, asked: _Asked, now: float) -> None:
        if self.fault.refuses_with is not None:
            self._refuse(line, asked, MlsRefused(0, self.fault.refuses_with, "fault"), now)
            return
        if asked.media_type is MlsContentType.GROUP_INFO_REQUEST:
            self._pull(line, asked, now)
            return
        if line.pulls_of(asked):
            self._refuse(line, asked, _id_used(), now)
            return
        message = asked.message
        decision = self._arbiter.decide(
            line.conversation,
            asked.sender,
            message.content.message_id,
            message.content.body,
            int(now),
            message.conversation_id,
        )
        forked = as_forked(decision.answer, message.content.body) if self.fault.forks else None
        if forked is not None:
            decision = MlsDecision(line.conversation, forked, is_new=False)
        self._trace(decision, message)
        if decision.is_new and decision.is_accepted:
            self._store(line, asked, decision, now)
        else:
            line.adopt(decision.conversation)
            self._say(line, asked, decision, now)

    def _store(self, line: _Line, asked: _Asked, decision: MlsDecision, now: float) -> None:
        """What was decided is safe before anybody is told of it: the log first, so that no state is without it."""
        line.is_busy = True
        outbox, before, after = self._context.outbox, line.conversation, decision.conversation
        if decision.logged is not None:
            outbox.add(Persist(MLS_CONTROL_MESSAGES, decision.logged))
        storing = _Storing(self, line, asked, decision)
        self._context.deadlines.arm(now + _ANSWER_WITHIN_S, storing)
        outbox.add(Persist(MLS_CONVERSATIONS, after.to_record(), storing))
        kept = {each.number for each in after.log}
        for entry in before.log:
            if entry.number not in kept:
                outbox.add(Forget(MLS_CONTROL_MESSAGES, control_message_key(entry.key, entry.number)))

    def stored(self, storing: _Storing, error: StoreError | None, now: float) -> None:
        """The store has it, or has not: then nothing has happened."""
        line, asked, decision = storing.line, storing.asked, storing.decision
        is_late, storing.is_over = storing.is_over, True
        line.is_busy = line.is_stuck = False
        if error is None:
            line.adopt(decision.conversation)
            self._say(line, asked, decision, now, is_late=is_late)
        elif not is_late:
            self._refuse(line, asked, _store_away(), now)
        while line.waiting and not line.is_busy:
            self._decide(line, line.waiting.pop(0), now)

    def store_is_away(self, storing: _Storing, now: float) -> None:
        """It has not said yes or no in time: nobody waits longer, and who asks again is answered when it has."""
        line = storing.line
        line.is_stuck = True
        self._refuse(line, storing.asked, _store_away(), now)
        while line.waiting:
            self._refuse(line, line.waiting.pop(0), _store_away(), now)

    # -- pulls -------------------------------------------------------------------------------------------------------

    def _pull(self, line: _Line, asked: _Asked, now: float) -> None:
        content = asked.message.content
        key = (asked.sender, content.message_id, hashlib.sha256(content.body).digest())
        told = next((told for known, told in line.pulls if known == key), None)
        try:
            if told is None:
                if line.pulls_of(asked) or line.conversation.answer_to(asked.sender, content.message_id) is not None:
                    raise _id_used()
                told = self._pulled(line, asked, now)
                line.pulls.append((key, told))
                del line.pulls[:-_PULLS_KEPT]
        except MlsRefused as refusal:
            self._refuse(line, asked, refusal, now)
            return
        self._note("focus state pulled", f"by {asked.sender}", asked.message)
        pulled, state = told
        ids = {"message_id": self._new_id(), "date_time": rfc3339(now)}  # a known id would be dropped on the way
        self._answer(line, asked, compose_pulled(pulled, content.message_id, state, **ids), now)

    def _pulled(self, line: _Line, asked: _Asked, now: float) -> _Told:
        """Raises MlsRefused."""
        if not self._throttle.allows(line.conversation.key, now):
            raise MlsRefused(0, ServerFailureReason.TRANSIENT_ERROR, "reads")
        pulled = answer_pull(self._rules, line.conversation, asked.sender, asked.message.content.body)
        return pulled, line.conversation.state or EpochIdentifier()

    # -- answers -----------------------------------------------------------------------------------------------------

    def _say(self, line: _Line, asked: _Asked, decision: MlsDecision, now: float, *, is_late: bool = False) -> None:
        """Who was told that the store is away *is late*, and gets no second answer."""
        answer = with_lie(decision.answer) if self.fault.lies else decision.answer
        message_id, date_time = self._new_id(), rfc3339(now)
        if answer.reason and not is_late:
            self._answer(line, asked, compose_refusal(answer, message_id=message_id, date_time=date_time), now)
        if answer.reason:
            return
        if not is_late:
            body = compose_acceptance(answer, converged=False, message_id=message_id, date_time=date_time)
            self._answer(line, asked, body, now)

        def converged(then: float) -> None:
            if self.fault.holds_convergence or is_late:
                return
            again = {"message_id": self._new_id(), "date_time": rfc3339(then)}
            self._answer(line, asked, compose_acceptance(answer, converged=True, **again), then)

        if decision.fan_out is not None:
            spreading = _Spreading(self, line, decision.fan_out, converged)
            self._context.deadlines.arm(now + self._rules.convergence_s, spreading)
            self._fan_out(line, decision.fan_out, asked.instance, spreading, now)
        elif not any(self._is_spreading(each, answer, now) for each in line.conversation.outstanding):
            converged(now)  # of a request that was repeated

    def _is_spreading(self, fan_out: StoredFanOut, answer: StoredAnswer, now: float) -> bool:
        """Whether a server has still time to acknowledge what was accepted with *answer*."""
        return fan_out.control_id == answer.control_id and now <= fan_out.at_s + self._rules.convergence_s

    def _refuse(self, line: _Line, asked: _Asked, refusal: MlsRefused, now: float) -> None:
        """An answer that is not remembered."""
        content = asked.message.content
        self._note("focus refused", str(refusal), asked.message)
        answer = refusal_answer(line.conversation, asked.sender, content.message_id, b"", refusal)
        body = compose_refusal(answer, message_id=self._new_id(), date_time=rfc3339(now))
        self._answer(line, asked, body, now)

    def _answer(self, line: _Line, asked: _Asked, body: bytes, now: float) -> None:
        if self.fault.is_silent:
            return
        other = line.conversation.other(asked.sender)
        self._delivery.answer(asked.message, asked.sender, other, body, now)

    # -- fan-out -----------------------------------------------------------------------------------------------------

    def _fan_out(
        self, line: _Line, fan_out: StoredFanOut, instance: str | None, spreading: _Spreading, now: float
    ) -> None:
        if self.fault.lies:
            fan_out = with_lie_in_fan_out(fan_out)
        if self.fault.withholds_fan_out or not fan_out.members:
            spreading.end(now)
        elif self.fault.fan_out_delay_s > 0:
            late = _LateFanOut(self._delivery, line.conversation.pair, fan_out, instance, spreading)
            self._context.deadlines.arm(now + self.fault.fan_out_delay_s, late)
        else:
            self._delivery.fan_out(line.conversation.pair, fan_out, instance, spreading.settled, now)

    def spread(self, line: _Line, control_id: str, now: float) -> None:
        """Everybody has it, or never will."""
        line.finished.add(control_id)
        if line.is_busy:
            return  # what is being stored is put right when that has ended
        before = line.conversation
        line.adopt(before)
        if line.conversation is not before and line.conversation.live is not None:
            self._context.outbox.add(Persist(MLS_CONVERSATIONS, line.conversation.to_record()))

    # -- the store ---------------------------------------------------------------------------------------------------

    def load(
        self, conversations: Iterable[StoredConversation], log: Iterable[StoredControlMessage], now: float
    ) -> None:
        """Takes over what the last run left; fan-outs that it did not finish go out again when the network stands."""
        entries: dict[str, list[StoredControlMessage]] = {}
        for entry in log:
            entries.setdefault(entry.key, []).append(entry)
        resuming = False
        for record in conversations:
            found = sorted(entries.get(record.key, ()), key=lambda entry: entry.number)
            try:
                conversation = MlsConversation.of_record(record, tuple(found), self._seams)
            except ConversationUnreadable as error:
                self._context.outbox.note("stored conversation dropped", str(error), user=record.key)
                continue
            self._lines[conversation.pair] = _Line(conversation)
            resuming |= bool(conversation.outstanding)
        if resuming:
            self._context.deadlines.arm(now + self._context.config.restart_wait_s, _Resumption(self))

    def resume(self, now: float) -> None:
        """Fans out what waits since before a restart. Nobody waits for convergence any more."""
        for line in self._lines.values():
            for fan_out in line.conversation.outstanding:
                spreading = _Spreading(self, line, fan_out, None)
                self._context.outbox.note("fan-out resumed", f"of {fan_out.requester}", fan_out.control_id)
                self._fan_out(line, fan_out, None, spreading, now)

    # -- the trace ---------------------------------------------------------------------------------------------------

    def _trace(self, decision: MlsDecision, message: PassingMessage) -> None:
        answer = decision.answer
        repeated = "" if decision.is_new else " (again)"
        state = f"era {answer.era}, epoch {answer.epoch}"
        if decision.is_accepted:
            self._note(f"focus accepted{repeated}", state, message)
        else:
            detail = f" {answer.detail}" if answer.detail else ""
            why = f"check {decision.check}: {answer.reason}{detail}; {state}"
            self._note(f"focus refused{repeated}", why, message)

    def _new_id(self) -> str:
        """For what the focus says itself, in the form that phones of the same deployment use (choice)."""
        return mx_message_id(UUID(self._context.tokens.uuid()).bytes)

    def _note(self, summary: str, reason: str, message: PassingMessage) -> None:
        self._context.outbox.note(
            summary, reason, message.content.message_id, message.conversation_id or None, message.user.key
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, and who sent it, in digits."""

    message: PassingMessage
    media_type: MlsContentType
    sender: str

    @property
    def instance(self) -> str | None:
        """The device that asked, None if it is not one of ours."""
        return self.message.instance if self.message.is_from_user else None


class _Line:
    """A conversation and the requests that wait while the store is being written. *finished* are fan-outs that ended
    meanwhile."""

    __slots__ = ("conversation", "finished", "is_busy", "is_stuck", "pulls", "waiting")

    def __init__(self, conversation: MlsConversation) -> None:
        self.conversation = conversation
        self.finished: set[str] = set()
        self.is_busy = self.is_stuck = False
        self.pulls: list[tuple[tuple[str, str, bytes], _Told]] = []
        self.waiting: list[_Asked] = []

    def pulls_of(self, asked: _Asked) -> bool:
        """Whether a pull of that sender has had the id."""
        used = (asked.sender, asked.message.content.message_id)
        return any(known[:2] == used for known, _ in self.pulls)

    def adopt(self, conversation: MlsConversation) -> None:
        """It is *conversation* now, without the fan-outs that have ended."""
        finished, self.finished = self.finished, set()
        left = tuple(each for each in conversation.outstanding if each.control_id not in finished)
        if len(left) != len(conversation.outstanding):
            conversation = replace(conversation, outstanding=left)
        self.conversation = conversation


@dataclass(slots=True, eq=False)
class _Storing:
    """A decision on its way into the store; errand, and deadline of its answer."""

    focus: MlsFocus
    line: _Line
    asked: _Asked
    decision: MlsDecision
    is_over: bool = False

    def expired(self, now: float) -> None:
        self.is_over = True
        self.focus.store_is_away(self, now)

    def stored(self, error: StoreError | None, now: float) -> None:
        self.focus.stored(self, error, now)


class _Spreading:
    """A fan-out until every member's server has it; deadline of convergence, which is told once."""

    __slots__ = ("_control_id", "_converged", "_focus", "_left", "_line", "is_over")

    def __init__(
        self, focus: MlsFocus, line: _Line, fan_out: StoredFanOut, converged: Callable[[float], None] | None
    ) -> None:
        self._focus = focus
        self._line = line
        self._control_id = fan_out.control_id
        self._left = set(fan_out.members)
        self._converged = converged
        self.is_over = False

    def settled(self, member: str, is_delivered: bool, now: float) -> None:
        self._left.discard(member)
        if not self._left:
            self.end(now)

    def end(self, now: float) -> None:
        self._focus.spread(self._line, self._control_id, now)
        self.expired(now)

    def expired(self, now: float) -> None:
        self.is_over = True
        converged, self._converged = self._converged, None
        if converged is not None:
            converged(now)


@dataclass(slots=True)
class _LateFanOut:
    """A fan-out that a fault holds back."""

    delivery: MlsDelivery
    pair: Pair
    fan_out: StoredFanOut
    instance: str | None
    spreading: _Spreading
    is_over: bool = False

    def expired(self, now: float) -> None:
        self.is_over = True
        self.delivery.fan_out(self.pair, self.fan_out, self.instance, self.spreading.settled, now)


@dataclass(slots=True)
class _Resumption:
    """The moment after a restart."""

    focus: MlsFocus
    is_over: bool = False

    def expired(self, now: float) -> None:
        self.is_over = True
        self.focus.resume(now)


def _store_away() -> MlsRefused:
    return MlsRefused(0, ServerFailureReason.TRANSIENT_ERROR, "store")


def _id_used() -> MlsRefused:
    return MlsRefused(1, ServerFailureReason.INVALID_INPUT, "message-id")


def _is_for_servers_to_say(media_type: MlsContentType | None, content: PagerContent) -> bool:
    """What no phone says: answers of a focus, one among several receipts included. From another network they are
    trusted."""
    if content.kind is not ContentKind.RECEIPT:
        return media_type in _OF_SERVERS
    body = content.body
    if _SERVER_REASON in body:
        return True
    is_utf8 = body.startswith(_AS_USUAL) or (body.startswith(b"<") and b"encoding" not in body)
    return not is_utf8 and any(each.server_failure_reason is not None for each in content.receipts)


def _digits(key: str) -> str:
    """Digits of an identity key that is a number."""
    digits = key[5:] if key.startswith("tel:+") else ""
    return digits if digits.isascii() and digits.isdecimal() else digits_of(digits)
