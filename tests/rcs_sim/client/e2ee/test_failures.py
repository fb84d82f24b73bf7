from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.e2ee.failures import refusal_of
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import dialled_key
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.pager import compose_receipt
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.content_types import MLS_NAMESPACE
from rcs_sim.e2ee.derived_content import derived_content_of
from rcs_sim.e2ee.failure_reason import ClientFailureReason, ServerFailureReason
from rcs_sim.e2ee.member.seen_messages import SeenMessages
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.e2ee.test_peer_to_peer import p2p
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    count_notes,
    engine_of,
    hand_in,
    headers_of_state,
    inject,
    locked,
    mls_of,
    notes,
    sealed_by,
    sealed_cpim,
    thread_of,
)

_NOW = "2026-03-02T10:15:30.000Z"
_S, _C = ServerFailureReason, ClientFailureReason
_SEALED_ANEW = {
    _S.INCORRECT_ERA,
    _S.INCORRECT_EPOCH,
    _S.INCORRECT_EPOCH_AUTHENTICATOR,
    _S.MISMATCHED_RCS_GROUP_STATE,
    _S.MISMATCHED_CONFIRMATION_TAG,
    _S.PENDING_PROPOSAL,
    _S.MLS_GROUP_NOT_FOUND,
    _S.MLS_GROUP_HAS_END_MLS,
    _S.EPOCH_ADVANCEMENT_QUOTA_REACHED,
}
_FAILS = set(_S) - _SEALED_ANEW - {_S.TRANSIENT_ERROR}


def _failed(message_id: str, **reason: str) -> Imdn:
    return Imdn(message_id, _NOW, ImdnKind.DELIVERY, ImdnStatus.FAILED, **reason)


def _refused(alice: Phone, message: SentMessage, reason: str, detail: str = "") -> None:
    """What the focus says of an application message, as it comes out of the network."""
    imdn = _failed(message.wire_id, server_failure_reason=reason)
    cpim = compose_receipt(imdn, "MxAAAAAAAAAAAAAAAAAAAAAA", _NOW, FocusHeaders(detail=detail).to_headers())
    taken = mls_of(alice).accepts_receipt(message, imdn, CpimMessage.parse(cpim), dialled_key(BOB))
    assert not taken


async def _under_way(stage: Stage, text: str = "on its way") -> tuple[Phone, Phone, SentMessage]:
    """A sealed message to somebody who is switched off."""
    alice, bob = await locked(stage)
    await bob.power_off()
    message = await alice.chat(BOB).send(text)
    await asyncio.sleep(5)
    assert message.state is MessageState.SENT
    return alice, bob, message


@pytest.mark.parametrize("reason", sorted(_SEALED_ANEW))
@scenario("two-carriers")
async def test_what_the_focus_refuses_for_a_state_is_sealed_anew_under_a_new_id(stage: Stage, reason: str) -> None:
    alice, bob, message = await _under_way(stage)
    first = message.sealed
    _refused(alice, message, reason)
    await asyncio.sleep(60)
    assert message.wire_id != message.id
    assert message.sealed is not None
    assert first is not None
    assert message.sealed.octets != first.octets
    assert [one.value for one in message.sealed.headers if one.name == "Original-Message-ID"] == [message.id]
    await bob.power_on()
    await message.delivered(within_s=600)
    assert texts(bob).count("on its way") == 1
    assert alice.chat(BOB).label == LOCKED


@pytest.mark.parametrize("reason", sorted(_FAILS))
@scenario("two-carriers")
async def test_what_the_focus_refuses_for_good_fails_visibly_and_goes_nowhere_in_clear(
    stage: Stage, reason: str
) -> None:
    alice, _bob, message = await _under_way(stage, "must stay sealed")
    _refused(alice, message, reason)
    await asyncio.sleep(300)
    assert message.state is MessageState.FAILED
    assert message.reason is FallbackReason.ENCRYPTION_REFUSED
    assert not [one for one in stage.sink.records if b"must stay sealed" in one.raw]
    assert alice.chat(BOB).label == LOCKED


