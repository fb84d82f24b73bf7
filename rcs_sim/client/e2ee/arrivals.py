"""What comes on the encryption plane: sealed messages, messages of the focus, answers (RCC.16 §7.9, §7.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.wire.sip.uri import Uri
from rcs_sim.client.content import Content
from rcs_sim.client.e2ee.bringing_in import BringingIn
from rcs_sim.client.e2ee.content import SealedReceipts, SealedTyping, Unreadable, read_opened
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.control_channel import ANSWER_S
from rcs_sim.client.e2ee.healing import Healing
from rcs_sim.client.e2ee.passing_on import is_for_others, pass_on
from rcs_sim.client.e2ee.resends import replaced_by
from rcs_sim.client.e2ee.thread import EncryptedThread, KeptWelcome
from rcs_sim.client.encryption import EncryptedArrival, Scheme
from rcs_sim.client.inbox import Arrival, Inbox
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.content_types import MlsContentType, classify_content_type
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.application_opening import Envelope, OpenRefusal, RefusalKind
from rcs_sim.e2ee.member.control_outcome import (
    Advanced,
    ControlOutcome,
    ControlRefusal,
    Ignored,
    IgnoredWhy,
    Joined,
    NeedsServerState,
    ParkedControl,
    ProposalKept,
    RemovedFromGroup,
)
from rcs_sim.e2ee.member.message_exchange import GROUP_WAIT_S, Parked
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.e2ee.server_message import (
    AcceptedMessage,
    CommitBundle,
    ServerMlsRcsMessage,
    decode_server_message,
    is_lone_message,
    read_server_body,
)
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, CpimParseError
from rcs_sim.wire.imdn import Imdn
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["COMMIT_WAIT_S", "MAX_UNDECIDED", "Arrivals", "named_sender"]

COMMIT_WAIT_S = 60.0  # before a commit is asked for that a message waits for (choice)
MAX_WAITING = 1024  # wrappers of messages that are parked; the oldest go first
MAX_UNDECIDED = 64  # messages that wait for what a focus says about a Welcome, of a conversation; further ones do not
_FULL = range(MAX_UNDECIDED)
_NOT_READ = ClientFailureReason.FAILED_TO_DECRYPT
_HEALING_REASONS = frozenset(
    (
        RefusalKind.NO_GROUP,
        RefusalKind.SUPERSEDED,
        RefusalKind.UNDECRYPTABLE,
        RefusalKind.NOT_FOR_US,
    )
)


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """How a message came that cannot be read yet."""

    arrival: Arrival
    uri: Uri
    cpim: CpimMessage
    headers: MlsHeaders


class Arrivals:
    """Of one phone. *sweep* is called for proposals that wait to be committed, *told* with a sealed receipt,
    *regrouped* when this device has come from one group into another where nobody arbitrates."""

    __slots__ = (
        "_bringing_in",
        "_context",
        "_healing",
        "_inbox",
        "_regrouped",
        "_sweep",
        "_told",
        "_undecided",
        "_waiting",
    )

    def __init__(
        self,
        context: E2eeContext,
        healing: Healing,
        inbox: Inbox,
        sweep: Callable[[EncryptedThread], None],
        told: Callable[[EncryptedThread, Imdn], None],
        regrouped: Callable[[EncryptedThread], None],
        bringing_in: BringingIn,
    ) -> None:
        self._bringing_in, self._regrouped = bringing_in, regrouped
        self._context, self._healing, self._inbox, self._sweep, self._told = context, healing, inbox, sweep, told
        self._waiting: dict[tuple[EncryptedThread, str], _Wrapper] = {}
        self._undecided: dict[EncryptedThread, list[EncryptedArrival]] = {}

    def arrived(self, thread: EncryptedThread, found: EncryptedArrival) -> None:
        """Dispatches by type. What nobody may send to a phone is dropped."""
        match classify_content_type(found.cpim.content_type.essence):
            case MlsContentType.MESSAGE:
                self._sealed(thread, found)
            case MlsContentType.SERVER:
                self._server_plane(thread, found)
            case MlsContentType.GROUP_INFO_REQUEST:
                self._pull_answered(thread, found)
            case MlsContentType.CLIENT if not self._context.is_arbitrated(thread) and is_lone_message(found.cpim.body):
                self._server_plane(thread, found)  # the carrier leg of the reference; a request waits for a focus
            case kind:
                self._context.note(thread, "dropped", f"{kind or found.cpim.content_type} is nothing for a phone")
        self._tell_anew(thread)

    def _tell_anew(self, thread: EncryptedThread) -> None:
        """The peer is there again, and hears of what he could not be told: with a group it is only to be sent anew."""
        has_group = thread.engine.group is not None
        reason = _NOT_READ if has_group else ClientFailureReason.CONTROL_MESSAGE_FAILED
        if thread.reports.tell_anew(reason):
            self._context.moved(thread)

    def is_answer(self, found: EncryptedArrival) -> bool:
        """Whether it is the answer to a question of a phone that has nothing to open anything else with."""
        answer: MlsGroupInfo | MlsEnhancedGroupInfo
        try:
            match classify_content_type(found.cpim.content_type.essence):
                case MlsContentType.SERVER:
                    arm = decode_server_message(found.cpim.body)
                    if not isinstance(arm, MlsGroupInfo):
                        return False
                    answer = arm
                case MlsContentType.GROUP_INFO_REQUEST:
                    answer = MlsEnhancedGroupInfo.decode(found.cpim.body)
                case _:
                    return False
        except ProtobufError:
            return False
        return self._context.channel.answered(FocusHeaders.of(found.cpim).in_reply_to, answer)

    # --- sealed messages ---------------------------------------------------------------------------------------------

    def _sealed(self, thread: EncryptedThread, found: EncryptedArrival) -> None:
        headers = MlsHeaders.of(found.cpim)
        if headers.fault is not None or headers.era_id is None:
            self._context.note(thread, "dropped", f"{headers.fault}", found.cpim.message_id)
            return
        envelope = Envelope(
            message_id=found.cpim.message_id or "",
            asserted_sender=found.sender.lstrip("+"),
            era=headers.era_id,
            epoch_authenticator=headers.epoch_authenticator,
        )
        thread.hear_era(headers.era_id)
        arrival = Arrival(found.sender, found.thread_id, found.contribution_id, found.session)
        wrapper = _Wrapper(arrival, found.uri, found.cpim, headers)
        result = thread.engine.open(found.cpim.body, envelope, self._context.now_s())
        if isinstance(result, Parked):
            self._park(thread, envelope, wrapper, result)
        elif _is_of_other_group(result) and len(self._undecided.get(thread, _FULL)) < MAX_UNDECIDED:
            self._undecided[thread].append(found)
        else:
            self._result(thread, envelope, wrapper, result)

    def _park(self, thread: EncryptedThread, envelope: Envelope, wrapper: _Wrapper, parked: Parked) -> None:
        self._waiting[thread, envelope.message_id] = wrapper
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._context.note(thread, "parked", f"for {parked.moment}", envelope.message_id)
        if parked.has_no_group:
            self._context.ask_who_arbitrates(thread)
            self._context.watch.suspect(thread.conversation)
            alarms = self._context.messenger.alarms
            alarm = alarms.new(lambda now: self._overdue(thread))
            alarm.set(alarms.now() + GROUP_WAIT_S + 0.5)
        elif parked.is_era_gap:
            self._report(thread, envelope, ClientFailureReason.FAILED_TO_DECRYPT)
            self._healing.heal(thread, "a message of a later era")
            self._context.moved(thread)  # also where nothing is repaired
        else:
            alarms = self._context.messenger.alarms
            alarms.new(lambda now: self._still_waits(thread, envelope)).set(alarms.now() + COMMIT_WAIT_S)

    def _still_waits(self, thread: EncryptedThread, envelope: Envelope) -> None:
        """A message of a later epoch sets off nothing by itself; a commit that has not come by now is asked for, and
        who is elected to help learns of it."""
        if (thread, envelope.message_id) in self._waiting:
            self._report(thread, envelope, ClientFailureReason.CONTROL_MESSAGE_FAILED)
            self._healing.heal(thread, "a message waits for a commit that does not come")
            self._context.moved(thread)

    def _overdue(self, thread: EncryptedThread) -> None:
        """No Welcome has come for a message that needs one."""
        late = thread.engine.exchange.overdue(self._context.now_s())
        for envelope in late:
            self._report(thread, envelope, ClientFailureReason.CONTROL_MESSAGE_FAILED)
        if late:
            self._healing.heal(thread, "a sealed message and no group")
            self._context.moved(thread)

    def _result(
        self, thread: EncryptedThread, envelope: Envelope, wrapper: _Wrapper, result: Opened | OpenRefusal
    ) -> None:
        if isinstance(result, Opened):
            thread.reports.resolve(envelope.message_id)
            self._opened(thread, wrapper, result)
            if thread.has_ended:  # who has sealed it does not know (choice)
                self._report(thread, envelope, ClientFailureReason.CONTROL_MESSAGE_FAILED_DUE_TO_DOWNGRADE)
                self._context.moved(thread)
            return
        self._context.note(thread, "not opened", f"{result.kind.name.lower()}: {result.detail}", envelope.message_id)
        reason = result.reason
        if result.kind is RefusalKind.NOT_FOR_US and not self._context.is_arbitrated(thread):
            reason = ClientFailureReason.FAILED_TO_DECRYPT  # of a group that was begun anew: ours is given to its maker
        is_over = result.kind is RefusalKind.SUPERSEDED and not self._context.is_arbitrated(thread)
        if reason is not None:
            self._report(thread, envelope, reason)
            if result.kind in _HEALING_REASONS and not is_over:  # the state is good: it is sent again in this era
                self._healing.heal(thread, f"a message cannot be read: {result.kind.name.lower()}")
            self._context.moved(thread)

    def _report(self, thread: EncryptedThread, envelope: Envelope, reason: ClientFailureReason) -> None:
        """To be told to the sender, once no repair is under way. Where the repair is left to him he is asked for it."""
        is_lost = reason is ClientFailureReason.FAILED_TO_DECRYPT and envelope.era >= _era_of(thread)
        is_left_to_him = self._context.has_siblings(thread) or thread.has_ended
        if is_lost and is_left_to_him and not self._context.is_arbitrated(thread):
            reason = ClientFailureReason.CONTROL_MESSAGE_FAILED
        if envelope.message_id and envelope.asserted_sender == thread.peer_number:
            thread.reports.add(envelope.message_id, envelope.asserted_sender, reason)

    def _opened(self, thread: EncryptedThread, wrapper: _Wrapper, opened: Opened) -> None:
        found = read_opened(opened, wrapper.cpim)
        match found:
            case Unreadable(why):
                self._context.note(thread, "dropped", why, opened.message_id)
            case SealedTyping(state):
                self._inbox.typing_received(wrapper.arrival.sender, state)
            case SealedReceipts(imdns):
                for imdn in () if opened.is_replay else imdns:
                    self._told(thread, imdn)
            case _:
                self._show(thread, wrapper, found, opened.resent)

    def _show(self, thread: EncryptedThread, wrapper: _Wrapper, content: Content, resent: bytes) -> None:
        known = self._inbox.ids_of(wrapper.arrival.sender)
        replaced = replaced_by(resent, wrapper.headers.original_message_id, known)
        if replaced.remark:
            self._context.note(thread, "resent", replaced.remark, content.message_id)
        self._inbox.content_received(
            wrapper.arrival, content, Scheme.MLS, replaces=replaced.message_id, is_proven=replaced.is_proven
        )

    # --- the server plane --------------------------------------------------------------------------------------------

    def _server_plane(self, thread: EncryptedThread, found: EncryptedArrival) -> None:
        context, control_id = self._context, found.cpim.message_id
        try:
            arm = read_server_body(found.cpim.body)
        except ProtobufError as error:
            context.note(thread, "dropped", f"no message of a focus: {error}", control_id)
            return
        in_reply_to = FocusHeaders.of(found.cpim).in_reply_to
        if isinstance(arm, AcceptedMessage | MlsGroupInfo) and context.channel.answered(in_reply_to, arm):
            return
        envelope = self._envelope_of(found)
        outcome = self.received(thread, arm, envelope)
        if context.is_arbitrated(thread):
            return
        if isinstance(outcome, Joined) and thread.engine.identifier is not None:
            headers, is_of_peer = MlsHeaders.of(found.cpim).to_headers(), outcome.committer == thread.peer_number
            thread.welcome = KeptWelcome(thread.engine.identifier, found.cpim.body, tuple(headers), is_of_peer)
        if is_for_others(thread, envelope, outcome):
            pass_on(context, thread, found.cpim)

    def received(
        self,
        thread: EncryptedThread,
        arm: ServerMlsRcsMessage,
        envelope: Envelope,
        server: EpochIdentifier | None = None,
    ) -> ControlOutcome:
        """One message of the focus."""
        context, before = self._context, thread.engine.identifier
        outcome = thread.engine.receive(arm, envelope, context.now_s(), server)
        context.note(thread, "control", _words(outcome), envelope.message_id)
        self._control_outcome(thread, arm, envelope, outcome)
        if isinstance(outcome, Joined) and before is not None and not context.is_arbitrated(thread):
            self._regrouped(thread)
        context.moved(thread)
        return outcome

    def _control_outcome(
        self, thread: EncryptedThread, arm: ServerMlsRcsMessage, envelope: Envelope, outcome: ControlOutcome
    ) -> None:
        match outcome:
            case Joined() | Advanced():
                self._context.credentials.welcome_came()
                self._context.ask_who_arbitrates(thread)
                self._healing.remote_change(thread)
            case ProposalKept():
                self._sweep(thread)
            case NeedsServerState():
                self._healing.ask_about(thread, lambda server: self._decided(thread, arm, envelope, server))
                self._wait_for_decision(thread)
            case ParkedControl():
                self._healing.heal(thread, "a commit of a later moment")
            case RemovedFromGroup():  # a 1:1 is not left (RCC.16 §9.4): another device of ours took us for gone
                self._context.renew_engine(thread)
                self._context.watch.suspect(thread.conversation)
                self._healing.heal(thread, "removed from the group")
            case Ignored(IgnoredWhy.NOT_OURS) if thread.engine.group is None and isinstance(arm, CommitBundle):
                self._context.ask_who_arbitrates(thread)
                self._context.watch.suspect(thread.conversation)
                self._context.watch.look(thread.conversation)
            case Ignored(IgnoredWhy.LOST_RACE):
                self._bringing_in.lost_to_us(thread, envelope.message_id)
            case ControlRefusal(reason=reason) if reason is not None:
                self._context.credentials.welcome_came()  # of one that did not open, perhaps
                self._report(thread, envelope, reason)
                self._healing.heal(thread, outcome.detail)
            case _:
                pass

    def _wait_for_decision(self, thread: EncryptedThread) -> None:
        """What cannot be read meanwhile may be of the group that is asked about."""
        self._undecided.setdefault(thread, [])
        alarms = self._context.messenger.alarms
        alarms.new(lambda now: self._open_undecided(thread)).set(alarms.now() + ANSWER_S + 1.0)

    def _decided(
        self, thread: EncryptedThread, arm: ServerMlsRcsMessage, envelope: Envelope, server: EpochIdentifier
    ) -> None:
        self.received(thread, arm, envelope, server)
        self._open_undecided(thread)

    def _open_undecided(self, thread: EncryptedThread) -> None:
        for each in self._undecided.pop(thread, ()):
            self._sealed(thread, each)

    def drain(self, thread: EncryptedThread) -> None:
        """What was parked for the moment that has come."""
        for envelope, result in thread.engine.drain(self._context.now_s()):
            wrapper = self._waiting.pop((thread, envelope.message_id), None)
            if isinstance(result, Opened | OpenRefusal):
                if wrapper is not None:
                    self._result(thread, envelope, wrapper, result)
            else:
                self._context.note(thread, "control", _words(result), envelope.message_id)

    def _pull_answered(self, thread: EncryptedThread, found: EncryptedArrival) -> None:
        in_reply_to = FocusHeaders.of(found.cpim).in_reply_to
        try:
            answer = MlsEnhancedGroupInfo.decode(found.cpim.body)
        except ProtobufError as error:
            self._context.note(thread, "dropped", f"no answer to a pull: {error}", found.cpim.message_id)
            return
        if not self._context.channel.answered(in_reply_to, answer):
            self._context.note(thread, "dropped", "an answer to nothing", found.cpim.message_id)

    @staticmethod
    def _envelope_of(found: EncryptedArrival) -> Envelope:
        headers = MlsHeaders.of(found.cpim)
        return Envelope(
            message_id=found.cpim.message_id or "",
            asserted_sender=found.sender.lstrip("+"),
            era=headers.era_id or 0,
            epoch_authenticator=headers.epoch_authenticator,
            named_sender=named_sender(found.cpim),
        )


def named_sender(cpim: CpimMessage) -> str:
    """Bare digits of the number in CPIM From, "" without one: the focus names there which of a user's own numbers has
    sent what it passes on (choice)."""
    try:
        sender = cpim.sender
    except CpimParseError:
        return ""
    if sender is None or sender.uri.lower() == ANONYMOUS_URI or not sender.uri.lower().startswith("tel:"):
        return ""
    return "".join(each for each in sender.uri[4:].partition(";")[0] if each.isascii() and each.isdigit())


def _words(outcome: ControlOutcome) -> str:
    """Words for the trace."""
    match outcome:
        case ControlRefusal():
            return f"refused: {outcome.rule} {outcome.detail}".replace("  ", " ")
        case Ignored(why):
            return f"ignored: {why.name.lower().replace('_', ' ')}"
        case _:
            return type(outcome).__name__.lower()


def _is_of_other_group(result: Opened | OpenRefusal) -> bool:
    return isinstance(result, OpenRefusal) and result.kind is RefusalKind.NOT_FOR_US


def _era_of(thread: EncryptedThread) -> int:
    """That of the group that is held, 0 without one."""
    identifier = thread.engine.identifier
    return 0 if identifier is None else identifier.era_id
