"""Which mode carries a text of a one-to-one conversation (digest §4.1), and what may leave RCS at all (digest §8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = [
    "ChatMode",
    "ContentKind",
    "ModeDecision",
    "ModeRules",
    "choose_mode",
    "may_fall_back",
    "possible_modes",
]


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


_NO_MSRP = "this device has no message sessions"

_OPEN_SESSION = ModeDecision(ChatMode.SESSION, "a session with the peer is established")
_PAGER = ModeDecision(ChatMode.PAGER, "standalone messages are allowed and it is below SwitchoverSize")
_FIRST = ModeDecision(ChatMode.SESSION, "ChatAuth allows a session, which this device prefers")
_SESSION = ModeDecision(ChatMode.SESSION, "ChatAuth allows a session")
_LARGE = ModeDecision(ChatMode.LARGE, "standalone messages are allowed, at or above SwitchoverSize")
_NO_LARGE = ModeDecision(ChatMode.LARGE, _LARGE.why, _NO_MSRP)
_NO_SESSION = ModeDecision(ChatMode.SESSION, _SESSION.why, _NO_MSRP)
_SMS = ModeDecision(ChatMode.SMS, "the configuration allows no RCS messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRules:
    """What configuration and device allow. *standalone_auth* is ``standaloneMsgAuth`` (0 none, 1 send and receive, 2
    receive only), *chat_auth* ChatAuth; *has_msrp*: the device has message sessions, and *prefers_sessions* to pager
    mode wherever ChatAuth is given."""

    switchover_octets: int = 1300
    standalone_auth: int = 0
    chat_auth: bool = False
    has_msrp: bool = True
    prefers_sessions: bool = False

    @property
    def is_session_only(self) -> bool:
        return self.prefers_sessions and self.has_msrp and self.chat_auth


def choose_mode(cpim_octets: int, rules: ModeRules, *, has_session: bool = False) -> ModeDecision:
    """Selection rule of digest §4.1. *cpim_octets* is the size of the whole CPIM body."""
    if has_session:
        return _OPEN_SESSION
    if rules.is_session_only:
        return _FIRST
    if rules.standalone_auth == 1 and cpim_octets < rules.switchover_octets:
        return _PAGER
    if rules.chat_auth:
        return _SESSION if rules.has_msrp else _NO_SESSION
    if rules.standalone_auth == 1:
        return _LARGE if rules.has_msrp else _NO_LARGE
    return _SMS


def possible_modes(cpim_octets: int, rules: ModeRules) -> frozenset[ChatMode]:
    """The modes of RCS that could carry a message, for when one of them has failed (digest §8.6)."""
    modes = set()
    if rules.standalone_auth == 1 and not rules.is_session_only and cpim_octets < rules.switchover_octets:
        modes.add(ChatMode.PAGER)
    if rules.has_msrp and rules.chat_auth:
        modes.add(ChatMode.SESSION)
    if rules.has_msrp and rules.standalone_auth == 1 and not rules.is_session_only:
        modes.add(ChatMode.LARGE)
    return frozenset(modes)


_MAY_FALL_BACK = frozenset((ContentKind.TEXT, ContentKind.GEOLOCATION))


def may_fall_back(kind: ContentKind, *, is_group: bool, is_encrypted: bool, sms_parts: int, max_sms_parts: int) -> bool:
    """Whether a message may go out as SMS instead (digest §8.3): never reactions, edits, recalls, typing, receipts,
    groups and encrypted content. Files have a rule of their own (digest §7.7)."""
    return kind in _MAY_FALL_BACK and not is_group and not is_encrypted and 0 < sms_parts <= max_sms_parts
