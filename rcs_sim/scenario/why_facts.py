"""Facts of a trace that decide about a message: what was configured, announced, claimed, refused, decided and cut."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_hops import digits_of

__all__ = ["BAD_KEY_PACKAGE", "DIRECTORY_NOTE", "FAILED_CALL", "Fact", "FactKind", "TraceFacts", "keys_of"]

_KDS_URI = b"openrcs-kds-uri"
_DOCUMENT = b"<wap-provisioningdoc"
_KDS_TAG = re.compile(rb'\+g\.gsma\.rcs\.mls\.mls-kds="?([^";\r\n]*)')
_VERSION_TAG = re.compile(rb'\+g\.gsma\.rcs\.mls\.mls-version="?([^";\r\n]*)')
_LEGACY_TAG = b"+vnd.google.rcs.encrypted"
_HEADER = rb"\r\n%s:[ \t]*([^\r\n]*)"
_ASKER = [re.compile(_HEADER % name, re.IGNORECASE) for name in (b"P-Asserted-Identity", b"From")]
_ASKED = [re.compile(_HEADER % name, re.IGNORECASE) for name in (b"To",)]
_OPTIONS_ANSWER = re.compile(rb"SIP/2\.0 200 .*?\r\nCSeq:[ \t]*\d+[ \t]+OPTIONS\r\n", re.IGNORECASE | re.DOTALL)
_REQUEST = re.compile(rb"(GET|POST|PUT) (/\S*)")
_STATUS = re.compile(rb"(?:HTTP/1\.[01]|SIP/2\.0) (\d{3}) ?([^\r\n]*)")
_MSRP_STATUS = re.compile(rb"MSRP \S+ (\d{3}) ?([^\r\n]*)")
_ERROR = re.compile(rb'"error"\s*:\s*"([\w-]{1,64})"')
_OUTCOME = re.compile(rb'"outcome"\s*:\s*(\d)')
_REASON = re.compile(rb"mls-(?:server|client)-failure-reason\b[^>]*>\s*<(?:[\w-]+:)?([a-z-]{1,64})")
_REASON_MARK = b"-failure-reason"
FAILED_CALL, BAD_KEY_PACKAGE = "failed call", "bad key package"
DIRECTORY_NOTE = "decided"
_PATHS = ("/mls/", "/legacy/")
_KDS = "KDS"


class FactKind(StrEnum):
    """What a fact is about."""

    CONFIGURATION = "configuration"
    OWN_TAGS = "own announcement"
    PEER_TAGS = "announcement of the peer"
    DIRECTORY = "key distribution server"
    REFUSAL = "refusal"
    ANSWER = "answer"
    STATE = "state"
    ERROR = "error"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Fact:
    """*is_good* is None where there is nothing to judge. *word* is the state, the path or the token; *peer* the digits
    of the other side, "" for no one in particular."""

    kind: FactKind
    number: int
    at: float
    element: str
    says: str
    word: str = ""
    reason: str = ""
    machine: str = ""
    peer: str = ""
    message_id: str = ""
    is_good: bool | None = None


def keys_of(fact: Fact) -> Iterator[str]:
    """The words under which `TraceFacts.last` finds a fact: its kind; kind and peer; the path of a call; ``failed
    call``; ``machine state`` and ``machine state peer`` of what an element noted; ``decided`` and the peer of what a
    key distribution server did."""
    yield fact.kind.value
    if fact.kind is FactKind.PEER_TAGS:
        yield f"{fact.kind.value} {fact.peer}"
    elif fact.kind is FactKind.DIRECTORY:
        yield fact.word
        if not fact.is_good:
            yield FAILED_CALL
    elif fact.kind is FactKind.STATE and fact.machine:
        yield f"{fact.machine} {fact.word} {fact.peer}"
    elif fact.kind is FactKind.STATE and fact.peer:
        yield f"{DIRECTORY_NOTE} {fact.peer}"
    elif fact.kind is FactKind.ERROR and "key package" in fact.says:
        yield BAD_KEY_PACKAGE


class TraceFacts:
    """Facts by the phone that they concern, in order. Fed with every record."""

    __slots__ = ("_about", "_asked", "_by_key", "_phones", "faults")

    def __init__(self, phones: Sequence[str]) -> None:
        self._phones = frozenset(phones)
        self._by_key: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        self._about: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        self._asked: dict[tuple[str, str, str, str], Fact] = {}
        self.faults: list[Fact] = []

    def last(self, phone: str, until: int, *keys: str) -> Fact | None:
        """The last fact under any of *keys* up to record *until*. A key is what `keys_of` gives."""
        found: Fact | None = None
        for key in keys:
            facts = self._by_key.get((phone, key), ())
            place = bisect_right(facts, until, key=lambda fact: fact.number)
            if place and (found is None or facts[place - 1].number > found.number):
                found = facts[place - 1]
        return found

    def about(self, phone: str, message_id: str) -> Sequence[Fact]:
        """What *phone* came to know about one imdn.Message-ID."""
        return self._about.get((phone, message_id), ())

    def unanswered(self, phone: str) -> Iterator[Fact]:
        """Calls to a directory that nobody answered."""
        for fact in self._asked.values():
            if fact.element == phone:
                yield fact

    def read(self, record: TraceRecord) -> None:
        match record.kind:
            case RecordKind.MESSAGE:
                if record.target in self._phones:
                    self._came(record)
                if record.source in self._phones:
                    self._left(record)
            case RecordKind.STATE | RecordKind.ERROR:
                self._noted(record, record.details)
            case RecordKind.FAULT:
                self.faults.append(_fact(FactKind.FAULT, record, record.source, record.summary))
            case _:
                pass

    # --- octets ------------------------------------------------------------------------------------------------------

    def _left(self, record: TraceRecord) -> None:
        raw = record.raw
        if record.protocol == "SIP" and raw.startswith(b"REGISTER ") and _contact(raw) != b"*":
            self._add_tags(FactKind.OWN_TAGS, record.source, record, "")
        elif record.protocol == "HTTP":
            request = _REQUEST.match(raw)
            path = request[2].decode("ascii", "replace") if request else ""
            if path.startswith(_PATHS):
                says = f"{path} asked of {record.target}, without an answer"
                asked = Fact(
                    FactKind.DIRECTORY, record.number, record.at, record.source, says, word=path, is_good=False
                )
                self._asked[_ends(record)] = asked

    def _came(self, record: TraceRecord) -> None:
        phone, raw = record.target, record.raw
        if record.protocol == "HTTP":
            if _DOCUMENT in raw:
                self._add_configuration(record)
            self._add_call(record)
        elif record.protocol == "MSRP":
            self._add_answer(record, _MSRP_STATUS.match(raw))
        elif record.protocol == "SIP":
            if raw.startswith(b"OPTIONS "):
                self._add_tags(FactKind.PEER_TAGS, phone, record, _first(_ASKER, raw))
            elif raw.startswith(b"SIP/2.0 "):
                if _OPTIONS_ANSWER.match(raw):
                    self._add_tags(FactKind.PEER_TAGS, phone, record, _first(_ASKED, raw))
                self._add_answer(record, _STATUS.match(raw))
        if _REASON_MARK in raw:
            self._add_refusal(record)

    def _add(self, phone: str, fact: Fact) -> None:
        for key in keys_of(fact):
            self._by_key[phone, key].append(fact)
        if fact.message_id:
            self._about[phone, fact.message_id].append(fact)

    def _add_configuration(self, record: TraceRecord) -> None:
        has_kds = _KDS_URI in record.raw
        says = "names a key distribution server" if has_kds else "names no key distribution server"
        who = record.source
        self._add(
            record.target,
            Fact(
                FactKind.CONFIGURATION, record.number, record.at, who, f"the document of {who} {says}", is_good=has_kds
            ),
        )

    def _add_tags(self, kind: FactKind, phone: str, record: TraceRecord, address: str) -> None:
        kds, version = _KDS_TAG.search(record.raw), _VERSION_TAG.search(record.raw)
        words = [] if kds is None else [f"mls-kds {kds[1].decode('ascii', 'replace')}"]
        if version is not None:
            words.append(f"mls-version {version[1].decode('ascii', 'replace')}")
        if _LEGACY_TAG in record.raw:
            words.append("the older scheme")
        says = f"announces {', '.join(words)}" if words else "announces no encryption"
        peer = digits_of(address)
        self._add(
            phone,
            Fact(
                kind,
                record.number,
                record.at,
                phone,
                says,
                peer=peer,
                is_good=kds is not None or _LEGACY_TAG in record.raw,
            ),
        )

    def _add_call(self, record: TraceRecord) -> None:
        there = (record.target, record.source, record.target_address, record.source_address)
        asked = self._asked.pop(there, None)
        status = _STATUS.match(record.raw)
        if asked is None or status is None:
            return
        error, outcome = _ERROR.search(record.raw), _OUTCOME.search(record.raw)
        code = int(status[1])
        words = [f"{asked.word} answered by {record.source} with {code}"]
        if error is not None:
            words.append(error[1].decode("ascii"))
        if outcome is not None:
            words.append(f"outcome {outcome[1].decode('ascii')}")
        is_good = code < 300 and (outcome is None or outcome[1] == b"0")
        says = ": ".join(words)
        fact = _fact(FactKind.DIRECTORY, record, record.source, says, word=asked.word, is_good=is_good)
        self._add(record.target, fact)

    def _add_answer(self, record: TraceRecord, status: re.Match[bytes] | None) -> None:
        if status is None or record.imdn_message_id is None or int(status[1]) < 300:
            return
        says = f"{record.source} answered {record.summary}"
        self._add(
            record.target,
            _fact(
                FactKind.ANSWER,
                record,
                record.source,
                says,
                word=status[1].decode("ascii"),
                message_id=record.imdn_message_id,
                is_good=False,
            ),
        )

    def _add_refusal(self, record: TraceRecord) -> None:
        token = _REASON.search(record.raw)
        about = record.details.get("about") if isinstance(record.details, dict) else None
        if token is None:
            return
        word = token[1].decode("ascii")
        self._add(
            record.target,
            _fact(
                FactKind.REFUSAL,
                record,
                record.source,
                f"a notification says {word}",
                word=word,
                message_id=about if isinstance(about, str) else "",
                is_good=False,
            ),
        )

    # --- what elements noted -----------------------------------------------------------------------------------------

    def _noted(self, record: TraceRecord, details: Any) -> None:
        words = details if isinstance(details, dict) else {}
        is_error = record.kind is RecordKind.ERROR
        fact = _fact(
            FactKind.ERROR if is_error else FactKind.STATE,
            record,
            record.source,
            record.summary,
            word=_text(words, "state"),
            reason=_text(words, "reason"),
            machine=_text(words, "machine"),
            peer=digits_of(_text(words, "target" if record.protocol == _KDS else "peer")),
            message_id=record.imdn_message_id or "",
            is_good=False if is_error else None,
        )
        self._add(record.source, fact)


def _fact(kind: FactKind, record: TraceRecord, element: str, says: str, **members: Any) -> Fact:
    return Fact(kind, record.number, record.at, element, says, **members)


def _text(words: dict[str, Any], name: str) -> str:
    value = words.get(name, "")
    return value if isinstance(value, str) else ""


def _contact(raw: bytes) -> bytes:
    found = re.search(rb"\r\n(?:Contact|m):[ \t]*([^\r\n]*)", raw, re.IGNORECASE)
    return b"" if found is None else found[1].strip()


def _first(headers: Sequence[re.Pattern[bytes]], raw: bytes) -> str:
    for header in headers:
        found = header.search(raw)
        if found is not None:
            return found[1].decode("utf-8", "replace")
    return ""


def _ends(record: TraceRecord) -> tuple[str, str, str, str]:
    return record.source, record.target, record.source_address, record.target_address
