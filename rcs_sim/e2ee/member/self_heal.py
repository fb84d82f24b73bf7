"""Self-heal and enhanced self-heal: what a device does next when its state is not the server's (RCC.16 §10.1).

A decision core: it is told what happened and names the next step, which its caller takes. In this order: the server's
state is pulled; an ended group is taken as ended; missed control messages are replayed page by page, the first that
fails ending the attempt; without any, an external commit where members may send one; else a new era, by the member who
is elected for it; the others wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier

__all__ = [
    "IGNORED",
    "TRANSITIONS",
    "Deployment",
    "HealInput",
    "HealPhase",
    "HealStep",
    "SelfHeal",
    "fallback_input",
    "input_of_pull",
]

_SPEC = "RCC.16 §10.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a server does. Repair looks at this and not at who built it; unknown means no."""

    arbitrates_era: bool = False
    requires_convergence: bool = False
    takes_member_external_commit: bool = False
    has_group_info: bool = False


class HealPhase(Enum):
    """Where an attempt stands."""

    IDLE = auto()
    PULLING = auto()
    REPLAYING = auto()
    REJOINING = auto()
    ADVANCING = auto()
    WAITING = auto()


class HealInput(Enum):
    """What happened."""

    START = auto()
    SAME = auto()
    """The server's authenticator is ours."""
    ENDED = auto()
    """The server's group has end_mls."""
    PAGE = auto()
    """There are control messages to replay."""
    MAY_REJOIN = auto()
    """Nothing to replay; an external commit is taken here."""
    MAY_ADVANCE = auto()
    """Nothing to replay, no external commit; we are elected to advance the era."""
    NOT_ELECTED = auto()
    """Nothing to replay, no external commit; another member is to advance the era."""
    UNREADABLE = auto()
    """No answer, or one that cannot be read."""
    CAUGHT_UP = auto()
    """The replay has brought us to the server's state."""
    MORE = auto()
    """The page is replayed, and there is another."""
    FAILED = auto()
    """A control message could not be applied."""
    ACCEPTED = auto()
    REFUSED = auto()
    DEADLINE = auto()
    REMOTE = auto()
    """A Welcome or commit of somebody else has brought a new state."""
    CANCEL = auto()


class HealStep(Enum):
    """What the caller does."""

    PULL = auto()
    REPLAY = auto()
    EXTERNAL_COMMIT = auto()
    NEW_ERA = auto()
    WAIT = auto()
    HEALED = auto()
    ADOPT_END_MLS = auto()
    GIVE_UP = auto()


_P, _I, _S = HealPhase, HealInput, HealStep
TRANSITIONS: Mapping[tuple[HealPhase, HealInput], tuple[HealPhase, HealStep]] = {
    (_P.IDLE, _I.START): (_P.PULLING, _S.PULL),
    (_P.PULLING, _I.SAME): (_P.IDLE, _S.HEALED),
    (_P.PULLING, _I.ENDED): (_P.IDLE, _S.ADOPT_END_MLS),
    (_P.PULLING, _I.PAGE): (_P.REPLAYING, _S.REPLAY),
    (_P.PULLING, _I.MAY_REJOIN): (_P.REJOINING, _S.EXTERNAL_COMMIT),
    (_P.PULLING, _I.MAY_ADVANCE): (_P.ADVANCING, _S.NEW_ERA),
    (_P.PULLING, _I.NOT_ELECTED): (_P.WAITING, _S.WAIT),
    (_P.PULLING, _I.UNREADABLE): (_P.WAITING, _S.WAIT),
    (_P.PULLING, _I.DEADLINE): (_P.WAITING, _S.WAIT),
    (_P.PULLING, _I.REMOTE): (_P.PULLING, _S.PULL),
    (_P.PULLING, _I.CANCEL): (_P.IDLE, _S.GIVE_UP),
    (_P.REPLAYING, _I.CAUGHT_UP): (_P.IDLE, _S.HEALED),
    (_P.REPLAYING, _I.MORE): (_P.PULLING, _S.PULL),
    (_P.REPLAYING, _I.FAILED): (_P.IDLE, _S.GIVE_UP),
    (_P.REPLAYING, _I.ENDED): (_P.IDLE, _S.ADOPT_END_MLS),
    (_P.REPLAYING, _I.CANCEL): (_P.IDLE, _S.GIVE_UP),
    (_P.REJOINING, _I.ACCEPTED): (_P.IDLE, _S.HEALED),
    (_P.REJOINING, _I.REFUSED): (_P.IDLE, _S.GIVE_UP),
    (_P.REJOINING, _I.MAY_ADVANCE): (_P.ADVANCING, _S.NEW_ERA),
    (_P.REJOINING, _I.NOT_ELECTED): (_P.WAITING, _S.WAIT),
    (_P.REJOINING, _I.DEADLINE): (_P.PULLING, _S.PULL),
    (_P.REJOINING, _I.REMOTE): (_P.PULLING, _S.PULL),
    (_P.REJOINING, _I.CANCEL): (_P.IDLE, _S.GIVE_UP),
    (_P.ADVANCING, _I.ACCEPTED): (_P.IDLE, _S.HEALED),
    (_P.ADVANCING, _I.REFUSED): (_P.IDLE, _S.GIVE_UP),
    (_P.ADVANCING, _I.FAILED): (_P.IDLE, _S.GIVE_UP),
    (_P.ADVANCING, _I.DEADLINE): (_P.PULLING, _S.PULL),
    (_P.ADVANCING, _I.REMOTE): (_P.PULLING, _S.PULL),
    (_P.ADVANCING, _I.CANCEL): (_P.IDLE, _S.GIVE_UP),
    (_P.WAITING, _I.DEADLINE): (_P.IDLE, _S.GIVE_UP),
    (_P.WAITING, _I.REMOTE): (_P.PULLING, _S.PULL),
    (_P.WAITING, _I.ENDED): (_P.IDLE, _S.ADOPT_END_MLS),
    (_P.WAITING, _I.CANCEL): (_P.IDLE, _S.GIVE_UP),
}
"""An absent pair is illegal, but for those in `IGNORED`."""

