"""SM link of the messaging server to its SMSC, where it binds as an application (digest §19.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ims_core.errors import LocalProtocolError, TransportError
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address as LinkAddress
from ims_core.transport.link import Network
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.transport.tokens import Tokens
from ims_core.wire.sms.address import Address
from ims_core.wire.sms.concatenation import split_text, submits_for
from ims_core.wire.sms.octets import SmsParseError
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, parse_rpdu
from ims_core.wire.sms.sm_link import (
    Accepted,
    Bind,
    Failure,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Refused,
    Result,
    SmError,
    SmLinkMessage,
)
from ims_core.wire.sms.tpdu import DeliveryOutcome, SmsStatusReport, parse_tpdu_to_ms
from rcs_sim.server.messaging_actions import SubmitText
from rcs_sim.server.messaging_config import MessagingServerConfig

__all__ = ["InterworkingLink"]

_MAX_REPORTED = 100_000  # texts whose status report is waited for


class _Text:
    """A text on its way: parts that the SMSC has not answered yet, and parts that have not arrived yet."""

    __slots__ = ("is_answered", "name", "timer", "unanswered", "undelivered")

    def __init__(self, name: str) -> None:
        self.name = name
        self.unanswered: set[int] = set()  # references of FORWARDs
        self.undelivered: set[str] = set()  # report keys
        self.is_answered = False
        self.timer: asyncio.TimerHandle | None = None


class InterworkingLink:
    """Submits texts and tells, once each, whether the SMSC took them (*on_submitted*) and whether they arrived
    (*on_reported*). Dials when there is something to send; what is under way when the link breaks is not taken."""

    def __init__(
        self,
        config: MessagingServerConfig,
        smsc: LinkAddress,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        on_submitted: Callable[[str, bool], None],
        on_reported: Callable[[str, bool], None],
    ) -> None:
        self._config = config
        self._smsc = smsc
        self._tokens = tokens
        self._on_submitted = on_submitted
        self._on_reported = on_reported
        self._endpoint = SmLinkEndpoint(config.name, self, network=network, clock=clock, trace=trace)
        self._link: SmLink | None = None
        self._is_bound = False
        self._queue: list[Forward] = []  # until the SMSC has accepted the link
        self._by_reference: dict[int, _Text] = {}
        self._by_name: dict[str, _Text] = {}
        self._reference = 0

    async def close(self) -> None:
        for text in self._by_name.values():
            if text.timer is not None:
                text.timer.cancel()
        await self._endpoint.close()
        self._link = None

    def submit(self, action: SubmitText) -> None:
        """Hands over all parts of a text."""
        text = self._by_name[action.submission] = _Text(action.submission)
        while len(self._by_name) > _MAX_REPORTED:
            del self._by_name[next(iter(self._by_name))]
        try:
            forwards = self._forwards(action, text)
        except LocalProtocolError:  # a number that no address can hold; the text was measured before
            self._answered(text, False)
            return
        answer_s = self._config.interworking_answer_s
        text.timer = asyncio.get_running_loop().call_later(answer_s, self._answered, text, False)
        for forward in forwards:
            self._send(forward)

    def _forwards(self, action: SubmitText, text: _Text) -> list[Forward]:
        split = split_text(
            action.text, reference=self._tokens.number(0, 255), max_parts=self._config.interworking_max_parts
        )
        submits = submits_for(
            split,
            Address.international(action.recipient),
            message_reference=self._tokens.number(0, 255),
            status_report=action.wants_report,
        )
        service_centre = Address.international(self._config.smsc_number)
        forwards = []
        for index, submit in enumerate(submits):
            self._reference = self._reference % 0xFFFFFFFF + 1
            key = f"{action.submission}/{index}"
            rpdu = RpData(Direction.FROM_MS, self._reference % 256, service_centre, submit.encode()).encode()
            forwards.append(
                Forward(
                    reference=self._reference,
                    kind=ForwardKind.MO,
                    rpdu=rpdu,
                    originator=Party.msisdn(action.originator),
                    more_messages=index + 1 < len(submits),
                    identifier=f"{self._config.name}/{key}",
                    report_to=self._config.name,
                    report_key=key,
                )
            )
            text.unanswered.add(self._reference)
            self._by_reference[self._reference] = text
            if action.wants_report:
                text.undelivered.add(key)
        return forwards

    def _send(self, forward: Forward) -> None:
        if self._link is None or not self._link.is_open:
            self._is_bound = False
            self._link = self._endpoint.connect(self._config.host, self._smsc)
            self._link.send(Bind(0, LinkRole.APPLICATION, self._config.name))
        if self._is_bound:
            self._link.send(forward)
        else:
            self._queue.append(forward)

    # -- SmLinkUser --------------------------------------------------------------------------------------------------

    def link_opened(self, link: SmLink) -> None:
        link.close()  # nobody dials this server

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        if link is not self._link:
            return
        match message:
            case Accepted():
                self._is_bound = True
                queued, self._queue = self._queue, []
                for forward in queued:
                    link.send(forward)
            case Refused():
                link.close()
                self._lost()
            case Result():
                self._part_answered(message.reference, _is_ack(message.rpdu))
            case Failure():
                self._part_answered(message.reference, False)
            case Forward():
                self._report_received(link, message)
            case _:
                return

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        if link is self._link:
            self._lost()

    def _lost(self) -> None:
        self._link = None
        self._queue.clear()
        for text in set(self._by_reference.values()):
            self._answered(text, False)

    # -- answers and reports -----------------------------------------------------------------------------------------

    def _part_answered(self, reference: int, is_accepted: bool) -> None:
        text = self._by_reference.pop(reference, None)
        if text is None:
            return
        text.unanswered.discard(reference)
        if not is_accepted or not text.unanswered:
            self._answered(text, is_accepted)

    def _answered(self, text: _Text, is_accepted: bool) -> None:
        if text.is_answered:
            return
        text.is_answered = True
        if text.timer is not None:
            text.timer.cancel()
        for reference in text.unanswered:
            self._by_reference.pop(reference, None)
        if not is_accepted or not text.undelivered:
            self._by_name.pop(text.name, None)
        self._on_submitted(text.name, is_accepted)

    def _report_received(self, link: SmLink, forward: Forward) -> None:
        report, reference = _read_report(forward.rpdu)
        if forward.kind is not ForwardKind.REPORT or report is None:
            link.send(Failure(forward.reference, SmError.SYSTEM_FAILURE))
            return
        link.send(Result(forward.reference, RpAck(Direction.FROM_MS, reference).encode()))
        text = self._by_name.get(forward.report_key.partition("/")[0])
        if text is None or report.outcome is DeliveryOutcome.STILL_TRYING:
            return
        text.undelivered.discard(forward.report_key)
        if report.outcome is DeliveryOutcome.FAILED or not text.undelivered:
            self._by_name.pop(text.name, None)
            self._on_reported(text.name, report.outcome is DeliveryOutcome.COMPLETED)


def _is_ack(octets: bytes) -> bool:
    try:
        return isinstance(parse_rpdu(octets), RpAck)
    except SmsParseError:
        return False


def _read_report(octets: bytes) -> tuple[SmsStatusReport | None, int]:
    """The status report in an RP-DATA, and the reference of that; None if it is none."""
    try:
        rpdu = parse_rpdu(octets)
        tpdu = parse_tpdu_to_ms(rpdu.user_data) if isinstance(rpdu, RpData) else None
    except SmsParseError:
        return None, 0
    return (tpdu if isinstance(tpdu, SmsStatusReport) else None), rpdu.reference
