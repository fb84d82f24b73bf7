"""The SM link to the SMSC, against an SMSC that is a bare end of such links."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ims_core.errors import TransportError
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualClock, run
from ims_core.wire.sms.address import Address as SmsAddress
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError, parse_rpdu
from ims_core.wire.sms.sm_link import (
    Accepted,
    Bind,
    Forward,
    ForwardKind,
    LinkRole,
    Party,
    Refused,
    Result,
    SmError,
    SmLinkMessage,
)
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsStatusReport, SmsSubmit, parse_tpdu_from_ms
from rcs_sim.server.interworking_link import InterworkingLink
from rcs_sim.server.messaging_actions import SubmitText
from tests.rcs_sim.server.messaging_lab import ALICE, BOB, CONFIG

SMSC = Address(Transport.TCP, "127.0.2.31", 7000)


class Rig:
    """An SMSC that accepts the link and takes every part, unless told otherwise."""

    def __init__(self) -> None:
        network = MemoryNetwork(VirtualClock(), Tokens("n"))
        self.is_open_to_all, self.takes, self.answers = True, True, True
        self.binds: list[Bind] = []
        self.forwards: list[Forward] = []
        self.results: list[Result] = []
        self.link: SmLink | None = None
        self.told: list[tuple[str, str, bool]] = []
        self.smsc = SmLinkEndpoint("blue.smsc", self, network=network, clock=VirtualClock(), trace=Trace())
        self.server = InterworkingLink(
            CONFIG,
            SMSC,
            network=network,
            clock=VirtualClock(),
            tokens=Tokens("as"),
            trace=Trace(),
            on_submitted=lambda name, ok: self.told.append(("submitted", name, ok)),
            on_reported=lambda name, ok: self.told.append(("reported", name, ok)),
        )

    def link_opened(self, link: SmLink) -> None:
        self.link = link

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        match message:
            case Bind():
                self.binds.append(message)
                link.send(Accepted(0) if self.is_open_to_all else Refused(0, SmError.UNAUTHORIZED))
            case Forward():
                self.forwards.append(message)
                reference = rp_data(message).reference
                ack, error = RpAck(Direction.TO_MS, reference), RpError(Direction.TO_MS, reference, 38)
                if self.answers:
                    link.send(Result(message.reference, (ack if self.takes else error).encode()))
            case Result():
                self.results.append(message)

    def link_closed(self, link: SmLink, error: TransportError | None) -> None: ...

    def report(self, forward: Forward, status: int) -> None:
        """What became of one part."""
        time = Timestamp(bytes.fromhex("62302001815000"))
        report = SmsStatusReport(
            message_reference=1,
            recipient=SmsAddress.international(BOB),
            timestamp=time,
            discharge_time=time,
            status=status,
        )
        rpdu = RpData(Direction.TO_MS, 9, SmsAddress.international("+12025550198"), report.encode()).encode()
        assert self.link is not None
        self.link.send(
            Forward(
                reference=77, kind=ForwardKind.REPORT, rpdu=rpdu, report_to=CONFIG.name, report_key=forward.report_key
            )
        )


def rp_data(forward: Forward) -> RpData:
    rpdu = parse_rpdu(forward.rpdu)
    assert isinstance(rpdu, RpData)
    return rpdu


def with_rig(test: Callable[[Rig], Awaitable[None]]) -> Callable[[], None]:
    def runs() -> None:
        async def main() -> None:
            rig = Rig()
            await rig.smsc.listen(SMSC)
            await test(rig)
            await rig.server.close()
            await rig.smsc.close()

        run(main, clock="virtual")

    runs.__name__ = test.__name__
    return runs


def text(words: str = "Hello", *, wants_report: bool = True) -> SubmitText:
    return SubmitText("s1", ALICE, BOB, words, wants_report)


@with_rig
async def test_it_binds_as_an_application_and_submits_from_the_senders_number(rig: Rig) -> None:
    rig.server.submit(text())
    await asyncio.sleep(1)
    (forward,) = rig.forwards
    submit = parse_tpdu_from_ms(rp_data(forward).user_data)
    assert [(bind.role, bind.name) for bind in rig.binds] == [(LinkRole.APPLICATION, CONFIG.name)]
    assert (forward.kind, forward.originator) == (ForwardKind.MO, Party.msisdn(ALICE))
    assert isinstance(submit, SmsSubmit)
    assert (str(submit.destination), submit.text, submit.status_report_request) == (BOB, "Hello", True)
    assert str(rp_data(forward).service_centre) == CONFIG.smsc_number
    assert rig.told == [("submitted", "s1", True)]


@with_rig
async def test_a_long_text_is_accepted_and_delivered_when_all_its_parts_are(rig: Rig) -> None:
    rig.server.submit(text("ж" * 150))
    await asyncio.sleep(1)
    assert len(rig.forwards) == 3
    for forward in rig.forwards:
        assert ("reported", "s1", True) not in rig.told
        rig.report(forward, 0x00)
        await asyncio.sleep(1)
    assert rig.told == [("submitted", "s1", True), ("reported", "s1", True)]
    assert [parse_rpdu(result.rpdu) for result in rig.results] == [RpAck(Direction.FROM_MS, 9)] * 3


@with_rig
async def test_a_part_that_never_arrives_fails_the_text_and_still_trying_says_nothing(rig: Rig) -> None:
    rig.server.submit(text())
    await asyncio.sleep(1)
    rig.report(rig.forwards[0], 0x30)
    await asyncio.sleep(1)
    assert len(rig.told) == 1
    rig.report(rig.forwards[0], 0x46)
    await asyncio.sleep(1)
    assert rig.told[1:] == [("reported", "s1", False)]


@with_rig
async def test_a_part_that_is_refused_is_told_once(rig: Rig) -> None:
    rig.takes = False
    rig.server.submit(text("x" * 400))
    await asyncio.sleep(20)
    assert rig.told == [("submitted", "s1", False)]


@with_rig
async def test_no_answer_within_the_deadline_is_not_taken(rig: Rig) -> None:
    rig.answers = False
    rig.server.submit(text())
    await asyncio.sleep(9.9)
    assert rig.told == []
    await asyncio.sleep(0.2)
    assert rig.told == [("submitted", "s1", False)]


@with_rig
async def test_a_refused_or_broken_link_is_not_taken_and_the_next_text_dials_again(rig: Rig) -> None:
    rig.is_open_to_all = False
    rig.server.submit(text())
    await asyncio.sleep(1)
    assert rig.told == [("submitted", "s1", False)]
    rig.is_open_to_all = True
    rig.server.submit(text())
    await asyncio.sleep(1)
    assert rig.told[1:] == [("submitted", "s1", True)]


@with_rig
async def test_nobody_there_is_not_taken(rig: Rig) -> None:
    await rig.smsc.close()
    rig.server.submit(text())
    await asyncio.sleep(15)
    assert rig.told == [("submitted", "s1", False)]


@with_rig
async def test_a_frame_that_is_no_report_is_answered_with_a_failure(rig: Rig) -> None:
    rig.server.submit(text())
    await asyncio.sleep(1)
    assert rig.link is not None
    rig.link.send(Forward(reference=5, kind=ForwardKind.REPORT, rpdu=b"\xff\xff"))
    await asyncio.sleep(1)
    assert rig.told == [("submitted", "s1", True)]
