"""``caps.``: what phones learn of each other is less than the truth, nothing, or more."""

from __future__ import annotations

import re
from dataclasses import replace

from rcs_sim.e2ee.feature_tags import MlsTags
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import FaultKind, KeyKind, Occasion, Reach, ScopeKey
from rcs_sim.scenario.faults.link_scope import OF, on_links, passed
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.scenario.faults.places import home_of

__all__ = ["CAPS_FAULTS", "without_mls_tags"]

_MLS_VERSION = "v1"  # the only one there is; it names no revision of RCC.16
_NEEDED_OF = replace(OF, is_required=True, meaning="what this phone tells of itself")
_MLS_TAG = re.compile(rb'(?i);\+g\.(?:gsma\.rcs\.mls|google\.rcs\.mls)[-.a-z0-9]*(?:="[^"]*")?')
_CONTACT = re.compile(rb"(?i)\r\n(?:contact|m)[ \t]*:[^\r]*\+(?:sip\.instance|g\.)[^\r]*")


def without_mls_tags(octets: bytes) -> bytes:
    """A SIP message whose headers announce no MLS; the same object if they did not before."""
    head, blank, body = octets.partition(b"\r\n\r\n")
    stripped = _MLS_TAG.sub(b"", head)
    return octets if stripped == head else stripped + blank + body


async def _begin_strip(fault: ActiveFault) -> None:
    name = fault.scope["of"]

    def strip(passing: Passing) -> bytes | None:
        octets = passing.octets
        if passing.source != name:
            return octets
        stripped = without_mls_tags(octets)
        if stripped is octets or not fault.happens():
            return octets
        passed(fault, "MLS tags taken away", passing, stripped)
        return stripped

    on_links(fault, Line.SIP, strip)


async def _begin_unknown(fault: ActiveFault) -> None:
    """Whoever asks is answered that nobody is there, so that nothing is learned."""
    number, status = fault.sim.numbers[fault.scope["of"]], fault.scope.number("status")

    def refuse(passing: Passing) -> bytes | None:
        request = passing.request
        if request is None or request.method != "OPTIONS" or passing.source not in fault.sim.phones:
            return passing.octets
        if number not in request.request_uri_text or not fault.happens():
            return passing.octets
        passed(fault, f"OPTIONS answered with {status}", passing, passing.answer_sip(status))
        return None

    fault.undo.callback(fault.sim.faults.tap.add((Line.SIP,), refuse))


async def _begin_lie(fault: ActiveFault) -> None:
    """The phone announces MLS, whether it can or not."""
    name = fault.scope["of"]
    service = home_of(fault.sim, name).key_service
    tags = MlsTags(version=_MLS_VERSION, kds=1 if service is None else service.plan.kds)
    added = "".join(f";{param}" for param in tags.to_params()).encode()

    def lie(passing: Passing) -> bytes | None:
        octets = passing.octets
        if passing.source != name:
            return octets
        head, blank, body = octets.partition(b"\r\n\r\n")
        found = _CONTACT.search(head)
        if found is None or b"mls-version" in head or not fault.happens():
            return octets
        lying = head[: found.end()] + added + head[found.end() :] + blank + body
        passed(fault, "MLS tags put in", passing, lying)
        return lying

    on_links(fault, Line.SIP, lie)


CAPS_FAULTS: tuple[FaultKind, ...] = (
    FaultKind(
        word="caps.strip_mls",
        meaning="what a phone announces of MLS does not leave its access",
        clause="RCC.16 §5.1, RFC 3840",
        reversal="its tags pass again; others learn them when they next ask",
        begin=_begin_strip,
        keys=(_NEEDED_OF,),
        example={"of": "bob"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="caps.unknown",
        meaning="whoever asks what a phone can do learns nothing",
        clause="RCC.07 §2.6.1.1 (480, 408)",
        reversal="questions reach the phone again",
        begin=_begin_unknown,
        keys=(
            replace(OF, is_required=True, meaning="the phone that is asked about"),
            ScopeKey(name="status", kind=KeyKind.COUNT, meaning="the answer to OPTIONS", default=480),
        ),
        example={"of": "bob"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
    FaultKind(
        word="caps.lie",
        meaning="a phone announces MLS though it has no keys in any directory",
        clause="RCC.16 §5.1, §5.4",
        reversal="its tags are what it can do",
        begin=_begin_lie,
        keys=(_NEEDED_OF,),
        example={"of": "bob"},
        reach=Reach.LINKS,
        occasion=Occasion.EACH,
    ),
)
