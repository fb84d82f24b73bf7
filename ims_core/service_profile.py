"""Service profiles and initial filter criteria as data (TS 29.228 Annex B, TS 23.218 §5.2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = [
    "DefaultHandling",
    "FilterCriteria",
    "ServicePointTrigger",
    "ServiceProfile",
    "SessionCase",
    "TriggerKind",
]


class SessionCase(enum.Enum):
    """For whom the S-CSCF looks at a request (TS 29.228 §B.2.3)."""

    ORIGINATING = "orig"
    TERMINATING = "term"
    TERMINATING_UNREGISTERED = "term-u"
    REGISTRATION = "reg"

    __hash__ = object.__hash__  # members are single objects: this is several times faster than Enum's hash of the name


class DefaultHandling(enum.Enum):
    """What happens when the application server is out of reach (TS 29.228 §B.2.2)."""

    SESSION_CONTINUED = 0
    SESSION_TERMINATED = 1


class TriggerKind(enum.Enum):
    """What a service point trigger looks at (TS 29.228 §B.2.3)."""

    SIP_HEADER = "header"  # *name* is the header; *content* occurs in one of its values
    REQUEST_USER = "request-user"  # the user part of the Request-URI is *content*
    REQUEST_HOST = "request-host"  # its host is *content*


@dataclass(frozen=True, slots=True)
class ServicePointTrigger:
    """One condition. *content* is compared without case and with %HEX escapes undone; empty asks for presence only."""

    kind: TriggerKind
    content: str = ""
    name: str = ""
    is_negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCriteria:
    """One initial filter criterion: when it holds, the request goes to *as_uri*.

    The triggers on session case and method, which every criterion has, are members of their own, because they index the
    rest: *triggers* in conjunctive normal form (all groups hold, a group holds if one of its triggers does). No methods
    means any. Lower *priority* is looked at first. A REGISTER criterion always embeds the REGISTER and its 200 in the
    third-party REGISTER (choice)."""

    name: str
    priority: int
    session_cases: frozenset[SessionCase]
    methods: frozenset[str]
    as_uri: str
    triggers: tuple[tuple[ServicePointTrigger, ...], ...] = ()
    default_handling: DefaultHandling = DefaultHandling.SESSION_CONTINUED


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """What the HSS hands to the S-CSCF for a group of subscribers: criteria, and the ICSI they may ask for."""

    name: str
    criteria: tuple[FilterCriteria, ...] = ()
    services: frozenset[str] = frozenset()