@scenario("two-carriers")
async def test_after_a_transient_error_the_same_octets_go_again_under_the_same_id(stage: Stage) -> None:
    alice, bob, message = await _under_way(stage)
    first = message.sealed
    _refused(alice, message, _S.TRANSIENT_ERROR)
    await asyncio.sleep(60)
    assert message.wire_id == message.id
    assert message.sealed is first is not None
    sent = [one for one in stage.requests("MESSAGE", "alice") if first.octets in one.body]
    msrp = [one for one in stage.sink.records if one.source == "alice" and first.octets in one.raw]
    assert len(sent) + len(msrp) >= 2
    await bob.power_on()
    await message.delivered(within_s=120)
    assert texts(bob).count("on its way") == 1


@scenario("two-carriers")
async def test_an_error_that_does_not_pass_is_not_met_for_ever(stage: Stage) -> None:
    alice, _bob, message = await _under_way(stage)
    for _ in range(20):
        if message.state is MessageState.FAILED:
            break
        _refused(alice, message, _S.TRANSIENT_ERROR)
        await asyncio.sleep(60)
    assert message.state is MessageState.FAILED


@scenario("two-carriers")
async def test_an_unknown_reason_of_the_focus_has_no_remedy(stage: Stage) -> None:
    alice, _bob, message = await _under_way(stage)
    _refused(alice, message, "something-new")
    await asyncio.sleep(30)
    assert message.state is MessageState.FAILED


# --- clients ----------------------------------------------------------------------------------------------------------


def _report(bob: Phone, message_id: str, reason: str | None, *, is_signed: bool = True) -> None:
    """What bob's phone says of a message of alice."""
    receipt_id = mls_of(bob)._context.new_id()
    imdn = _failed(message_id, **({} if reason is None else {"client_failure_reason": reason}))
    content = derived_content_of(imdn, receipt_id, 1) if is_signed else None
    signature = b"" if content is None else engine_of(bob, ALICE).sign_receipt(content.encode())
    headers = MlsHeaders(era_id=1, signature=signature) if signature else MlsHeaders()
    inject(bob, ALICE, compose_receipt(imdn, receipt_id, _NOW, headers.to_headers()))


async def _read_by_nobody(stage: Stage) -> tuple[Phone, Phone, SentMessage]:
    """A message that came to bob's phone under a wrong era header, so that nothing of it was seen: alice waits."""
    alice, bob = await locked(stage)
    bob._inbox.receipts.signed = lambda message, receipt_id, imdn: None  # nobody hears that he has read it
    message = await alice.chat(BOB).send("did you read it?")
    await asyncio.sleep(5)
    assert message.state is MessageState.SENT
    return alice, bob, message


@pytest.mark.parametrize(
    ("reason", "is_sealed_anew", "advances"),
    [
        (_C.MESSAGE_FROM_NON_MEMBER, True, True),
        (_C.INVALID_CREDENTIAL, True, True),
        (_C.INVALID_COMMIT, True, True),
        (_C.FAILED_TO_DECRYPT, True, False),
        (_C.COMMIT_IN_PRIVATEMESSAGE, True, False),
        (_C.RESENT_MESSAGE_FAILED_TO_DECRYPT, False, False),
        (_C.COMMIT_PROCESSED_IN_ENHANCED_SELF_HEAL, False, False),
        (_C.COMMIT_PROCESSED_IN_SELF_HEAL, False, False),
        (_C.COMMIT_FAILED_THEN_ERA_ADVANCEMENT, False, False),
        (_C.CONTROL_MESSAGE_FAILED_DUE_TO_DOWNGRADE, False, False),
        (_C.PROPOSAL_PROCESSED_IN_ENHANCED_SELF_HEAL, False, False),
        (_C.PROPOSAL_PROCESSED_IN_SELF_HEAL, False, False),
        (_C.CONTROL_MESSAGE_FAILED, True, True),
        ("something-new", False, False),
        (None, True, False),
    ],
)
@scenario("two-carriers")
async def test_what_is_done_about_each_reason_of_a_client(
    stage: Stage, reason: str | None, is_sealed_anew: bool, advances: bool
) -> None:
    alice, bob, message = await _read_by_nobody(stage)
    _report(bob, message.id, reason)
    await asyncio.sleep(120)
    assert (message.wire_id != message.id) is is_sealed_anew
    state = engine_of(alice, BOB).identifier
    assert state is not None
    assert (state.era_id == 2) is advances
    assert texts(bob).count("did you read it?") == 1  # it had been read: it is not shown twice
    assert alice.chat(BOB).label == LOCKED
    assert message.state is not MessageState.FAILED


