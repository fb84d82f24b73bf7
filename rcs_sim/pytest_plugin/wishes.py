"""What the markers of a test ask for, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from rcs_sim.devices.policy import DevicePolicy
    from rcs_sim.scenario.model import NetworkFile

__all__ = ["FAULT", "RCS", "FaultWish", "Wishes", "WrongMarker", "wishes_of"]

RCS, FAULT = "rcs", "fault"  # the markers
_PHONES = ("alice", "bob")
_SCOPE_NAMES = {"from_": "from", "who": "of"}


class WrongMarker(Exception):
    """A marker says what cannot be. The text names what would do."""


@dataclass(frozen=True, slots=True)
class FaultWish:
    """A fault that holds while the body of the test runs."""

    word: str
    scope: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The members are the arguments of the marker ``rcs``; *faults* come from the markers ``fault``.

    *devices* and *carriers* are those of alice and of bob. On the simulation's clock the body may take *limit_s*, for
    timers go on for ever where a test waits for what never comes, and *settle_s* pass after it before the oracle
    judges."""

    network: str | NetworkFile = "two-carriers"
    devices: tuple[str | DevicePolicy, str | DevicePolicy] = ("android", "ios")
    carriers: tuple[str, str] = ("red", "blue")
    seed: int = 7
    clock: Literal["virtual", "real"] = "virtual"
    violations: Literal["forbidden", "allowed"] = "forbidden"
    limit_s: float = 7 * 86400.0
    settle_s: float = 0.0
    faults: tuple[FaultWish, ...] = field(default=())


_ARGUMENTS = ("network", "devices", "carriers", "seed", "clock", "violations", "limit_s", "settle_s")


def wishes_of(item: pytest.Item, seed: int | None = None) -> Wishes:
    """What the markers of *item* ask for. Those of a test go before those of its class, and these before those of its
    module; *seed* goes before all of them. Raises WrongMarker."""
    said: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(RCS))):
        said |= _named_arguments(marker)
    folder = item.path.parent
    wishes = Wishes(**{name: _CHECKS[name](value, folder) for name, value in said.items()})
    _check_carriers(wishes)
    faults = tuple(_fault(marker) for marker in reversed(list(item.iter_markers(FAULT))))
    return replace(wishes, faults=faults, seed=wishes.seed if seed is None else seed)


def _named_arguments(marker: pytest.Mark) -> dict[str, Any]:
    if marker.args:
        raise WrongMarker(f"rcs takes arguments by name only: {', '.join(_ARGUMENTS)}")
    for name in marker.kwargs:
        if name not in _ARGUMENTS:
            raise WrongMarker(f"rcs knows no argument {name!r}{_meant(name, _ARGUMENTS)}")
    return dict(marker.kwargs)


