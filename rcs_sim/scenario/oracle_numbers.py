"""Which phone of a trace has which number, as the network told the phone (TS 24.229 §5.1.1.2, SM link)."""

from __future__ import annotations

import re

from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.sms.sm_link import Accepted, SmLinkDecoder
from rcs_sim.scenario.oracle_hops import digits_of

__all__ = ["number_told", "number_used"]

_ASSOCIATED = re.compile(rb"\r\nP-Associated-URI:[^\r\n]*?(tel:\+?\d{3,15})", re.IGNORECASE)
_ASSOCIATED_SIP = re.compile(rb"\r\nP-Associated-URI:[^\r\n]*?(sip:\+\d{3,15})@", re.IGNORECASE)
_PREFERRED = re.compile(rb"\r\nP-Preferred-Identity:[^\r\n]*?((?:tel|sip):\+\d{3,15})", re.IGNORECASE)
_REGISTERED = b"SIP/2.0 200"
_TO = re.compile(rb"\r\n(?:To|t):[^\r\n]*?((?:tel|sip):\+\d{3,15})", re.IGNORECASE)
_FROM = re.compile(rb"\r\n(?:From|f):[^\r\n]*?((?:tel|sip):\+\d{3,15})", re.IGNORECASE)
_PCSCF = ".pcscf"


def number_told(record: TraceRecord) -> tuple[str, str] | None:
    """A phone and its number, if *record* is an answer to its registration or attachment, or a request in which it
    names itself."""
    if record.kind is not RecordKind.MESSAGE:
        return None
    if record.protocol == "SM" and record.reference_point == "CS":
        return _by_link(record)
    if record.protocol != "SIP" or record.reference_point != "Gm":
        return None
    if record.raw.startswith(_REGISTERED):
        found = _ASSOCIATED.search(record.raw) or _ASSOCIATED_SIP.search(record.raw)
        phone = record.target
    else:
        found, phone = _PREFERRED.search(record.raw), record.source
    return None if found is None else (phone, digits_of(found[1].decode("ascii")))


def number_used(record: TraceRecord) -> tuple[str, str] | None:
    """A phone and the number under which it sends or is sent a request: all that there is to know of one that had
    registered before the trace began."""
    is_request = record.kind is RecordKind.MESSAGE and record.protocol == "SIP" and not record.raw.startswith(b"SIP/")
    if not is_request or record.reference_point != "Gm":
        return None
    comes = record.source.endswith(_PCSCF)
    found = (_TO if comes else _FROM).search(record.raw)
    return None if found is None else (record.target if comes else record.source, digits_of(found[1].decode("ascii")))


def _by_link(record: TraceRecord) -> tuple[str, str] | None:
    frame = next(iter(SmLinkDecoder().feed(record.raw)), None)
    if isinstance(frame, Accepted) and frame.msisdn:
        return record.target, digits_of(frame.msisdn)
    return None
