"""``cert.``: certificates of phones that are at their end, or of a root that nobody trusts (RCC.16 Annex A)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from rcs_sim.client.e2ee.credentials import Credentials
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, Reach, ScopeKey
from rcs_sim.scenario.faults.kds_faults import key_services_of
from rcs_sim.scenario.faults.link_scope import CARRIER, OF
from rcs_sim.scenario.faults.places import home_of
from rcs_sim.scenario.key_service import KeyService

__all__ = ["CERT_FAULTS"]

_DAY_S = 86_400
_ENROLS_WITHIN_S = 10.0
_SHORTEST_S = 2  # a certificate has to be valid when it comes
_KEYS = (
    replace(OF, meaning="this phone enrols anew at once; else those do that need to anyway"),
    replace(CARRIER, meaning="certificates of this carrier; else of all, or of the home of the phone"),
)
_REVERSAL = "certificates are as usual, and the phones concerned enrol anew"


async def _begin_with(fault: ActiveFault, changed: Callable[[VendorPki], VendorPki], what: str) -> None:
    """Certificates are issued by *changed* authorities as long as the fault lasts."""
    for service in key_services_of(fault):
        fault.undo.push_async_callback(_enrol_again, fault, service)
        fault.undo.callback(_use(fault, service, changed))
        fault.acted(what, service.plan.name)
    name = fault.scope.get("of")
    if name is not None:
        await _enrol(fault, fault.sim.phones[name])


def _use(fault: ActiveFault, service: KeyService, changed: Callable[[VendorPki], VendorPki]) -> Callable[[], None]:
    server = service.server
    return fault.sim.faults.switches.hold_any(
        (id(server), "pki"),
        changed(server.pki),
        read=lambda: server.pki,
        write=lambda each: setattr(server, "pki", each),
    )


async def _enrol(fault: ActiveFault, phone: Phone) -> None:
    credentials = _credentials(phone)
    if credentials is None:
        raise FaultError(f"{fault.word}: {phone.name} has no certificate")
    credentials.enrol_anew()
    before, fault_s = credentials.setting, 0.0
    while credentials.setting is before and fault_s < _ENROLS_WITHIN_S:
        await asyncio.sleep(0.1)
        fault_s += 0.1
    fault.acted("enrolled anew" if credentials.setting is not before else "not enrolled", phone.name)


def _credentials(phone: Phone) -> Credentials | None:
    encryption = phone.encryption
    return None if encryption is None or encryption.mls is None else encryption.mls.credentials


async def _enrol_again(fault: ActiveFault, service: KeyService) -> None:
    """Phones of the carrier that were at its directory while the fault lasted get a sound certificate."""
    for phone in tuple(fault.sim.phones.values()):
        credentials = _credentials(phone)
        if phone.is_on and credentials is not None and home_of(fault.sim, phone.name).key_service is service:
            credentials.enrol_anew()


async def _begin_expire(fault: ActiveFault) -> None:
    life_s = max(_SHORTEST_S, int(fault.scope.seconds("in_s")))
    await _begin_with(fault, _short_lived(life_s), f"certificates for {life_s} s")


async def _begin_age(fault: ActiveFault) -> None:
    days = fault.scope.number("days_left")
    await _begin_with(fault, _short_lived(max(_SHORTEST_S, days * _DAY_S)), f"certificates for {days} days")


def _short_lived(life_s: int) -> Callable[[VendorPki], VendorPki]:
    return lambda pki: replace(pki, shape=replace(pki.shape, leaf_life_s=life_s))


async def _begin_wrong_root(fault: ActiveFault) -> None:
    seed, now_s = fault.tokens.octets(32), int(fault.sim.clock.now())

    def other(pki: VendorPki) -> VendorPki:
        return VendorPki.derive(
            seed, vendor_id=pki.vendor_id, kds=pki.kds, operator="nobody", now_s=now_s, shape=pki.shape
        )

    await _begin_with(fault, other, "certificates of a root that nobody trusts")


CERT_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="cert.expire",
        meaning="certificates that run out in a moment",
        clause="RCC.16 A.4.1, A.4.1.5",
        reversal=_REVERSAL,
        begin=_begin_expire,
        keys=(
            ScopeKey(name="in_s", kind=KeyKind.SECONDS, meaning="they are valid for so long", default=60.0),
            *_KEYS,
        ),
        example={"of": "bob", "in_s": 60},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="cert.age",
        meaning="certificates that are inside the 30-day floor already",
        clause="RCC.16 A.4.1.5 (30 days)",
        reversal=_REVERSAL,
        begin=_begin_age,
        keys=(
            ScopeKey(name="days_left", kind=KeyKind.NUMBER, meaning="they are valid for so long", default=20),
            *_KEYS,
        ),
        example={"of": "bob", "days_left": 20},
        reach=Reach.BOTH,
    ),
    FaultKind(
        word="cert.wrong_root",
        meaning="certificates come from authorities that are on nobody's list",
        clause="RCC.16 A.4.1, §5.3 (trust anchors)",
        reversal=_REVERSAL,
        begin=_begin_wrong_root,
        keys=_KEYS,
        example={"of": "bob"},
        reach=Reach.BOTH,
    ),
)
