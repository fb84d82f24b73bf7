"""Evaluation of initial filter criteria (TS 23.218 §5.2, TS 24.229 §5.4.3)."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.service_profile import FilterCriteria, ServicePointTrigger, ServiceProfile, SessionCase, TriggerKind
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri, unescape

__all__ = ["CriteriaIndex", "contains", "holds"]


class CriteriaIndex:
    """The criteria of one profile, indexed by session case and method; shared by all who have the profile."""

    __slots__ = ("_by_case_and_method", "_ordered", "for_registration", "profile")

    def __init__(self, profile: ServiceProfile) -> None:
        self.profile = profile
        self._ordered = tuple(sorted(profile.criteria, key=lambda criterion: criterion.priority))
        self._by_case_and_method: dict[tuple[SessionCase, str], tuple[FilterCriteria, ...]] = {}
        self.for_registration = self._found(SessionCase.REGISTRATION, "REGISTER")

    def first_match(self, request: Request, case: SessionCase, start: int = 0) -> tuple[FilterCriteria, int] | None:
        """The first criterion that holds, from place *start* on, and the place behind it (for the way back)."""
        candidates = self.candidates(case, request.method)
        for place in range(start, len(candidates)):
            if holds(candidates[place], request):
                return candidates[place], place + 1
        return None

    def candidates(self, case: SessionCase, method: str) -> tuple[FilterCriteria, ...]:
        """Criteria for that case and method, in the order of their priority."""
        key = (case, method)
        found = self._by_case_and_method.get(key)
        if found is None:
            found = self._found(case, method)
            if found or method in _KNOWN_METHODS:  # peers may make up methods: those are not remembered
                self._by_case_and_method[key] = found
        return found

    def _found(self, case: SessionCase, method: str) -> tuple[FilterCriteria, ...]:
        return tuple(
            criterion
            for criterion in self._ordered
            if case in criterion.session_cases and (not criterion.methods or method in criterion.methods)
        )

    def has_unregistered_services(self) -> bool:
        """Whether some criterion is for the unregistered state (TS 29.228 §6.1.4)."""
        return any(SessionCase.TERMINATING_UNREGISTERED in each.session_cases for each in self._ordered)


_KNOWN_METHODS = frozenset(
    ("REGISTER", "INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH", "INFO", "UPDATE")
)


def holds(criterion: FilterCriteria, request: Request) -> bool:
    """Whether every group of triggers has one that holds (conjunctive normal form)."""
    for group in criterion.triggers:
        for trigger in group:
            if _is_triggered(trigger, request) is not trigger.is_negated:
                break
        else:
            return False
    return True


def _is_triggered(trigger: ServicePointTrigger, request: Request) -> bool:
    match trigger.kind:
        case TriggerKind.SIP_HEADER:
            return contains(request.texts(trigger.name), trigger.content)
        case TriggerKind.REQUEST_USER:
            uri = request.request_uri
            return isinstance(uri, SipUri) and unescape(uri.user or "").lower() == trigger.content.lower()
        case TriggerKind.REQUEST_HOST:
            uri = request.request_uri
            return isinstance(uri, SipUri) and uri.host.lower() == trigger.content.lower()


def contains(values: Iterable[str], content: str) -> bool:
    """Whether *content* occurs in one of *values*, whatever the case, plain or %HEX escaped (digest §0.4.1)."""
    wanted = content.lower()
    for value in values:
        if wanted in value or wanted in value.lower():
            return True
        if "%" in value and wanted in unescape(value).lower():
            return True
    return False
