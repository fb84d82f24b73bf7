"""What a key log opens of a trace: `rcs-sim trace keylog`. Whoever has the lines can read what the phones sealed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from ims_core.trace import TraceRecord
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, EntityError
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.key_log import KEY_LOG_HEADER, KeyLog
from rcs_sim.mls.messages import MLSMessage, PrivateMessage
from rcs_sim.scenario.oracle_contents import ContentReader
from rcs_sim.scenario.oracle_hops import Carried

__all__ = ["KeyLogDocument", "OpenedPassage", "key_log_document", "key_log_lines"]

_GROUP_FIELD = 1  # of a line of a key log


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OpenedPassage(_Document):
    """One passage of a sealed message over one link."""

    record: int = Field(description="number of the record that completed it")
    at: float
    source: str
    target: str
    ids: list[str] = Field(description="imdn.Message-ID, and that of the message that it sends again")
    group: str = Field(description="group_id in hexadecimal; empty for what is no PrivateMessage")
    epoch: int | None
    opened: bool
    why: str = Field(description="why it does not open; empty if it does")
    content_type: str | None = Field(description="of what was sealed")
    text: str | None = Field(description="what was sealed, if it is text")


class KeyLogDocument(_Document):
    """The lines of a key log that belong to a trace, and what they open there."""

    lines: list[str]
    messages: list[OpenedPassage]


def key_log_document(records: Iterable[TraceRecord], lines: Sequence[str]) -> KeyLogDocument:
    """Raises TlsDecodeError on a line that is none of a key log."""
    keys = KeyLog(lines)
    passages = [_opened(carried, keys) for carried in _sealed(records)]
    groups = {passage.group for passage in passages}
    unique = dict.fromkeys(lines)  # both ends of a message have logged its key
    return KeyLogDocument(lines=[line for line in unique if _is_of(line, groups)], messages=passages)


def key_log_lines(document: KeyLogDocument) -> str:
    """A key log with nothing but the lines for the trace, and remarks on what they open."""
    opened = sum(passage.opened for passage in document.messages)
    remark = f"# these keys open {opened} of the {len(document.messages)} passages of sealed messages in the trace"
    reasons = sorted({passage.why for passage in document.messages if passage.why})
    return "\n".join([KEY_LOG_HEADER, remark, *(f"# not opened: {why}" for why in reasons), *document.lines])


def _is_of(line: str, groups: set[str]) -> bool:
    fields = line.split()
    return len(fields) > _GROUP_FIELD and not line.startswith("#") and fields[_GROUP_FIELD].lower() in groups


def _sealed(records: Iterable[TraceRecord]) -> Iterator[Carried]:
    reader = ContentReader()
    for record in records:
        yield from (each for each in reader.read(record) if _is_sealed(each))
    yield from (each for each in reader.rest() if _is_sealed(each))


def _is_sealed(carried: Carried) -> bool:
    return carried.media_type == MlsContentType.MESSAGE


def _opened(carried: Carried, keys: KeyLog) -> OpenedPassage:
    hop = carried.hop
    passage = OpenedPassage(
        record=hop.number,
        at=hop.at,
        source=hop.source,
        target=hop.target,
        ids=list(carried.ids),
        group="",
        epoch=None,
        opened=False,
        why="",
        content_type=None,
        text=None,
    )
    try:
        message = MLSMessage.decode(carried.octets).body
    except TlsDecodeError as error:
        return passage.model_copy(update={"why": str(error)})
    if not isinstance(message, PrivateMessage):
        return passage.model_copy(update={"why": f"a {type(message).__name__} as message/mls"})
    place = {"group": message.group_id.hex(), "epoch": int(message.epoch)}
    return passage.model_copy(update={**place, **_contents(message, keys)})


def _contents(message: PrivateMessage, keys: KeyLog) -> dict[str, object]:
    try:
        content = keys.open(message).content.content
        if not isinstance(content, bytes):
            return {"opened": True, "content_type": type(content).__name__}
        entity = EncryptedEntity.decode(SecretPayload.decode(content).content)
    except (TlsDecodeError, MlsValidationError, EntityError) as error:
        return {"why": str(error)}
    is_text = entity.media_type.essence.startswith("text/")
    return {"opened": True, "content_type": entity.content_type, "text": entity.text if is_text else None}
