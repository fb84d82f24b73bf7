"""``msrp.``: frames that are lost, connections that break in the middle of a message, relays that are gone."""

from __future__ import annotations

from dataclasses import replace

from ims_core.transport.link import Flow
from ims_core.wire.msrp.message import MsrpRequest, MsrpResponse
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import CARRIER, LINK_KEYS, on_links, passed
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.faults.places import carriers_of

__all__ = ["MSRP_FAULTS"]

_BREAKS_AFTER_S = 0.2  # what was sent before is through by then on any usual link


async def _begin_lose_report(fault: ActiveFault) -> None:
    def lose(passing: Passing) -> bytes | None:
        frame = passing.frame
        if not isinstance(frame, MsrpRequest) or frame.method != "REPORT" or not fault.happens():
            return passing.octets
        passed(fault, "REPORT lost", passing)
        return None

    on_links(fault, Line.MSRP, lose)


async def _begin_lose_200(fault: ActiveFault) -> None:
    def lose(passing: Passing) -> bytes | None:
        frame = passing.frame
        if not isinstance(frame, MsrpResponse) or not frame.is_success or not fault.happens():
            return passing.octets
        passed(fault, "200 lost", passing)
        return None

    on_links(fault, Line.MSRP, lose)


async def _begin_cut(fault: ActiveFault) -> None:
    """Half of a chunk gets through; then the connection breaks for both ends."""
    dead: dict[Flow, None] = {}

    def swallow(passing: Passing) -> bytes | None:
        return None if passing.flow in dead else passing.octets

    def cut(passing: Passing) -> bytes | None:
        frame, flow = passing.frame, passing.flow
        is_long = isinstance(frame, MsrpRequest) and len(frame.body or b"") >= fault.scope.number("octets")
        if not is_long or not flow.local.transport.is_reliable or not fault.happens():
            return passing.octets
        half = passing.octets[: len(passing.octets) // 2]
        passing.send(half)
        dead[flow] = None
        passing.tap.later(_BREAKS_AFTER_S, lambda: flow.lose("the connection broke in the middle of a chunk"))
        passed(fault, "connection broken", passing, half, octets=len(passing.octets))
        return None

    fault.undo.callback(fault.sim.faults.tap.add((Line.OCTETS,), swallow))
    on_links(fault, Line.MSRP, cut)


async def _begin_relay_down(fault: ActiveFault) -> None:
    for carrier in carriers_of(fault):
        await carrier.msrp_relay.fail()
        fault.undo.push_async_callback(carrier.msrp_relay.start)
        fault.acted("out of service", f"{carrier.name}.msrp_relay")


MSRP_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="msrp.lose_report",
        meaning="success and failure reports of message sessions are lost",
        clause="RFC 4975 §7.1.2",
        reversal="later reports get through",
        begin=_begin_lose_report,
        keys=LINK_KEYS,
        example={"to": "alice"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="msrp.lose_200",
        meaning="the answers to chunks are lost: whoever has sent them does not know whether they came",
        clause="RFC 4975 §7.2",
        reversal="later answers get through",
        begin=_begin_lose_200,
        keys=LINK_KEYS,
        example={"to": "alice", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="msrp.cut_mid_chunk",
        meaning="a connection breaks when half of a chunk is through",
        clause="RFC 4975 §7.1.1, RFC 6714 §5",
        reversal="new connections are sound",
        begin=_begin_cut,
        keys=(
            ScopeKey(name="octets", kind=KeyKind.COUNT, meaning="of chunks with a body of so many or more", default=1),
            *LINK_KEYS,
        ),
        example={"from": "alice", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="msrp.relay_down",
        meaning="the MSRP relay of a carrier fails: all its connections break, and nobody can connect",
        clause="RFC 4976 §6, RFC 6714",
        reversal="it listens again, without the sessions that it had",
        begin=_begin_relay_down,
        keys=(replace(CARRIER, meaning="of this carrier; else of all"),),
        example={"carrier": "red", "for_s": 60},
        reach=Reach.BOTH,
    ),
)
