"""Message revocation (digest §5.4): the request of a client and the answer of the server that holds the message.

DEVIATION: the element names are the simulator's canonical form; no public text gives them. Matched by local name.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from ims_core.errors import RemoteProtocolError
from rcs_sim.wire.xml_document import child_elements, escape_text, local_name, parse_xml

__all__ = [
    "REVOCATION_CONTENT_TYPE",
    "RevocationParseError",
    "RevokeRequest",
    "RevokeResponse",
    "parse_revocation",
]

REVOCATION_CONTENT_TYPE = "application/vnd.gsma.rcsrevoke+xml"
MAX_REVOCATION_OCTETS = 16 * 1024
_NAMESPACE = "urn:gsma:params:xml:ns:rcs:rcs:rcsrevoke"
_SPEC = "RCC.07 §3.2.1.2, digest §5.4"


class RevocationParseError(RemoteProtocolError):
    """The peer's octets are neither a revoke request nor a revoke response."""


@dataclass(frozen=True, slots=True)
class RevokeRequest:
    """Asks that the message *message_id* be never delivered. *sender* and *recipient* are URIs, "" where not given."""

    message_id: str
    sender: str = ""
    recipient: str = ""

    def encode(self) -> bytes:
        return _document(
            "MessageRevokeRequest", (("Message-ID", self.message_id), ("From", self.sender), ("To", self.recipient))
        )


@dataclass(frozen=True, slots=True)
class RevokeResponse:
    """Answer to a revoke request. *is_revoked*: the message was removed and will never be delivered."""

    message_id: str
    is_revoked: bool

    def encode(self) -> bytes:
        result = "success" if self.is_revoked else "failure"
        return _document("MessageRevokeResponse", (("Message-ID", self.message_id), ("result", result)))


def parse_revocation(octets: bytes) -> RevokeRequest | RevokeResponse:
    """Names are matched without namespace and case. A result other than ``success`` is a failure.

    Raises RevocationParseError, and nothing else, on any octets."""
    root = parse_xml(octets, RevocationParseError, max_octets=MAX_REVOCATION_OCTETS)
    members = _members(root)
    message_id = members.get("message-id")
    if not message_id:
        raise RevocationParseError("no Message-ID", spec=_SPEC, raw=octets)
    match local_name(root).lower():
        case "messagerevokerequest":
            return RevokeRequest(message_id, members.get("from", ""), members.get("to", ""))
        case "messagerevokeresponse":
            return RevokeResponse(message_id, members.get("result", "").lower() == "success")
    raise RevocationParseError("neither a revoke request nor a response", spec=_SPEC, raw=octets)


def _members(root: etree._Element) -> dict[str, str]:
    members: dict[str, str] = {}
    for name, element in child_elements(root):
        members.setdefault(name.lower(), (element.text or "").strip())
    return members


def _document(root: str, members: tuple[tuple[str, str], ...]) -> bytes:
    body = "".join(f" <{name}>{escape_text(value)}</{name}>\n" for name, value in members if value)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_NAMESPACE}">\n{body}</{root}>\n'.encode()
