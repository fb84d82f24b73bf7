"""MLS beside the legacy scheme on one phone: which of them a conversation has (digest RCC.16 §14.12, choice of scheme).

MLS where both are capable of it, else the legacy scheme where both announce it, else neither. A conversation of the
legacy scheme becomes one of MLS when that becomes possible; one of MLS never moves to the legacy scheme (§7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.encryption import (
    EncryptedArrival,
    Encryption,
    Scheme,
    SealDecision,
    SealedContent,
    SealStep,
)
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.e2ee.content_types import is_on_mls_plane
from rcs_sim.e2ee.feature_tags import EncryptionScheme, MlsTags, choose_scheme
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn

if TYPE_CHECKING:
    from rcs_sim.client.e2ee.legacy_encryption import LegacyEncryption

__all__ = ["UPGRADE_PAUSE_S", "UPGRADE_WAIT_S", "MlsSide", "SchemeChoice"]

UPGRADE_WAIT_S = 10.0  # for the group that takes over from the legacy scheme (choice)
UPGRADE_PAUSE_S = 60.0  # until it is waited for again (choice)
_WAITS = SealDecision(SealStep.WAIT, FallbackReason.ENCRYPTION_BUSY)


class MlsSide(Encryption, Protocol):
    """What the choice asks of MLS beside what every `Encryption` does. *locked* is called for a conversation that has a
    group, or had one."""

    locked: Callable[[Conversation], None] | None

    @property
    def tags(self) -> MlsTags:
        """What the phone announces of MLS."""
        ...

    def holds(self, conversation: Conversation) -> bool:
        """Whether the conversation has a group, had one that was ended, or is about to get one."""
        ...

    def begin(self, conversation: Conversation) -> bool:
        """Sets up a group in a conversation that the legacy scheme locks; False if that cannot be done now."""
        ...


class SchemeChoice:
    """The `Encryption` of a phone that has both schemes."""

    __slots__ = ("_legacy", "_messenger", "_mls", "_waits_until")

    def __init__(self, mls: MlsSide, legacy: LegacyEncryption, messenger: Messenger) -> None:
        self._mls, self._legacy, self._messenger = mls, legacy, messenger
        self._waits_until: dict[ContactKey, float] = {}
        legacy.may_lock = lambda conversation: not mls.holds(conversation)
        mls.locked = legacy.supersede

    @property
    def tags(self) -> MlsTags:
        """What the phone announces."""
        return replace(self._mls.tags, legacy=self._legacy.tags.legacy)

    def _side(self, conversation: Conversation) -> Encryption:
        """Whose the conversation is. What is marked and not the legacy scheme's is of MLS, even without a group."""
        if self._legacy.is_locked(conversation):
            return self._legacy
        if self._mls.holds(conversation) or self._legacy.is_superseded(conversation):
            return self._mls
        is_legacy = not conversation.is_encrypted and self._eligible(conversation) is EncryptionScheme.LEGACY
        return self._legacy if is_legacy else self._mls

    def _eligible(self, conversation: Conversation) -> EncryptionScheme:
        entry = self._messenger.capabilities.entry(conversation.peer)
        return choose_scheme(self.tags, [entry.tags.mls])

    def _is_upgrading(self, conversation: Conversation) -> bool:
        """Whether MLS is about to take over what the legacy scheme locks, which it does when it has a group. That is
        waited for a while; then the old scheme goes on meanwhile."""
        if not self._legacy.is_locked(conversation):
            return False
        is_eligible = self._mls.holds(conversation) or self._eligible(conversation) is EncryptionScheme.MLS
        if not is_eligible or not (self._mls.holds(conversation) or self._mls.begin(conversation)):
            return False
        alarms = self._messenger.alarms
        now, until = alarms.now(), self._waits_until.get(conversation.peer)
        if until is None or now >= until + UPGRADE_PAUSE_S:
            until = self._waits_until[conversation.peer] = now + UPGRADE_WAIT_S
            alarms.new(lambda now: self._messenger.encryption_moved(conversation)).set(until)
        return now < until

    # --- Encryption --------------------------------------------------------------------------------------------------

    def decide(self, conversation: Conversation, *, may_wait: bool) -> SealDecision:
        is_waiting = may_wait and self._is_upgrading(conversation)
        decision = self._side(conversation).decide(conversation, may_wait=may_wait)
        return _WAITS if is_waiting else decision

    def scheme_of(self, conversation: Conversation) -> Scheme | None:
        return self._side(conversation).scheme_of(conversation)

    def seal(self, message: SentMessage) -> SealedContent:
        return self._side(message.conversation).seal(message)

    def arrived(self, arrival: EncryptedArrival) -> None:
        """By its type: what was sealed before a change of scheme comes after it too."""
        is_mls = is_on_mls_plane(str(arrival.cpim.content_type))
        (self._mls if is_mls else self._legacy).arrived(arrival)

    def receipt_headers(self, message: ReceivedMessage, receipt_id: str, imdn: Imdn) -> Iterable[CpimHeader] | None:
        return self._of(message.scheme).receipt_headers(message, receipt_id, imdn)

    def accepts_receipt(self, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        return self._of(message.scheme).accepts_receipt(message, imdn, cpim, sender)

    def _of(self, scheme: Scheme | None) -> Encryption:
        return self._legacy if scheme is Scheme.LEGACY else self._mls

    def reported(self, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        return self._mls.reported(imdn, cpim, sender)

    def end(self, conversation: Conversation) -> None:
        self._side(conversation).end(conversation)

    def revive(self, conversation: Conversation) -> None:
        self._side(conversation).revive(conversation)

    def security_code(self, conversation: Conversation) -> str | None:
        return self._side(conversation).security_code(conversation)

    def capability_learned(self, conversation: Conversation) -> None:
        self._is_upgrading(conversation)
        self._legacy.capability_learned(conversation)
        self._mls.capability_learned(conversation)
