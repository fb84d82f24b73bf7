"""Pulls of the focus's state: GroupInfo, and the commits that somebody missed (RCC.16 §7.10; digest §14.3, §14.4)."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.store.mls_conversations import StoredControlMessage
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.enhanced_group_info import ControlMessage, MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import has_end_mls
from rcs_sim.e2ee.failure_reason import ServerFailureReason as Reason
from rcs_sim.e2ee.server_message import encode_server_message
from rcs_sim.server.mls_conversation import LiveGroup, MlsConversation
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["PulledState", "ReadThrottle", "answer_pull"]


_MAX_THROTTLED = 10_000  # conversations whose reads are counted before those of the past are swept out


@dataclass(frozen=True, slots=True)
class PulledState:
    """The body of the answer and its inner type."""

    content_type: MlsContentType
    body: bytes


class ReadThrottle:
    """How often a conversation may be read: after so many pulls none for a while (observed)."""

    __slots__ = ("_blocked_until", "_reads", "_rules")

    def __init__(self, rules: MlsFocusRules) -> None:
        self._rules = rules
        self._reads: dict[str, tuple[int, float]] = {}  # by conversation: how many, since when
        self._blocked_until: dict[str, float] = {}

    def allows(self, key: str, now: float) -> bool:
        """Counts a pull of the conversation *key*. Whether it may be answered."""
        limit, window_s = self._rules.reads_per_window, self._rules.read_window_s
        if limit is None:
            return True
        if now < self._blocked_until.get(key, 0.0):
            return False
        if len(self._reads) + len(self._blocked_until) > _MAX_THROTTLED:
            self.forget(now)
        count, since = self._reads.get(key, (0, now))
        if now - since >= window_s:
            count, since = 0, now
        self._reads[key] = (count + 1, since)
        if count + 1 >= limit:
            self._blocked_until[key] = now + window_s
            del self._reads[key]
        return True

    def forget(self, now: float) -> None:
        """Drops what has passed."""
        window_s = self._rules.read_window_s
        self._reads = {key: held for key, held in self._reads.items() if now - held[1] < window_s}
        self._blocked_until = {key: until for key, until in self._blocked_until.items() if until > now}


def answer_pull(rules: MlsFocusRules, conversation: MlsConversation, sender: str, body: bytes) -> PulledState:
    """What *sender* gets for a pull with that body. Raises MlsRefused, and nothing else, on any octets."""
    try:
        held = EpochIdentifier.decode(body)
    except ProtobufError as error:
        raise MlsRefused(1, Reason.INVALID_INPUT, "body") from error
    if not rules.is_available:
        raise MlsRefused(0, Reason.ENCRYPTION_NOT_AVAILABLE)
    live = conversation.live
    if live is None:
        raise MlsRefused(2, Reason.MLS_GROUP_NOT_FOUND)
    if not rules.has_server_group_info:  # the refusal names the state all the same, and says whether it has ended
        if has_end_mls(live.group.context.extensions):
            raise MlsRefused(6, Reason.MLS_GROUP_HAS_END_MLS, "pull")
        raise MlsRefused(1, Reason.INVALID_INPUT, "pull")
    if sender not in conversation.pair:
        raise MlsRefused(3, Reason.MISMATCHED_RCS_GROUP_STATE, "not-in-group")
    if held == EpochIdentifier():
        return PulledState(MlsContentType.SERVER, encode_server_message(live.pulled))
    return PulledState(MlsContentType.GROUP_INFO_REQUEST, _enhanced(rules, conversation, live, held).encode())


def _enhanced(
    rules: MlsFocusRules, conversation: MlsConversation, live: LiveGroup, held: EpochIdentifier
) -> MlsEnhancedGroupInfo:
    """The commits after *held* if the focus knows that state: both are participants throughout, so nothing else is
    asked (RCC.16 §7.10.3). Without a log there is no field 5, which sends the phone to the GroupInfo."""
    place = _place_after(conversation, live, held) if rules.has_control_log else None
    if place is None:
        return _response(live, (), None)
    page = conversation.log[place : _end_of_page(conversation, place, rules.page_size)]
    told = tuple(ControlMessage(each.control_id, each.octets) for each in page)
    return _response(live, told, _state_of(page, -1) if page else held)


def _response(
    live: LiveGroup, messages: tuple[ControlMessage, ...], paginated: EpochIdentifier | None
) -> MlsEnhancedGroupInfo:
    return MlsEnhancedGroupInfo(live.state, live.pulled, messages, paginated)


def _place_after(conversation: MlsConversation, live: LiveGroup, held: EpochIdentifier) -> int | None:
    """Where the log goes on after the entry that made the state *held*: its proposals come with what follows. None for
    a state that the focus has never had."""
    for place in range(len(conversation.log)):
        if _state_of(conversation.log, place) == held:
            return place + 1
    return len(conversation.log) if held == live.state else None


def _end_of_page(conversation: MlsConversation, start: int, size: int) -> int:
    """A page does not end between the proposals of an epoch: field 5 could not name the place (choice)."""
    log = conversation.log
    end = min(start + size, len(log))
    while start < end < len(log) and _state_of(log, end - 1) == _state_of(log, end):
        end += 1
    return end


def _state_of(log: tuple[StoredControlMessage, ...], place: int) -> EpochIdentifier:
    entry = log[place]
    return EpochIdentifier(entry.era, entry.epoch, entry.authenticator)
