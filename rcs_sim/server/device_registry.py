"""The devices of each user, as third-party registration tells them (digest §15.5 REGISTER)."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ims_core.store.registered_devices import StoredDevice, StoredDevices
from ims_core.wire.sip.feature_tags import FeatureSet
from rcs_sim.server.device_capabilities import NO_FEATURES, features_of_text, is_rcs, text_of
from rcs_sim.server.third_party_registration import Binding, ThirdPartyRegistration

__all__ = ["Device", "DeviceRegistry"]

_UNKNOWN = "?"  # stored form of features that nobody said


class Device:
    """One device of a user. *instance* is empty for one without `+sip.instance`; *features* is None where unknown."""

    __slots__ = (
        "appeared_at",
        "call_id",
        "contact",
        "expires_at",
        "features",
        "gruu",
        "instance",
        "options_silent_until",
        "others",
        "seen_at",
        "user_agent",
    )

    def __init__(self, instance: str, seen_at: float) -> None:
        self.instance = instance
        self.gruu = ""
        self.contact = ""
        self.features: FeatureSet | None = None
        self.user_agent = ""
        self.expires_at = 0.0
        self.seen_at = seen_at
        self.call_id = ""  # of its last REGISTER: a UE keeps it until it restarts (RFC 3261 §10.2.4)
        self.appeared_at = 0.0  # when it registered last, other than to refresh
        self.options_silent_until = 0.0
        self.others: tuple[str, ...] = ()  # of one without an instance: those of the user's other devices

    @property
    def may_be_rcs(self) -> bool:
        """Not known to lack RCS."""
        return self.features is None or is_rcs(self.features)

    def is_reachable(self, now: float) -> bool:
        """Registered, and not known to lack RCS."""
        return self.expires_at > now and self.may_be_rcs

    def is_refreshed_by(self, binding: Binding, now: float) -> bool:
        """Whether a REGISTER only prolongs what was there: neither a restart of the UE nor another address."""
        return self.expires_at > now and (self.contact, self.call_id) == (binding.contact, binding.call_id)

    def to_stored(self) -> StoredDevice:
        tags = _UNKNOWN if self.features is None else text_of(self.features)
        return StoredDevice(
            self.instance, self.gruu, self.contact, tags, self.user_agent, self.expires_at, self.seen_at
        )

    @classmethod
    def of_stored(cls, stored: StoredDevice) -> Device:
        device = cls(stored.instance, stored.seen_at)
        device.gruu, device.contact = stored.gruu, stored.contact
        device.features = None if stored.tags == _UNKNOWN else features_of_text(stored.tags)
        device.user_agent = sys.intern(stored.user_agent)
        device.expires_at = stored.expires_at
        return device


class DeviceRegistry:
    """Devices by identity key of their user. Those that went away are known for *memory_s* seconds more, at most
    *max_devices* of one user."""

    __slots__ = ("_max_devices", "_memory_s", "_users")

    def __init__(self, memory_s: float, max_devices: int) -> None:
        self._memory_s = memory_s
        self._max_devices = max_devices
        self._users: dict[str, tuple[Device, ...]] = {}

    def load(self, records: Iterable[StoredDevices]) -> None:
        for record in records:
            self._users[record.owner] = _acquainted(Device.of_stored(device) for device in record.devices)

    def owners(self) -> list[str]:
        return list(self._users)

    def record_of(self, owner: str) -> StoredDevices:
        """What to keep of a user."""
        return StoredDevices(owner, tuple(device.to_stored() for device in self._users.get(owner, ())))

    def known(self, owner: str) -> tuple[Device, ...]:
        """Every device that is remembered."""
        return self._users.get(owner, ())

    def reachable(self, owner: str, now: float) -> list[Device]:
        """The RCS devices that are registered at present."""
        return [device for device in self._users.get(owner, ()) if device.is_reachable(now)]

    def is_registered(self, owner: str, now: float) -> bool:
        """Whether any device of the user is registered, with RCS or without."""
        return any(device.expires_at > now for device in self._users.get(owner, ()))

    def seen_alive(self, owner: str, now: float) -> str:
        """The S-CSCF serves the user as a registered one, and no REGISTER has been heard of: taken for the device that
        was seen last, until a report says more (choice). Returns its instance."""
        devices = self._users.get(owner) or (Device(_ANYBODY.instance, now),)
        latest = devices[0]
        latest.seen_at = latest.appeared_at = now
        latest.expires_at = now + _ANYBODY.expires_s
        self._users[owner] = devices
        return latest.instance

    def apply(self, owner: str, report: ThirdPartyRegistration, now: float) -> frozenset[str]:
        """Takes over a report of the S-CSCF. Returns the devices that came, or came back, rather than refreshed."""
        devices = {device.instance: device for device in self._users.get(owner, ())}
        if report.is_over or any(binding.contact == "*" for binding in report.registering):
            for device in devices.values():
                device.expires_at = min(device.expires_at, now)
        else:
            self._merge(devices, report, now)
        self._users[owner] = self._pruned(devices, now)
        if not self._users[owner]:
            del self._users[owner]
        return frozenset(device.instance for device in self._users.get(owner, ()) if device.appeared_at == now)

    def _merge(self, devices: dict[str, Device], report: ThirdPartyRegistration, now: float) -> None:
        for binding in report.registering:
            known = devices.get(binding.instance)
            is_refresh = known is not None and known.is_refreshed_by(binding, now)
            device = _update(devices, binding, now)
            device.features = NO_FEATURES if binding.features is None else binding.features
            device.call_id = binding.call_id
            device.appeared_at = device.appeared_at if is_refresh else now
        if report.bindings is None:
            if not report.registering and not any(device.expires_at > now for device in devices.values()):
                _update(devices, _ANYBODY, now)  # nothing was embedded: somebody is registered, that is all
            return
        present = {binding.instance for binding in report.bindings if binding.expires_s > 0}
        for binding in report.bindings:  # RFC 3261 §10.3 step 8: the 200 lists every binding there is
            _update(devices, binding, now)
        for device in devices.values():
            if device.instance not in present:
                device.expires_at = min(device.expires_at, now)

    def _pruned(self, devices: dict[str, Device], now: float) -> tuple[Device, ...]:
        kept = [
            device for device in devices.values() if device.expires_at > now or device.seen_at + self._memory_s > now
        ]
        kept.sort(key=lambda device: (device.expires_at > now, device.seen_at), reverse=True)
        return _acquainted(kept[: self._max_devices])


def _acquainted(devices: Iterable[Device]) -> tuple[Device, ...]:
    """The *devices* of a user; one that cannot be named knows the names of the others."""
    found = tuple(devices)
    for device in found:
        if not device.instance:
            device.others = tuple(sorted(each.instance for each in found if each.instance))
    return found


_ANYBODY = Binding("", "", "", "", 3600, None)


def _update(devices: dict[str, Device], binding: Binding, now: float) -> Device:
    device = devices.get(binding.instance)
    if device is None:
        device = devices[sys.intern(binding.instance)] = Device(binding.instance, now)
    device.seen_at = now
    device.expires_at = now + binding.expires_s
    device.gruu = binding.gruu or device.gruu
    device.contact = binding.contact or device.contact
    device.user_agent = sys.intern(binding.user_agent) if binding.user_agent else device.user_agent
    if binding.features is not None and device.features is None:
        device.features = binding.features
    return device
