"""What the phone knows about its contacts' services: OPTIONS with a cache (RCC.07 §2.6, digest §3.1, §8.6).

Sans-IO. Nothing is ever learned from silence, and nobody is asked twice in a row: see `CapabilityCache.should_ask`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from ims_core.wire.sip.feature_tags import FeatureSet
from rcs_sim.client.fallback import CacheEffect, LatchEvent, RcsOutcome
from rcs_sim.client.identity import ContactKey
from rcs_sim.e2ee.feature_tags import MlsTags

__all__ = [
    "OPTIONS_RULES",
    "CapabilityCache",
    "CapabilityEntry",
    "CapabilityTimes",
    "ContactState",
    "Knowledge",
    "Occasion",
    "OptionsEffect",
    "PeerTags",
    "options_effect",
]

MAX_CONTACTS = 5000  # remembered per phone; the least recently learned goes first

_CHAT_TAGS = ("cpm.session", "cpm.msg", "rcse.im")
_SIMPLE_IM_TAG = "+g.oma.sip-im"


class Knowledge(Enum):
    UNKNOWN = "unknown"
    RCS = "RCS"
    NOT_RCS = "not RCS"


class ContactState(Enum):
    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


class Occasion(Enum):
    """Why one would ask (digest §3.1)."""

    OPEN = auto()  # a conversation is opened
    SEND = auto()  # before a message
    FAILURE = auto()  # after a failed session


NO_ENCRYPTION = MlsTags()


@dataclass(frozen=True, slots=True)
class PeerTags:
    """Feature tags of a Contact: *services* are the names of the tags and their decoded values, in lower case, *mls*
    those of end-to-end encryption."""

    services: frozenset[str] = frozenset()
    mls: MlsTags = NO_ENCRYPTION

    @classmethod
    def of(cls, features: FeatureSet) -> PeerTags:
        """The tags of a Contact; phones of one kind share one value."""
        return _shared_tags(features)

    @property
    def has_chat(self) -> bool:
        """Whether one of the tags stands for RCS messaging (digest §3.1)."""
        return _SIMPLE_IM_TAG in self.services or any(
            service.endswith(tag) for service in self.services for tag in _CHAT_TAGS
        )

    @property
    def is_answered_by_server(self) -> bool:
        """``automata``: the server answered for a user who is offline."""
        return "automata" in self.services

    @property
    def takes_revocations(self) -> bool:
        return "+g.gsma.rcs.msgrevoke" in self.services

    @property
    def reads_references(self) -> bool:
        """Whether the peer knows headers of CPIM that came after the first profiles: the names of the tags that UP 4.0
        has for replies and reactions are not public, this older one stands for all of them (choice)."""
        return "+g.gsma.rcs.cpimext" in self.services

    @property
    def interworks(self) -> bool:
        return "+g.gsma.rcs.msgfallback" in self.services


@lru_cache(1024)
def _shared_tags(features: FeatureSet) -> PeerTags:
    services = frozenset(features.tags).union(*(features.values(tag) for tag in features.tags))
    return PeerTags(services, MlsTags.of(features))


NO_TAGS = PeerTags()


class OptionsEffect(Enum):
    """What a final answer to OPTIONS does."""

    STORE = auto()
    NOT_RCS = auto()
    OFFLINE = auto()  # keep what is known
    ONLINE = auto()
    HOLD = auto()  # no change, no query for errorHold or Retry-After
    NO_CHANGE = auto()
    AUTHENTICATE = auto()
    FOLLOW = auto()
    RETRY = auto()


_F = OptionsEffect

OPTIONS_RULES: Mapping[int | RcsOutcome, OptionsEffect] = {
    200: _F.STORE,
    302: _F.FOLLOW,
    305: _F.FOLLOW,
    401: _F.AUTHENTICATE,
    407: _F.AUTHENTICATE,
    403: _F.HOLD,
    404: _F.NOT_RCS,
    604: _F.NOT_RCS,
    405: _F.NOT_RCS,
    501: _F.NOT_RCS,
    408: _F.OFFLINE,
    480: _F.OFFLINE,
    430: _F.RETRY,
    486: _F.ONLINE,
    600: _F.ONLINE,
    503: _F.HOLD,
    RcsOutcome.TIMED_OUT: _F.HOLD,  # no change; held so that a client that never answers is not asked in a storm
    RcsOutcome.LINK_FAILED: _F.NO_CHANGE,
}


def options_effect(outcome: int | RcsOutcome) -> OptionsEffect:
    """Digest §3.1 and column OPTIONS of §8.6: everything else changes nothing and is not asked again for a while."""
    if isinstance(outcome, int) and 200 <= outcome < 300:
        return _F.STORE
    return OPTIONS_RULES.get(outcome, _F.HOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityTimes:
    """Lives in seconds: ``capInfoExpiry``, ``nonRCScapInfoExpiry``, ``msgCapValidity``, and the device's guards."""

    rcs_expiry_s: float
    non_rcs_expiry_s: float
    message_validity_s: float
    guard_s: float
    error_hold_s: float


