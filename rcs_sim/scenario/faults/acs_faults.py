"""``acs.``: an autoconfiguration server that refuses, is not there, wants a password, or has old data."""

from __future__ import annotations

from dataclasses import replace

from ims_core.errors import SimulatorError
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultError, FaultKind, KeyKind, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import CARRIER, OF
from rcs_sim.scenario.faults.places import carriers_of, links_of
from rcs_sim.server.config_server import ConfigServer

__all__ = ["ACS_FAULTS"]

_REVERSAL = "the server answers as usual from the next request on"


def _servers(fault: ActiveFault) -> list[tuple[str, ConfigServer]]:
    found = [(f"{each.name}.acs", each.config_server) for each in carriers_of(fault)]
    servers = [(name, server) for name, server in found if server is not None]
    if len(servers) != len(found):
        raise SimulatorError(f"{fault.word}: a configuration server does not run yet")
    return servers


def _switch(word: str, field: str, meaning: str, clause: str) -> FaultKind:
    """A word that is one field of `ConfigFault`."""

    async def begin(fault: ActiveFault) -> None:
        for name, server in _servers(fault):
            fault.undo.callback(fault.sim.faults.switches.hold(server, field, True))
            fault.acted(field, name)

    return FaultKind(
        word=word,
        meaning=meaning,
        clause=clause,
        reversal=_REVERSAL,
        begin=begin,
        keys=(CARRIER,),
        example={"carrier": "blue"},
        reach=Reach.BOTH,
    )


async def _begin_unreachable(fault: ActiveFault) -> None:
    """No connection to it; with retry_after_s it is there and says that it is too busy."""
    wait_s = fault.scope.get("retry_after_s")
    if wait_s is not None:
        if fault.scope.get("of") is not None:
            raise FaultError(f"{fault.word}: retry_after_s is of the whole server: leave out `of`")
        for name, server in _servers(fault):
            fault.undo.callback(fault.sim.faults.switches.hold(server, "retry_after_s", wait_s))
            fault.acted(f"503, Retry-After: {wait_s}", name)
        return
    for name, _ in _servers(fault):
        _cut(fault, name)


def _cut(fault: ActiveFault, name: str) -> None:
    """The link between the server and the phone that the scope names, or every phone."""
    sim, only = fault.sim, fault.scope.get("of")
    server = sim.host_of(name)
    ends = None if only is None else {server, sim.host_of(only)}
    links = links_of(fault)

    def is_meant(source: str, target: str) -> bool:
        return server in (source, target) if ends is None else {source, target} == ends

    fault.undo.callback(
        links.change_links(
            lambda source, target, profile: replace(profile, is_up=False) if is_meant(source, target) else profile
        )
    )
    fault.acted("cut off", name, only or "")


ACS_FAULTS: tuple[FaultKind, ...] = (
    _switch(
        "acs.disabled",
        "is_disabled",
        "the configuration server answers 403: this device has no RCS",
        "RCC.14 §2.2, RCC.07 §2.3.3.2",
    ),
    FaultKind(
        word="acs.unreachable",
        meaning="the configuration server cannot be reached, or is too busy",
        clause="RCC.14 §2.2 (503, Retry-After)",
        reversal=_REVERSAL,
        begin=_begin_unreachable,
        keys=(
            CARRIER,
            OF,
            ScopeKey(name="retry_after_s", kind=KeyKind.NUMBER, meaning="503 with this Retry-After instead"),
        ),
        example={"carrier": "blue", "for_s": 600},
        reach=Reach.BOTH,
    ),
    _switch(
        "acs.otp_required",
        "requires_otp",
        "the access network and tokens count for nothing: the phone has to show a one-time password from an SMS",
        "RCC.14 §2.5",
    ),
    _switch(
        "acs.stale",
        "is_stale",
        "the configuration server says that what the phone has is still the latest",
        "RCC.14 §2.2.2 (version)",
    ),
)
