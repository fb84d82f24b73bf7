from __future__ import annotations

import asyncio

from rcs_sim.client.e2ee.context import E2eeContext
from rcs_sim.client.e2ee.control_channel import ANSWER_S, ControlAnswer, ControlRequest, NoAnswer
from rcs_sim.client.pager import compose_receipt
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.e2ee.server_message import AcceptedMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.stage import ALICE, BOB, Stage, scenario


def _context(phone: Phone) -> E2eeContext:
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    return phone.encryption.mls._context  # the part under test is inside


def _send(phone: Phone, request: ControlRequest) -> list[ControlAnswer]:
    answers: list[ControlAnswer] = []
    conversation = phone._messenger.conversation(phone.chat(BOB).peer)
    _context(phone).channel.send(conversation, request, answers.append)
    return answers


@scenario("two-carriers")
async def test_a_short_request_goes_by_pager_and_the_focus_answers_it_once(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    pull = ControlRequest(control_id=_context(alice).new_id(), body=b"", content_type=MlsContentType.GROUP_INFO_REQUEST)
    answers = _send(alice, pull)
    assert answers == []
    await asyncio.sleep(2)
    (answer,) = answers
    assert isinstance(answer, FocusRefusal)
    assert answer.reason == "mls-group-not-found"
    assert not _context(alice).channel.answered(pull.control_id, AcceptedMessage(pull.control_id))
    assert [one.body for one in stage.requests("MESSAGE", "alice") if b"message/mls-rcs" in one.body]


@scenario("two-carriers")
async def test_a_long_request_opens_a_session(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    long = ControlRequest(control_id=_context(alice).new_id(), body=b"\x0a" + b"\x81" * 3000)
    answers = _send(alice, long)
    await asyncio.sleep(3)
    assert alice.chat(BOB).session == "open"
    (answer,) = answers
    assert isinstance(answer, FocusRefusal)
    assert answer.reason == "invalid-input"


@scenario("two-carriers")
async def test_what_nobody_answers_is_unknown_after_its_time(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    pull = ControlRequest(control_id="mls-x", body=b"", content_type=MlsContentType.SERVER)  # nobody may send that
    answers = _send(alice, pull)
    await asyncio.sleep(ANSWER_S - 1)
    assert answers == []
    await asyncio.sleep(2)
    assert answers == [NoAnswer.UNKNOWN]


@scenario("two-carriers")
async def test_what_the_network_never_took_is_handed_over_again_and_given_up(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    await stage.sim.cut("red.pcscf")
    pull = ControlRequest(control_id="mls-y", body=b"", content_type=MlsContentType.GROUP_INFO_REQUEST)
    answers = _send(alice, pull)
    await asyncio.sleep(600)
    assert len(answers) == 1
    assert answers[0] in (NoAnswer.NOT_DELIVERED, NoAnswer.UNKNOWN)
    await stage.sim.restore("red.pcscf")


@scenario("two-carriers")
async def test_when_the_power_goes_nothing_is_under_way_any_more(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    pull = ControlRequest(control_id="mls-z", body=b"", content_type=MlsContentType.SERVER)
    answers = _send(alice, pull)
    assert _context(alice).channel.is_pending("mls-z")
    await alice.lose_power()
    assert not _context(alice).channel.is_pending("mls-z")
    await asyncio.sleep(60)
    assert answers == []


@scenario("two-carriers", is_read_by_others=False)
async def test_a_notice_goes_to_all_devices_in_pager_mode_though_one_of_them_has_a_session(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bobs = [await stage.phone(name, BOB) for name in ("bob", "bob2")]
    await asyncio.sleep(2)
    long = ControlRequest(control_id=_context(alice).new_id(), body=b"\x0a" + b"\x81" * 3000)
    _send(alice, long)
    await asyncio.sleep(3)
    assert alice.chat(BOB).session == "open"
    before = len(stage.requests("MESSAGE", "alice"))
    _notify(alice, _notice())
    await asyncio.sleep(2)
    assert len(stage.requests("MESSAGE", "alice")) == before + 1
    for bob in bobs:
        assert [one for one in stage.requests("MESSAGE", target=bob.name) if b"control-message-failed" in one.body]


@scenario("two-carriers")
async def test_a_notice_that_is_not_taken_in_pager_mode_goes_in_a_session(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    async with stage.sim.fault("sip.status", method="MESSAGE", status=403, from_="alice"):
        _notify(alice, _notice())
        await asyncio.sleep(5)
    assert alice.chat(BOB).session == "open"
    assert [one for one in stage.sink.records if one.source == "alice" and b"control-message-failed" in one.raw]


@scenario("two-carriers")
async def test_a_notice_in_a_session_opens_one_and_is_no_message(stage: Stage) -> None:
    alice, _bob = await stage.alice_and_bob()
    before = len(stage.requests("MESSAGE", "alice"))
    _notify(alice, _notice(), in_session=True)
    await asyncio.sleep(5)
    assert alice.chat(BOB).session == "open"
    assert len(stage.requests("MESSAGE", "alice")) == before


def _notice() -> bytes:
    imdn = Imdn("x", "", ImdnKind.DELIVERY, ImdnStatus.FAILED, client_failure_reason="control-message-failed")
    return compose_receipt(imdn, "n1", "2026-03-02T10:00:00Z")


def _notify(phone: Phone, cpim: bytes, *, in_session: bool = False) -> None:
    conversation = phone._messenger.conversation(phone.chat(BOB).peer)
    _context(phone).channel.notify(conversation, cpim, in_session=in_session)
