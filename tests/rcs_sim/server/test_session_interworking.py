"""Digest §8.1, §8.4, §19.8 step 5: sessions with somebody who has no RCS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ims_core.errors import TransportError
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.wire.sip.message import Request
from ims_core.wire.sms.address import Address as SmsAddress
from ims_core.wire.sms.concatenation import split_text
from ims_core.wire.sms.rpdu import Direction, RpAck, RpData, RpError, parse_rpdu
from ims_core.wire.sms.sm_link import Accepted, Bind, Forward, ForwardKind, Result, SmLinkMessage
from ims_core.wire.sms.sm_link import Party as Originator
from ims_core.wire.sms.timestamp import Timestamp
from ims_core.wire.sms.tpdu import SmsStatusReport, SmsSubmit, parse_tpdu_from_ms
from rcs_sim.server.session_interworking import avoids_interworking
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus, parse_imdn
from rcs_sim.wire.message_reference import ReferenceType
from tests.rcs_sim.server.messaging_lab import (
    ALICE,
    BLUE,
    BOB,
    CAROL,
    CONFIG,
    M1,
    PHONE,
    about,
    cpim,
    gruu,
    imdn_cpim,
    message,
    revoke_cpim,
)
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab
from tests.rcs_sim.server.test_session_chat import IS_COMPOSING, TYPING

SMSC = Address(Transport.TCP, "127.0.2.31", 7000)
INTERWORKING = replace(CONFIG, has_interworking=True)
WISHES = ("positive-delivery", "display", "interworking")


class Smsc:
    """Takes every part, unless told otherwise."""

    def __init__(self, lab: SessionLab) -> None:
        self.takes = True
        self.forwards: list[Forward] = []
        self.link: SmLink | None = None
        self.endpoint = SmLinkEndpoint("blue.smsc", self, network=lab.network, clock=lab.clock, trace=Trace())

    def link_opened(self, link: SmLink) -> None:
        self.link = link

    def frame_received(self, link: SmLink, frame: SmLinkMessage) -> None:
        if isinstance(frame, Bind):
            link.send(Accepted(0))
        elif isinstance(frame, Forward):
            self.forwards.append(frame)
            reference = parse_rpdu(frame.rpdu).reference
            answer = RpAck(Direction.TO_MS, reference) if self.takes else RpError(Direction.TO_MS, reference, 38)
            link.send(Result(frame.reference, answer.encode()))

    def link_closed(self, link: SmLink, error: TransportError | None) -> None: ...

    @property
    def texts(self) -> list[str]:
        submits = []
        for forward in self.forwards:
            rpdu = parse_rpdu(forward.rpdu)
            assert isinstance(rpdu, RpData)
            submit = parse_tpdu_from_ms(rpdu.user_data)
            assert isinstance(submit, SmsSubmit)
            submits.append(submit.text)
        return submits

    def report(self, status: int) -> None:
        """What became of the last part."""
        time = Timestamp(bytes.fromhex("62302001815000"))
        number = SmsAddress.international(ALICE)
        report = SmsStatusReport(
            message_reference=1, recipient=number, timestamp=time, discharge_time=time, status=status
        )
        rpdu = RpData(Direction.TO_MS, 9, number, report.encode()).encode()
        assert self.link is not None
        key = self.forwards[-1].report_key
        self.link.send(Forward(reference=77, kind=ForwardKind.REPORT, rpdu=rpdu, report_to=CONFIG.name, report_key=key))


@asynccontextmanager
async def interworking(refusal: int = 404) -> AsyncIterator[tuple[SessionLab, Smsc, Party, Party]]:
    """Bob, a user of the server, and Alice, for whom her network answers so."""
    async with session_lab(config=INTERWORKING, smsc=SMSC) as lab:
        smsc = Smsc(lab)
        await smsc.endpoint.listen(SMSC)
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.on_invite = refusal
        yield lab, smsc, alice, bob
        await smsc.endpoint.close()


async def opened(lab: SessionLab, bob: Party) -> None:
    bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE)
    await lab.settle()
    assert bob.status == 200


def imdns(requests: list[Request]) -> list[Imdn]:
    bodies = [CpimMessage.parse(request.body) for request in requests]
    return [imdn for body in bodies for imdn in parse_imdn("message/imdn+xml", body.body)]


@pytest.mark.parametrize("refusal", [404, 405])
def test_a_text_to_somebody_without_rcs_leaves_as_short_message_with_both_receipts_l04(refusal: int) -> None:
    @on_virtual_time
    async def story() -> None:
        async with interworking(refusal) as (lab, smsc, _, bob):
            await opened(lab, bob)
            assert "+g.gsma.rcs.msgfallback" in (bob.response.text("Contact") or "")
            sent = bob.send(cpim("Hello by SMS", wishes=WISHES), report=True)
            await lab.settle()
            assert smsc.texts == ["Hello by SMS"]
            assert smsc.forwards[0].originator == Originator.msisdn(BOB)
            assert bob.notes.sent_ids == [sent]
            assert [report.status for report in bob.notes.reports] == [200]
            smsc.report(0)
            await lab.settle()
            assert [(each.message_id, each.kind, each.status) for each in imdns(lab.core.messages)] == [
                (M1, ImdnKind.INTERWORKING, ImdnStatus.LEGACY_SMS),
                (M1, ImdnKind.DELIVERY, ImdnStatus.DELIVERED),
            ]

    story()


@on_virtual_time
async def test_what_cannot_be_a_short_message_is_refused_and_what_nobody_would_see_is_dropped() -> None:
    async with interworking() as (lab, smsc, _, bob):
        await opened(lab, bob)
        picture = bob.send(cpim("<file/>", "m2", content_type="application/vnd.gsma.rcs-ft-http+xml"))
        too_long = bob.send(cpim("x" * 1531, "m3"))
        reaction = bob.send(cpim("👍", "m4", about=about(ReferenceType.ADD_REACTION)))
        revocation = bob.send(revoke_cpim())
        receipt = bob.send(imdn_cpim(Imdn(M1, "", ImdnKind.DELIVERY, ImdnStatus.DELIVERED)))
        typing = bob.send(TYPING, IS_COMPOSING)
        await lab.settle()
        assert {failure.message_id: failure.status for failure in bob.notes.failures} == {
            picture: 415,
            too_long: 413,
            reaction: 415,
            revocation: 403,
        }
        assert set(bob.notes.sent_ids) == {receipt, typing}
        assert smsc.forwards == []


@on_virtual_time
async def test_a_text_that_the_smsc_refuses_is_refused_and_the_same_text_again_is_not_sent_twice() -> None:
    async with interworking() as (lab, smsc, _, bob):
        await opened(lab, bob)
        smsc.takes = False
        refused = bob.send(cpim("one", "m1"))
        await lab.settle()
        assert [(failure.message_id, failure.status) for failure in bob.notes.failures] == [(refused, 403)]
        smsc.takes = True
        bob.send(cpim("one", "m1"))
        await lab.settle()
        again = bob.send(cpim("one", "m1"))
        await lab.settle()
        assert again in bob.notes.sent_ids
        assert smsc.texts == ["one", "one"]


@on_virtual_time
async def test_a_long_text_goes_in_parts_and_the_session_ends_with_the_user() -> None:
    async with interworking() as (lab, smsc, _, bob):
        await opened(lab, bob)
        text = "several parts " * 100
        bob.send(cpim(text, "m1"))
        await lab.settle()
        assert len(smsc.forwards) == len(split_text(text, reference=0, max_parts=10).parts)
        bob.hang_up()
        await lab.settle(20)
        assert not lab.server.core.has_sessions


@on_virtual_time
async def test_it_ends_when_nothing_was_said_for_long() -> None:
    async with interworking() as (lab, _, __, bob):
        await opened(lab, bob)
        await lab.settle(INTERWORKING.chat_idle_s + 1)
        assert bob.end is not None
        assert not lab.server.core.has_sessions


@pytest.mark.parametrize(
    ("refusal", "headers"),
    [
        (480, ()),
        (603, ()),
        (404, (("Reject-Contact", "*;+g.gsma.rcs.msgfallback"),)),
    ],
)
def test_other_answers_and_senders_who_want_no_gateway_get_the_answer(
    refusal: int, headers: tuple[tuple[str, str], ...]
) -> None:
    @on_virtual_time
    async def story() -> None:
        async with interworking(refusal) as (lab, _, __, bob):
            bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE, headers=headers)
            await lab.settle()
            assert bob.status == refusal
            assert not lab.server.core.has_sessions

    story()


@on_virtual_time
async def test_without_interworking_the_answer_goes_back() -> None:
    async with session_lab() as lab:
        await lab.register()
        alice, bob = await lab.party("alice", f"tel:{ALICE}"), await lab.party("bob", gruu(PHONE))
        alice.on_invite = 404
        bob.invite(sender=BOB, recipient=ALICE, case="orig", domain=BLUE)
        await lab.settle()
        assert bob.status == 404


@on_virtual_time
async def test_a_session_to_a_user_without_any_rcs_device_is_taken_even_where_nothing_is_stored() -> None:
    config = replace(INTERWORKING, has_store_and_forward=False)
    async with session_lab(config=config, smsc=SMSC) as lab:
        smsc = Smsc(lab)
        await smsc.endpoint.listen(SMSC)
        alice = await lab.party("alice", f"tel:{ALICE}")
        alice.invite(recipient=CAROL)
        await lab.settle()
        assert alice.status == 200
        assert "+g.gsma.rcs.msgfallback" in (alice.response.text("Contact") or "")
        sent = alice.send(cpim("Hello Carol"))
        await lab.settle()
        assert (smsc.texts, alice.notes.sent_ids) == (["Hello Carol"], [sent])
        await smsc.endpoint.close()


def test_a_sender_may_avoid_the_gateway() -> None:
    invite = message(b"", method="INVITE")
    assert not avoids_interworking(invite)
    rejecting = invite.edit().append("Reject-Contact", "*;+G.gsma.rcs.msgfallback").done()
    assert avoids_interworking(rejecting)
