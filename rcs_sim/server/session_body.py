"""The session description in the body of an INVITE, of an answer or of an ACK (RFC 3261 §13.2.1, RFC 5621 §3)."""

from __future__ import annotations

from rcs_sim.server.pager_content import ContentKind, ContentRefused, read_content
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE
from rcs_sim.wire.multipart import Multipart, MultipartParseError

__all__ = ["SDP_TYPE", "description_in", "first_message_in"]

SDP_TYPE = "application/sdp"
_REFUSED = ("not accepted: another body than SDP", (("Accept", f"{SDP_TYPE}, multipart/mixed"),))


def description_in(content_type: str, octets: bytes) -> bytes:
    """The SDP that is the body, or a part of a multipart body. Raises ContentRefused with 415 if there is none, 400 if
    it cannot be read."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence == SDP_TYPE:
        return octets
    if not essence.startswith("multipart/"):
        raise ContentRefused(415, *_REFUSED)
    try:
        walk = Multipart.parse(content_type, octets).walk()
        found = next((part.body for part in walk if part.content_type.essence == SDP_TYPE), None)
    except MultipartParseError as error:
        raise ContentRefused(400, f"malformed body: {error}"[:200]) from None
    if found is None:
        raise ContentRefused(415, *_REFUSED)
    return found


def first_message_in(content_type: str, octets: bytes) -> bytes | None:
    """CPIM with a message beside the SDP of an INVITE, with which older clients begin a session. CPIM of headers alone
    only announces one (digest §4.3)."""
    if not content_type.lstrip().lower().startswith("multipart/"):
        return None
    try:
        for part in Multipart.parse(content_type, octets).walk():
            if part.content_type.essence == CPIM_CONTENT_TYPE:
                content = read_content(CPIM_CONTENT_TYPE, part.body)
                return part.body if content.kind is ContentKind.CHAT and content.body else None
    except (MultipartParseError, ContentRefused):
        pass
    return None