class CapabilityEntry:
    """One contact. *learned_at* is None until something was learned."""

    __slots__ = ("_asked_at", "_held_until", "expires_at", "is_asking", "knowledge", "learned_at", "state", "tags")

    def __init__(self) -> None:
        self.knowledge = Knowledge.UNKNOWN
        self.state = ContactState.UNKNOWN
        self.tags = NO_TAGS
        self.learned_at: float | None = None
        self.expires_at: float | None = None
        self.is_asking = False
        self._asked_at: float | None = None
        self._held_until = 0.0

    def asked(self, now: float) -> None:
        self._asked_at, self.is_asking = now, True

    def no_answer_comes(self) -> None:
        """To what was asked: the phone went off meanwhile."""
        if self.is_asking:
            self._asked_at, self.is_asking = None, False

    def hold(self, until: float) -> None:
        self._held_until = max(self._held_until, until)

    def is_held(self, now: float, guard_s: float) -> bool:
        """Whether a query would come too soon after another, or after a refusal."""
        is_guarded = self._asked_at is not None and now - self._asked_at < guard_s
        return self.is_asking or is_guarded or now < self._held_until

    def learn(self, knowledge: Knowledge, now: float, life_s: float) -> None:
        self.knowledge, self.learned_at, self.expires_at = knowledge, now, now + life_s

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at


