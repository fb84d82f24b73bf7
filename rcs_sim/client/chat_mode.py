"""Which mode carries a text of a one-to-one conversation (digest §4.1), and what may leave RCS at all (digest §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["ChatMode", "ContentKind", "ModeDecision", "choose_mode", "may_fall_back"]


class ChatMode(Enum):
    PAGER = "pager"
    SESSION = "session"
    LARGE = "large"
    SMS = "sms"


class ContentKind(Enum):
    TEXT = "text"
    GEOLOCATION = "geolocation"
    FILE = "file"
    REACTION = "reaction"
    EDIT = "edit"
    RECALL = "recall"
    TYPING = "typing"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class ModeDecision:
    """The mode and the rule that led to it. *unavailable* says why this phone cannot use that mode; "" if it can."""

    mode: ChatMode
    why: str
    unavailable: str = ""

    @property
    def is_available(self) -> bool:
        return not self.unavailable


_NO_SESSIONS = "this build has no chat sessions"
_NO_LARGE = "this build has no large message mode"

_OPEN_SESSION = ModeDecision(ChatMode.SESSION, "a session with the peer is established")
_PAGER = ModeDecision(ChatMode.PAGER, "standalone messages are allowed and it is below SwitchoverSize")
_SESSION = ModeDecision(ChatMode.SESSION, "ChatAuth allows a session", _NO_SESSIONS)
_LARGE = ModeDecision(ChatMode.LARGE, "standalone messages are allowed, at or above SwitchoverSize", _NO_LARGE)
_SMS = ModeDecision(ChatMode.SMS, "the configuration allows no RCS messages")


def choose_mode(
    *, cpim_octets: int, switchover_octets: int, standalone_auth: int, chat_auth: bool, has_session: bool = False
) -> ModeDecision:
    """Selection rule of digest §4.1. *cpim_octets* is the size of the whole CPIM body; *standalone_auth* is
    ``standaloneMsgAuth`` (0 none, 1 send and receive, 2 receive only)."""
    if has_session:
        return _OPEN_SESSION
    if standalone_auth == 1 and cpim_octets < switchover_octets:
        return _PAGER
    if chat_auth:
        return _SESSION
    return _LARGE if standalone_auth == 1 else _SMS


_MAY_FALL_BACK = frozenset((ContentKind.TEXT, ContentKind.GEOLOCATION))


def may_fall_back(kind: ContentKind, *, is_group: bool, is_encrypted: bool, sms_parts: int, max_sms_parts: int) -> bool:
    """Whether a message may go out as SMS instead (digest §8.3): never reactions, edits, recalls, typing, receipts,
    groups and encrypted content. Files have a rule of their own (digest §7.7)."""
    return kind in _MAY_FALL_BACK and not is_group and not is_encrypted and 0 < sms_parts <= max_sms_parts
