"""Results of messages that were read, by id: what comes twice is answered from here and never decrypted again
(RCC.16 §7.5.3.1).

So many contents are kept (choice), and so many ids after them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Self

from rcs_sim.e2ee.authenticated_data import ABSENT_RESENT
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, EntityError
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_optional, encode_u32, encode_vector
from rcs_sim.mls.identifiers import LeafIndex

__all__ = ["Opened", "SeenMessages"]

MAX_CONTENTS = 64
MAX_CONTENT_OCTETS = 64 * 1024  # of one content that is kept; of a longer one its id is
MAX_IDS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A message that may be shown. *sender* is the number that the signing leaf certifies. *is_replay*: it was opened
    before, and is the same. *resent* is the component of its authenticated data, which a snapshot does not keep: what
    is shown already needs none."""

    message_id: str
    content: bytes
    sender: str
    leaf: LeafIndex
    moment: Moment
    is_replay: bool = False
    resent: bytes = field(default=ABSENT_RESENT, compare=False)

    @property
    def entity(self) -> EncryptedEntity:
        """The content, parsed. Raises EntityError."""
        return EncryptedEntity.decode(self.content)

    @property
    def is_readable(self) -> bool:
        """Whether `entity` gives something."""
        try:
            EncryptedEntity.decode(self.content)
        except EntityError:
            return False
        return True


class SeenMessages(TlsStruct):
    """The last results."""

    __slots__ = ("_contents", "_ids")

    def __init__(self) -> None:
        self._contents: OrderedDict[str, Opened] = OrderedDict()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._ids

    def find(self, message_id: str) -> Opened | None:
        """The result of before, None if its content is not kept any more."""
        found = self._contents.get(message_id)
        return None if found is None else replace(found, is_replay=True)

    def add(self, opened: Opened) -> None:
        """Keeps a result; the oldest gives way."""
        self._ids[opened.message_id] = None
        if len(self._ids) > MAX_IDS:
            self._ids.popitem(last=False)
        if len(opened.content) > MAX_CONTENT_OCTETS:
            return
        self._contents[opened.message_id] = opened
        if len(self._contents) > MAX_CONTENTS:
            self._contents.popitem(last=False)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        seen = cls()
        for message_id, opened in reader.vector(_read_entry):
            if opened is None:
                seen._ids[message_id] = None
            else:
                seen.add(opened)
        return seen

    def encode(self) -> bytes:
        return encode_vector([_encode_entry(each, self._contents.get(each)) for each in self._ids])


def _encode_text(text: str) -> bytes:
    return encode_opaque(text.encode("utf-8", "surrogateescape"))


def _text(reader: Reader) -> str:
    return reader.opaque().decode("utf-8", "surrogateescape")


def _encode_entry(message_id: str, opened: Opened | None) -> bytes:
    if opened is None:
        return _encode_text(message_id) + encode_optional(None)
    parts = (encode_opaque(opened.content), _encode_text(opened.sender), encode_u32(opened.leaf))
    return _encode_text(message_id) + encode_optional(b"".join(parts) + opened.moment.encode())


def _read_entry(reader: Reader) -> tuple[str, Opened | None]:
    message_id = _text(reader)

    def read_opened(inner: Reader) -> Opened:
        return Opened(
            message_id=message_id,
            content=inner.opaque(),
            sender=_text(inner),
            leaf=LeafIndex(inner.u32()),
            moment=Moment.read(inner),
        )

    return message_id, reader.optional(read_opened)
