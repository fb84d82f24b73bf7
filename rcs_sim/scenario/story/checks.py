"""Whether what a scenario file expects of messages has come true, by what phones showed and by the octets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.client.display import Shown
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.scenario.story.evidence import Evidence
from rcs_sim.scenario.story.expectation_model import MessageExpectation
from rcs_sim.scenario.story.stage import Said, Stage
from rcs_sim.scenario.story.verdict import ScenarioFailed

__all__ = ["MessageCheck", "history_line", "times_shown"]

_S = MessageState
_DELIVERED = (_S.DELIVERED, _S.DISPLAYED)
_ACCEPTED = (_S.SENT, _S.DELIVERED, _S.DISPLAYED, _S.REVOKING, _S.REVOKED, _S.SENT_AS_SMS, _S.INTERWORKED)
_BY_SMS = (_S.SENT, _S.SENT_AS_SMS, _S.DELIVERED, _S.DISPLAYED)
_ROUNDING_S = 1e-6


class MessageCheck:
    """The expectations of one message."""

    __slots__ = ("_evidence", "_said", "_stage")

    def __init__(self, stage: Stage, said: Said, evidence: Evidence) -> None:
        self._stage, self._said, self._evidence = stage, said, evidence

    async def run(self, expected: MessageExpectation, within_s: float = 0.0) -> None:
        """Waits as long as the deadlines say, and for what has none up to *within_s*. Raises ScenarioFailed. `never` is
        checked when the story ends."""
        await self._by(expected.sent_within_s, "sent", lambda state, _: state in _ACCEPTED)
        await self._by(
            expected.sent_as_sms_within_s,
            "accepted as SMS",
            lambda state, transport: transport is MessageTransport.SMS and state in _BY_SMS,
        )
        await self._by(expected.delivered_within_s, "delivered", lambda state, _: state in _DELIVERED)
        await self._by(expected.displayed_within_s, "displayed", lambda state, _: state is _S.DISPLAYED)
        await self._by(expected.failed_within_s, "shown as failed", lambda state, _: state is _S.FAILED)
        await self._stage.until(lambda: self._is_so(expected), self._stage.clock.now() + within_s)
        self._as_it_is(expected)
        self._readers(expected)

    def _is_so(self, expected: MessageExpectation) -> bool:
        try:
            self._as_it_is(expected)
        except ScenarioFailed:
            return False
        return True

    async def _by(
        self, within_s: float | None, what: str, is_it: Callable[[MessageState, MessageTransport], bool]
    ) -> None:
        if within_s is None:
            return
        message, clock = self._said.message, self._stage.clock
        deadline = self._said.at + within_s

        def reached() -> float | None:
            return next((each.at for each in message.history if is_it(each.state, each.transport)), None)

        await self._stage.until(lambda: reached() is not None, deadline)
        at = reached()
        is_early = clock.now() <= deadline + _ROUNDING_S  # whatever the phone's own clock says, which a fault may set
        if at is None or (not is_early and at - message.created_at > within_s + _ROUNDING_S):
            self._fail(f"{what} within {within_s:g} s", history_line(message))

    def _as_it_is(self, expected: MessageExpectation) -> None:
        message = self._said.message
        scheme = "none" if message.scheme is None else message.scheme.value
        if expected.state is not None and message.state.value not in expected.state:
            self._fail(f"state {' or '.join(expected.state)}", history_line(message))
        self._equal("transport", expected.transport, message.transport.value.lower())
        self._equal("mode", expected.mode, message.delivery.mode.value)
        self._equal("scheme", expected.scheme, scheme)
        self._equal("label", expected.label, message.label)
        self._equal("offers_sms", expected.offers_sms, message.offers_sms)
        reason = message.reason
        if expected.reason is not None and expected.reason not in (reason.value, reason.name.lower()):
            self._fail(f"reason {expected.reason!r}", f"{reason.name.lower()}: {reason.value}")
        self._on_screens(expected)
        if expected.shown is not None:
            self._equal("shown", expected.shown, times_shown(self._stage, self._said))

    def _on_screens(self, expected: MessageExpectation) -> None:
        """What has become of it on every phone that has it."""
        wanted = (expected.text, expected.recalled, expected.reactions)
        if wanted == (None, None, None):
            return
        for phone, message in self._copies():
            seen = (message.shown_text, message.is_recalled, self._reactions(phone, message))
            for what, value, found in zip(("text", "recalled", "reactions"), wanted, seen, strict=True):
                is_by_phone = isinstance(value, dict) and what != "reactions"
                here = value.get(phone) if is_by_phone and isinstance(value, dict) else value
                if here is not None and here != found:
                    self._fail(f"{what} {here!r} at {phone}", f"{what} {found!r}")

    def _copies(self) -> Iterator[tuple[str, SentMessage | ReceivedMessage]]:
        said, stage = self._said, self._stage
        for phone in dict.fromkeys((said.sender, *stage.phones_of(said.to))):
            message = stage.as_seen_by(phone, said)
            if message is not None:
                yield phone, message

    def _reactions(self, phone: str, message: SentMessage | ReceivedMessage) -> dict[str, str]:
        """By phone: several of one user show one reaction, which has the name of the first of them."""
        names = {number: name for name, number in reversed(self._stage.sim.numbers.items())}
        own = self._stage.number(phone)
        return {names.get(member or own, member): emoji for member, emoji in message.reactions.items()}

    def _equal(self, what: str, expected: object, seen: object) -> None:
        if expected is not None and seen != expected:
            self._fail(f"{what} {expected}", f"{what} {seen}; {history_line(self._said.message)}")

    def _readers(self, expected: MessageExpectation) -> None:
        wanted = (expected.readers, expected.readers_include or None, expected.readers_exclude or None)
        if wanted == (None, None, None):
            return
        readers = self._evidence.readers(self._said)
        seen = ", ".join(sorted(readers)) or "nobody"
        if expected.readers is not None and readers != set(expected.readers):
            self._fail(f"readers {', '.join(sorted(expected.readers))}", f"readers {seen}")
        if not readers.issuperset(expected.readers_include):
            self._fail(f"{', '.join(expected.readers_include)} among the readers", f"readers {seen}")
        if not readers.isdisjoint(expected.readers_exclude):
            self._fail(f"{', '.join(expected.readers_exclude)} not among the readers", f"readers {seen}")

    def _fail(self, expected: str, seen: str) -> None:
        raise ScenarioFailed(f"message {self._said.name}", expected, seen)


def history_line(message: SentMessage) -> str:
    """Its states with their times since it was sent."""
    steps = [
        f"{change.state.value} by {change.transport.value} at +{change.at - message.created_at:.3f} s"
        for change in message.history
    ]
    reason = f" ({message.reason.value})" if message.reason.name != "NONE" else ""
    return ", ".join(steps) + reason


def times_shown(stage: Stage, said: Said) -> int:
    """How often the phones of its receiver showed it as coming in, the phone that showed it most."""
    names = stage.phones_of(said.to)
    counts = [sum(_shows(record, name, said) for record in stage.sink.records) for name in names]
    return max(counts, default=0)


def _shows(record: TraceRecord, phone: str, said: Said) -> bool:
    details, message = record.details, said.message
    if record.kind is not RecordKind.SHOWN or record.source != phone or record.at < said.at:
        return False
    if details.get("direction") != "in" or details.get("text") != message.text:
        return False
    if details.get("what") == Shown.CHANGE:
        return record.imdn_message_id in (message.id, message.wire_id)
    return details.get("what") == Shown.MESSAGE
