"""What a device holds against what the focus says, and who among the members acts first (RCC.16 §10.1).

The verdicts and who is elected are the reference's (choice: RCC.16 defines neither).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from rcs_sim.e2ee.epoch_identifier import EpochIdentifier

__all__ = ["ServerVerdict", "compare_with_server", "is_elected"]


class ServerVerdict(Enum):
    """How two states relate. Equal numbers are not enough: only authenticators tell."""

    IN_SYNC = auto()
    DIVERGED = auto()
    """The same numbers, another group; or above the server on another chain."""
    AHEAD = auto()
    """The server never took our last commit."""
    BEHIND = auto()
    """Usually a commit in flight."""
    ERA_GAP = auto()
    REJOIN = auto()
    """The server has a group and we have none."""
    NOT_FOUND = auto()
    """The server has no group."""


def compare_with_server(
    own: EpochIdentifier | None, server: EpochIdentifier | None, *, is_forked: bool = False
) -> ServerVerdict:
    """*server* is None if it holds nothing. *is_forked*: an earlier state of the server is known not to have been
    ours."""
    if server is None:
        return ServerVerdict.NOT_FOUND
    if own is None:
        return ServerVerdict.REJOIN
    if own.era_id != server.era_id:
        return ServerVerdict.ERA_GAP
    if own.epoch_id == server.epoch_id:
        same = own.epoch_authenticator == server.epoch_authenticator
        return ServerVerdict.IN_SYNC if same else ServerVerdict.DIVERGED
    if own.epoch_id < server.epoch_id:
        return ServerVerdict.BEHIND
    return ServerVerdict.DIVERGED if is_forked else ServerVerdict.AHEAD


def is_elected(own_msisdn: str, members: Iterable[str]) -> bool:
    """Whether *own_msisdn* acts for the group: the lowest number does, in the order of its digits as text. The others
    wait."""
    return all(own_msisdn <= each for each in members)
