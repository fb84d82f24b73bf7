"""``device.``: what happens to handsets, SIMs and numbers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import OF
from rcs_sim.scenario.faults.places import home_of, one_phone
from rcs_sim.scenario.loader import load_device

__all__ = ["DEVICE_FAULTS"]

_NEEDED_OF = replace(OF, is_required=True, meaning="this phone")
_DAY_S = 86_400.0


async def _switched_on(fault: ActiveFault, phone: Phone) -> None:
    """Its user switches it on, unless he has done so, or has another one by now."""
    if fault.sim.phones.get(phone.name) is phone and not phone.is_on:
        await phone.power_on()


async def _begin_wipe(fault: ActiveFault) -> None:
    """Factory reset; the phone is set up again after a moment, as if it were new."""
    phone = one_phone(fault)
    await phone.wipe()
    fault.acted("wiped", phone.name)
    fault.undo.push_async_callback(_switched_on, fault, phone)
    if fault.scope.get("for_s") is None:
        await asyncio.sleep(fault.scope.seconds("off_s"))
        await _switched_on(fault, phone)


async def _begin_crash(fault: ActiveFault) -> None:
    """Power is lost without a word to anybody; what it has stored is there when it is back."""
    phone = one_phone(fault)
    await phone.lose_power()
    fault.acted("power lost", phone.name)
    fault.undo.push_async_callback(_switched_on, fault, phone)
    if fault.scope.get("for_s") is None:
        await asyncio.sleep(fault.scope.seconds("off_s"))
        await _switched_on(fault, phone)


async def _begin_off(fault: ActiveFault) -> None:
    phone = one_phone(fault)
    await phone.power_off()
    fault.acted("switched off", phone.name)
    fault.undo.push_async_callback(_switched_on, fault, phone)


async def _begin_old_version(fault: ActiveFault) -> None:
    """The software of before encryption, or of another release; what the newer one had stored is not read by it."""
    phone, wanted = one_phone(fault), fault.scope.get("device")
    policy = phone.config.policy
    older = replace(policy, e2ee=None) if wanted is None else load_device(wanted)
    fault.undo.push_async_callback(_put_back, fault, phone.name, policy)
    await fault.sim.exchange(phone.name, device=older)
    fault.acted("runs without encryption" if wanted is None else f"runs as {wanted}", phone.name)


async def _put_back(fault: ActiveFault, name: str, policy: DevicePolicy) -> None:
    if name in fault.sim.phones:
        await fault.sim.exchange(name, device=policy)


async def _begin_add(fault: ActiveFault) -> None:
    """A further device of the same number, without a SIM of its own."""
    owner, scope, sim = one_phone(fault), fault.scope, fault.sim
    name = scope.text("as") or f"{owner.name}2"
    if name in sim.phones:
        raise FaultError(f"{fault.word}: there is a phone {name!r} already; give it another name by `as`")
    home = home_of(sim, owner.name)
    policy = owner.config.policy if scope.get("device") is None else load_device(scope["device"])
    added = await sim.add_phone(name, policy, home.name, msisdn=sim.numbers[owner.name])
    fault.acted(f"{name} is a further device", owner.name, name)
    fault.undo.push_async_callback(added.power_off)


async def _begin_sim_swap(fault: ActiveFault) -> None:
    """The SIM goes on in another handset, which knows nothing of what the first one had."""
    phone, wanted = one_phone(fault), fault.scope.get("device")
    before = phone.config.policy
    policy = before if wanted is None else load_device(wanted)
    fault.undo.push_async_callback(_put_back, fault, phone.name, before)
    await fault.sim.exchange(phone.name, device=policy)
    fault.acted("the SIM is in another handset", phone.name)


async def _begin_recycled(fault: ActiveFault) -> None:
    """The number belongs to somebody else now, who has a phone of his own; the first owner's is cut off."""
    phone, sim = one_phone(fault), fault.sim
    name = fault.scope.text("as") or "newcomer"
    if name in sim.phones:
        raise FaultError(f"{fault.word}: there is a phone {name!r} already; give it another name by `as`")
    number, home = sim.numbers[phone.name], home_of(sim, phone.name)
    policy = phone.config.policy if fault.scope.get("device") is None else load_device(fault.scope["device"])
    await sim.take_sim(phone.name)
    newcomer = await sim.add_phone(name, policy, home.name, msisdn=number)
    fault.acted(f"the number belongs to {name}", phone.name, name)
    fault.undo.push_async_callback(newcomer.power_off)


