"""The service profiles of a default carrier: filter criteria of digest §16 as data, and plain SIP (TS 29.228 Annex B).

The server names are parameters: this package knows no service, only which words lead to which server."""

from __future__ import annotations

from ims_core.service_profile import (
    DefaultHandling,
    FilterCriteria,
    ServicePointTrigger,
    ServiceProfile,
    SessionCase,
    TriggerKind,
)

__all__ = ["PLAIN_PROFILE", "default_services", "messaging_profile"]

PLAIN_PROFILE = "sip"
"""Profile of subscribers with a SIP client: no criteria, so that nothing is stored for a client that never asks."""

_SERVICE = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm."
_SMS = "application/vnd.3gpp.sms"
_CONTINUED, _TERMINATED = DefaultHandling.SESSION_CONTINUED, DefaultHandling.SESSION_TERMINATED
_ORIG = frozenset((SessionCase.ORIGINATING,))
_TERM = frozenset((SessionCase.TERMINATING, SessionCase.TERMINATING_UNREGISTERED))
_REG = frozenset((SessionCase.REGISTRATION,))
_SESSION_METHODS = frozenset(("MESSAGE", "INVITE"))
_OPTIONS = frozenset(("OPTIONS",))


def _header(name: str, content: str) -> ServicePointTrigger:
    return ServicePointTrigger(TriggerKind.SIP_HEADER, content, name)


def default_services() -> frozenset[str]:
    """ICSI of one-to-one and group messaging."""
    words = ("msg", "largemsg", "session", "session.group", "deferred", "systemmsg", "filetransfer")
    return frozenset(_SERVICE + word for word in words)


def messaging_profile(
    name: str,
    domain: str,
    *,
    messaging_server: str | None,
    sms_gateway: str | None = None,
    focus: str | None = None,
    presence_server: str | None = None,
    services: frozenset[str] | None = None,
) -> ServiceProfile:
    """The criteria of digest §16 for the servers that a carrier has, given as SIP URIs."""
    criteria: list[FilterCriteria] = []
    if sms_gateway is not None:
        criteria += _sms(sms_gateway)
    if messaging_server is not None:
        criteria += _messaging(messaging_server)
    if focus is not None:
        criteria += _focus(focus, domain)
    if presence_server is not None:
        criteria.append(_presence(presence_server))
    return ServiceProfile(name, tuple(criteria), default_services() if services is None else services)


def _sms(as_uri: str) -> list[FilterCriteria]:
    return [
        FilterCriteria(
            name="reg-sms",
            priority=1,
            session_cases=_REG,
            methods=frozenset(("REGISTER",)),
            triggers=((_header("Contact", "+g.3gpp.smsip"),),),
            as_uri=as_uri,
        ),
        FilterCriteria(
            name="sms-mo",
            priority=10,
            session_cases=_ORIG,
            methods=frozenset(("MESSAGE",)),
            triggers=((_header("Content-Type", _SMS),),),
            as_uri=as_uri,
            default_handling=_TERMINATED,
        ),
    ]


def _messaging(as_uri: str) -> list[FilterCriteria]:
    wanted = (
        _header("P-Asserted-Service", "oma.cpm."),
        _header("Accept-Contact", "oma.cpm."),
        _header("Accept-Contact", "+g.oma.sip-im"),
        _header("Accept-Contact", "ims.iari.rcs."),
    )
    criteria = [
        FilterCriteria(
            name="reg-rcs",
            priority=2,
            session_cases=_REG,
            methods=frozenset(("REGISTER",)),
            triggers=((_header("Contact", "oma.cpm."), _header("Contact", "+g.oma.sip-im")),),
            as_uri=as_uri,
        )
    ]
    for name, priority, cases in (("rcs-orig", 30, _ORIG), ("rcs-term", 31, _TERM)):
        for suffix, methods, handling in (
            ("", _SESSION_METHODS, _TERMINATED),
            ("-options", _OPTIONS, _CONTINUED),
        ):
            criteria.append(
                FilterCriteria(
                    name=name + suffix,
                    priority=priority,
                    session_cases=cases,
                    methods=methods,
                    triggers=(wanted,),
                    as_uri=as_uri,
                    default_handling=handling,
                )
            )
    return criteria


def _focus(as_uri: str, domain: str) -> list[FilterCriteria]:
    return [
        FilterCriteria(
            name="group-factory",
            priority=20,
            session_cases=_ORIG,
            methods=frozenset(("INVITE",)),
            triggers=((ServicePointTrigger(TriggerKind.REQUEST_USER, "conference-factory"),),),
            as_uri=as_uri,
            default_handling=_TERMINATED,
        ),
        FilterCriteria(
            name="group-focus",
            priority=21,
            session_cases=_ORIG,
            methods=frozenset(("INVITE", "SUBSCRIBE", "REFER", "MESSAGE")),
            triggers=((ServicePointTrigger(TriggerKind.REQUEST_HOST, f"focus.{domain}"),),),
            as_uri=as_uri,
            default_handling=_TERMINATED,
        ),
    ]


def _presence(as_uri: str) -> FilterCriteria:
    return FilterCriteria(
        name="presence",
        priority=40,
        session_cases=frozenset((SessionCase.ORIGINATING, SessionCase.TERMINATING)),
        methods=frozenset(("SUBSCRIBE", "PUBLISH")),
        triggers=((_header("Event", "presence"),),),
        as_uri=as_uri,
    )