@pytest.mark.parametrize(
    ("reason", "is_believed"),
    [(None, True), (_C.CONTROL_MESSAGE_FAILED, True), (_C.FAILED_TO_DECRYPT, False), (_C.INVALID_COMMIT, False)],
)
@scenario("two-carriers")
async def test_without_a_signature_only_a_bare_failure_and_the_wish_for_a_welcome_are_believed(
    stage: Stage, reason: str | None, is_believed: bool
) -> None:
    _alice, bob, message = await _read_by_nobody(stage)
    _report(bob, message.id, reason, is_signed=False)
    await asyncio.sleep(60)
    assert (message.wire_id != message.id) is is_believed


@scenario("two-carriers")
async def test_a_notification_with_both_arms_is_ignored(stage: Stage) -> None:
    alice, _bob, message = await _read_by_nobody(stage)
    both = Imdn(
        message.id,
        _NOW,
        ImdnKind.DELIVERY,
        ImdnStatus.FAILED,
        client_failure_reason="failed-to-decrypt",
        server_failure_reason="incorrect-era",
    )
    assert not mls_of(alice).accepts_receipt(message, both, None, dialled_key(BOB))
    await asyncio.sleep(30)
    assert message.wire_id == message.id


@scenario("two-carriers")
async def test_identical_reports_are_one_and_a_peer_gets_two_resends_an_hour(stage: Stage) -> None:
    alice, bob, message = await _read_by_nobody(stage)
    for _ in range(5):
        _report(bob, message.id, "failed-to-decrypt")
    await asyncio.sleep(5)
    assert sum(one.startswith("peer could not read") for one in notes(stage, alice)) >= 1
    second = message.wire_id
    assert second != message.id
    await asyncio.sleep(40)
    _report(bob, second, "failed-to-decrypt")
    await asyncio.sleep(40)
    third = message.wire_id
    assert third not in (second, message.id)
    _report(bob, third, "failed-to-decrypt")
    await asyncio.sleep(40)
    assert (message.wire_id, message.state) == (third, MessageState.FAILED)  # the group is repaired instead
    assert _era(alice, BOB) == 2
    ids = [one for one in notes(stage, alice) if one.startswith("peer could not read")]
    assert len([one for one in ids if "resend" in one]) == 2
    headers = [one.value for one in message.sealed.headers if one.name == "Original-Message-ID"]  # type: ignore[union-attr]  # it is sealed
    assert headers == [message.id]  # the root, not the resend before


@scenario("two-carriers")
async def test_messages_that_cannot_be_read_are_told_five_times_at_most(stage: Stage) -> None:
    alice, bob = await locked(stage)
    message_id = "Mxmx3rTTt9S62b3SsNez3LbQ"
    for _ in range(8):
        body = sealed_by(alice, BOB, "wrong", message_id, off_by=3)
        hand_in(alice, bob, CpimMessage.parse(sealed_cpim(alice, message_id, body, headers_of_state(alice, BOB))))
        await asyncio.sleep(30)
    told = [one for one in notes(stage, bob) if one.startswith("failure told")]
    assert [one.rpartition(" ")[2] for one in told] == ["1", "2", "3", "4", "5"]