IGNORED = frozenset(
    {
        *((_P.IDLE, each) for each in (_I.DEADLINE, _I.REMOTE, _I.CANCEL)),
        *((phase, _I.START) for phase in _P if phase is not _P.IDLE),  # one recovery for a burst
        (_P.REPLAYING, _I.DEADLINE),
        (_P.REPLAYING, _I.REMOTE),
    }
)


class SelfHeal:
    """One attempt at a time. *wait_s* bounds each phase."""

    __slots__ = ("_deadline_s", "phase")

    ANSWER_S = 20  # after that the outcome of a request is unknown
    SERVER_PAUSE_S = 200  # a server that throttles reads does so for about so long

    def __init__(self) -> None:
        self.phase = HealPhase.IDLE
        self._deadline_s: int | None = None

    def __repr__(self) -> str:
        return f"SelfHeal({self.phase.name})"

    @property
    def is_running(self) -> bool:
        """No failure is reported while this is so (RCC.16 §10.2)."""
        return self.phase is not HealPhase.IDLE

    def feed(self, happened: HealInput, now_s: int) -> HealStep | None:
        """The next step, None if there is nothing to do. Raises LocalProtocolError if this cannot have happened."""
        pair = (self.phase, happened)
        if pair in IGNORED:
            return None
        found = TRANSITIONS.get(pair)
        if found is None:
            raise LocalProtocolError(f"{happened.name} does not happen in {self.phase.name}", spec=_SPEC)
        self.phase, step = found
        self._deadline_s = self._deadline(now_s)
        return step

    def _deadline(self, now_s: int) -> int | None:
        if self.phase in (HealPhase.IDLE, HealPhase.REPLAYING):
            return None
        return now_s + (self.SERVER_PAUSE_S if self.phase is HealPhase.WAITING else self.ANSWER_S)

    def next_deadline_s(self) -> int | None:
        """When to feed DEADLINE."""
        return self._deadline_s


def input_of_pull(
    answer: MlsEnhancedGroupInfo | None,
    own: EpochIdentifier | None,
    *,
    has_end_mls: bool,
    deployment: Deployment,
    is_elected: bool,
) -> HealInput:
    """What an answer to a pull means. *answer* is None if none came that could be read; *has_end_mls* is whether its
    GroupInfo has the extension."""
    if answer is None or answer.latest is None:
        return HealInput.UNREADABLE
    if has_end_mls:
        return HealInput.ENDED
    if own is not None and own == answer.latest:
        return HealInput.SAME
    if own is not None and answer.paginated is not None and answer.control_messages:
        return HealInput.PAGE
    return fallback_input(deployment, is_member=own is not None, is_elected=is_elected)


def fallback_input(deployment: Deployment, *, is_member: bool, is_elected: bool) -> HealInput:
    """Where there is nothing to replay: who is not in the group may always come in from outside, a member only where
    the deployment lets it."""
    if deployment.has_group_info and (not is_member or deployment.takes_member_external_commit):
        return HealInput.MAY_REJOIN
    return HealInput.MAY_ADVANCE if is_elected else HealInput.NOT_ELECTED
