"""Finds and reads profile and network files. A mistake is one error with file, line, column and allowed words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ims_core.errors import ProfileError
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.scenario.model import CarrierProfile, NetworkFile
from rcs_sim.scenario.yaml_document import Location, YamlDocument

__all__ = [
    "load_carrier_profile",
    "load_device",
    "load_file",
    "load_network",
    "profile_folder",
    "profile_names",
]

_T = TypeVar("_T")
_DEVICES: TypeAdapter[DevicePolicy] = TypeAdapter(DevicePolicy)
_CARRIERS: TypeAdapter[CarrierProfile] = TypeAdapter(CarrierProfile)
_NETWORKS: TypeAdapter[NetworkFile] = TypeAdapter(NetworkFile)


def profile_folder() -> Path:
    """The profiles: package data in an installed wheel, the repository's folder in a checkout."""
    packaged = Path(str(resources.files("rcs_sim"))) / "profiles"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "profiles"


def profile_names(kind: str) -> list[str]:
    """Names of the profiles of a *kind*: devices, carriers, networks, scenarios; those in a group as group/name."""
    folder = profile_folder() / kind
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def load_device(name: str) -> DevicePolicy:
    """By profile name, or by the path of a file. Read once as long as the file stays the same: every phone asks."""
    path = _find("devices", name)
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        return load_file(path, _DEVICES)  # which says what is wrong
    return _read_device(path, changed_ns)


@lru_cache(64)
def _read_device(path: Path, changed_ns: int) -> DevicePolicy:
    return load_file(path, _DEVICES)


def load_carrier_profile(name: str, changes: Mapping[str, Any] | None = None) -> CarrierProfile:
    """By profile name, or by the path of a file; with other values for some of its members."""
    profile = load_file(_find("carriers", name), _CARRIERS)
    if not changes:
        return profile
    try:
        return CarrierProfile.model_validate({**profile.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ProfileError(f"{where}: {first['msg']}", file=f"changes to carrier profile {name}") from None


def load_network(name: str) -> NetworkFile:
    """By profile name, or by the path of a file. Carrier profiles that it names by path are looked for beside it."""
    path = _find("networks", name)
    document = YamlDocument.read(path)
    network = document.validated(_NETWORKS)
    _refuse_shared(document, network)
    carriers = {
        key: entry.model_copy(update={"profile": str(path.parent / entry.profile)})
        if _is_path(entry.profile)
        else entry
        for key, entry in network.carriers.items()
    }
    return network.model_copy(update={"carriers": carriers})


def _refuse_shared(document: YamlDocument, network: NetworkFile) -> None:
    """Domains, addresses and numbers lead to one carrier, or to one subscriber. Raises ProfileError."""
    taken: dict[tuple[str, str], str] = {}
    for location, kind, value in _unshared(network):
        owner = ".".join(map(str, location))
        first = taken.setdefault((kind, value.lower()), owner)
        if first != owner:
            raise document.error(location, f"{value} is that of {first} already")


def _unshared(network: NetworkFile) -> Iterator[tuple[Location, str, str]]:
    for key, carrier in network.carriers.items():
        place = ("carriers", key)
        for member in ("domain", "addresses", "smsc"):
            yield (*place, member), member, getattr(carrier, member)
        for index, prefix in enumerate(carrier.prefixes):
            yield (*place, "prefixes", index), "prefix", prefix
        for index, subscriber in enumerate(carrier.subscribers):
            if subscriber.msisdn is not None:
                yield (*place, "subscribers", index, "msisdn"), "msisdn", subscriber.msisdn


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or "/" in name


def _find(kind: str, name: str) -> Path:
    if _is_path(name):
        return Path(name)
    path = profile_folder() / kind / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(profile_names(kind))
        raise ProfileError(f"there is no profile {name!r} among the {kind}; there are: {known}", file=str(path))
    return path


def load_file(path: Path, adapter: TypeAdapter[_T]) -> _T:
    """Reads one YAML file into the type of *adapter*. Raises ProfileError."""
    return YamlDocument.read(path).validated(adapter)
