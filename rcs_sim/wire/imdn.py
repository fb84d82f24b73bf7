"""Instant message disposition notifications (RFC 5438 §7, §11.1.3) and the OMA interworking extension (digest §5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from rcs_sim.wire.mime import MediaType
from rcs_sim.wire.multipart import Multipart, MultipartParseError
from rcs_sim.wire.xml_document import child_elements, child_text, escape_text, local_name, parse_xml

__all__ = [
    "IMDN_CONTENT_TYPE",
    "Imdn",
    "ImdnKind",
    "ImdnParseError",
    "ImdnStatus",
    "parse_imdn",
]

IMDN_CONTENT_TYPE = "message/imdn+xml"
MAX_IMDN_OCTETS = 64 * 1024  # one notification is below 1 KiB; subject and extensions may follow
_NAMESPACE = "urn:ietf:params:xml:ns:imdn"
_INTERWORKING_NAMESPACE = "urn:oma:xml:cpm:imdn-extensions:1.0"
_SPEC = "RFC 5438 §7"
_SUFFIX = "-notification"


class ImdnKind(StrEnum):
    """Disposition type that a notification reports (RFC 5438 §5; INTERWORKING is OMA's)."""

    DELIVERY = "delivery"
    DISPLAY = "display"
    PROCESSING = "processing"
    INTERWORKING = "interworking"


class ImdnStatus(StrEnum):
    """Status element (RFC 5438 §7.2.1; the LEGACY ones are OMA's)."""

    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    PROCESSED = "processed"
    STORED = "stored"
    FAILED = "failed"
    FORBIDDEN = "forbidden"
    ERROR = "error"
    LEGACY_SMS = "legacy-sms"
    LEGACY_MMS = "legacy-mms"


# RFC 5438 §11.1.3: which status may stand in which notification
_ALLOWED: dict[str, frozenset[str]] = {
    ImdnKind.DELIVERY: frozenset({"delivered", "failed", "forbidden", "error"}),
    ImdnKind.DISPLAY: frozenset({"displayed", "forbidden", "error"}),
    ImdnKind.PROCESSING: frozenset({"processed", "stored", "forbidden", "error"}),
    ImdnKind.INTERWORKING: frozenset({"legacy-sms", "legacy-mms", "error"}),
}
_FAILURES = frozenset({"failed", "forbidden", "error"})


class ImdnParseError(RemoteProtocolError):
    """The peer's octets are no disposition notification."""


@dataclass(frozen=True, slots=True)
class Imdn:
    """One notification. *message_id* and *datetime* are those of the message reported on (RFC 5438 §7.1.2.1).

    *kind* is an ImdnKind and *status* an ImdnStatus where they are known, else the name as received."""

    message_id: str
    datetime: str
    kind: str
    status: str
    recipient_uri: str | None = None
    original_recipient_uri: str | None = None
    subject: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the message did not reach what the notification is about; all three words mean that (digest §5.1)."""
        return self.status in _FAILURES

    @classmethod
    def parse(cls, octets: bytes) -> Imdn:
        """Names are matched without their namespace. A missing datetime reads as "" (choice: nobody needs it to match).

        Raises ImdnParseError, and nothing else, on any octets."""
        root = parse_xml(octets, ImdnParseError, max_octets=MAX_IMDN_OCTETS)
        message_id = child_text(root, "message-id")
        if local_name(root) != "imdn" or not message_id:
            raise ImdnParseError("no imdn element with a message-id", spec=_SPEC, raw=octets)
        kind, status = _read_notification(root, octets)
        return cls(
            message_id,
            child_text(root, "datetime") or "",
            kind,
            status,
            child_text(root, "recipient-uri"),
            child_text(root, "original-recipient-uri"),
            child_text(root, "subject"),
        )

    def encode(self) -> bytes:
        """The document with its elements in the order of RFC 5438 §11.1.3, form of digest §5.1.

        Raises LocalProtocolError for a status that its kind does not have."""
        if self.status not in _ALLOWED.get(self.kind, ()):
            raise LocalProtocolError(f"{self.kind} notification with status {self.status}", spec=_SPEC)
        optional = "".join(
            f" <{name}>{escape_text(value)}</{name}>\n"
            for name, value in (
                ("recipient-uri", self.recipient_uri),
                ("original-recipient-uri", self.original_recipient_uri),
                ("subject", self.subject),
            )
            if value is not None
        )
        opening, notification = _SHAPES[self.kind, self.status]
        return (
            f"{opening} <message-id>{escape_text(self.message_id)}</message-id>\n"
            f" <datetime>{escape_text(self.datetime)}</datetime>\n{optional}{notification}"
        ).encode()


def _shape(kind: str, status: str) -> tuple[str, str]:
    prefix = "cpmimdn:" if kind == ImdnKind.INTERWORKING else ""
    extension = f' xmlns:cpmimdn="{_INTERWORKING_NAMESPACE}"' if prefix else ""
    opening = f'<?xml version="1.0" encoding="UTF-8"?>\n<imdn xmlns="{_NAMESPACE}"{extension}>\n'
    inner = f"<{prefix}status><{prefix}{status}/></{prefix}status>"
    return opening, f" <{prefix}{kind}{_SUFFIX}>{inner}</{prefix}{kind}{_SUFFIX}>\n</imdn>\n"


_SHAPES = {(kind, status): _shape(kind, status) for kind, allowed in _ALLOWED.items() for status in allowed}


def _read_notification(root: etree._Element, octets: bytes) -> tuple[str, str]:
    """Kind and status of the first notification element; some peers leave the status element out."""
    for name, element in child_elements(root):
        if not name.endswith(_SUFFIX):
            continue
        children = list(child_elements(element))
        for child_name, child in children:
            if child_name == "status":
                children = list(child_elements(child))
                break
        if children:
            return _known(ImdnKind, name.removesuffix(_SUFFIX)), _known(ImdnStatus, children[0][0])
    raise ImdnParseError("no notification with a status", spec=_SPEC, raw=octets)


def _known(registry: type[StrEnum], name: str) -> str:
    """The member of *registry*, else the name as received."""
    member = registry.__members__.get(name.upper().replace("-", "_"))
    return member if member is not None and member == name else name


def parse_imdn(content_type: MediaType | str, body: bytes) -> tuple[Imdn, ...]:
    """The notifications of a body: one, or those of an aggregated ``multipart/mixed`` (RFC 5438 §8.3).

    Raises ImdnParseError, and nothing else."""
    essence = (content_type.split(";")[0].strip().lower()) if isinstance(content_type, str) else content_type.essence
    if not essence.startswith("multipart/"):
        return (Imdn.parse(body),)
    try:
        parts = [
            part
            for part in Multipart.parse(content_type, body).walk()
            if part.content_type.essence == IMDN_CONTENT_TYPE
        ]
        found = tuple(Imdn.parse(part.body) for part in parts)
    except MultipartParseError as error:
        raise ImdnParseError(str(error), spec="RFC 5438 §8.3", raw=error.raw) from error
    if not found:
        raise ImdnParseError("no IMDN in the aggregate", spec="RFC 5438 §8.3", raw=body)
    return found
