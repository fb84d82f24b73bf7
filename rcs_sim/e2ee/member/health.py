"""Health of an encrypted conversation: sixteen states, 127 legal moves (choice: the table that the reference mirrors).

Numbers of states and edges are those of telemetry and never change; 3 and 5 are unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Self

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.mls.codec import Reader, TlsStruct, encode_optional, encode_u8, encode_u64

__all__ = ["EDGES", "HealthEdge", "HealthMachine", "HealthState", "IllegalTransition"]

_SPEC = "RCC.16 §10"


class HealthState(IntEnum):
    """Where a conversation stands."""

    UNKNOWN = 0
    EPOCH_ADVANCEMENT_REQUESTED = 1
    ONGOING_EPOCH_ADVANCEMENT = 2
    ONGOING_ERA_ADVANCEMENT = 4
    SELF_HEAL_FAILED = 6
    ERA_ADVANCEMENT_REQUESTED = 7
    END_MLS_REQUESTED = 8
    ONGOING_END_MLS = 9
    DONE_END_MLS = 10
    ONGOING_REVIVE_MLS = 11
    ONGOING_ERA_ADVANCEMENT_FOR_REVIVE = 12
    HEALTHY = 13
    INITIALIZING = 14
    CANNOT_HEAL_DURING_END_MLS = 15
    ONGOING_PHOENIX_MODE = 16
    PHOENIX_MODE_REQUESTED = 17

    @property
    def has_end_mls(self) -> bool:
        """Whether the extension 0xF002 may be in force."""
        return self in _HAS_END_MLS

    @property
    def is_downgraded(self) -> bool:
        """No heal, no refresh, no new operation, and nothing is sealed."""
        return self in _IS_DOWNGRADED

    @property
    def is_phoenix_ongoing(self) -> bool:
        """Another downgrade has to wait."""
        return self in _IS_PHOENIX_ONGOING

    @property
    def is_healing(self) -> bool:
        """A repair is under way: no failure is reported while it is."""
        return self in _IS_HEALING

    @property
    def parks_inbound(self) -> bool:
        """Messages that come in wait, not yet decrypted."""
        return self in _PARKS_INBOUND

    @property
    def leaves_mls(self) -> bool:
        """On arrival here the conversation stops to show as encrypted."""
        return self in _LEAVES_MLS


class HealthEdge(IntEnum):
    """Why a conversation moved, by telemetry number."""

    REQUESTED_SELF_HEAL = 1
    STARTED_EPOCH_ADVANCEMENT = 2
    EPOCH_ADVANCEMENT_SUCCESSFUL = 3
    EPOCH_ADVANCEMENT_FAILED = 4
    STARTED_ERA_ADVANCEMENT = 5
    ERA_ADVANCEMENT_SUCCESSFUL = 6
    SELF_HEAL_RESTARTED_TO_EPOCH_ADVANCEMENT = 7
    SELF_HEAL_KILLED = 8
    HEALED_AFTER_REMOTE_COMMIT = 9
    REQUESTED_DOWNGRADE_TO_END_MLS = 10
    STARTED_DOWNGRADE_TO_END_MLS = 11
    END_MLS_SUCCEEDED = 12
    END_MLS_APPLIED_BY_REMOTE_CLIENT = 13
    END_MLS_CANCELLED_BY_ANOTHER_COMMIT = 14
    REVIVING_FROM_END_MLS_WITH_EPOCH_ADVANCEMENT = 15
    REVIVED_FROM_END_MLS = 16
    STARTED_ERA_ADVANCEMENT_FOR_REVIVAL = 17
    REVIVED_IN_NEW_ERA = 18
    REVIVAL_FAILED = 19
    GROUP_CREATED = 20
    GROUP_INITIALIZING = 21
    REVIVING_THROUGH_SELF_HEAL_TO_REVIVED_SERVER = 22
    REVIVE_REJECTED_AND_SERVER_ALREADY_REVIVED = 23
    END_MLS_ON_SERVER_UNSTABLE_END_MLS_LOCALLY = 24
    END_MLS_FAILED_TO_SEND_OUT_RETRY_EXCEEDED = 25
    REQUESTED_PHOENIX_MODE = 26
    STARTED_PHOENIX_MODE = 27
    PHOENIX_MODE_SUCCEEDED = 28
    PHOENIX_MODE_FAILED_SO_DOWNGRADING_LOCALLY = 29
    RESTARTING_PHOENIX_MODE = 30
    REQUESTED_ERA_ADVANCEMENT_FOR_REVIVAL = 31
    INVALID_TRANSITION = 32
    """In the registry, and never produced: who asks for an illegal move is told so."""


def _states(*numbers: int) -> frozenset[HealthState]:
    return frozenset(map(HealthState, numbers))


_HAS_END_MLS = _states(10, 11, 12, 15, 16)
_IS_DOWNGRADED = _states(8, 9, 10, 11, 12, 15, 16, 17)
_IS_PHOENIX_ONGOING = _states(16, 17)
_IS_HEALING = _states(1, 2, 4, 6, 7, 12)
_PARKS_INBOUND = _states(1, 2, 4, 7, 12, 14, 16, 17)
_LEAVES_MLS = _states(8, 10, 15, 17)
_RECOVERS_FROM = _states(1, 2, 4, 6, 7, 12)
_CLEARS_REQUEST = _states(2, 4, 12, 16)
_MAY_BE_FORCED_FROM = _states(4, 7)

# From each state, the number of each legal target with the number of its edge.
_MOVES: Mapping[int, Mapping[int, int]] = {
    0: {1: 1, 2: 2, 4: 5, 10: 13, 12: 17, 13: 20, 14: 21, 15: 24, 17: 26},
    1: {2: 2, 4: 5, 6: 8, 7: 4, 8: 10, 9: 11, 10: 13, 12: 17, 13: 9, 15: 24, 17: 26},
    2: {1: 7, 4: 5, 6: 8, 7: 4, 8: 10, 9: 11, 12: 17, 13: 3, 15: 24, 17: 26},
    4: {1: 7, 4: 5, 6: 8, 7: 5, 8: 10, 9: 11, 12: 17, 13: 6, 17: 26},
    6: {1: 1, 4: 5, 8: 10, 9: 11, 10: 13, 12: 17, 13: 9, 15: 24, 17: 26},
    7: {1: 7, 4: 5, 6: 8, 8: 10, 9: 11, 10: 13, 12: 17, 13: 9, 17: 26},
    8: {1: 1, 9: 11, 10: 13, 13: 14, 15: 25, 17: 26},
    9: {1: 1, 4: 5, 10: 12, 12: 17, 13: 14, 15: 25, 17: 26},
    10: {1: 1, 2: 22, 11: 15, 12: 17, 13: 9, 15: 24},
    11: {1: 1, 2: 23, 7: 31, 12: 17, 13: 16, 15: 24},
    12: {1: 1, 2: 22, 7: 5, 10: 19, 13: 18, 15: 24},
    13: {1: 1, 2: 2, 4: 5, 7: 5, 8: 10, 9: 11, 10: 13, 12: 17, 15: 24, 17: 26},
    14: {1: 1, 2: 2, 4: 5, 7: 5, 8: 10, 9: 11, 10: 13, 12: 17, 13: 20, 15: 24, 17: 26},
    15: {1: 1, 2: 22, 6: 8, 7: 5, 10: 12, 12: 17, 13: 9},
    16: {1: 1, 2: 22, 10: 28, 13: 18, 15: 29, 17: 30},
    17: {1: 1, 10: 13, 13: 9, 15: 24, 16: 27},
}

EDGES: Mapping[tuple[HealthState, HealthState], HealthEdge] = MappingProxyType(
    {
        (HealthState(source), HealthState(target)): HealthEdge(edge)
        for source, targets in _MOVES.items()
        for target, edge in targets.items()
    }
)
"""The 127 legal pairs. (4, 4) stands in it although a move to the same state is none."""


class IllegalTransition(LocalProtocolError):
    """A move that is not in `EDGES`. Nothing has changed."""


class HealthMachine(TlsStruct):
    """The state of one conversation, when it was last well, and what was asked for and not yet begun (a pending
    request, bound to the moment in which it was made)."""

    __slots__ = ("last_healthy", "recovered_at_s", "requested", "state")

    def __init__(self, state: HealthState = HealthState.UNKNOWN) -> None:
        self.state = state
        self.requested: Moment | None = None
        self.recovered_at_s: int | None = None
        self.last_healthy: Moment | None = None

    def __repr__(self) -> str:
        return f"HealthMachine({self.state.name})"

    def can_move(self, to: HealthState) -> bool:
        """Whether `move` would take this."""
        return to is self.state or (self.state, to) in EDGES

    def move(self, to: HealthState, now_s: int, moment: Moment | None = None) -> HealthEdge | None:
        """Moves on, and says by which edge: None if the state stays, in which case what belongs to entering it is done
        all the same. *moment* is that of the group. Raises IllegalTransition."""
        edge = None
        if to is not self.state:
            edge = EDGES.get((self.state, to))
            if edge is None:
                raise IllegalTransition(f"no way leads from {self.state.name} to {to.name}", spec=_SPEC)
            if to is HealthState.HEALTHY and self.state in _RECOVERS_FROM:
                self.recovered_at_s, self.requested = now_s, None
            self.state = to
        self._enter(moment)
        return edge

    def force_wedge(self) -> None:
        """The one way past the table: into CANNOT_HEAL_DURING_END_MLS, from an advancement of the era that was asked
        for or is under way. Raises IllegalTransition."""
        if self.state not in _MAY_BE_FORCED_FROM:
            raise IllegalTransition(f"{self.state.name} is not to be forced", spec=_SPEC)
        self.state = HealthState.CANNOT_HEAL_DURING_END_MLS

    def _enter(self, moment: Moment | None) -> None:
        if self.state in _CLEARS_REQUEST:
            self.requested = None
        if self.state is HealthState.HEALTHY:
            self.last_healthy = moment

    def can_revive(self, *, has_extension: bool) -> bool:
        """Whether encryption may come back: ended, and shown as ended. *has_extension*: whether 0xF002 is in the
        group."""
        is_wedged = self.state is HealthState.CANNOT_HEAL_DURING_END_MLS
        return (has_extension or is_wedged) and self.state.is_downgraded

    @classmethod
    def read(cls, reader: Reader) -> Self:
        number = reader.u8()
        if number not in _MOVES:
            reader.fail(f"there is no health state {number}", _SPEC)
        machine = cls(HealthState(number))
        machine.requested = reader.optional(Moment.read)
        machine.recovered_at_s = reader.optional(Reader.u64)
        machine.last_healthy = reader.optional(Moment.read)
        return machine

    def encode(self) -> bytes:
        recovered = None if self.recovered_at_s is None else encode_u64(self.recovered_at_s)
        parts = (_encode_moment(self.requested), encode_optional(recovered), _encode_moment(self.last_healthy))
        return encode_u8(self.state) + b"".join(parts)


def _encode_moment(moment: Moment | None) -> bytes:
    return encode_optional(None if moment is None else moment.encode())