class CapabilityCache:
    """Entries by contact. The methods that learn return what that means for the contact's latch, if anything."""

    __slots__ = ("_entries", "_times")

    def __init__(self, times: CapabilityTimes) -> None:
        self._times = times
        self._entries: dict[ContactKey, CapabilityEntry] = {}

    def set_times(self, times: CapabilityTimes) -> None:
        """A new configuration came."""
        self._times = times

    def entry(self, contact: ContactKey) -> CapabilityEntry:
        entry = self._entries.get(contact)
        if entry is None:
            entry = self._entries[contact] = CapabilityEntry()
            if len(self._entries) > MAX_CONTACTS:
                del self._entries[next(iter(self._entries))]
        return entry

    def no_answers_come(self) -> None:
        """The phone went off: what it has asked will not be answered, and may be asked again."""
        for entry in self._entries.values():
            entry.no_answer_comes()

    def should_ask(self, contact: ContactKey, occasion: Occasion, now: float) -> bool:
        """Whether an OPTIONS is due: the entry is missing or too old for the occasion, and asking is not on hold."""
        entry = self.entry(contact)
        if entry.is_held(now, self._times.guard_s):
            return False
        if entry.learned_at is None or entry.is_expired(now) or occasion is Occasion.FAILURE:
            return True
        if entry.knowledge is Knowledge.NOT_RCS:
            return False  # good until nonRCScapInfoExpiry
        return now - entry.learned_at >= self._times.message_validity_s

    def expire(self, contact: ContactKey, now: float) -> LatchEvent | None:
        """Forgets what is older than its life."""
        entry = self.entry(contact)
        if not entry.is_expired(now):
            return None
        entry.knowledge, entry.state, entry.learned_at, entry.expires_at = (
            Knowledge.UNKNOWN,
            ContactState.UNKNOWN,
            None,
            None,
        )
        return LatchEvent.KNOWLEDGE_EXPIRED

    def answered(
        self,
        contact: ContactKey,
        outcome: int | RcsOutcome,
        now: float,
        *,
        tags: PeerTags = NO_TAGS,
        retry_after_s: float | None = None,
    ) -> LatchEvent | None:
        """Final answer to an OPTIONS to *contact*; *tags* of the Contact of a 2xx."""
        entry = self.entry(contact)
        entry.is_asking = False
        match options_effect(outcome):
            case OptionsEffect.STORE:
                return self._learn_tags(entry, tags, now)
            case OptionsEffect.NOT_RCS:
                entry.learn(Knowledge.NOT_RCS, now, self._times.non_rcs_expiry_s)
                entry.tags, entry.state = NO_TAGS, ContactState.UNKNOWN
                return LatchEvent.ANSWERED_NOT_RCS
            case OptionsEffect.OFFLINE:
                entry.state = ContactState.OFFLINE
            case OptionsEffect.ONLINE:
                entry.state = ContactState.ONLINE
            case OptionsEffect.HOLD:
                entry.hold(now + (self._times.error_hold_s if retry_after_s is None else retry_after_s))
            case _:
                pass
        return None

    def asked_by(self, contact: ContactKey, tags: PeerTags, now: float) -> LatchEvent | None:
        """The peer's own OPTIONS tells its tags too, so both sides learn at once. One without tags teaches nothing."""
        return self._learn_tags(self.entry(contact), tags, now) if tags.has_chat else None

    def message_received(self, contact: ContactKey, now: float) -> LatchEvent:
        """An RCS message proves RCS and presence."""
        entry = self.entry(contact)
        if entry.knowledge is not Knowledge.RCS:
            entry.learn(Knowledge.RCS, now, self._times.rcs_expiry_s)
        entry.state = ContactState.ONLINE
        return LatchEvent.RCS_RECEIVED

    def learn(self, contact: ContactKey, effect: CacheEffect, now: float) -> LatchEvent | None:
        """What the outcome of a message teaches (digest §8.6, column cache)."""
        entry = self.entry(contact)
        match effect:
            case CacheEffect.RCS | CacheEffect.RCS_OFFLINE:
                if entry.knowledge is not Knowledge.RCS:
                    entry.learn(Knowledge.RCS, now, self._times.rcs_expiry_s)
                if effect is CacheEffect.RCS_OFFLINE:
                    entry.state = ContactState.OFFLINE
                return None  # a 2xx may come from a store: only answers and messages of the peer release a latch
            case CacheEffect.NOT_RCS:
                entry.learn(Knowledge.NOT_RCS, now, self._times.non_rcs_expiry_s)
                entry.tags, entry.state = NO_TAGS, ContactState.UNKNOWN
                return LatchEvent.ANSWERED_NOT_RCS
            case CacheEffect.OFFLINE:
                entry.state = ContactState.OFFLINE
            case CacheEffect.KEEP:
                pass
        return None

    def _learn_tags(self, entry: CapabilityEntry, tags: PeerTags, now: float) -> LatchEvent:
        entry.tags = tags
        if not tags.has_chat:
            entry.learn(Knowledge.NOT_RCS, now, self._times.non_rcs_expiry_s)
            entry.state = ContactState.UNKNOWN
            return LatchEvent.ANSWERED_NOT_RCS
        entry.learn(Knowledge.RCS, now, self._times.rcs_expiry_s)
        is_online = not tags.is_answered_by_server
        entry.state = ContactState.ONLINE if is_online else ContactState.OFFLINE
        return LatchEvent.ANSWERED_RCS_ONLINE if is_online else LatchEvent.ANSWERED_RCS_OFFLINE
