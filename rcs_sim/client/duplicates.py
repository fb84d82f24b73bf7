"""A message that arrives twice is shown once: by imdn.Message-ID, or as RCS copy and SMS copy of one text (digest §4.4,
§8.3)."""

from __future__ import annotations

from collections.abc import Iterator

from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageTransport

__all__ = ["CopyMerger", "SeenMessages"]

MAX_SEEN_MESSAGES = 2048  # identifiers remembered per phone: more than a deferred delivery can hold (1000)
MAX_TEXTS = 256  # texts remembered per phone that may still meet their other copy


class SeenMessages:
    """The last `MAX_SEEN_MESSAGES` received (sender, imdn.Message-ID) pairs, and what each became."""

    __slots__ = ("_limit", "_seen")

    def __init__(self, limit: int = MAX_SEEN_MESSAGES) -> None:
        self._limit = limit
        self._seen: dict[tuple[ContactKey, str], object] = {}

    def find(self, sender: ContactKey, message_id: str) -> object | None:
        """What was remembered for a message that came before, or None for a new one."""
        return self._seen.get((sender, message_id))

    def ids_of(self, sender: ContactKey) -> Iterator[str]:
        """The ids of what came from *sender*, the last one first; looked for when they are wanted."""
        for whose, message_id in reversed(tuple(self._seen)):
            if whose == sender:
                yield message_id

    def remember(self, sender: ContactKey, message_id: str, value: object) -> None:
        self._seen[sender, message_id] = value
        if len(self._seen) > self._limit:
            del self._seen[next(iter(self._seen))]

    def __len__(self) -> int:
        return len(self._seen)


class _Copy:
    __slots__ = ("arrived_at", "message", "sent_at", "transport")

    def __init__(self, transport: MessageTransport, arrived_at: float, sent_at: float, message: object) -> None:
        self.transport, self.arrived_at, self.sent_at, self.message = transport, arrived_at, sent_at, message


class CopyMerger:
    """Pairs the RCS copy and the SMS copy of one text by (sender, text, time) (choice, digest §8.3).

    A copy is paired once only, so a text that is really sent twice over one transport is shown twice. Times are near if
    the arrivals are, or if the times of sending are: a stored copy comes late, but says when it was written.
    """

    __slots__ = ("_copies", "_window_s")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._copies: dict[tuple[ContactKey, str], list[_Copy]] = {}

    def admit(
        self,
        sender: ContactKey,
        text: str,
        transport: MessageTransport,
        *,
        arrived_at: float,
        sent_at: float | None,
        message: object,
    ) -> object | None:
        """None: new, and remembered as *message*. Else the message that was shown for the other copy."""
        written_at = arrived_at if sent_at is None else sent_at
        copies = self._copies.get((sender, text))
        if copies is None:
            copies = self._copies[sender, text] = []
            self._forget_oldest()
        for copy in copies:
            if copy.transport is not transport and self._is_near(copy, arrived_at, written_at):
                copies.remove(copy)
                if not copies:
                    del self._copies[sender, text]
                return copy.message
        copies.append(_Copy(transport, arrived_at, written_at, message))
        del copies[:-MAX_TEXTS]
        return None

    def _is_near(self, copy: _Copy, arrived_at: float, written_at: float) -> bool:
        window = self._window_s
        return abs(copy.arrived_at - arrived_at) <= window or abs(copy.sent_at - written_at) <= window

    def _forget_oldest(self) -> None:
        if len(self._copies) > MAX_TEXTS:
            del self._copies[next(iter(self._copies))]
