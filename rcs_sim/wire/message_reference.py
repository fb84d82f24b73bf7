"""How a message bears on an earlier one: reply, reaction, edit, recall (digest §5.5), in CPIM headers.

The pair of the GSMA, Reference-ID and Reference-Type, and the dialect that Google used before it was standardised: both
are read, a device profile says which are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.cpim_header import GSMA, CpimHeader
from rcs_sim.wire.emoji import is_one_emoji

__all__ = [
    "EDIT_NAMESPACE",
    "REACTIONS_NAMESPACE",
    "REFERENCE_NAMESPACES",
    "REPLIES_NAMESPACE",
    "MessageReference",
    "ReferenceDialect",
    "ReferenceType",
    "read_reaction",
    "read_reference",
    "reference_headers",
    "write_reaction",
]

REACTIONS_NAMESPACE = "urn:rcs:message:reactions:"  # with the colon at its end, as observed
REPLIES_NAMESPACE = "urn:rcs:message:replies:"
EDIT_NAMESPACE = "urn:rcs:message:edit:"
REFERENCE_NAMESPACES = frozenset((GSMA, REACTIONS_NAMESPACE, REPLIES_NAMESPACE, EDIT_NAMESPACE))
MAX_ID_CHARACTERS = 256  # of imdn.Message-ID, as servers take it
_HAIR_SPACE = "\u200a"  # around the emoji in the older dialect
_SPEC = "RCC.07 §3.2 (digest §5.5)"


class ReferenceType(StrEnum):
    """Reference-Type. `DELETE` and the custom reactions, which are files, are known and not acted upon."""

    REPLY = "Reply"
    ADD_REACTION = "+Reaction"
    REMOVE_REACTION = "-Reaction"
    ADD_CUSTOM_REACTION = "+Custom-Reaction"
    REMOVE_CUSTOM_REACTION = "-Custom-Reaction"
    EDIT = "Edit"
    RECALL = "Recall"
    DELETE = "Delete"

    @property
    def is_reaction(self) -> bool:
        return self in (ReferenceType.ADD_REACTION, ReferenceType.REMOVE_REACTION)

    @property
    def is_change(self) -> bool:
        """Whether it changes what is shown of its target and is no message of its own: it never goes as SMS."""
        return self.is_reaction or self in (ReferenceType.EDIT, ReferenceType.RECALL)


class ReferenceDialect(StrEnum):
    """Which headers stand for a reference."""

    GSMA = "gsma"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class MessageReference:
    """*target_id* is the imdn.Message-ID of the earlier message; *kind* a ReferenceType where it is known, else as
    received."""

    target_id: str
    kind: str

    @property
    def type(self) -> ReferenceType | None:
        """None for a type that is not known: its body is shown as a message."""
        return self.kind if isinstance(self.kind, ReferenceType) else None

    @property
    def is_change(self) -> bool:
        known = self.type
        return known is not None and known.is_change


_TYPES = {each.lower(): each for each in ReferenceType}
_GOOGLE_REACTIONS = {
    "message-reaction-add": ReferenceType.ADD_REACTION,
    "message-reaction-remove": ReferenceType.REMOVE_REACTION,
}
_GOOGLE_REACTION_WORDS = {kind: word for word, kind in _GOOGLE_REACTIONS.items()}
_TARGET = "In-Reply-To-Message-Id"


def read_reference(headers: Iterable[CpimHeader]) -> MessageReference | None:
    """The GSMA pair, else the older dialect; None where there is neither, or no usable id. Never raises: what cannot be
    read as a reference is none, and the body is shown."""
    found = {(header.namespace, header.name.lower()): header.value.strip() for header in reversed([*headers])}
    target, kind = found.get((GSMA, "reference-id"), ""), found.get((GSMA, "reference-type"), "")
    if _is_id(target) and kind:
        return MessageReference(target, _TYPES.get(kind.lower(), kind))
    return _read_google(found)


def _read_google(found: dict[tuple[str, str], str]) -> MessageReference | None:
    reaction = _GOOGLE_REACTIONS.get(found.get((REACTIONS_NAMESPACE, "message-reply-type"), "").lower())
    ways = (
        (REACTIONS_NAMESPACE, _TARGET, reaction),
        (EDIT_NAMESPACE, "Edited-Message-Id", ReferenceType.EDIT),
        (REPLIES_NAMESPACE, _TARGET, ReferenceType.REPLY),
    )
    for namespace, name, kind in ways:
        target = found.get((namespace, name.lower()), "")
        if kind is not None and _is_id(target):
            return MessageReference(target, kind)
    return None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_CHARACTERS


def reference_headers(
    reference: MessageReference, dialects: Sequence[ReferenceDialect], *, at_ms: int = 0
) -> tuple[CpimHeader, ...]:
    """The headers of *reference* in each of *dialects*. *at_ms* is the time of an edit, since the epoch. What the older
    dialect has no word for, recalls, is written in that of the GSMA. Raises LocalProtocolError for an id that none may
    have."""
    if not _is_id(reference.target_id):
        raise LocalProtocolError(f"no message id: {reference.target_id!r}", spec=_SPEC)
    google = _google_headers(reference, at_ms) if ReferenceDialect.GOOGLE in dialects else ()
    if google and ReferenceDialect.GSMA not in dialects:
        return google
    return (
        CpimHeader.of(GSMA, "Reference-ID", reference.target_id),
        CpimHeader.of(GSMA, "Reference-Type", reference.kind),
        *google,
    )


def _google_headers(reference: MessageReference, at_ms: int) -> tuple[CpimHeader, ...]:
    target, kind = reference.target_id, reference.type
    if kind in _GOOGLE_REACTION_WORDS:
        return (
            CpimHeader.of(REACTIONS_NAMESPACE, "Message-Reply-Type", _GOOGLE_REACTION_WORDS[kind]),
            CpimHeader.of(REACTIONS_NAMESPACE, _TARGET, target),
        )
    if kind is ReferenceType.REPLY:
        return (CpimHeader.of(REPLIES_NAMESPACE, _TARGET, target),)
    if kind is ReferenceType.EDIT:
        return (
            CpimHeader.of(EDIT_NAMESPACE, "Edited-Message-Id", target),
            CpimHeader.of(EDIT_NAMESPACE, "Edited-At-Timestamp-Ms", str(at_ms)),
        )
    return ()


def read_reaction(text: str) -> str | None:
    """The emoji of a reaction's body: exactly one sequence, perhaps between hair spaces; None for anything else."""
    emoji = text.strip(_HAIR_SPACE + " \t\r\n")
    return emoji if is_one_emoji(emoji) else None


def write_reaction(emoji: str, dialects: Sequence[ReferenceDialect]) -> str:
    """The body of a reaction: between hair spaces where the older dialect stands alone. Raises LocalProtocolError for
    anything but one emoji."""
    if not is_one_emoji(emoji):
        raise LocalProtocolError(f"a reaction is exactly one emoji, not {emoji[:40]!r}", spec=_SPEC)
    return emoji if ReferenceDialect.GSMA in dialects else f"{_HAIR_SPACE}{emoji}{_HAIR_SPACE}"
