"""Tells the trace whose an MSRP frame is: the call and the conversation of its session, and the message in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ims_core.trace import TraceRecord
from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from rcs_sim.scenario.traced_content import first_chunk_members, label_of

__all__ = ["MsrpAnnotator", "remember"]

_MAX_REMEMBERED = 20_000  # sessions, messages and requests each: the oldest go first
_IDS = ("call_id", "conversation_id", "imdn_message_id")

_Members = Mapping[str, Any]
_K = TypeVar("_K")
_V = TypeVar("_V")


def remember(book: dict[_K, _V], key: _K, value: _V) -> None:
    """Keeps *value*, and no more than so many."""
    if key not in book and len(book) >= _MAX_REMEMBERED:
        del book[next(iter(book))]
    book[key] = value


class MsrpAnnotator:
    """Members of MSRP records. A session is known by its a=path, a later chunk and a REPORT by the first chunk of their
    message, a response by its request, the rest of a very long chunk by the direction it goes.

    `details` has what `first_chunk_members` says; its label goes to the end of the summary."""

    __slots__ = ("_begun", "_messages", "_requests", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[str, _Members] = {}  # by session id
        self._messages: dict[tuple[frozenset[str], str], _Members] = {}  # by both session ids and Message-ID
        self._requests: dict[tuple[str, str, str], _Members] = {}  # by transaction id and both addresses
        self._begun: dict[tuple[str, str], _Members] = {}  # by both addresses: a frame that takes several records

    def learn(self, session_ids: Iterable[str], members: _Members) -> None:
        """Sessions that an SDP names, and the identifiers of its dialog."""
        for session_id in session_ids:
            remember(self._sessions, session_id, members)

    def __call__(self, record: TraceRecord) -> _Members:
        event = next(iter(FrameDecoder().feed(record.raw)), None)
        ends = record.source_address, record.target_address
        if isinstance(event, MsrpResponse):
            return self._requests.pop((event.transaction_id, *ends[::-1]), {})
        if isinstance(event, Piece):
            members = self._of_send(event)
            if event.continuation is None:
                remember(self._begun, ends, _ids_of(members))
        elif isinstance(event, MsrpRequest):
            members = self._of_request(event)
        else:
            return {} if record.raw.startswith(b"MSRP ") else self._begun.get(ends, {})
        self._await_response(event, members, ends)
        label = label_of(members.get("details", {}))
        return {**members, "summary": f"{record.summary} {label}"} if label else members

    def _await_response(self, event: Piece | MsrpRequest, members: _Members, ends: tuple[str, str]) -> None:
        request = event.head if isinstance(event, Piece) else event
        ids = _ids_of(members)
        if ids and request.method != "REPORT":
            remember(self._requests, (request.transaction_id, *ends), ids)

    def _of_send(self, piece: Piece) -> _Members:
        head = piece.head
        key = _key_of(head)
        if piece.start != 1:
            return self._messages.get(key) or self._of_session(head)
        is_whole = piece.continuation is Continuation.COMPLETE
        content = first_chunk_members(head.content_type or "", piece.octets, is_whole=is_whole)
        members = {**self._of_session(head), **content}
        remember(self._messages, key, members)
        return members

    def _of_request(self, request: MsrpRequest) -> _Members:
        """A REPORT is about a message, but is not it; what has no body belongs to a session."""
        if request.method == "REPORT":
            return _ids_of(self._messages.get(_key_of(request), {})) or self._of_session(request)
        return self._of_session(request)

    def _of_session(self, request: MsrpRequest) -> _Members:
        found = self._sessions.get(request.to_path[-1].key)
        return found or self._sessions.get(request.from_path[-1].key, {})


def _key_of(request: MsrpRequest) -> tuple[frozenset[str], str]:
    return frozenset((request.to_path[-1].key, request.from_path[-1].key)), request.message_id


def _ids_of(members: _Members) -> _Members:
    return {name: members[name] for name in _IDS if name in members}
