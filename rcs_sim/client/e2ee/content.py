"""What was sealed in a message, for the user: a text, a reaction, a change to an earlier text (RCC.16 §7.5.1, digest
RCC.16 §4.6, §14.11)."""

from __future__ import annotations

from dataclasses import dataclass

from rcs_sim.client.content import Content, content_of
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, EntityError
from rcs_sim.e2ee.member.seen_messages import Opened
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnParseError, parse_imdn
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE, IsComposing, IsComposingParseError

__all__ = ["SealedReceipts", "SealedTyping", "Unreadable", "read_opened"]


@dataclass(frozen=True, slots=True)
class SealedTyping:
    """Typing inside MLS: taken as typing, never shown as text (choice)."""

    state: IsComposing


@dataclass(frozen=True, slots=True)
class SealedReceipts:
    """Notifications inside MLS: the seal proves who has made them (digest RCC.16 §6.1)."""

    imdns: tuple[Imdn, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Nothing for the user: *why* is for the trace."""

    why: str


def read_opened(opened: Opened, cpim: CpimMessage) -> Content | SealedTyping | SealedReceipts | Unreadable:
    """*cpim* is the wrapper that the sealed message came in. Any text is rendered; other unknown types are dropped.
    What it bears on is read from inside alone."""
    try:
        entity = opened.entity
    except EntityError as error:
        return Unreadable(str(error))
    essence = entity.media_type.essence
    if essence == IS_COMPOSING_CONTENT_TYPE:
        return _typing(entity)
    if essence == IMDN_CONTENT_TYPE:
        return _receipts(entity)
    if not essence.startswith("text/"):
        return Unreadable(f"content of the type {essence} is not known")
    return content_of(cpim, "text/plain", entity.content_type, entity.body, entity.inner_headers)


def _typing(entity: EncryptedEntity) -> SealedTyping | Unreadable:
    try:
        return SealedTyping(IsComposing.parse(entity.body))
    except IsComposingParseError as error:
        return Unreadable(str(error))


def _receipts(entity: EncryptedEntity) -> SealedReceipts | Unreadable:
    try:
        return SealedReceipts(parse_imdn(IMDN_CONTENT_TYPE, entity.body))
    except ImdnParseError as error:
        return Unreadable(str(error))
