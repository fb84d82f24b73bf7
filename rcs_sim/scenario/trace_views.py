"""Reads trace files and gives their views: lines, ladder, capture, oracle, reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from ims_core.errors import SimulatorError
from ims_core.pcapng import write_pcapng
from ims_core.trace import RecordKind, TraceRecord, read_ndjson
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.scenario.calendar_chart import calendar_members, calendar_svg, calendar_text
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.scenario.key_log_view import key_log_document, key_log_lines
from rcs_sim.scenario.ladder import ladder_svg, ladder_text, lanes_of, rungs_of
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.why import Why
from rcs_sim.scenario.wireshark import KEY_LOG_SUFFIX

__all__ = ["TraceFileError", "calendar", "key_log", "ladder", "oracle", "read_trace", "save_pcapng", "show", "why"]


class TraceFileError(SimulatorError):
    """A trace file is missing or is none."""


def read_trace(file: Path) -> list[TraceRecord]:
    """All records. Raises TraceFileError that names the file and the line."""
    try:
        with file.open(encoding="utf-8-sig") as lines:  # an editor may have put a mark at the beginning
            records = list(read_ndjson(lines))
    except OSError as error:
        raise TraceFileError(f"{file}: {error.strerror}") from error
    except ValueError as error:  # UnicodeDecodeError is one too
        raise TraceFileError(f"{file}: {error}") from error
    for line, record in enumerate(records, 1):
        member = _ill_typed(record)
        if member:
            raise TraceFileError(f"{file}: record {line} has a {member} of the wrong type")
    return records


_TEXTS = ("source", "target", "reference_point", "protocol", "summary", "transport", "source_address", "target_address")
_IDS = ("call_id", "conversation_id", "imdn_message_id", "group_id")


def _ill_typed(record: TraceRecord) -> str:
    """The first member that is not what docs/formats.md says; "" for none."""
    if type(record.number) is not int:
        return "number"
    if type(record.at) not in (int, float) or not isfinite(record.at):
        return "time"
    if type(record.details) is not dict:
        return "details"
    wrong = [name for name in _TEXTS if type(getattr(record, name)) is not str]
    wrong += [name for name in _IDS if type(getattr(record, name)) not in (str, type(None))]
    return wrong[0] if wrong else ""


def show(file: Path, *, as_json: bool = False) -> str:
    """One line per record."""
    records = read_trace(file)
    return "\n".join(record.to_json() if as_json else _line(record) for record in records)


def _line(record: TraceRecord) -> str:
    moment = datetime.fromtimestamp(record.at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    ends = record.source if record.source == record.target else f"{record.source} -> {record.target}"
    kind = record.protocol or record.kind.value if record.kind is RecordKind.MESSAGE else record.kind.value
    return f"{record.number:6} {moment} {kind:6} {record.reference_point:4} {ends:42} {record.summary}"


def ladder(file: Path, lanes: Sequence[str] | None, *, as_svg: bool, as_json: bool = False) -> str:
    records = read_trace(file)
    if as_json:
        shown = lanes_of(records) if lanes is None else list(lanes)
        rungs = [{**asdict(rung), "kind": rung.kind.value} for rung in rungs_of(records, shown)]
        return json.dumps({"lanes": shown, "rungs": rungs})
    return ladder_svg(records, lanes, title=file.stem) if as_svg else ladder_text(records, lanes)


def calendar(file: Path, *, as_svg: bool, as_json: bool = False) -> str:
    """When what of encryption was renewed, and when which conversation would seize."""
    records = read_trace(file)
    if as_json:
        return json.dumps(calendar_members(records))
    return calendar_svg(records, file.stem) if as_svg else calendar_text(records)


def save_pcapng(file: Path, output: Path, tls_keys: Path | None = None) -> int:
    """Writes the messages of the trace to *output*, with the TLS secrets of the NSS key log *tls_keys*; returns how
    many messages. Raises OSError."""
    secrets = b"" if tls_keys is None else tls_keys.read_bytes()
    records = [record for record in read_trace(file) if record.kind is RecordKind.MESSAGE]
    with output.open("wb") as stream:
        write_pcapng(records, stream, exported=exported_pdu, tls_secrets=secrets)
    return len(records)


def key_log(file: Path, keys: Path | None, *, as_json: bool = False) -> str:
    """The lines of the key log *keys* (the one beside the trace without it) that are for the trace, and what they open.
    Raises TraceFileError."""
    source = keys or file.with_suffix(KEY_LOG_SUFFIX)
    records = read_trace(file)
    try:
        document = key_log_document(records, _lines_of(source))
    except TlsDecodeError as error:
        raise TraceFileError(f"{source}: {error}") from error
    return document.model_dump_json() if as_json else key_log_lines(document)


def _lines_of(source: Path) -> list[str]:
    """Of a key log. Raises TraceFileError."""
    try:
        return source.read_text(encoding="ascii").splitlines()
    except FileNotFoundError as error:
        how = "`--key-log` of demo, run and phone writes one, --keys names another"
        raise TraceFileError(f"{source}: no key log there: {how}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TraceFileError(f"{source}: {error}") from error


def _judged(file: Path) -> list[TraceRecord]:
    """The records of a trace of which something is to be said. Raises TraceFileError, also where there is none."""
    records = read_trace(file)
    if not records:
        raise TraceFileError(f"{file}: there is no record in it")
    return records


def oracle(file: Path, keys: Path | None = None, *, as_json: bool = False) -> tuple[str, int]:
    """Who could read what, and the exit status: 1 if something happened that must not. Keys of the key log *keys* are
    looked for on the links. Raises TraceFileError."""
    judged = Oracle(_judged(file), () if keys is None else _lines_of(keys))
    text = judged.document().model_dump_json(by_alias=True) if as_json else judged.table()
    return text, 1 if judged.violations() else 0


def why(file: Path, message: str | None, *, as_json: bool = False) -> str:
    """Why a message has no lock, fell back or failed; of all messages without *message*. Raises UnknownMessage."""
    reasons = Why(_judged(file))
    return reasons.document(message).model_dump_json(by_alias=True) if as_json else reasons.text(message)
