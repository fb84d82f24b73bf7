"""Messages between clients that are no phones of the trace: a handset, a load tool, another stack. What they show
nobody tells; who could read them the octets say."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from rcs_sim.e2ee.content_types import CONTROL_TYPES, classify_content_type, is_on_mls_plane
from rcs_sim.scenario.oracle_encodings import looks_random
from rcs_sim.scenario.oracle_hops import Carried, Hop
from rcs_sim.scenario.oracle_parties import MsrpParties

__all__ = ["OutsideMessage", "outside_messages"]

_LEGACY = "application/vnd.google.rcs.encrypted"
_PRIVATE_MESSAGE = b"\x00\x01\x00\x02"  # MLSMessage: mls10, mls_private_message (RFC 9420 §6)
_SMS = "SMS"
_LOOKED_AT = 64  # messages of the same words, the latest, for a hop that does not say between whom it is


@dataclass(slots=True)
class OutsideMessage:
    """One of them. *passages* are its hops, and whether octets of this one were in clear (True), sealed (False), or
    neither can be told (None). *sender* and *recipient* are bare digits, "" where no hop says them."""

    message_id: str
    at: float
    sender: str = ""
    recipient: str = ""
    media_type: str = ""
    text: str = ""
    passages: list[tuple[Hop, bool | None]] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The worst that any hop allowed: ``readable``, ``undecided`` or ``sealed``."""
        clear = {is_clear for _, is_clear in self.passages}
        return "readable" if True in clear else "undecided" if None in clear else "sealed"

    @property
    def readers(self) -> frozenset[str]:
        """Both ends of each hop that carried it in clear."""
        return frozenset(name for hop, is_clear in self.passages if is_clear for name in (hop.source, hop.target))

    def is_between(self, sender: str, recipient: str) -> bool:
        """Whether it can be one from *sender* to *recipient*, of whom either may be unknown."""
        is_from = not sender or self.sender in ("", sender)
        return is_from and (not recipient or self.recipient in ("", recipient))

    def add(self, carried: Carried) -> None:
        """One more hop."""
        self.media_type = self.media_type or (_SMS if carried.short_message else carried.media_type)
        self.text = self.text or carried.text or ""
        self.passages.append((carried.hop, _is_clear(carried)))


def outside_messages(
    contents: Iterable[Carried], parties: MsrpParties, known: Collection[int], phones: Collection[str]
) -> tuple[OutsideMessage, ...]:
    """What users said in *contents* that none of *phones* sent or received, in the order of the trace. *known* has the
    numbers of the records that carried messages of phones."""
    found, inside = _Found(), set[int]()
    for carried in contents:
        if not _is_of_a_user(carried):
            continue
        sender, recipient = parties.of(carried.hop.number)
        message = found.message_of(carried, carried.sender or sender, carried.recipient or recipient)
        message.add(carried)
        if carried.hop.number in known or carried.hop.source in phones or carried.hop.target in phones:
            inside.add(id(message))
    return tuple(message for message in found.messages if id(message) not in inside)


class _Found:
    """Messages by what is the same on each of their hops: the identifier; else the words, and between whom they went as
    far as a hop says it."""

    __slots__ = ("_by_ends", "_by_id", "_latest", "messages")

    def __init__(self) -> None:
        self.messages: list[OutsideMessage] = []
        self._by_id: dict[str, OutsideMessage] = {}
        self._by_ends: dict[tuple[str, ...], OutsideMessage] = {}
        self._latest: dict[tuple[str, ...], deque[OutsideMessage]] = defaultdict(lambda: deque(maxlen=_LOOKED_AT))

    def message_of(self, carried: Carried, sender: str, recipient: str) -> OutsideMessage:
        """The one that a hop belongs to."""
        if carried.ids and not carried.short_message:
            message = self._by_id.get(carried.ids[0])
            if message is None:
                message = self._by_id[carried.ids[0]] = self._new(carried, carried.ids[0])
        else:
            message = self._by_words(carried, sender, recipient)
        message.sender, message.recipient = message.sender or sender, message.recipient or recipient
        return message

    def _by_words(self, carried: Carried, sender: str, recipient: str) -> OutsideMessage:
        words = (carried.media_type, *(carried.text or "").split())
        message, latest = self._by_ends.get((sender, recipient, *words)), self._latest[words]
        if message is None:
            message = next((each for each in latest if each.is_between(sender, recipient)), None)
        if message is None:
            message = self._new(carried, "")
            latest.append(message)
        self._by_ends[message.sender or sender, message.recipient or recipient, *words] = message
        return message

    def _new(self, carried: Carried, message_id: str) -> OutsideMessage:
        message = OutsideMessage(message_id, carried.hop.at)
        self.messages.append(message)
        return message


def _is_of_a_user(carried: Carried) -> bool:
    """A text, or something sealed that may be one: no receipt, and nothing of the control plane."""
    if carried.about or carried.receipt:
        return False
    if is_on_mls_plane(carried.media_type):
        return classify_content_type(carried.media_type) not in CONTROL_TYPES
    return carried.media_type == _LEGACY or (carried.text is not None and bool(carried.text.strip()))


def _is_clear(carried: Carried) -> bool | None:
    if carried.text is not None:
        return True
    if carried.octets.startswith(_PRIVATE_MESSAGE) or looks_random(carried.octets, len(carried.octets) // 2):
        return False
    return None