def test_a_refusal_is_read_with_the_headers_beside_it() -> None:
    imdn = _failed("MxA", server_failure_reason="incorrect-era")
    headers = FocusHeaders(
        server_era=3, server_epoch=7, server_epoch_authenticator=bytes(32), group_id="abc", detail="held"
    )
    cpim = CpimMessage.parse(compose_receipt(imdn, "MxB", _NOW, headers.to_headers()))
    refusal = refusal_of(imdn, cpim)
    assert (refusal.reason, refusal.detail, refusal.group_id) == ("incorrect-era", "held", b"abc")
    assert refusal.server is not None
    assert (refusal.server.era_id, refusal.server.epoch_id) == (3, 7)
    bare = refusal_of(imdn, None)
    assert (bare.detail, bare.group_id, bare.server) == ("", None, None)
    assert cpim.get(MLS_NAMESPACE, "Era-ID") is None


# --- hostile ----------------------------------------------------------------------------------------------------------

_UNSENT = "MxNobodyHasEverSentThis="


def _about_nothing(bob: Phone, reason: str, signer: Phone | None, era: int = 1) -> None:
    """What bob's phone says of a message that nobody has sent, under the signature of *signer*'s leaf."""
    receipt_id = mls_of(bob)._context.new_id()
    imdn = _failed(_UNSENT, client_failure_reason=reason)
    headers = MlsHeaders()
    if signer is not None:
        content = derived_content_of(imdn, receipt_id, era)
        assert content is not None
        signature = engine_of(signer, ALICE if signer is bob else BOB).sign_receipt(content.encode())
        headers = MlsHeaders(era_id=era, signature=signature)
    inject(bob, ALICE, compose_receipt(imdn, receipt_id, _NOW, headers.to_headers()))


def _era(phone: Phone, peer: str) -> int:
    state = engine_of(phone, peer).identifier
    assert state is not None
    return state.era_id


@pytest.mark.parametrize("reason", [_C.INVALID_COMMIT, _C.INVALID_CREDENTIAL, _C.MESSAGE_FROM_NON_MEMBER])
@pytest.mark.parametrize("signer", ["nobody", "alice", "bob"])
@scenario("two-carriers")
async def test_a_failure_of_what_is_no_message_moves_something_only_under_the_peer_s_signature(
    stage: Stage, reason: ClientFailureReason, signer: str
) -> None:
    alice, bob = await locked(stage)
    _about_nothing(bob, reason, {"nobody": None, "alice": alice, "bob": bob}[signer])
    await asyncio.sleep(60)
    assert (_era(alice, BOB) == 2) is (signer == "bob")
    assert alice.chat(BOB).label == LOCKED


