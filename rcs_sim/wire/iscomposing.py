"""Typing indication (RFC 3994): the ``application/im-iscomposing+xml`` document."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.errors import RemoteProtocolError
from rcs_sim.wire.xml_document import child_text, escape_text, local_name, parse_xml

__all__ = ["IS_COMPOSING_CONTENT_TYPE", "IsComposing", "IsComposingParseError"]

IS_COMPOSING_CONTENT_TYPE = "application/im-iscomposing+xml"
DEFAULT_REFRESH_S = 120  # RFC 3994 §3.3: how long "active" lasts when no refresh is given
MAX_IS_COMPOSING_OCTETS = 16 * 1024
MAX_REFRESH_S = 24 * 3600  # a peer that claims more is held to a day
_SPEC = "RFC 3994 §4"


class IsComposingParseError(RemoteProtocolError):
    """The peer's octets are no typing indication."""


@dataclass(frozen=True, slots=True)
class IsComposing:
    """Composing status. *refresh_s* and *content_type* go with ``active``, *last_active* (RFC 3339) with ``idle``."""

    is_active: bool
    content_type: str | None = None
    refresh_s: int | None = None
    last_active: str | None = None

    @property
    def lasts_s(self) -> int:
        """Seconds after which the receiver falls back to idle by itself (RFC 3994 §3.3); 0 when idle."""
        if not self.is_active:
            return 0
        return DEFAULT_REFRESH_S if self.refresh_s is None else self.refresh_s

    @classmethod
    def parse(cls, octets: bytes) -> IsComposing:
        """A state other than ``active`` is idle (RFC 3994 §3.2); an unusable refresh counts as absent.

        Raises IsComposingParseError, and nothing else, on any octets."""
        root = parse_xml(octets, IsComposingParseError, max_octets=MAX_IS_COMPOSING_OCTETS)
        state = child_text(root, "state")
        if local_name(root) != "isComposing" or not state:
            raise IsComposingParseError("no isComposing element with a state", spec=_SPEC, raw=octets)
        return cls(
            state == "active",
            child_text(root, "contenttype"),
            _read_refresh(child_text(root, "refresh")),
            child_text(root, "lastactive"),
        )

    def encode(self) -> bytes:
        """The document with its elements in the order of the RFC 3994 §4 schema."""
        members = (
            ("state", "active" if self.is_active else "idle"),
            ("lastactive", self.last_active),
            ("contenttype", self.content_type),
            ("refresh", None if self.refresh_s is None else str(self.refresh_s)),
        )
        body = "".join(f" <{name}>{escape_text(value)}</{name}>\n" for name, value in members if value is not None)
        return f"{_OPENING}{body}</isComposing>\n".encode()


_OPENING = '<?xml version="1.0" encoding="UTF-8"?>\n<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">\n'


def _read_refresh(text: str | None) -> int | None:
    if not text or not text.isascii() or not text.isdecimal() or len(text) > 10:
        return None
    return min(int(text), MAX_REFRESH_S) or None
