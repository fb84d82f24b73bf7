"""What a third-party REGISTER embeds: the UE's REGISTER and the 200 to it (TS 24.229 §5.4.1.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import Contact, Expires, FeatureSet
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram

__all__ = ["EmbeddedRegistration", "read_embedded_registration"]

_MAX_PARTS = 8
_MAX_CONTACTS = 64


@dataclass(frozen=True, slots=True)
class EmbeddedRegistration:
    """Whichever of the two could be read."""

    register: Request | None = None
    answer: Response | None = None

    def has_tag(self, tag: str) -> bool:
        """Whether a contact that was not removed has the feature *tag*."""
        return any(
            contact_expires > 0 and FeatureSet.of_contact(contact).has(tag)
            for message in (self.register, self.answer)
            if message is not None
            for contact, contact_expires in _contacts(message)
        )


def read_embedded_registration(request: Request) -> EmbeddedRegistration:
    """Never raises: a part that cannot be read is left out."""
    register, answer = None, None
    for octets in _sip_parts(request):
        try:
            message = parse_datagram(octets)
        except SipParseError:
            continue
        if isinstance(message, Response):
            answer = message if 200 <= message.status < 300 else answer
        elif message.method == "REGISTER":
            register = message
    return EmbeddedRegistration(register, answer)


def _contacts(message: Request | Response) -> Iterator[tuple[Contact, int]]:
    """Each contact with its expiry in seconds."""
    try:
        expires = message.get(Expires)
        contacts = message.get_all(Contact)[:_MAX_CONTACTS]
    except SipParseError:
        return
    default_s = 1 if expires is None else expires.seconds
    for contact in contacts:
        yield contact, default_s if contact.expires is None else contact.expires


def _sip_parts(request: Request) -> Iterator[bytes]:
    """The message/sip parts of the body (RFC 2046 §5.1, RFC 3261 §27.5)."""
    try:
        content_type = request.content_type
    except SipParseError:
        return
    if content_type is None:
        return
    if content_type.type == "message/sip":
        yield request.body
    boundary = content_type.params.get("boundary")
    if not content_type.type.startswith("multipart/") or not boundary:
        return
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    for part in (b"\r\n" + request.body).split(delimiter, _MAX_PARTS + 1)[1 : _MAX_PARTS + 1]:
        if part.startswith(b"--"):
            return
        head, _, content = part.partition(b"\r\n\r\n")
        if b"message/sip" in head.lower():
            yield content