@scenario("two-carriers")
async def test_a_flood_of_genuine_failures_makes_two_eras_an_hour_and_five_a_day(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for _ in range(30):
        _about_nothing(bob, _C.INVALID_COMMIT, bob, _era(bob, ALICE))
        await asyncio.sleep(60)
    assert _era(alice, BOB) == 3
    for _ in range(20):
        await asyncio.sleep(3600)
        for _ in range(3):
            _about_nothing(bob, _C.INVALID_COMMIT, bob, _era(bob, ALICE))
            await asyncio.sleep(20)
    assert _era(alice, BOB) == 6
    assert alice.chat(BOB).label == LOCKED
    assert count_notes(stage, alice, "claimed: ") <= 1 + 5
    await (await alice.chat(BOB).send("still here")).delivered(within_s=60)


@pytest.mark.parametrize("status", [ImdnStatus.FORBIDDEN, ImdnStatus.ERROR])
@pytest.mark.parametrize("is_signed", [True, False])
@scenario("two-carriers")
async def test_that_nobody_tells_of_displaying_is_no_failure_to_read(
    stage: Stage, status: ImdnStatus, is_signed: bool
) -> None:
    alice, bob, message = await _read_by_nobody(stage)
    receipt_id, imdn = mls_of(bob)._context.new_id(), Imdn(message.id, _NOW, ImdnKind.DISPLAY, status)
    content = derived_content_of(imdn, receipt_id, 1)
    assert content is not None
    signature = engine_of(bob, ALICE).sign_receipt(content.encode()) if is_signed else b""
    headers = MlsHeaders(era_id=1, signature=signature).to_headers() if is_signed else ()
    inject(bob, ALICE, compose_receipt(imdn, receipt_id, _NOW, headers))
    await asyncio.sleep(60)
    assert (message.wire_id, message.state) == (message.id, MessageState.SENT)
    assert alice.chat(BOB).label == LOCKED


@scenario("two-carriers")
async def test_a_refusal_that_comes_twice_seals_a_message_anew_once(stage: Stage) -> None:
    alice, _bob, message = await _under_way(stage)
    first = message.wire_id
    _refused(alice, message, _S.INCORRECT_EPOCH)
    await asyncio.sleep(60)
    second = message.wire_id
    assert second != first
    imdn = _failed(first, server_failure_reason=_S.INCORRECT_EPOCH)
    cpim = CpimMessage.parse(compose_receipt(imdn, "MxAAAAAAAAAAAAAAAAAAAAAA", _NOW, ()))
    assert not mls_of(alice).accepts_receipt(message, imdn, cpim, dialled_key(BOB))
    await asyncio.sleep(60)
    assert message.wire_id == second


@pytest.mark.parametrize("is_signed", [True, False])
@scenario(p2p, is_read_by_others=False)
async def test_without_an_arbiter_who_asks_gets_the_welcome_and_then_the_message_again_and_the_second_time_an_era(
    stage: Stage, is_signed: bool
) -> None:
    """He may have kept nothing of what he could not read."""
    alice, bob, message = await _read_by_nobody(stage)
    _report(bob, message.id, _C.CONTROL_MESSAGE_FAILED, is_signed=is_signed)
    await asyncio.sleep(20)
    assert message.wire_id != message.id
    assert [each for each in notes(stage, alice) if each.startswith(("Welcome given again", "new era"))] == [
        "Welcome given again: "
    ]
    given = next(one.at for one in stage.sink.records if one.source == "alice" and "given again" in one.summary)
    anew = message.wire_id.encode()
    assert min(one.at for one in stage.sink.records if one.source == "alice" and anew in one.raw) > given
    state = engine_of(bob, ALICE).identifier
    _report(bob, message.wire_id, _C.CONTROL_MESSAGE_FAILED, is_signed=is_signed)
    await asyncio.sleep(60)
    assert engine_of(bob, ALICE).identifier == engine_of(alice, BOB).identifier != state
    assert texts(bob).count("did you read it?") == 1


@scenario("two-carriers")
async def test_a_failure_that_is_found_while_the_phone_is_off_is_told_when_it_is_back(stage: Stage) -> None:
    alice, bob, message = await _read_by_nobody(stage)
    await bob.power_off()
    thread = thread_of(bob, ALICE)
    thread.reports.add(message.id, ALICE[1:], _C.FAILED_TO_DECRYPT)
    mls_of(bob)._context.moved(thread)
    await asyncio.sleep(60)
    assert len(thread.reports) == 1
    await bob.power_on()
    await asyncio.sleep(60)
    assert len(thread.reports) == 0
    assert message.wire_id != message.id
    assert alice.chat(BOB).label == LOCKED


@scenario("two-carriers")
async def test_a_failure_that_the_network_does_not_take_is_told_again(stage: Stage) -> None:
    _alice, bob, message = await _read_by_nobody(stage)
    thread = thread_of(bob, ALICE)
    thread.engine.exchange.seen = SeenMessages()  # as if he had not been able to read it
    thread.reports.add(message.id, ALICE[1:], _C.FAILED_TO_DECRYPT)
    async with (
        stage.sim.fault("sip.status", method="MESSAGE", status=503, from_="bob"),
        stage.sim.fault("sip.status", method="INVITE", status=503, from_="bob"),
    ):
        bob.chat(ALICE).end_session()
        mls_of(bob)._context.moved(thread)
        await asyncio.sleep(20)
    assert message.wire_id == message.id
    await asyncio.sleep(120)
    assert message.wire_id != message.id
    assert texts(bob).count("did you read it?") == 1
