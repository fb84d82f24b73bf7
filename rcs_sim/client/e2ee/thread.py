"""An encrypted conversation of a phone: the user's thread, the engine behind it, and what is under way for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rcs_sim.client.alarms import Alarm
from rcs_sim.client.conversation import Conversation
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.budgets import (
    CLAIMS_PER_PEER,
    ERA_ADVANCES_PER_DAY,
    ERA_ADVANCES_PER_HOUR,
    EXTERNAL_COMMITS,
    REBUILDS,
    SELF_HEALS,
    SERVER_READS,
    WELCOME_REQUESTS,
    RollingBudget,
)
from rcs_sim.e2ee.member.encrypted_conversation import ConversationState, EncryptedConversation
from rcs_sim.e2ee.member.failure_reports import FailureReports, PeerFailures
from rcs_sim.e2ee.member.repair import EPISODE_S, FAILURES_UNTIL_REBUILD
from rcs_sim.e2ee.member.self_heal import SelfHeal
from rcs_sim.wire.cpim_header import CpimHeader

__all__ = ["EncryptedThread", "KeptWelcome"]


@dataclass(frozen=True, slots=True)
class KeptWelcome:
    """The body that has made *state*, with the headers beside it. *is_of_peer*: the peer's number has made the group.
    *given_for* are the ids of what it was given again for."""

    state: EpochIdentifier
    body: bytes
    headers: tuple[CpimHeader, ...]
    is_of_peer: bool
    given_for: set[str] = field(default_factory=set)


class EncryptedThread:
    """*blocked_until* is when a set-up may be tried again after one that failed, in seconds of the phone's clock, and
    *blocked_why* what failed; *heals_again_at* the same for a repair without a group,
    *heals_free_at_s* when the budget of repairs that is used up has room again, *asks_again_at* when the tags of
    the peer may be asked for again. *attempts* counts how often each message was sealed anew, by its first id.
    *is_resync_refused*: the focus takes no external commit of a member. *is_ending*: the user has given encryption up,
    and the focus does not know yet; *end_alarm* is the next attempt to tell it. *asks* bounds our requests for a
    Welcome, *ask_alarm* is the next one, *asked* bounds the peer's. *eras*, *claims*, *rejoins* and *rebuilds* bound
    new eras, claims of key packages, external commits and rebuilds; *failed_heals* is how many repairs in a row have
    come to nothing. *participant_keys* are the last known ones of the
    peer (SubjectPublicKeyInfo). *welcome* is that of the present era, where nobody arbitrates."""

    __slots__ = (
        "alarm",
        "ask_alarm",
        "asked",
        "asks",
        "asks_again_at",
        "attempts",
        "blocked_until",
        "blocked_why",
        "claims",
        "conversation",
        "end_alarm",
        "engine",
        "eras",
        "failed_heals",
        "failures",
        "heal",
        "heals",
        "heals_again_at",
        "heals_free_at_s",
        "is_ending",
        "is_resync_refused",
        "is_setting_up",
        "participant_keys",
        "rebuilds",
        "rebuilt_at_s",
        "rejoins",
        "reports",
        "welcome",
    )

    def __init__(self, conversation: Conversation, engine: EncryptedConversation) -> None:
        self.conversation = conversation
        self.engine = engine
        self.heal = SelfHeal()
        self.reports = FailureReports()
        self.failures = PeerFailures()
        self.heals = RollingBudget(SELF_HEALS)
        self.eras = (RollingBudget(ERA_ADVANCES_PER_HOUR), RollingBudget(ERA_ADVANCES_PER_DAY))
        self.claims = RollingBudget(CLAIMS_PER_PEER)
        self.rejoins = RollingBudget(EXTERNAL_COMMITS)
        self.rebuilds = RollingBudget(REBUILDS)
        self.failed_heals = 0
        self.rebuilt_at_s: int | None = None
        self.asks = RollingBudget(WELCOME_REQUESTS)
        self.asked = RollingBudget(SERVER_READS)
        self.attempts: dict[str, int] = {}
        self.is_setting_up = False
        self.is_ending = False
        self.is_resync_refused = False
        self.asks_again_at = 0.0
        self.blocked_until = 0.0
        self.heals_again_at = 0.0
        self.heals_free_at_s: int | None = None
        self.blocked_why = ""
        self.participant_keys: frozenset[bytes] = frozenset()
        self.welcome: KeptWelcome | None = None
        self.alarm: Alarm | None = None
        self.ask_alarm: Alarm | None = None
        self.end_alarm: Alarm | None = None

    @property
    def peer_number(self) -> str:
        """Bare digits."""
        return self.conversation.peer.lstrip("+")

    @property
    def is_encrypted(self) -> bool:
        """Whether a group stands that was not ended."""
        return self.engine.state is ConversationState.ENCRYPTED

    @property
    def has_ended(self) -> bool:
        """Whether encryption was ended, and the focus knows; an end that is under way can still be refused, and one
        that was refused is tried again."""
        is_over = self.engine.operation is None and not self.engine.is_wedged
        return self.engine.state is ConversationState.DOWNGRADED and is_over

    def hear_era(self, era: int | None) -> None:
        """The peer has named an era."""
        control = self.engine.control
        control.heard_era = max(control.heard_era, era or 0)

    def has_era_left(self, now_s: int) -> bool:
        """Whether a new era is within the bounds of hour and day (digest RCC.16 §5.10)."""
        return all([each.is_left(now_s) for each in self.eras])

    def take_era(self, now_s: int) -> None:
        """A new era was begun."""
        for each in self.eras:
            each.take(now_s)

    def heal_failed(self, now_s: int) -> bool:
        """A repair has come to nothing; whether the group is to be rebuilt: after three in a row, three times in six
        hours, not twice in a minute (digest RCC.16 §10.1, §10.8)."""
        self.failed_heals += 1
        is_recent = self.rebuilt_at_s is not None and now_s - self.rebuilt_at_s < EPISODE_S
        if self.failed_heals < FAILURES_UNTIL_REBUILD or is_recent or not self.rebuilds.take(now_s):
            return False
        self.failed_heals, self.rebuilt_at_s = 0, now_s
        return True

    def __repr__(self) -> str:
        return f"EncryptedThread({self.conversation.peer}, {self.engine!r})"
