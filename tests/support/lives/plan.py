"""Random lives as data: a network, the phones on it and what happens to them, drawn from a seed.

Every draw is by `random.Random`, so that a seed names the same life in every process, and a life that went wrong can be
made smaller step by step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tests.support.lives.kinds import KINDS, Kind
from tests.support.lives.verbs import VERBS, Cast, Step

__all__ = ["NUMBERS", "LifePlan", "carrier_of", "draw_plan"]

NUMBERS = {"alice": "+12025550101", "amy": "+12025550102", "bob": "+12025550152", "ben": "+12025550153"}
_CARRIERS = ("red", "blue")
_RED = ("alice", "amy")
_MOST_DEVICES = 3
_PROFILES = ("google-like", "rcc16-strict", "p2p")


@dataclass(frozen=True, slots=True)
class LifePlan:
    """*carriers* are the profile of each carrier and its changes, *devices* the profiles of the phones by their names:
    what begins with the name of a user is one of his. *lag_s* is how long the stores take to write."""

    kind: str
    seed: int
    carriers: Mapping[str, tuple[str, Mapping[str, object]]]
    devices: Mapping[str, str]
    steps: tuple[Step, ...]
    lag_s: float = 0.0


def carrier_of(user: str) -> str:
    return "red" if user in _RED else "blue"


def draw_plan(kind_name: str, seed: int) -> LifePlan:
    """The life of this kind that *seed* names."""
    kind, random = KINDS[kind_name], Random(f"{kind_name}/{seed}")
    fixed = random.choice(kind.profiles) if kind.profiles else ("", "")
    carriers = {name: _draw_carrier(kind, random, profile) for name, profile in zip(_CARRIERS, fixed, strict=True)}
    users = _draw_users(random)
    devices = {}
    for user in users:
        for name in _names_of(user, _draw_count(kind, random)):
            devices[name] = random.choice(kind.devices)
    if not kind.profiles and any(
        profile == "p2p" or not _arbitrates(changes) for profile, changes in carriers.values()
    ):
        devices = _one_side_with_several(devices, random)
    lag_s = random.choice((0.0, 0.0, 0.002, 0.05))
    later = [f"{user}2" for user in users] if "add device" in kind.verbs else []
    steps = _draw_steps(kind, random, Cast(tuple(users), tuple(dict.fromkeys((*devices, *later)))))
    return LifePlan(kind_name, seed, carriers, devices, steps, lag_s)


def _draw_users(random: Random) -> list[str]:
    first = random.choice((("alice", "bob"), ("alice", "bob"), ("alice", "amy"), ("alice", "ben")))
    others = [each for each in NUMBERS if each not in first]
    return [*first, *random.sample(others, random.choice((0, 0, 1, 1, 2)))]


def _draw_count(kind: Kind, random: Random) -> int:
    return min(_MOST_DEVICES, random.choice(kind.counts))


def _names_of(user: str, count: int) -> list[str]:
    return [user, *(f"{user}{number}" for number in range(2, count + 1))]


def _one_side_with_several(devices: dict[str, str], random: Random) -> dict[str, str]:
    """Where nobody arbitrates one user has two devices; the others have one."""
    users = sorted({name.rstrip("123") for name in devices})
    chosen = random.choice(users)
    return {name: device for name, device in devices.items() if name in (*users, f"{chosen}2")}


def _arbitrates(changes: Mapping[str, object]) -> bool:
    rules = changes.get("mls")
    return not isinstance(rules, dict) or bool(rules.get("arbitrates_era", True))


def _draw_carrier(kind: Kind, random: Random, fixed: str) -> tuple[str, Mapping[str, object]]:
    profile = random.choice(_PROFILES)
    changes: dict[str, object] = dict(kind.changes)
    if fixed:
        profile = fixed
    elif random.random() < 0.3:
        profile = "rcc16-strict"
        names = (
            "arbitrates_era",
            "requires_convergence_ack",
            "accepts_member_external_commit",
            "has_server_group_info",
        )
        changes["mls"] = {name: random.random() < 0.6 for name in names}
    for name, value, share in _CHANGES:
        if random.random() < share:
            changes[name] = value
    return profile, changes


_CHANGES: tuple[tuple[str, object, float], ...] = (
    ("signalling", "SIPoUDP", 0.25),
    ("chat_auth", False, 0.1),
    ("chat_idle_s", 20, 0.15),
    ("store_and_forward", False, 0.1),
    ("interworking", True, 0.1),
    ("cfs_trigger", 0, 0.1),
    ("header_enrichment", False, 0.05),
)


def _draw_steps(kind: Kind, random: Random, cast: Cast) -> tuple[Step, ...]:
    verbs, weights = zip(*kind.verbs.items(), strict=True)
    names = random.choices(verbs, weights, k=random.randint(4, kind.most_steps))
    return tuple(VERBS[name](random, cast, random.choice(kind.pauses_s)) for name in names)
