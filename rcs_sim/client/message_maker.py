"""Makes the messages that leave a phone: their identifiers, their time, and whether they may ever be an SMS."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.transport.tokens import Tokens
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.chat_mode import ContentKind, may_fall_back
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.delivery import Delivery, DeliveryRules
from rcs_sim.client.identity import is_number
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.pager import date_time_of
from rcs_sim.client.sms_outgoing import count_parts
from rcs_sim.devices.policy import DevicePolicy

__all__ = ["MessageMaker"]

_FITS_ANYWAY_CHARACTERS = 33  # per part, whatever the alphabet: surrogate pairs in UCS-2 with a 16-bit reference


class MessageMaker:
    """Of one phone. *new_id* makes an imdn.Message-ID in the form of the device, *rules* are those in force;
    *consented* and *retried* are called when the user decides so about a message."""

    __slots__ = ("_alarms", "_consented", "_policy", "_retried", "_tokens", "new_id", "rules")

    def __init__(
        self,
        policy: DevicePolicy,
        alarms: Alarms,
        tokens: Tokens,
        rules: DeliveryRules,
        *,
        consented: Callable[[SentMessage], None],
        retried: Callable[[SentMessage], None],
    ) -> None:
        self._policy, self._alarms, self._tokens = policy, alarms, tokens
        self._consented, self._retried = consented, retried
        self.new_id: Callable[[], str] = tokens.uuid
        self.rules = rules

    def new(self, conversation: Conversation, text: str, kind: ContentKind = ContentKind.TEXT) -> SentMessage:
        """A message of now."""
        now, tokens = self._alarms.now(), self._tokens
        may_leave = self._may_fall_back(conversation, text, kind)
        message = SentMessage(
            conversation,
            self.new_id(),
            tokens.uuid(),
            text,
            date_time_of(self._alarms.wall()),
            Delivery(self.rules, tokens.uniform, now, may_fall_back=may_leave),
            self._consented,
            has_report=self._policy.sms.requests_status_report,
        )
        message.on_retry = self._retried
        return message

    def _may_fall_back(self, conversation: Conversation, text: str, kind: ContentKind) -> bool:
        most = self._policy.fallback.max_sms_parts
        is_short = len(text) <= _FITS_ANYWAY_CHARACTERS * most
        return is_number(conversation.peer) and may_fall_back(
            kind,
            is_group=False,
            is_encrypted=conversation.is_encrypted,
            sms_parts=1 if is_short else count_parts(text, most),
            max_sms_parts=most,
        )
