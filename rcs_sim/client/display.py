"""What the phone shows to its user and what it decides: SHOWN and STATE records, and events for whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ims_core.trace import RecordKind, Trace
from ims_core.transport.clock import Clock

__all__ = ["Display", "Shown", "ShownEvent"]


class Shown(StrEnum):
    """Kinds of things that a user sees; member ``what`` of a SHOWN record."""

    MESSAGE = "message"  # a text appeared, incoming or outgoing
    SENT = "sent"
    DELIVERED = "delivered"
    DISPLAYED = "displayed"
    SENT_AS_SMS = "sent as SMS"
    FAILED = "failed"  # "not delivered", perhaps with the question "send as text?"
    LABEL = "label"
    CHANGE = "change"  # a reaction to a message, a new text for it, or its recall
    TOMBSTONE = (
        "tombstone"  # "encryption ended", "security code changed", "new device of yours", "received without encryption"
    )
    TYPING = "typing"
    INVITATION = "invitation"  # a chat that waits for the user to accept it
    NOTICE = "notice"  # a text of the operator or of the phone itself


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One thing shown. *message* is the message object that it is about, None where it is about none."""

    at: float
    what: Shown
    peer: str
    details: Mapping[str, Any] = field(default_factory=dict)
    message: object | None = None


class Display:
    """The screen of one phone. *watchers* are called in order with every `ShownEvent`."""

    __slots__ = ("_clock", "_name", "_trace", "watchers")

    def __init__(self, name: str, clock: Clock, trace: Trace) -> None:
        self._name, self._clock, self._trace = name, clock, trace
        self.watchers: list[Callable[[ShownEvent], None]] = []

    def show(
        self,
        what: Shown,
        peer: str = "",
        *,
        message: object | None = None,
        message_id: str | None = None,
        conversation_id: str | None = None,
        **details: Any,
    ) -> None:
        """*details* are JSON values; those that are None are left out."""
        if not self._trace.enabled and not self.watchers:
            return
        shown = {name: value for name, value in details.items() if value is not None}
        now = self._clock.now()
        if self._trace.enabled:
            self._record(RecordKind.SHOWN, _line(what, peer, shown), message_id, conversation_id, what, peer, shown)
        for watcher in self.watchers:
            watcher(ShownEvent(now, what, peer, shown, message))

    def state(
        self,
        machine: str,
        state: str,
        *,
        reason: str = "",
        message_id: str | None = None,
        conversation_id: str | None = None,
        **details: Any,
    ) -> None:
        """A state machine of the phone moved, or a decision was taken, and why."""
        if not self._trace.enabled:
            return
        line = f"{machine}: {state}" + (f" ({reason})" if reason else "")
        members = {"machine": machine, "state": state, **({"reason": reason} if reason else {}), **details}
        self._trace.record(
            at=self._clock.now(),
            kind=RecordKind.STATE,
            source=self._name,
            summary=line,
            imdn_message_id=message_id,
            conversation_id=conversation_id,
            details=members,
        )

    def error(self, summary: str, octets: bytes = b"") -> None:
        """Something of a peer was refused or dropped."""
        if self._trace.enabled:
            self._trace.record(
                at=self._clock.now(), kind=RecordKind.ERROR, source=self._name, summary=summary, raw=octets
            )

    def _record(
        self,
        kind: RecordKind,
        summary: str,
        message_id: str | None,
        conversation_id: str | None,
        what: Shown,
        peer: str,
        details: Mapping[str, Any],
    ) -> None:
        self._trace.record(
            at=self._clock.now(),
            kind=kind,
            source=self._name,
            summary=summary,
            imdn_message_id=message_id,
            conversation_id=conversation_id,
            details={"what": str(what), "peer": peer, **details},
        )


def _line(what: Shown, peer: str, details: Mapping[str, Any]) -> str:
    extra = details.get("text") or details.get("label") or details.get("reason") or ""
    return " ".join(part for part in (str(what), peer, str(extra)) if part)
