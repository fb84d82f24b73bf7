"""Which records have no IP packet of their own in a capture: frames of the SM link, shown as the RP message inside."""

from __future__ import annotations

from ims_core.trace import TraceRecord
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.sm_link import Forward, Result, SmLinkDecoder

__all__ = ["exported_pdu"]

_OTHER_PROTOCOLS = ("SIP", "HTTP", "MSRP")  # these have real packets around them


def exported_pdu(record: TraceRecord) -> tuple[str, bytes] | None:
    """For `ims_core.pcapng`: Wireshark's dissector and its octets; None for a record that is an IP packet."""
    if record.protocol in _OTHER_PROTOCOLS:
        return None
    try:
        messages = SmLinkDecoder().feed(record.raw)
    except SmsParseError:
        return "data", record.raw
    for message in messages:
        if isinstance(message, Forward | Result):
            return "gsm_a_rp", message.rpdu
    return "data", record.raw
