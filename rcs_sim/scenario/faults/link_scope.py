"""Where on the links a fault acts: the keys that say so, and whether a message that passes is meant."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_kind import KeyKind, ScopeKey
from rcs_sim.scenario.faults.passing import Line, Passing

__all__ = ["AT_KEYS", "CARRIER", "LINK_KEYS", "OF", "is_meant", "on_links", "passed"]

OF = ScopeKey(name="of", kind=KeyKind.PHONE, meaning="on the links of this phone")
CARRIER = ScopeKey(name="carrier", kind=KeyKind.CARRIER, meaning="on links that have an element of it at an end")
ELEMENT = ScopeKey(name="element", kind=KeyKind.ELEMENT, meaning="on the links of this element")
FROM = ScopeKey(name="from", kind=KeyKind.PLACE, meaning="what this one sends")
TO = ScopeKey(name="to", kind=KeyKind.PLACE, meaning="what this one is sent")
LINK_KEYS = (OF, CARRIER, ELEMENT, FROM, TO)
AT_KEYS = (OF, CARRIER)


def is_meant(fault: ActiveFault, source: str, target: str) -> bool:
    """Whether what *source* sends to *target* is within the scope."""
    scope = fault.scope
    for key in ("of", "element"):
        name = scope.get(key)
        if name is not None and name not in (source, target):
            return False
    carrier = scope.get("carrier")
    if carrier is not None and not (source.startswith(f"{carrier}.") or target.startswith(f"{carrier}.")):
        return False
    sender, receiver = scope.get("from"), scope.get("to")
    if sender is not None and not fnmatchcase(source, sender):
        return False
    return receiver is None or fnmatchcase(target, receiver)


def on_links(fault: ActiveFault, line: Line, apply: Callable[[Passing], bytes | None]) -> None:
    """*apply* sees what passes within the scope until the fault ends. It asks `ActiveFault.happens` itself."""

    def rule(passing: Passing) -> bytes | None:
        return apply(passing) if is_meant(fault, passing.source, passing.target) else passing.octets

    fault.undo.callback(fault.sim.faults.tap.add((line,), rule))


def passed(fault: ActiveFault, what: str, passing: Passing, raw: bytes = b"", **details: object) -> None:
    """The fault did *what* with a message; *raw* is what went on in its place."""
    fault.acted(what, passing.source, passing.target, raw=raw, protocol=passing.protocol, **details)
