"""What a phone says to a pull of its peer: without an arbiter pulls come to the phones (digest RCC.16 §14.1, §14.4).

Who has lost everything knows of no lock and cannot get one while a key service is down: before it writes in clear it
asks (RCC.16 §7.2). The other phone answers as a focus that gives no GroupInfo out would: the group lives, has ended, or
there is none (choice).
"""

from __future__ import annotations

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.encryption import EncryptedArrival
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.pager import compose_receipt, date_time_of
from rcs_sim.e2ee.content_types import MlsContentType, classify_content_type
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerFailureReason as Reason
from rcs_sim.e2ee.member.budgets import SERVER_READS, RollingBudget
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.mls_headers import FocusHeaders
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["NOTHING_AFTER_S", "PullAnswers"]

NOTHING_AFTER_S = 3.0  # another device of the user, who has the group, is faster; a Welcome may be on its way (choice)


class PullAnswers:
    """Of one phone."""

    __slots__ = ("_asked", "_context")

    def __init__(self, context: E2eeContext) -> None:
        self._context = context
        self._asked: dict[ContactKey, RollingBudget] = {}

    def asked(self, conversation: Conversation, found: EncryptedArrival) -> bool:
        """Whether *found* is a pull and no answer to one; it is answered, but not too often. One that a focus serves
        never comes to a phone."""
        if not _is_pull(found.cpim):
            return False
        control_id = found.cpim.message_id
        budget = self._asked.setdefault(conversation.peer, RollingBudget(SERVER_READS))
        if control_id and budget.take(self._context.passed_s()):
            self._answer(conversation, control_id)
        return True

    def _answer(self, conversation: Conversation, control_id: str) -> None:
        engine = self._engine(conversation)
        if engine is not None:
            self._say(conversation, control_id, _reason_of(engine), engine)
            return
        alarms = self._context.messenger.alarms
        alarm = alarms.new(lambda now: self._say_later(conversation, control_id))
        alarm.set(alarms.now() + NOTHING_AFTER_S)

    def _engine(self, conversation: Conversation) -> EncryptedConversation | None:
        thread = self._context.threads.get(conversation.peer)
        return None if thread is None or thread.engine.group is None else thread.engine

    def _say_later(self, conversation: Conversation, control_id: str) -> None:
        """Who shows a lock and has no group knows nothing, and says nothing."""
        engine = self._engine(conversation)
        if engine is not None:
            self._say(conversation, control_id, _reason_of(engine), engine)
        elif not conversation.is_encrypted:
            self._say(conversation, control_id, Reason.MLS_GROUP_NOT_FOUND, None)

    def _say(
        self, conversation: Conversation, control_id: str, reason: Reason, engine: EncryptedConversation | None
    ) -> None:
        context = self._context
        now = date_time_of(context.messenger.alarms.wall())
        imdn = Imdn(control_id, now, ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason=reason)
        headers = FocusHeaders(in_reply_to=control_id) if engine is None else _headers_of(engine, control_id)
        context.messenger.display.state(
            "encryption", "pull answered", reason=reason, conversation_id=conversation.id, peer=conversation.peer
        )
        context.channel.notify(conversation, compose_receipt(imdn, context.new_id(), now, headers.to_headers()))


def _is_pull(cpim: CpimMessage) -> bool:
    is_of_type = classify_content_type(cpim.content_type.essence) is MlsContentType.GROUP_INFO_REQUEST
    if not is_of_type or FocusHeaders.of(cpim).in_reply_to:
        return False
    try:
        EpochIdentifier.decode(cpim.body)
    except ProtobufError:
        return False
    return True


def _reason_of(engine: EncryptedConversation) -> Reason:
    is_over = engine.group is not None and engine.group.is_downgraded
    return Reason.MLS_GROUP_HAS_END_MLS if is_over else Reason.INVALID_INPUT


def _headers_of(engine: EncryptedConversation, control_id: str) -> FocusHeaders:
    state, group = engine.identifier, engine.group
    if state is None or group is None:
        return FocusHeaders(in_reply_to=control_id)
    return FocusHeaders(
        in_reply_to=control_id,
        server_era=state.era_id,
        server_epoch=state.epoch_id,
        server_epoch_authenticator=state.epoch_authenticator,
        group_id=group.group_id.decode("ascii", "replace"),
        detail="pull",
    )