def _meant(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that says what there is instead of *word*."""
    names = list(known)
    near = get_close_matches(word, names, 3, 0.5)
    meant = f": did you mean {' or '.join(map(repr, near))}?" if near else "."
    return f"{meant} There are: {', '.join(names)}"


# ------------------------------------------------------------------------------------------------------- the arguments


def _network(value: Any, folder: Path) -> str | NetworkFile:
    """A profile, a file beside the test, or a network made in Python."""
    from ims_core.errors import ProfileError
    from rcs_sim.scenario.loader import load_network
    from rcs_sim.scenario.model import NetworkFile

    if isinstance(value, NetworkFile):
        return value
    name = _profile("networks", value, folder)
    try:
        load_network(name)
    except ProfileError as error:
        raise WrongMarker(f"network: {error}") from None
    return name


def _profile(kind: str, value: Any, folder: Path) -> str:
    from rcs_sim.scenario.loader import profile_names

    if not isinstance(value, str | Path):
        raise WrongMarker(f"{kind[:-1]} is the name of a profile or the path of a file, not {value!r}")
    if isinstance(value, Path) or value.endswith((".yaml", ".yml")) or "/" in value:
        return str(folder / value)
    if value not in profile_names(kind):
        raise WrongMarker(f"there is no {kind[:-1]} {value!r}{_meant(value, profile_names(kind))}")
    return value


def _devices(value: Any, folder: Path) -> tuple[Any, ...]:
    return tuple(_device(each, folder) for each in _pair("devices", value, Wishes().devices))


def _device(value: Any, folder: Path) -> str | DevicePolicy:
    from ims_core.errors import ProfileError
    from rcs_sim.devices.policy import DevicePolicy
    from rcs_sim.scenario.loader import load_device

    if isinstance(value, DevicePolicy):
        return value
    name = _profile("devices", value, folder)
    try:
        load_device(name)
    except ProfileError as error:
        raise WrongMarker(f"device: {error}") from None
    return name


def _carriers(value: Any, folder: Path) -> tuple[Any, ...]:
    pair = _pair("carriers", value, Wishes().carriers)
    for each in pair:
        if not isinstance(each, str):
            raise WrongMarker(f"a carrier is a name, not {each!r}")
    return pair


def _pair(name: str, value: Any, usual: tuple[Any, Any]) -> tuple[Any, Any]:
    """One for alice and one for bob: two in a row, or by name."""
    if isinstance(value, Mapping):
        for phone in value:
            if phone not in _PHONES:
                raise WrongMarker(f"{name}: the two phones are alice and bob; there is no {phone!r}")
        return value.get("alice", usual[0]), value.get("bob", usual[1])
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return value[0], value[1]
    raise WrongMarker(f"{name} are two, of alice and of bob, such as {list(usual)!r}; not {value!r}")


def _check_carriers(wishes: Wishes) -> None:
    from rcs_sim.scenario.loader import load_network

    network = load_network(wishes.network) if isinstance(wishes.network, str) else wishes.network
    if wishes.carriers == Wishes().carriers:
        return  # nobody asked for them: a network with other ones has phones that the test adds
    for name in wishes.carriers:
        if name not in network.carriers:
            raise WrongMarker(f"{network.name} has no carrier {name!r}{_meant(name, network.carriers)}")


def _seed(value: Any, folder: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongMarker(f"seed is a whole number, not {value!r}")
    return value


def _seconds(name: str) -> Callable[[Any, Path], float]:
    def check(value: Any, folder: Path) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise WrongMarker(f"{name} is a number of seconds, 0 or more, not {value!r}")
        return float(value)

    return check


def _one_of(name: str, *words: str) -> Callable[[Any, Path], str]:
    def check(value: Any, folder: Path) -> str:
        if value not in words:
            raise WrongMarker(f"{name} is {' or '.join(map(repr, words))}, not {value!r}")
        return str(value)

    return check


_CHECKS: Mapping[str, Callable[[Any, Path], Any]] = {
    "network": _network,
    "devices": _devices,
    "carriers": _carriers,
    "seed": _seed,
    "clock": _one_of("clock", "virtual", "real"),
    "violations": _one_of("violations", "forbidden", "allowed"),
    "limit_s": _seconds("limit_s"),
    "settle_s": _seconds("settle_s"),
}


# ---------------------------------------------------------------------------------------------------------- the faults


def _fault(marker: pytest.Mark) -> FaultWish:
    """The word and the names of its scope; what the values mean is for the running simulation to say."""
    from rcs_sim.scenario.faults.fault_kind import FaultError
    from rcs_sim.scenario.faults.registry import fault_kind

    if len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise WrongMarker('fault takes one word and its scope by name, such as fault("net.loss", probability=0.1)')
    try:
        kind = fault_kind(marker.args[0])
    except FaultError as error:
        raise WrongMarker(str(error)) from None
    keys = [key.name for key in kind.all_keys]
    for name in marker.kwargs:
        if name not in keys and _SCOPE_NAMES.get(name) not in keys:
            raise WrongMarker(f"the fault {kind.word} knows no {name!r}{_meant(name, keys)}")
    return FaultWish(kind.word, dict(marker.kwargs))
