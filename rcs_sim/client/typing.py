"""Is-composing state of both sides of a conversation (RFC 3994 §3, digest §5.2)."""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["DEFAULT_EXPIRY_S", "MIN_REFRESH_S", "TypingReceiver", "TypingSender", "TypingSignal"]

DEFAULT_EXPIRY_S = 120.0  # RFC 3994 §3.2: without a refresh interval the active state ends after so long
MIN_REFRESH_S = 60  # RFC 3994 §4: a shorter refresh interval must not be used


class TypingSignal(Enum):
    ACTIVE = auto()
    IDLE = auto()


class TypingSender:
    """What the own user's typing makes us send. Idle after *idle_s* without a key, refreshed every *refresh_s*."""

    __slots__ = ("_idle_s", "_last_key_at", "_refresh_s", "_signalled_at")

    def __init__(self, idle_s: float, refresh_s: int) -> None:
        self._idle_s = idle_s
        self._refresh_s = max(refresh_s, MIN_REFRESH_S)
        self._last_key_at = 0.0
        self._signalled_at: float | None = None

    @property
    def refresh_s(self) -> int:
        return self._refresh_s

    @property
    def is_active(self) -> bool:
        return self._signalled_at is not None

    def key_pressed(self, now: float) -> TypingSignal | None:
        """ACTIVE at the first key and whenever a refresh is due, else None."""
        self._last_key_at = now
        if self._signalled_at is not None and now - self._signalled_at < self._refresh_s:
            return None
        self._signalled_at = now
        return TypingSignal.ACTIVE

    def message_sent(self) -> None:
        """The content itself tells the peer that composing has ended: nothing is sent."""
        self._signalled_at = None

    def next_deadline(self) -> float | None:
        return None if self._signalled_at is None else self._last_key_at + self._idle_s

    def handle_deadline(self, now: float) -> TypingSignal | None:
        """IDLE once the last key is long enough ago."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return None
        self._signalled_at = None
        return TypingSignal.IDLE


class TypingReceiver:
    """Whether the peer is shown as typing. Each method returns whether that changed."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: float | None = None

    @property
    def is_typing(self) -> bool:
        return self._until is not None

    def active(self, refresh_s: float | None, now: float) -> bool:
        """An ``active`` came; *refresh_s* is its refresh interval, None if it names none."""
        was_typing = self.is_typing
        self._until = now + (DEFAULT_EXPIRY_S if refresh_s is None else max(refresh_s, 1.0))
        return not was_typing

    def ended(self) -> bool:
        """An ``idle`` or a content message came."""
        was_typing, self._until = self.is_typing, None
        return was_typing

    def next_deadline(self) -> float | None:
        return self._until

    def handle_deadline(self, now: float) -> bool:
        return self._until is not None and now >= self._until and self.ended()
