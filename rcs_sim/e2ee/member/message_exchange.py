"""Application messages of a conversation: sealed once each, opened once each, parked until their moment (RCC.16 §6.1.1,
§7.5, §7.9, §10.3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass
from typing import TypeAlias

from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.application_opening import (
    Envelope,
    OpenRefusal,
    RefusalKind,
    read_private_message,
)
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup, Sealed
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.parked_messages import ParkedMessage, ParkedMessages
from rcs_sim.e2ee.member.seen_messages import Opened, SeenMessages
from rcs_sim.mls.codec import Reader, TlsDecodeError, TlsStruct, encode_opaque, encode_vector
from rcs_sim.mls.messages import MLSMessage, PrivateMessage

__all__ = ["GROUP_WAIT_S", "MessageExchange", "OpenResult", "Parked"]

MAX_SEALED = 32  # messages of ours that can be sent again as they are (choice)
GROUP_WAIT_S = 3  # a first message may come before its Welcome (choice)


@dataclass(frozen=True, slots=True)
class Parked:
    """A message that waits, not yet decrypted. *is_era_gap*: only a Welcome can bring its moment, so it is time to ask.
    *has_no_group*: nothing is held yet: see `MessageExchange.overdue`."""

    moment: Moment
    is_era_gap: bool = False
    has_no_group: bool = False


OpenResult: TypeAlias = Opened | Parked | OpenRefusal


class MessageExchange(TlsStruct):
    """What has been sealed, opened and parked in one conversation."""

    __slots__ = ("_given_way", "_overdue_told", "_sealed", "parked", "seen")

    def __init__(self) -> None:
        self._sealed: OrderedDict[str, Sealed] = OrderedDict()
        self.seen = SeenMessages()
        self.parked = ParkedMessages()
        self._overdue_told: set[str] = set()
        self._given_way: list[ParkedMessage] = []

    # --- ours -------------------------------------------------------------------------------------------------------

    def seal(self, group: EncryptedGroup, entity: EncryptedEntity, message_id: str) -> Sealed:
        """The same octets for the same id, as long as they are kept. Raises E2eeRefused."""
        known = self._sealed.get(message_id)
        if known is not None:
            return known
        sealed = group.seal(entity, message_id)
        self._sealed[message_id] = sealed
        if len(self._sealed) > MAX_SEALED:
            self._sealed.popitem(last=False)
        return sealed

    def find_sealed(self, message_id: str) -> Sealed | None:
        """What went out under this id."""
        return self._sealed.get(message_id)

    def forget_sealed(self, message_id: str) -> None:
        """The focus has refused these octets: another attempt is sealed anew."""
        self._sealed.pop(message_id, None)

    def forget_all_sealed(self) -> None:
        """Nobody can read what was sealed in an era that is over."""
        self._sealed.clear()

    # --- theirs -----------------------------------------------------------------------------------------------------

    def known(self, message_id: str) -> Opened | OpenRefusal | None:
        """The result of before. What was opened is never opened again. What has no id is known by nothing."""
        found = self.seen.find(message_id)
        if found is None and message_id in self.seen:
            return OpenRefusal(RefusalKind.DUPLICATE, "opened before, its content is not kept")
        return found

    def open(
        self,
        group: EncryptedGroup | None,
        octets: bytes,
        envelope: Envelope,
        now_s: int,
        *,
        participants: Set[str],
        parks: bool,
    ) -> OpenResult:
        """One message. *parks*: the group is in transition, and nothing is decrypted now."""
        known = self.known(envelope.message_id)
        if known is not None:
            return known
        if group is None or parks:
            return self._park_unread(octets, envelope, now_s, group is None)
        message = read_private_message(octets, group.group)
        if isinstance(message, OpenRefusal):
            is_gap = message.kind is RefusalKind.NOT_FOR_US and envelope.era > group.era
            return self._park_unread(octets, envelope, now_s, False, is_era_gap=True) if is_gap else message
        moment = Moment(envelope.era, int(message.epoch))
        if moment > group.moment:
            self._park(moment, octets, envelope, now_s)
            return Parked(moment, is_era_gap=envelope.era > group.era)
        return self._open_now(group, message, moment, envelope, participants)

    def _open_now(
        self,
        group: EncryptedGroup,
        message: PrivateMessage,
        moment: Moment,
        envelope: Envelope,
        participants: Set[str],
    ) -> Opened | OpenRefusal:
        if moment.era < group.era:
            return OpenRefusal(RefusalKind.SUPERSEDED, f"of era {moment.era}, this is era {group.era}")
        unsealed = group.open(message, envelope)
        if isinstance(unsealed, OpenRefusal):
            return unsealed
        if unsealed.sender not in participants:
            return OpenRefusal(RefusalKind.NON_MEMBER, f"{unsealed.sender or 'nobody'} takes no part")
        unsealed.consume(group.group)
        opened = Opened(
            message_id=envelope.message_id,
            content=unsealed.payload.content,
            sender=unsealed.sender,
            leaf=unsealed.leaf,
            moment=moment,
            resent=unsealed.resent,
        )
        if envelope.message_id:
            self.seen.add(opened)
        return opened

    def _park_unread(
        self, octets: bytes, envelope: Envelope, now_s: int, has_no_group: bool, *, is_era_gap: bool = False
    ) -> OpenResult:
        """Parks without a group to look at: the epoch stands in clear."""
        try:
            message = MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body
        except TlsDecodeError as error:
            return OpenRefusal(RefusalKind.MALFORMED, str(error))
        if not isinstance(message, PrivateMessage):
            return OpenRefusal(RefusalKind.MALFORMED, f"a {type(message).__name__} as message/mls")
        moment = Moment(envelope.era, int(message.epoch))
        self._park(moment, octets, envelope, now_s)
        return Parked(moment, is_era_gap, has_no_group)

    def _park(self, moment: Moment, octets: bytes, envelope: Envelope, now_s: int) -> None:
        self.park(moment, ParkedMessage(envelope, octets, now_s))

    def park(self, moment: Moment, message: ParkedMessage) -> None:
        """Keeps a message for its moment. What gives way for it is told by `take_given_way`."""
        self._given_way += [each for each in self.parked.add(moment, message) if not each.is_control]

    def take_given_way(self) -> list[ParkedMessage]:
        """Messages that were given up for want of room, each once: their senders are told."""
        taken, self._given_way = self._given_way, []
        return taken

    def overdue(self, now_s: int) -> list[Envelope]:
        """Messages for which no group has come in time, each told once. They stay parked."""
        late = [
            each.envelope
            for _, each in self.parked
            if not each.is_control
            and not 0 <= now_s - each.parked_s < GROUP_WAIT_S  # or the clock has been put back since
            and each.envelope.message_id not in self._overdue_told
        ]
        self._overdue_told |= {each.message_id for each in late}
        return late

    def next_overdue_s(self) -> int | None:
        """When `overdue` has something to tell."""
        waiting = [
            each.parked_s + GROUP_WAIT_S
            for _, each in self.parked
            if not each.is_control and each.envelope.message_id not in self._overdue_told
        ]
        return min(waiting, default=None)

    def take_ready(self, moment: Moment) -> list[ParkedMessage]:
        """What may be tried now: that of this moment, after that of moments that are over."""
        ready = [*self.parked.take_before(moment), *self.parked.take(moment)]
        self._overdue_told -= {each.envelope.message_id for each in ready}
        return ready

    # --- written down -----------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, reader: Reader) -> MessageExchange:
        exchange = cls()
        for sealed in reader.vector(_read_sealed):
            exchange._sealed[sealed.message_id] = sealed
        exchange.seen, exchange.parked = SeenMessages.read(reader), ParkedMessages.read(reader)
        exchange._given_way = list(reader.vector(ParkedMessage.read))
        return exchange

    def encode(self) -> bytes:
        sealed = encode_vector(map(_encode_sealed, self._sealed.values()))
        given_way = encode_vector([each.encode() for each in self._given_way])
        return sealed + self.seen.encode() + self.parked.encode() + given_way


def _encode_sealed(sealed: Sealed) -> bytes:
    parts = (sealed.message_id.encode("utf-8", "surrogateescape"), sealed.octets, sealed.state.encode())
    return b"".join(map(encode_opaque, parts))


def _read_sealed(reader: Reader) -> Sealed:
    message_id, octets = reader.opaque().decode("utf-8", "surrogateescape"), reader.opaque()
    return Sealed(message_id, octets, EpochIdentifier.decode(reader.opaque()))
