"""``ims.``: registrations that end, are refused, or lose their P-CSCF."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from ims_core.core import ImsCore
from ims_core.cx import DeregistrationReason
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import AT_KEYS, CARRIER, OF, on_links, passed
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.faults.places import carriers_of, home_of, one_phone, subscriber_of

__all__ = ["IMS_FAULTS"]

_NEEDED_OF = replace(OF, is_required=True, meaning="this phone")
_RESPONSE = re.compile(rb'(?i)(\r\nauthorization:[^\r]*[ ,]response=")([0-9a-f]{2,})(")')


async def _begin_deregister(fault: ActiveFault) -> None:
    """The operator ends the registration (TS 24.229 §5.4.1.5)."""
    phone, reason = one_phone(fault), DeregistrationReason(fault.scope["reason"])
    _deregister(fault, phone, reason)
    fault.undo.push_async_callback(_registers_again, fault, phone)


def _deregister(fault: ActiveFault, phone: Phone, reason: DeregistrationReason) -> None:
    home, subscriber = home_of(fault.sim, phone.name), subscriber_of(fault.sim, phone.name)
    is_gone = home.core.deregister(subscriber.impus[0], reason)
    what = f"registration ended: {reason.value}" if is_gone else "there was no registration"
    fault.acted(what, f"{home.name}.scscf", phone.name)


async def _registers_again(fault: ActiveFault, phone: Phone) -> None:
    """A phone that was sent away stays away until its user acts."""
    if phone.is_on and not phone.is_registered and fault.sim.phones.get(phone.name) is phone:
        await phone.power_cycle()


async def _begin_reregister(fault: ActiveFault) -> None:
    """The binding is gone, and the phone is told to register again at once (RFC 3680 §5.3.2, deactivated)."""
    phone, pause_s = one_phone(fault), fault.scope.seconds("interval_s")

    async def again() -> None:
        while not fault.has_ended:
            if fault.happens():
                _deregister(fault, phone, DeregistrationReason.DEACTIVATED)
            await asyncio.sleep(pause_s)

    if pause_s > 0:
        # Owned by the fault: it is cancelled when the fault ends.
        task = asyncio.get_running_loop().create_task(again(), name=fault.word)
        fault.undo.callback(task.cancel)
        await asyncio.sleep(0)
    elif fault.happens():
        _deregister(fault, phone, DeregistrationReason.DEACTIVATED)


async def _begin_failover(fault: ActiveFault) -> None:
    """The P-CSCF dies, and another one is there in its place: flows are gone, and what it had not stored."""
    for carrier in carriers_of(fault):
        core = carrier.core
        fault.undo.push_async_callback(_start, core)
        await core.stop_node("pcscf")
        fault.acted("the P-CSCF is gone", f"{carrier.name}.pcscf")
    gap_s = fault.scope.seconds("gap_s")
    if fault.scope.get("for_s") is None:
        await asyncio.sleep(gap_s)
        for carrier in carriers_of(fault):
            await _start(carrier.core)
            fault.acted("another P-CSCF is there", f"{carrier.name}.pcscf")


async def _start(core: ImsCore) -> None:
    await core.start_node("pcscf")


async def _begin_auth_fail(fault: ActiveFault) -> None:
    """The digest of the phone is wrong on its way: the S-CSCF challenges again, then refuses (TS 24.229 §5.4.1.2)."""

    def spoil(passing: Passing) -> bytes | None:
        if passing.source not in fault.sim.phones or not passing.octets.startswith(b"REGISTER "):
            return passing.octets
        if _RESPONSE.search(passing.octets) is None or not fault.happens():
            return passing.octets
        spoiled = _RESPONSE.sub(_another, passing.octets)
        passed(fault, "the response to the challenge is wrong", passing, spoiled)
        return spoiled

    on_links(fault, Line.SIP, spoil)


def _another(found: re.Match[bytes]) -> bytes:
    digits = bytearray(found[2])
    digits[0] = ord("0") if digits[0] != ord("0") else ord("1")
    return found[1] + bytes(digits) + found[3]


IMS_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="ims.deregister",
        meaning="the network ends the registration of a phone, and says why",
        clause="TS 24.229 §5.4.1.5, RFC 3680 §5.3.2",
        reversal="the phone is switched off and on, if it has not come back by itself",
        begin=_begin_deregister,
        keys=(
            _NEEDED_OF,
            ScopeKey(
                name="reason",
                kind=KeyKind.WORD,
                meaning="what the phone is told; rejected keeps it away",
                default="rejected",
                words=tuple(reason.value for reason in DeregistrationReason),
            ),
        ),
        example={"of": "bob", "reason": "rejected"},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="ims.reregister",
        meaning="the network makes a phone register anew",
        clause="TS 24.229 §5.4.1.6, RFC 3680 §5.3.2 (deactivated)",
        reversal="none needed: the phone is registered",
        begin=_begin_reregister,
        keys=(
            _NEEDED_OF,
            ScopeKey(name="interval_s", kind=KeyKind.SECONDS, meaning="again after so long, until the end; 0 is once"),
        ),
        example={"of": "bob"},
        reach=Reach.BOTH,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="ims.pcscf_failover",
        meaning="the P-CSCF of a carrier fails, and another one takes its place: phones have to register anew",
        clause="TS 24.229 §5.1.1.4, RFC 5626 §4.5",
        reversal="a P-CSCF is there, with what the failed one had stored",
        begin=_begin_failover,
        keys=(
            CARRIER,
            ScopeKey(name="gap_s", kind=KeyKind.SECONDS, meaning="nobody is there so long (or for_s)", default=5.0),
        ),
        example={"carrier": "blue", "gap_s": 10},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="ims.auth_fail",
        meaning="phones fail to authenticate when they register",
        clause="TS 24.229 §5.4.1.2.3, RFC 7616",
        reversal="later registrations are sound; a phone that was refused tries again by its own timers",
        begin=_begin_auth_fail,
        keys=AT_KEYS,
        example={"of": "bob", "for_s": 120},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
)
