"""What a network does that wants to read a locked conversation: whatever it answers, forges or holds back, no text that
was written under the lock leaves the phone in clear."""

from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import dialled_key
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.pager import compose_receipt
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED, focus_fault, inject, locked, mls_of, rekey

_NOW = "2026-03-02T10:15:30.000Z"
_PLAIN = (("Accept", "text/plain"),)
_TEXT = "only for your eyes"


def _bare_failure(bob: Phone, message_id: str) -> None:
    """What anybody can make up who can name the message."""
    imdn = Imdn(message_id, _NOW, ImdnKind.DELIVERY, ImdnStatus.FAILED)
    inject(bob, ALICE, compose_receipt(imdn, "MxAAAAAAAAAAAAAAAAAAAAAA", _NOW, ()))


class _Holder:
    """Keeps back what alice seals."""

    def __init__(self, stage: Stage) -> None:
        self.held: list[Passing] = []
        self._end = stage.sim.faults.tap.add((Line.SIP,), self._hold)

    def _hold(self, passing: Passing) -> bytes | None:
        request = passing.request
        is_sealed = request is not None and passing.source == "alice" and b"message/mls\r\n" in request.body
        if not is_sealed:
            return passing.octets
        self.held.append(passing)
        return None

    def let_go(self) -> None:
        self._end()


@pytest.mark.parametrize("status", [302, 403, 404, 408, 413, 415, 420, 480, 486, 488, 500, 503, 603, 606])
@scenario("two-carriers")
async def test_a_message_that_is_reported_as_unreadable_before_it_is_refused_stays_sealed(
    stage: Stage, status: int
) -> None:
    alice, bob = await locked(stage)
    alice.chat(BOB).end_session()
    await asyncio.sleep(5)
    holder = _Holder(stage)
    message = alice.chat(BOB).send(_TEXT)
    await asyncio.sleep(0.2)
    (first,) = holder.held
    holder.let_go()
    focus_fault(stage, is_silent=True)  # so that it is not sealed anew at once
    _bare_failure(bob, message.id)
    await asyncio.sleep(0.5)
    assert (message.scheme, message.sealed) == (message.scheme, None)
    first.answer_sip(status, headers=_PLAIN)
    await asyncio.sleep(300)
    assert readable(stage, _TEXT) == []
    assert alice.chat(BOB).label == LOCKED
    assert message.state is not MessageState.SENT_AS_SMS


@scenario("two-carriers")
async def test_what_went_out_in_clear_before_the_lock_gets_none_and_becomes_no_sms_under_it(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    await asyncio.sleep(5)
    await stage.sim.begin_fault("kds.down", carrier="red")
    refuses = stage.sim.faults.tap.add((Line.SIP,), _refuse_messages_of_alice)
    failed = alice.chat(BOB).send("refused in clear")
    await asyncio.sleep(30)
    refuses()
    assert (failed.state, failed.scheme) == (MessageState.FAILED, None)
    keeps = stage.sim.faults.tap.add((Line.SIP, Line.CONTENT), _drop_receipts_of_bob)
    waits = alice.chat(BOB).send("on its way in clear")
    await asyncio.sleep(20)
    keeps()
    await stage.sim.end_fault("kds.down")
    await asyncio.sleep(100)
    await (await bob.chat(ALICE).send("a lock at last")).delivered(within_s=60)
    assert alice.chat(BOB).label == LOCKED
    assert not waits.delivery.may_fall_back
    failed.send_again()
    await asyncio.sleep(60)
    assert (failed.state, failed.reason) == (MessageState.FAILED, FallbackReason.WENT_IN_CLEAR)
    assert failed.label == "RCS"
    failed.send_as_sms()
    await asyncio.sleep(60)
    assert failed.state is MessageState.FAILED
    assert not stage.sim.oracle.violations()


def _refuse_messages_of_alice(passing: Passing) -> bytes | None:
    request = passing.request
    if passing.source != "alice" or request is None or b"refused in clear" not in request.body:
        return passing.octets
    passing.answer_sip(603)
    return None


def _drop_receipts_of_bob(passing: Passing) -> bytes | None:
    if passing.source == "bob" and b"message/imdn+xml" in passing.octets:
        passing.answer_whole()
        return None
    return passing.octets


@pytest.mark.parametrize("reason", sorted(ServerFailureReason))
@scenario("two-carriers")
async def test_no_refusal_of_a_focus_ends_the_encryption(stage: Stage, reason: ServerFailureReason) -> None:
    alice, _ = await locked(stage)
    focus_fault(stage, refuses_with=reason)  # requests and pulls
    rekey(alice, BOB)
    await asyncio.sleep(30)
    message = alice.chat(BOB).send(_TEXT)
    await asyncio.sleep(5)
    _refusal(alice, message, reason)  # and messages
    await asyncio.sleep(30)
    rekey(alice, BOB)
    alice.chat(BOB).send(_TEXT)
    await asyncio.sleep(600)
    assert alice.chat(BOB).label == LOCKED
    assert readable(stage, _TEXT) == []


def _refusal(alice: Phone, message: SentMessage, reason: str) -> None:
    """Of an application message, as it comes out of the network."""
    imdn = Imdn(message.wire_id, _NOW, ImdnKind.DELIVERY, ImdnStatus.FAILED, server_failure_reason=reason)
    cpim = CpimMessage.parse(compose_receipt(imdn, "MxAAAAAAAAAAAAAAAAAAAAAA", _NOW, ()))
    mls_of(alice).accepts_receipt(message, imdn, cpim, dialled_key(BOB))
