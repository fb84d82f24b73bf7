"""The trace: one typed record per message and state change. Ladder, pcapng, oracle and reports are views of it."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol, TextIO

__all__ = ["Annotator", "ListSink", "NdjsonSink", "RecordKind", "Trace", "TraceRecord", "TraceSink", "read_ndjson"]


_log = logging.getLogger(__name__)


class RecordKind(Enum):
    """What a record tells: octets on a link, or something that happened at one element."""

    MESSAGE = "message"
    STATE = "state"  # a state machine moved (registration, latch, store)
    SHOWN = "shown"  # what a phone showed to its user
    FAULT = "fault"  # a fault began, acted or ended
    ERROR = "error"  # octets refused by a parser, a message dropped, a queue that overflowed


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One entry. *at* is seconds since the epoch on the simulation's clock; *source* and *target* are element names
    (``red.pcscf``, ``alice``) or a transport address of a foreign peer; *raw* is the message as it was on the wire."""

    number: int
    at: float
    kind: RecordKind
    source: str
    target: str
    reference_point: str = ""
    protocol: str = ""
    summary: str = ""
    raw: bytes = b""
    transport: str = ""  # UDP, TCP, TLS; "" where there is no link
    source_address: str = ""  # host:port
    target_address: str = ""
    call_id: str | None = None
    conversation_id: str | None = None
    imdn_message_id: str | None = None
    group_id: str | None = None
    epoch: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # JSON values only

    def to_json(self) -> str:
        """One NDJSON line, without the line end; form in docs/formats.md. Empty members are left out."""
        members: dict[str, Any] = {"number": self.number, "at": round(self.at, 6), "kind": self.kind.value}
        for name in _TEXT_MEMBERS:
            value = getattr(self, name)
            if value not in ("", None):
                members[name] = value
        if self.raw:
            members["raw"] = base64.b64encode(self.raw).decode("ascii")
        if self.details:
            members["details"] = dict(self.details)
        line = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
        return line if _is_writable(line) else json.dumps(members, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> TraceRecord:
        """Inverse of `to_json`. Raises ValueError (or KeyError) if *line* is not such a record."""
        members = json.loads(line)
        return cls(
            number=members["number"],
            at=members["at"],
            kind=RecordKind(members["kind"]),
            raw=base64.b64decode(members.get("raw", ""), validate=True),
            details=members.get("details", {}),
            **{name: members[name] for name in _TEXT_MEMBERS if name in members},
        )


_TEXT_MEMBERS = (
    "source",
    "target",
    "reference_point",
    "protocol",
    "summary",
    "transport",
    "source_address",
    "target_address",
    "call_id",
    "conversation_id",
    "imdn_message_id",
    "group_id",
    "epoch",
)


_SURROGATE = re.compile("[\ud800-\udfff]")
_FROM_THE_WIRE = ("summary", "call_id", "conversation_id", "imdn_message_id", "group_id")


def _is_writable(text: str) -> bool:
    """Whether *text* has no lone surrogate, as which a codec keeps an octet that is no UTF-8."""
    return text.isascii() or _SURROGATE.search(text) is None


def _readable(record: TraceRecord) -> TraceRecord:
    """*record* with U+FFFD for each octet of its texts that is no UTF-8; `raw` has them as they were."""
    changed: dict[str, Any] = {}
    for name in _FROM_THE_WIRE:
        text = getattr(record, name)
        if text is not None and not _is_writable(text):
            changed[name] = _SURROGATE.sub("\ufffd", text)
    return replace(record, **changed) if changed else record


class TraceSink(Protocol):
    """Where records go: a list, an NDJSON file, a pcapng file."""

    def write(self, record: TraceRecord) -> None: ...

    def close(self) -> None: ...


class ListSink:
    """Keeps the records in memory, at most *limit*; the oldest go first."""

    __slots__ = ("records",)

    def __init__(self, limit: int | None = None) -> None:
        self.records: deque[TraceRecord] = deque(maxlen=limit)

    def write(self, record: TraceRecord) -> None:
        self.records.append(record)

    def close(self) -> None:
        """Keeps what was written."""


class NdjsonSink:
    """One record a line (docs/formats.md). The file belongs to the sink from here on.

    A disk that is full ends the trace with one line in the log, and nothing else: who is traced must not notice."""

    __slots__ = ("_is_broken", "_output")

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._is_broken = False

    def write(self, record: TraceRecord) -> None:
        if self._is_broken:
            return
        try:
            self._output.write(record.to_json() + "\n")
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        try:
            self._output.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not self._is_broken:
            name, why = getattr(self._output, "name", "the trace"), error.strerror or error
            _log.error(
                "%s cannot be written any more (%s): the trace ends here; free some space, then start again", name, why
            )
        self._is_broken = True


def read_ndjson(lines: Iterable[str]) -> Iterator[TraceRecord]:
    """The records of a trace file. Raises ValueError that names the line which is not a record."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = TraceRecord.from_json(line)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"line {number} is not a trace record: {error}") from error
        yield record


Annotator = Callable[[TraceRecord], Mapping[str, Any]]
"""Reads what ims_core does not know (RCS and MLS identifiers) from a record; returns members to replace."""


class Trace:
    """Fan-out to the sinks. Costs one attribute test where nothing listens: callers ask `enabled` first."""

    __slots__ = ("_annotators", "_number", "_sinks", "enabled")

    def __init__(self) -> None:
        self._sinks: list[TraceSink] = []
        self._annotators: list[Annotator] = []
        self._number = 0
        self.enabled = False

    def add_sink(self, sink: TraceSink) -> None:
        self._sinks.append(sink)
        self.enabled = True

    def remove_sink(self, sink: TraceSink) -> None:
        self._sinks.remove(sink)
        self.enabled = bool(self._sinks)

    def add_annotator(self, annotator: Annotator) -> None:
        self._annotators.append(annotator)

    def record(self, *, at: float, kind: RecordKind, source: str, target: str = "", **members: Any) -> None:
        """Adds a record with the next number. *members* are further fields of `TraceRecord`."""
        if not self.enabled:
            return
        self._number += 1
        record = TraceRecord(number=self._number, at=at, kind=kind, source=source, target=target or source, **members)
        for annotator in self._annotators:
            try:
                added = annotator(record)
            except Exception:  # the edge: who is traced must not notice that its octets were too much for a reader
                _log.exception("an annotator failed on record %s of %s", record.number, source)
                continue
            if added:
                record = replace(record, **added)
        record = _readable(record)
        for sink in self._sinks:
            sink.write(record)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()
        self._sinks.clear()
        self.enabled = False