async def _begin_skew(fault: ActiveFault) -> None:
    phone, skew_s = one_phone(fault), fault.scope.seconds("skew_s")
    if fault.scope["ahead"] == "no":
        skew_s = -skew_s
    before = phone.clock_skew_s
    phone.clock_skew_s = before + skew_s
    fault.acted(f"its clock is {skew_s:+g} s off", phone.name)

    def right() -> None:
        phone.clock_skew_s -= skew_s

    fault.undo.callback(right)


_OFF = ScopeKey(name="off_s", kind=KeyKind.SECONDS, meaning="off for so long (or for_s)", default=5.0)
_DEVICE = ScopeKey(name="device", kind=KeyKind.TEXT, meaning="device profile; else the same as before")

DEVICE_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="device.wipe",
        meaning="a factory reset: conversations, keys and configuration are gone, the SIM stays",
        clause="RCC.16 §8, §10.1",
        reversal="the phone is on again; what was wiped stays wiped",
        begin=_begin_wipe,
        keys=(_NEEDED_OF, _OFF),
        example={"of": "bob"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.crash",
        meaning="the phone loses its power without a word to anybody",
        clause="RFC 5626 §4.4, RCC.07 §3.2.3",
        reversal="the phone is on again, with what it had stored",
        begin=_begin_crash,
        keys=(_NEEDED_OF, _OFF),
        example={"of": "bob", "for_s": 60},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.off",
        meaning="the phone is switched off in an orderly way",
        clause="TS 24.229 §5.1.1.6",
        reversal="the phone is switched on",
        begin=_begin_off,
        keys=(_NEEDED_OF,),
        example={"of": "bob", "for_s": 3600},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.old_version",
        meaning="the phone runs the software of before encryption, or another release",
        clause="RCC.16 §5.4 (capability), §7.1",
        reversal="the newer software runs again, as if it were new",
        begin=_begin_old_version,
        keys=(_NEEDED_OF, replace(_DEVICE, meaning="device profile of that release; else the same without encryption")),
        example={"of": "bob"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.add",
        meaning="the user has one more device with the same number",
        clause="RCC.07 §2.11 (multi-device), RCC.16 §9.5",
        reversal="the further device is switched off; it stays a phone of the simulation",
        begin=_begin_add,
        keys=(
            _NEEDED_OF,
            ScopeKey(name="as", kind=KeyKind.TEXT, meaning="name of the new phone; else that of the first with a 2"),
            _DEVICE,
        ),
        example={"of": "bob", "as": "tablet"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.sim_swap",
        meaning="the SIM goes on in another handset",
        clause="RCC.16 §5.1, RCC.07 §2.3",
        reversal="it goes into one more handset, of the kind of the first",
        begin=_begin_sim_swap,
        keys=(_NEEDED_OF, _DEVICE),
        example={"of": "bob", "device": "android"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.number_recycled",
        meaning="the number is given to somebody else",
        clause="RCC.16 §5.5, §10.1.1 (participant key)",
        reversal="the new owner's phone is switched off; the number stays his",
        begin=_begin_recycled,
        keys=(
            replace(_NEEDED_OF, meaning="the number of this phone"),
            ScopeKey(name="as", kind=KeyKind.TEXT, meaning="name of the new owner's phone; else newcomer"),
            _DEVICE,
        ),
        example={"of": "bob", "as": "newcomer"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="device.clock_skew",
        meaning="the phone's own clock is wrong: dates of all it sends, timers, certificates, configuration",
        clause="RCC.16 A.4.1 (validity), RFC 3862 §4.3 (DateTime)",
        reversal="its clock is right",
        begin=_begin_skew,
        keys=(
            _NEEDED_OF,
            ScopeKey(name="skew_s", kind=KeyKind.SECONDS, meaning="so much off", default=_DAY_S),
            ScopeKey(name="ahead", kind=KeyKind.WORD, meaning="of the true time", default="yes", words=("yes", "no")),
        ),
        example={"of": "bob", "skew_s": 86400},
        reach=Reach.BOTH,
    ),
)
