"""``cpim.`` and ``as.``: what servers do to messages on their way to a phone."""

from __future__ import annotations

from dataclasses import replace

from ims_core.wire.msrp.message import MsrpRequest
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import CARRIER, LINK_KEYS, OF, on_links, passed
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.faults.places import carriers_of
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE
from rcs_sim.wire.revocation import REVOCATION_CONTENT_TYPE

__all__ = ["CONTENT_FAULTS", "as_another_message", "is_delivery", "is_message"]

_NO_MESSAGES = frozenset((IMDN_CONTENT_TYPE, IS_COMPOSING_CONTENT_TYPE, REVOCATION_CONTENT_TYPE))
_SOON_S = 0.05  # behind the first one, so that the two are two
_TO = replace(OF, meaning="messages to this phone")
_HOME = replace(CARRIER, meaning="by the servers of this carrier")


def is_message(passing: Passing) -> bool:
    """Whether it is something that a user wrote, in clear or sealed: no receipt, no typing, no control."""
    cpim = passing.cpim
    if cpim is None:
        return False
    kind = cpim.content_type.essence
    return kind not in _NO_MESSAGES and not kind.startswith("message/mls-rcs")


def is_delivery(fault: ActiveFault, passing: Passing) -> bool:
    """Whether it is on the last leg to a phone within the scope: from its messaging server, or from its relay."""
    scope, sim, request = fault.scope, fault.sim, passing.request
    carrier, name = scope.get("carrier"), scope.get("of")
    if carrier is not None and not passing.source.startswith(f"{carrier}."):
        return False
    if passing.frames:
        return passing.target in sim.phones and name in (None, passing.target)
    if request is None or not passing.source.endswith(".messaging_server") or ";gr=" not in request.request_uri_text:
        return False
    return name is None or sim.numbers.get(name, "-") in request.request_uri_text


def as_another_message(passing: Passing, mark: str) -> bytes:
    """The same content as a message of its own on the way: another transaction or MSRP message, the same
    imdn.Message-ID. *mark* makes its identifiers unique."""
    if not passing.frames:
        return passing.as_new_request(number=mark)
    return b"".join(_another_chunk(frame, mark) for frame in passing.frames)


def _another_chunk(frame: MsrpRequest, mark: str) -> bytes:
    changed = frame.readdressed(f"{mark}{frame.transaction_id}"[:31], frame.to_path, frame.from_path).encode()
    head, blank, rest = changed.partition(b"\r\n\r\n")
    named = f"Message-ID: {frame.message_id}".encode()
    return head.replace(named, f"Message-ID: {mark}{frame.message_id}"[:44].encode(), 1) + blank + rest


async def _begin_bad_header(fault: ActiveFault) -> None:
    which = fault.scope["which"]

    def spoil(passing: Passing) -> bytes | None:
        cpim = passing.cpim
        if cpim is None or not is_message(passing) or not fault.happens():
            return passing.octets
        spoiled = passing.with_cpim(_spoiled(cpim, which))
        passed(fault, f"CPIM spoiled: {which}", passing, spoiled)
        return spoiled

    on_links(fault, Line.CONTENT, spoil)


def _spoiled(cpim: CpimMessage, which: str) -> bytes:
    lines = cpim.raw.split(b"\r\n")
    head_ends = lines.index(b"") if b"" in lines else len(lines)
    match which:
        case "no_content":
            return b"\r\n".join(lines[:head_ends])
        case "no_message_id":
            kept = [line for line in lines[:head_ends] if b"message-id" not in line.lower().partition(b":")[0]]
            return b"\r\n".join(kept + lines[head_ends:])
        case "no_from":
            kept = [line for line in lines[:head_ends] if not line.lower().startswith(b"from:")]
            return b"\r\n".join(kept + lines[head_ends:])
        case "no_colon":
            return b"\r\n".join([b"this is no header", *lines])
        case _:
            undeclared = [line for line in lines[:head_ends] if not line.startswith(b"NS:")]
            return b"\r\n".join(undeclared + lines[head_ends:])


async def _begin_duplicate(fault: ActiveFault) -> None:
    def repeat(passing: Passing) -> bytes | None:
        if not is_delivery(fault, passing) or not is_message(passing) or not fault.happens():
            return passing.octets
        again = as_another_message(passing, f"twice{fault.number}x{fault.acts}")
        passing.send(again, after_s=_SOON_S)
        passed(fault, "delivered twice", passing, again)
        return passing.octets

    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), repeat))


async def _begin_reorder(fault: ActiveFault) -> None:
    """Each first one waits for the one after it, but not for ever."""
    held: dict[str, Passing] = {}

    def swap(passing: Passing) -> bytes | None:
        if not is_delivery(fault, passing) or not is_message(passing):
            return passing.octets
        earlier = held.pop(passing.target, None)
        if earlier is not None:
            earlier.send(after_s=_SOON_S)
            passed(fault, "overtaken", earlier)
            return passing.octets
        if not fault.happens():
            return passing.octets
        held[passing.target] = passing
        passing.tap.later(fault.scope.seconds("hold_s"), lambda: let_go(passing))
        return None

    def let_go(passing: Passing) -> None:
        if held.get(passing.target) is passing:
            del held[passing.target]
            passing.send()

    def let_all_go() -> None:
        for passing in tuple(held.values()):
            let_go(passing)

    fault.undo.callback(let_all_go)
    fault.undo.callback(fault.sim.faults.tap.add((Line.CONTENT,), swap))


async def _begin_store_full(fault: ActiveFault) -> None:
    for carrier in carriers_of(fault):
        mailboxes = carrier.messaging_server.core.context.mailboxes
        release = fault.sim.faults.switches.hold_flag(mailboxes, "is_full")
        fault.undo.callback(release)
        fault.acted("no room for deferred messages", f"{carrier.name}.messaging_server")


CONTENT_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="cpim.bad_header",
        meaning="the CPIM headers of messages are spoiled on the way",
        clause="RFC 3862 §2.3, §3.1",
        reversal="later messages are as they were written",
        begin=_begin_bad_header,
        keys=(
            ScopeKey(
                name="which",
                kind=KeyKind.WORD,
                meaning="what is wrong",
                default="no_message_id",
                words=("no_message_id", "no_from", "no_colon", "no_namespace", "no_content"),
            ),
            *LINK_KEYS,
        ),
        example={"which": "no_message_id", "from": "alice", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="as.duplicate",
        meaning="the messaging server delivers messages twice, under the same imdn.Message-ID",
        clause="RCC.07 §3.2.3.1, OMA CPM CONV §8.3",
        reversal="later messages are delivered once",
        begin=_begin_duplicate,
        keys=(_TO, _HOME),
        example={"of": "bob"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="as.reorder",
        meaning="the messaging server delivers a message after the one that was sent later",
        clause="RCC.07 §3.2.3 (order by DateTime)",
        reversal="what is held back is delivered, later messages come in order",
        begin=_begin_reorder,
        keys=(
            ScopeKey(name="hold_s", kind=KeyKind.SECONDS, meaning="held at most so long", default=5.0),
            _TO,
            _HOME,
        ),
        example={"of": "bob", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="as.store_full",
        meaning="the messaging server has no room for messages to phones that are away",
        clause="OMA CPM CONV §8.3.1.2 (deferred)",
        reversal="there is room again; what was stored before has stayed",
        begin=_begin_store_full,
        keys=(_HOME,),
        example={"carrier": "blue"},
        reach=Reach.BOTH,
    ),
)
