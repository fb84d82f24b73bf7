"""``sip.``: single SIP messages that are refused, lost or repeated, and connections that are dead at one end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ims_core.transport.link import Address
from ims_core.wire.sip.message import HeaderInput, Request, Response
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import LINK_KEYS, OF, on_links, passed
from rcs_sim.scenario.faults.passing import Line, Passing

__all__ = ["SIP_FAULTS", "sip_meant"]

_METHOD = ScopeKey(name="method", kind=KeyKind.TEXT, meaning="of requests of this method, and of their responses")
_CONTENT = ScopeKey(name="content_type", kind=KeyKind.TEXT, meaning="of bodies whose type begins so")
_WHAT = ScopeKey(
    name="what", kind=KeyKind.WORD, meaning="requests, responses or both", words=("request", "response", "both")
)
_CODE = ScopeKey(name="status", kind=KeyKind.COUNT, meaning="of responses with this status")
_UNANSWERED = frozenset(("ACK", "CANCEL"))


def sip_meant(fault: ActiveFault, passing: Passing) -> bool:
    """Whether the keys method, what, status and content_type mean this message."""
    message, scope = passing.sip, fault.scope
    if message is None:
        return False
    what = scope.text("what") or ("response" if scope.get("code") is not None else "both")
    if what != "both" and isinstance(message, Request) is not (what == "request"):
        return False
    code = scope.get("code")
    if code is not None and (not isinstance(message, Response) or message.status != code):
        return False
    method = scope.get("method")
    if method is not None and _method(message) != str(method).upper():
        return False
    kind = scope.get("content_type")
    return kind is None or (message.text("Content-Type") or "").lower().startswith(str(kind).lower())


def _method(message: Request | Response) -> str:
    if isinstance(message, Request):
        return message.method
    return (message.text("CSeq") or "").rpartition(" ")[2].upper()


def _acting(act: Callable[[ActiveFault, Passing], bytes | None]) -> Callable[[ActiveFault], None]:
    """Begins *act* on the messages that are meant, on the occasions that the scope says."""

    def begin(fault: ActiveFault) -> None:
        def apply(passing: Passing) -> bytes | None:
            if not sip_meant(fault, passing) or not fault.happens():
                return passing.octets
            return act(fault, passing)

        on_links(fault, Line.SIP, apply)

    return begin


async def _begin_status(fault: ActiveFault) -> None:
    scope = fault.scope
    status, wait_s = scope.number("status"), scope.number("retry_after_s")
    headers: tuple[HeaderInput, ...] = (("Retry-After", str(wait_s)),) if wait_s else ()

    def apply(passing: Passing) -> bytes | None:
        request = passing.request
        if request is None or request.method in _UNANSWERED or not sip_meant(fault, passing) or not fault.happens():
            return passing.octets
        answer = passing.answer_sip(status, scope.get("reason"), headers)
        passed(fault, f"answered {request.method} with {status}", passing, answer)
        return None

    on_links(fault, Line.SIP, apply)


async def _begin_drop(fault: ActiveFault) -> None:
    def drop(fault: ActiveFault, passing: Passing) -> bytes | None:
        message = passing.sip
        passed(fault, f"dropped {'' if message is None else message.summary()}", passing)
        return None

    _acting(drop)(fault)


async def _begin_retransmit(fault: ActiveFault) -> None:
    """The same octets once more: the same branch, so that a transaction takes them for a retransmission."""

    def again(fault: ActiveFault, passing: Passing) -> bytes | None:
        scope, octets = fault.scope, passing.octets
        for number in range(1, scope.number("times") + 1):
            passing.send(octets, after_s=number * scope.seconds("interval_s"))
        passed(fault, "repeated", passing, octets, times=scope.number("times"))
        return octets

    _acting(again)(fault)


async def _begin_half_open(fault: ActiveFault) -> None:
    """Connections that stand now carry nothing to the phone any more; those made later are sound."""
    name = fault.scope["of"]
    old = _addresses_of(fault, name)

    def swallow(passing: Passing) -> bytes | None:
        if passing.target != name or passing.flow.remote not in old:
            return passing.octets
        if not fault.happens():
            return passing.octets
        passed(fault, "swallowed", passing, octets=len(passing.octets))
        return None

    on_links(fault, Line.OCTETS, swallow)


def _addresses_of(fault: ActiveFault, name: str) -> frozenset[Address]:
    book = fault.sim.world.network.book
    return frozenset(address for address in book.addresses() if book.name_of(address) == name)


_REQUEST = replace(_WHAT, default="request")
SIP_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="sip.status",
        meaning="requests are answered with an error in the name of who should get them, who does not",
        clause="RFC 3261 §21, RCC.07 §3.2.3 (which errors fall back)",
        reversal="requests get through again",
        begin=_begin_status,
        keys=(
            ScopeKey(name="status", kind=KeyKind.COUNT, meaning="the answer", default=503),
            ScopeKey(name="reason", kind=KeyKind.TEXT, meaning="its reason phrase"),
            ScopeKey(name="retry_after_s", kind=KeyKind.NUMBER, meaning="Retry-After of the answer"),
            _METHOD,
            _CONTENT,
            *LINK_KEYS,
        ),
        example={"method": "MESSAGE", "status": 503, "from": "alice", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="sip.drop",
        meaning="messages are lost on the way, on streams too",
        clause="RFC 3261 §17 (timers B and F)",
        reversal="what is sent from then on gets through",
        begin=_begin_drop,
        keys=(_METHOD, _WHAT, replace(_CODE, name="code"), _CONTENT, *LINK_KEYS),
        example={"method": "MESSAGE", "what": "response", "to": "alice", "count": 1},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="sip.retransmit",
        meaning="messages come again, octet by octet the same",
        clause="RFC 3261 §17.2",
        reversal="nothing is repeated any more",
        begin=_begin_retransmit,
        keys=(
            ScopeKey(name="times", kind=KeyKind.COUNT, meaning="so many more of each", default=1),
            ScopeKey(name="interval_s", kind=KeyKind.SECONDS, meaning="between them", default=0.1),
            _METHOD,
            _REQUEST,
            _CONTENT,
            *LINK_KEYS,
        ),
        example={"method": "MESSAGE", "to": "bob"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="sip.half_open",
        meaning="the connections of a phone are dead in one direction: it is reached no more, and has not noticed",
        clause="RFC 5626 §4.4 (keep-alive)",
        reversal="they carry again, if they still stand",
        begin=_begin_half_open,
        keys=(replace(OF, is_required=True),),
        example={"of": "bob", "for_s": 300},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
)
