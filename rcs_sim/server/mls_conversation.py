"""What the focus knows of one conversation: public group, era, authenticators, log and answers (RCC.16 §6.1.2).

A value: whoever decides makes a new one, and the old one stays. There is no secret in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from ims_core.errors import RemoteProtocolError
from ims_core.store.mls_conversations import (
    StoredAnswer,
    StoredControlMessage,
    StoredConversation,
    StoredFanOut,
)
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_snapshot import restore_public, snapshot_public
from rcs_sim.mls.seams import Seams

__all__ = ["SECONDS_PER_DAY", "ConversationUnreadable", "LiveGroup", "MlsConversation", "Pair", "pair_of"]

SECONDS_PER_DAY = 86_400
_CONTEXTS_KEPT = 32

Pair = tuple[str, str]
"""Digits of both participants in ascending order of their octets."""


class ConversationUnreadable(RemoteProtocolError):
    """The store holds a conversation that cannot be read."""


def pair_of(one: str, other: str) -> Pair:
    """The key of a conversation, and who of the two has its focus: the first (RCC.16 digest §14.1)."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True, slots=True)
class LiveGroup:
    """The group of the present era. *group_info* is as the committer sent it."""

    group: PublicGroup
    era: int
    group_info: bytes
    authenticators: tuple[bytes, ...]

    @property
    def state(self) -> EpochIdentifier:
        return EpochIdentifier(self.era, int(self.group.epoch), self.authenticators[-1])

    @property
    def pulled(self) -> MlsGroupInfo:
        """What an ordinary pull gets."""
        return MlsGroupInfo(self.group_info, self.group.ratchet_tree().encode(), self.authenticators[-1])


@dataclass(frozen=True, slots=True)
class MlsConversation:
    """The conversation of *pair*; without *live* there has been no group yet. *log* holds control messages of this era
    and of the last weeks, the latest last."""

    pair: Pair
    live: LiveGroup | None = None
    log: tuple[StoredControlMessage, ...] = ()
    context_ids: tuple[str, ...] = ()
    answers: tuple[StoredAnswer, ...] = ()
    outstanding: tuple[StoredFanOut, ...] = ()
    next_message: int = 1
    eras_at_s: tuple[int, ...] = ()
    epochs_at_s: tuple[int, ...] = ()
    external_commits_at_s: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        return " ".join(self.pair)

    @property
    def state(self) -> EpochIdentifier | None:
        return None if self.live is None else self.live.state

    @property
    def group_id(self) -> bytes:
        """MLS group id, empty without a group."""
        return b"" if self.live is None else self.live.group.group_id

    def other(self, digits: str) -> str:
        """The participant that is not *digits*."""
        return self.pair[1] if digits == self.pair[0] else self.pair[0]

    def answer_to(self, sender: str, control_id: str) -> StoredAnswer | None:
        """What was answered to a request of that id."""
        for answer in reversed(self.answers):
            if answer.control_id == control_id and answer.sender == sender:
                return answer
        return None

    def with_answer(self, answer: StoredAnswer, kept: int) -> Self:
        """The same with one more answer; of those to one sender the last *kept* stay."""
        own = [each for each in self.answers if each.sender == answer.sender]
        gone = own[0] if len(own) >= kept else None
        return replace(self, answers=(*(each for each in self.answers if each is not gone), answer))

    def with_context(self, context_id: str) -> Self:
        """The same with one more context id that was used."""
        return replace(self, context_ids=(*self.context_ids, context_id)[-_CONTEXTS_KEPT:])

    def without_outstanding(self, control_id: str) -> Self:
        """The same after a fan-out has reached everybody, or was given up."""
        left = tuple(each for each in self.outstanding if each.control_id != control_id)
        return replace(self, outstanding=left)

    # -- the store ---------------------------------------------------------------------------------------------------

    def to_record(self) -> StoredConversation:
        """All but the log. There is a live group."""
        assert self.live is not None
        live = self.live
        return StoredConversation(
            key=self.key,
            era=live.era,
            group=snapshot_public(live.group),
            group_info=live.group_info,
            authenticators=live.authenticators,
            context_ids=self.context_ids,
            answers=self.answers,
            outstanding=self.outstanding,
            next_message=self.next_message,
            eras_at_s=self.eras_at_s,
            epochs_at_s=self.epochs_at_s,
            external_commits_at_s=self.external_commits_at_s,
        )

    @classmethod
    def of_record(cls, record: StoredConversation, log: tuple[StoredControlMessage, ...], seams: Seams) -> Self:
        """What `to_record` gave. Entries of *log* that the record does not know yet are left out: the process ended
        between the two. Raises ConversationUnreadable."""
        first, _, second = record.key.partition(" ")
        if not (first and second and record.authenticators):
            raise ConversationUnreadable(f"a conversation {record.key!r}", spec="RCC.16 §6.1.2")
        try:
            group = restore_public(record.group, seams)
        except RemoteProtocolError as error:
            raise ConversationUnreadable(f"conversation {record.key}: {error}", spec="RCC.16 §6.1.2") from error
        live = LiveGroup(group, record.era, record.group_info, record.authenticators)
        return cls(
            pair=(first, second),
            live=live,
            log=tuple(each for each in log if each.number < record.next_message),
            context_ids=record.context_ids,
            answers=record.answers,
            outstanding=record.outstanding,
            next_message=record.next_message,
            eras_at_s=record.eras_at_s,
            epochs_at_s=record.epochs_at_s,
            external_commits_at_s=record.external_commits_at_s,
        )
