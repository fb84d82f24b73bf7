"""Service profiles of the lab: the filter criteria of an RCS subscriber, and none for a plain SIP one (digest §16)."""

from __future__ import annotations

from ims_core.service_profile import (
    DefaultHandling,
    FilterCriteria,
    ServicePointTrigger,
    ServiceProfile,
    SessionCase,
    TriggerKind,
)

__all__ = ["CPM_SERVICES", "rcs_profile", "sip_profile"]

_ICSI = "urn:urn-7:3gpp-service.ims.icsi."
CPM_SERVICES = frozenset(
    _ICSI + name
    for name in (
        "oma.cpm.msg",
        "oma.cpm.largemsg",
        "oma.cpm.deferred",
        "oma.cpm.session",
        "oma.cpm.session.group",
        "oma.cpm.filetransfer",
        "oma.cpm.systemmsg",
    )
)
_SMS_TYPE = "application/vnd.3gpp.sms"
_REG, _ORIG = frozenset({SessionCase.REGISTRATION}), frozenset({SessionCase.ORIGINATING})
_TERM = frozenset({SessionCase.TERMINATING, SessionCase.TERMINATING_UNREGISTERED})


def _header(name: str, content: str) -> ServicePointTrigger:
    return ServicePointTrigger(TriggerKind.SIP_HEADER, content, name)


# Criteria 30 and 31: any of these says that a request is for the messaging server.
_IS_RCS = (
    _header("P-Asserted-Service", "oma.cpm."),
    _header("Accept-Contact", "oma.cpm."),
    _header("Accept-Contact", "+g.oma.sip-im"),
    _header("Accept-Contact", "ims.iari.rcs."),
)


def rcs_profile(domain: str) -> ServiceProfile:
    """Criteria 1 to 31 of digest §16; the application servers are named by their host names in *domain*."""
    gateway, server = f"sip:ipsmgw.{domain};lr", f"sip:rcsas.{domain};lr"
    terminated = DefaultHandling.SESSION_TERMINATED
    registers_for_rcs = (_header("Contact", "oma.cpm."), _header("Contact", "+g.oma.sip-im"))
    requests = frozenset({"MESSAGE", "INVITE"})
    criteria = [
        FilterCriteria(
            name="reg-sms",
            priority=1,
            session_cases=_REG,
            methods=frozenset({"REGISTER"}),
            as_uri=gateway,
            triggers=((_header("Contact", "+g.3gpp.smsip"),),),
        ),
        FilterCriteria(
            name="reg-rcs",
            priority=2,
            session_cases=_REG,
            methods=frozenset({"REGISTER"}),
            as_uri=server,
            triggers=(registers_for_rcs,),
        ),
        FilterCriteria(
            name="sms-mo",
            priority=10,
            session_cases=_ORIG,
            methods=frozenset({"MESSAGE"}),
            as_uri=gateway,
            triggers=((_header("Content-Type", _SMS_TYPE),),),
            default_handling=terminated,
        ),
    ]
    for priority, name, cases in ((30, "rcs-orig", _ORIG), (31, "rcs-term", _TERM)):
        criteria += [
            FilterCriteria(
                name=name,
                priority=priority,
                session_cases=cases,
                methods=requests,
                as_uri=server,
                triggers=(_IS_RCS,),
                default_handling=terminated,
            ),
            FilterCriteria(
                name=f"{name}-options",
                priority=priority,
                session_cases=cases,
                methods=frozenset({"OPTIONS"}),
                as_uri=server,
                triggers=(_IS_RCS,),
            ),
        ]
    return ServiceProfile("rcs", tuple(criteria), CPM_SERVICES)


def sip_profile() -> ServiceProfile:
    """A plain SIP subscriber: no application server, no IMS communication service."""
    return ServiceProfile("sip")
