"""How the health of a conversation moves with what happens in it: each event as a way through the table (RCC.16 §10).

Which way an event takes where the table knows no single step is ours (choice).
"""

from __future__ import annotations

from collections.abc import Mapping

from rcs_sim.e2ee.member.health import HealthEdge, HealthMachine, HealthState, IllegalTransition
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.e2ee.member.operations import OperationKind

__all__ = ["HealthCourse"]

_S = HealthState
# Ways of two steps to a state that some others do not reach in one
_VIA: Mapping[tuple[HealthState, HealthState], HealthState] = {
    (_S.ONGOING_EPOCH_ADVANCEMENT, _S.DONE_END_MLS): _S.ONGOING_END_MLS,
    (_S.ONGOING_ERA_ADVANCEMENT, _S.DONE_END_MLS): _S.ONGOING_END_MLS,
    (_S.ONGOING_REVIVE_MLS, _S.DONE_END_MLS): _S.ONGOING_ERA_ADVANCEMENT_FOR_REVIVE,
    (_S.UNKNOWN, _S.ONGOING_END_MLS): _S.HEALTHY,
    (_S.UNKNOWN, _S.END_MLS_REQUESTED): _S.HEALTHY,
    (_S.INITIALIZING, _S.SELF_HEAL_FAILED): _S.EPOCH_ADVANCEMENT_REQUESTED,
    (_S.HEALTHY, _S.SELF_HEAL_FAILED): _S.EPOCH_ADVANCEMENT_REQUESTED,
}
_STARTS: Mapping[OperationKind, tuple[HealthState, ...]] = {
    OperationKind.CREATE: (_S.INITIALIZING,),
    OperationKind.ERA_ADVANCE: (_S.ONGOING_ERA_ADVANCEMENT,),
    OperationKind.END_MLS: (_S.ONGOING_END_MLS,),
    OperationKind.REVIVE: (_S.ONGOING_REVIVE_MLS,),
    OperationKind.ERA_ADVANCE_FOR_REVIVE: (_S.ONGOING_ERA_ADVANCEMENT_FOR_REVIVE,),
    OperationKind.PHOENIX: (_S.PHOENIX_MODE_REQUESTED, _S.ONGOING_PHOENIX_MODE),
}
# Where a refused operation leaves the conversation; the others leave it where it was. An end that did not come about,
# since another commit was first, is asked for again by who wants it
_FAILURES: Mapping[OperationKind, HealthState] = {
    OperationKind.END_MLS: _S.HEALTHY,
    OperationKind.ERA_ADVANCE: _S.ERA_ADVANCEMENT_REQUESTED,
    OperationKind.ERA_ADVANCE_FOR_REVIVE: _S.DONE_END_MLS,
    OperationKind.REVIVE: _S.DONE_END_MLS,
    OperationKind.PHOENIX: _S.CANNOT_HEAL_DURING_END_MLS,
}


class HealthCourse:
    """The health machine of a conversation, moved by events. *edges* are those taken, for telemetry: the caller takes
    them off."""

    __slots__ = ("edges", "machine")

    def __init__(self, machine: HealthMachine | None = None) -> None:
        self.machine = machine or HealthMachine()
        self.edges: list[HealthEdge] = []

    def __repr__(self) -> str:
        return f"HealthCourse({self.state.name})"

    @property
    def state(self) -> HealthState:
        return self.machine.state

    def reach(self, target: HealthState, now_s: int, moment: Moment | None = None) -> None:
        """Goes there, in two steps where the table knows no single one. Raises IllegalTransition, and nothing has
        changed then."""
        via = _VIA.get((self.state, target))
        if via is not None and not self.machine.can_move(target):
            self._move(via, now_s, moment)
        self._move(target, now_s, moment)

    def _move(self, target: HealthState, now_s: int, moment: Moment | None) -> None:
        edge = self.machine.move(target, now_s, moment)
        if edge is not None:
            self.edges.append(edge)

    def can_reach(self, target: HealthState) -> bool:
        """Whether `reach` goes there."""
        return self.machine.can_move(target) or (self.state, target) in _VIA

    def can_start(self, kind: OperationKind) -> bool:
        """Whether an operation of this kind may begin: none but those that bring encryption back, and Phoenix, once it
        has ended. Phoenix again, too, where it was refused: the table has a way from there to its success, and none to
        its beginning (choice)."""
        targets = _STARTS.get(kind)
        if targets is None:
            return not self.state.is_downgraded
        return self.can_reach(targets[0]) or self.state in targets or self._is_phoenix_again(kind)

    def started(self, kind: OperationKind, now_s: int, moment: Moment | None = None) -> None:
        """A request is on its way."""
        for target in () if self._is_phoenix_again(kind) else _STARTS.get(kind, ()):
            if self.state is not target or kind is not OperationKind.CREATE:
                self.reach(target, now_s, moment)

    def _is_phoenix_again(self, kind: OperationKind) -> bool:
        return kind is OperationKind.PHOENIX and self.state is _S.CANNOT_HEAL_DURING_END_MLS

    def failed(self, kind: OperationKind, now_s: int, moment: Moment | None = None) -> None:
        """A request was refused for good."""
        target = _FAILURES.get(kind)
        if target is not None:
            self.reach(target, now_s, moment)

    def settled(self, now_s: int, moment: Moment, *, has_ended: bool) -> None:
        """A state was adopted: it is well, or it has end_mls."""
        self.reach(_S.DONE_END_MLS if has_ended else _S.HEALTHY, now_s, moment)

    def heal_requested(self, now_s: int, moment: Moment | None) -> bool:
        """A repair was asked for; False where it may not be: a healing of what has ended would encrypt it again."""
        if self.state.is_downgraded or not self.can_reach(_S.EPOCH_ADVANCEMENT_REQUESTED):
            return self.state is _S.EPOCH_ADVANCEMENT_REQUESTED
        self.reach(_S.EPOCH_ADVANCEMENT_REQUESTED, now_s, moment)
        self.machine.requested = moment
        return True

    def replaying(self, now_s: int, moment: Moment | None) -> None:
        """Missed commits are being replayed."""
        if self.can_reach(_S.ONGOING_EPOCH_ADVANCEMENT):
            self.reach(_S.ONGOING_EPOCH_ADVANCEMENT, now_s, moment)

    def heal_failed(self, now_s: int, moment: Moment | None) -> None:
        """The repair was given up: what comes in is read as it comes again."""
        if self.can_reach(_S.SELF_HEAL_FAILED):
            self.reach(_S.SELF_HEAL_FAILED, now_s, moment)

    def end_requested(self, now_s: int, moment: Moment | None) -> None:
        """The user or a rule wants encryption to end. Raises IllegalTransition while that is under way."""
        if self.state.is_phoenix_ongoing:
            raise IllegalTransition("encryption is being ended already", spec="RCC.16 §9.1")
        self.reach(_S.END_MLS_REQUESTED, now_s, moment)

    def wedged(self, now_s: int, moment: Moment | None) -> None:
        """The end of MLS could not be sent out in all its attempts."""
        self.reach(_S.CANNOT_HEAL_DURING_END_MLS, now_s, moment)
