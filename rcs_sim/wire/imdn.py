"""Instant message disposition notifications (RFC 5438 §7, §11.1.3), the OMA interworking extension (digest §5.1), and
the failure reasons of RCC.16 §7.7.2."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from rcs_sim.wire.mime import MediaType
from rcs_sim.wire.multipart import Multipart, MultipartParseError
from rcs_sim.wire.xml_document import child_elements, escape_text, local_name, parse_xml

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
_CLIENT_ARM = "mls-client-failure-reason"
_SERVER_ARM = "mls-server-failure-reason"
_TOKEN = re.compile(r"[a-z][a-z0-9-]*")
_Reasons = tuple[str | None, str | None]


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

    *kind* is an ImdnKind and *status* an ImdnStatus where they are known, else the name as received. A failed delivery
    may say why: *client_failure_reason* or *server_failure_reason* is the name of the element in that arm, known or
    not."""

    message_id: str
    datetime: str
    kind: str
    status: str
    recipient_uri: str | None = None
    original_recipient_uri: str | None = None
    subject: str | None = None
    client_failure_reason: str | None = None
    server_failure_reason: str | None = None

    @property
    def has_both_reasons(self) -> bool:
        """Whether both arms are there: then the whole notification is ignored (RCC.16 §7.7.2)."""
        return self.client_failure_reason is not None and self.server_failure_reason is not None

    @property
    def is_failure(self) -> bool:
        """Whether the message did not reach what the notification is about; all three words mean that (digest §5.1)."""
        return self.status in _FAILURES

    @classmethod
    def parse(cls, octets: bytes) -> Imdn:
        """Names are matched without their namespace. A missing datetime reads as "" (choice: nobody needs it to match).

        Raises ImdnParseError, and nothing else, on any octets."""
        root = parse_xml(octets, ImdnParseError, max_octets=MAX_IMDN_OCTETS)
        children = list(child_elements(root))
        texts = {name: child.text for name, child in reversed(children)}
        message_id = _stripped(texts, "message-id")
        if local_name(root) != "imdn" or not message_id:
            raise ImdnParseError("no imdn element with a message-id", spec=_SPEC, raw=octets)
        kind, status, reasons = _read_notification(children, octets)
        return cls(
            message_id,
            _stripped(texts, "datetime") or "",
            kind,
            status,
            _stripped(texts, "recipient-uri"),
            _stripped(texts, "original-recipient-uri"),
            _stripped(texts, "subject"),
            *reasons,
        )

    def encode(self) -> bytes:
        """The document with its elements in the order of RFC 5438 §11.1.3, form of digest §5.1.

        Raises LocalProtocolError for a status that its kind does not have, or a reason where none may be."""
        if self.client_failure_reason is not None or self.server_failure_reason is not None:
            return self.encode_compact()
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

    def encode_compact(self) -> bytes:
        """The document without white space and optional elements: what encrypted conversations use, reasons included.

        Raises LocalProtocolError for what `encode` refuses, and for an interworking notification."""
        if self.kind == ImdnKind.INTERWORKING or self.status not in _ALLOWED.get(self.kind, ()):
            raise LocalProtocolError(f"{self.kind} notification with status {self.status}", spec=_SPEC)
        reason = self._reason()
        status = f"<{self.status}>{reason}</{self.status}>" if reason else f"<{self.status}/>"
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><imdn xmlns="{_NAMESPACE}">'
            f"<message-id>{escape_text(self.message_id)}</message-id><datetime>{escape_text(self.datetime)}</datetime>"
            f"<{self.kind}{_SUFFIX}><status>{status}</status></{self.kind}{_SUFFIX}></imdn>"
        ).encode()

    def _reason(self) -> str:
        """The arm with the reason, "" without one."""
        arms = ((_CLIENT_ARM, self.client_failure_reason), (_SERVER_ARM, self.server_failure_reason))
        given = [(arm, token) for arm, token in arms if token is not None]
        if not given:
            return ""
        arm, token = given[0]
        is_failed_delivery = (self.kind, self.status) == (ImdnKind.DELIVERY, ImdnStatus.FAILED)
        if len(given) > 1 or not is_failed_delivery or not _TOKEN.fullmatch(token):
            raise LocalProtocolError(f"no place for the failure reason {token!r}", spec="RCC.16 §7.7.2")
        return f"<{arm}><{token}/></{arm}>"


def _shape(kind: str, status: str) -> tuple[str, str]:
    prefix = "cpmimdn:" if kind == ImdnKind.INTERWORKING else ""
    extension = f' xmlns:cpmimdn="{_INTERWORKING_NAMESPACE}"' if prefix else ""
    opening = f'<?xml version="1.0" encoding="UTF-8"?>\n<imdn xmlns="{_NAMESPACE}"{extension}>\n'
    inner = f"<{prefix}status><{prefix}{status}/></{prefix}status>"
    return opening, f" <{prefix}{kind}{_SUFFIX}>{inner}</{prefix}{kind}{_SUFFIX}>\n</imdn>\n"


_SHAPES = {(kind, status): _shape(kind, status) for kind, allowed in _ALLOWED.items() for status in allowed}


def _stripped(texts: Mapping[str, str | None], name: str) -> str | None:
    """Text of the element *name* without the white space around it; None without one."""
    return (texts[name] or "").strip() if name in texts else None


def _read_notification(elements: Iterable[tuple[str, etree._Element]], octets: bytes) -> tuple[str, str, _Reasons]:
    """Kind, status and reasons of the first notification among *elements*; some peers leave the status element out."""
    for name, element in elements:
        if not name.endswith(_SUFFIX):
            continue
        children = list(child_elements(element))
        for child_name, child in children:
            if child_name == "status":
                children = list(child_elements(child))
                break
        if children:
            kind, status = _known(ImdnKind, name.removesuffix(_SUFFIX)), _known(ImdnStatus, children[0][0])
            is_failed_delivery = (kind, status) == (ImdnKind.DELIVERY, ImdnStatus.FAILED)
            return kind, status, _read_reasons(children[0][1]) if is_failed_delivery else (None, None)
    raise ImdnParseError("no notification with a status", spec=_SPEC, raw=octets)


def _read_reasons(status: etree._Element) -> _Reasons:
    """Names of the elements in the two arms: "" for an arm with nothing in it, None for one that is not there."""
    found: dict[str, str] = {}
    for arm, element in child_elements(status):
        found.setdefault(arm, next((token for token, _ in child_elements(element)), ""))
    return found.get(_CLIENT_ARM), found.get(_SERVER_ARM)


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
