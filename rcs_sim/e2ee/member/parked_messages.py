"""Messages of a moment that has not come yet: kept as they are, by their exact moment (RCC.16 §6.1.1).

They never go stale by time; only so many are kept (choice), and the oldest give way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_u8, encode_u32, encode_u64, encode_vector

__all__ = ["ParkedMessage", "ParkedMessages"]

MAX_PARKED = 1024
MAX_PARKED_OCTETS = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParkedMessage(TlsStruct):
    """One message as it came. *is_control* tells a body of the server plane from ``message/mls``."""

    envelope: Envelope
    octets: bytes
    parked_s: int
    is_control: bool = False

    @classmethod
    def read(cls, reader: Reader) -> Self:
        envelope = Envelope(
            message_id=_text(reader),
            asserted_sender=_text(reader),
            era=reader.u32(),
            epoch_authenticator=reader.opaque(),
            named_sender=_text(reader),
        )
        return cls(envelope, reader.opaque(), reader.u64(), bool(reader.u8()))

    def encode(self) -> bytes:
        envelope = self.envelope
        parts = (
            _encode_text(envelope.message_id),
            _encode_text(envelope.asserted_sender),
            encode_u32(envelope.era),
            encode_opaque(envelope.epoch_authenticator),
            _encode_text(envelope.named_sender),
            encode_opaque(self.octets),
            encode_u64(self.parked_s),
            encode_u8(self.is_control),
        )
        return b"".join(parts)


class ParkedMessages(TlsStruct):
    """What waits, in the order in which it came within each moment."""

    __slots__ = ("_found", "_octets")

    def __init__(self) -> None:
        self._found: dict[Moment, list[ParkedMessage]] = {}
        self._octets = 0

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def __iter__(self) -> Iterator[tuple[Moment, ParkedMessage]]:
        return ((moment, each) for moment, found in self._found.items() for each in found)

    def add(self, moment: Moment, message: ParkedMessage) -> list[ParkedMessage]:
        """Parks a message; one with the same id at that moment is there once, of those without an id each octet string.
        Returns what had to give way."""
        waiting = self._found.setdefault(moment, [])
        if any(_is_same(each, message) for each in waiting):
            return []
        waiting.append(message)
        self._octets += len(message.octets)
        given_way: list[ParkedMessage] = []
        while len(self) > MAX_PARKED or self._octets > MAX_PARKED_OCTETS:
            given_way.append(self._drop_oldest())
        return given_way

    def _drop_oldest(self) -> ParkedMessage:
        moment = min(self._found, key=lambda each: self._found[each][0].parked_s)
        oldest = self._found[moment].pop(0)
        if not self._found[moment]:
            del self._found[moment]
        self._octets -= len(oldest.octets)
        return oldest

    def take(self, moment: Moment) -> list[ParkedMessage]:
        """What was waiting for exactly this moment."""
        taken = self._found.pop(moment, [])
        self._octets -= sum(len(each.octets) for each in taken)
        return taken

    def take_before(self, moment: Moment) -> list[ParkedMessage]:
        """What waits for a moment that will not come any more."""
        return [each for past in sorted(self._found) if past < moment for each in self.take(past)]

    def take_older(self, parked_before_s: int) -> list[ParkedMessage]:
        """What has been waiting since before a time."""
        old = [(moment, each) for moment, each in self if each.parked_s <= parked_before_s]
        for moment, each in old:
            self._found[moment].remove(each)
            self._octets -= len(each.octets)
            if not self._found[moment]:
                del self._found[moment]
        return [each for _, each in old]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        parked = cls()
        for moment, message in reader.vector(lambda inner: (Moment.read(inner), ParkedMessage.read(inner))):
            parked.add(moment, message)
        return parked

    def encode(self) -> bytes:
        return encode_vector([moment.encode() + message.encode() for moment, message in self])


def _is_same(one: ParkedMessage, other: ParkedMessage) -> bool:
    message_id = one.envelope.message_id
    return message_id == other.envelope.message_id and (bool(message_id) or one.octets == other.octets)


def _encode_text(text: str) -> bytes:
    return encode_opaque(text.encode("utf-8", "surrogateescape"))


def _text(reader: Reader) -> str:
    return reader.opaque().decode("utf-8", "surrogateescape")
