from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.message_state import MessageState
from rcs_sim.client.pager import compose_receipt
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.content_types import MLS_NAMESPACE
from rcs_sim.e2ee.derived_content import derived_content_of
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import engine_of, inject, locked, mls_of, notes, rekey, thread_of

_ID = "Mxmx3rTTt9S62b3SsNez3LbQ"
_NOW = "2026-03-02T10:15:30.000Z"


def _displayed(message_id: str) -> Imdn:
    return Imdn(message_id, _NOW, ImdnKind.DISPLAY, ImdnStatus.DISPLAYED)


def _signature(
    bob: Phone, imdn: Imdn, receipt_id: str, *, era: int = 1, inner_only: bool = False
) -> tuple[CpimHeader, ...]:
    content = derived_content_of(imdn, receipt_id, era)
    assert content is not None
    octets = content.statement.encode() if inner_only else content.encode()
    return MlsHeaders(era_id=era, signature=engine_of(bob, ALICE).sign_receipt(octets)).to_headers()


def _sent_receipts(stage: Stage, phone: Phone) -> list[bytes]:
    return [one.body for one in stage.requests("MESSAGE", phone.name) if b"message/imdn+xml" in one.body]


@scenario("two-carriers")
async def test_a_receipt_has_a_signature_and_an_era_in_this_order_and_no_other_header_of_mls(stage: Stage) -> None:
    alice, bob = await locked(stage, reads_after_s=1.0)
    alice.chat(BOB).end_session()
    await asyncio.sleep(5)
    await (await alice.chat(BOB).send("in pager mode")).displayed(within_s=30)
    receipts = _sent_receipts(stage, bob)[-2:]
    assert len(receipts) == 2
    for octets in receipts:
        cpim = CpimMessage.parse(octets)
        headers = MlsHeaders.of(cpim)
        assert headers.signature
        assert headers.era_id == 1
        assert cpim.get(MLS_NAMESPACE, "Epoch-Authenticator") is None
        assert cpim.get(MLS_NAMESPACE, "Original-Message-ID") is None
        assert octets.index(b"MLS-Derived-Content-Signature") < octets.index(b"Era-ID")


@pytest.mark.parametrize("is_inner", [False, True])
@scenario("two-carriers")
async def test_a_genuine_signature_is_believed_in_the_full_and_in_the_old_form(stage: Stage, is_inner: bool) -> None:
    alice, bob = await locked(stage)
    message = await alice.chat(BOB).send("read me")
    await message.delivered(within_s=30)
    imdn = _displayed(message.id)
    inject(bob, ALICE, compose_receipt(imdn, _ID, _NOW, _signature(bob, imdn, _ID, inner_only=is_inner)))
    await asyncio.sleep(5)
    assert message.state is MessageState.DISPLAYED


@pytest.mark.parametrize("forgery", ["plain", "other statement", "other id", "other era", "of the sender", "garbage"])
@scenario("two-carriers")
async def test_an_unsigned_or_forged_receipt_changes_nothing_and_the_lock_stays(stage: Stage, forgery: str) -> None:
    alice, bob = await locked(stage)
    message = await alice.chat(BOB).send("read me")
    await message.delivered(within_s=30)
    imdn = _displayed(message.id)
    headers: dict[str, tuple[CpimHeader, ...]] = {
        "plain": (),
        "other statement": _signature(bob, _displayed(_ID), _ID),
        "other id": _signature(bob, imdn, "C0FFEE00-1234-4ABC-8DEF-0123456789AB"),
        "other era": _signature(bob, imdn, _ID, era=2),
        "of the sender": _own(alice, imdn),
        "garbage": MlsHeaders(era_id=1, signature=b"\x00\x01\x00\x01" + bytes(40)).to_headers(),
    }
    given = headers[forgery]
    if forgery == "other era":
        given = (given[0], CpimHeader(MLS_NAMESPACE, "Era-ID", "1"))
    inject(bob, ALICE, compose_receipt(imdn, _ID, _NOW, given))
    await asyncio.sleep(5)
    assert message.state is MessageState.DELIVERED
    assert any(one.startswith("receipt ignored") for one in notes(stage, alice))
    assert alice.chat(BOB).label == "RCS · encrypted"
    again = await alice.chat(BOB).send("go on")
    await again.delivered(within_s=30)
    assert again.label == "RCS · encrypted"


def _own(alice: Phone, imdn: Imdn) -> tuple[CpimHeader, ...]:
    content = derived_content_of(imdn, _ID, 1)
    assert content is not None
    signature = engine_of(alice, BOB).sign_receipt(content.encode())
    return MlsHeaders(era_id=1, signature=signature).to_headers()


@scenario("two-carriers")
async def test_a_receipt_signed_in_the_epoch_before_still_counts(stage: Stage) -> None:
    alice, bob = await locked(stage)
    message = await alice.chat(BOB).send("read me")
    await message.delivered(within_s=30)
    imdn = _displayed(message.id)
    headers = _signature(bob, imdn, _ID)
    rekey(alice, BOB)
    await asyncio.sleep(10)
    state = engine_of(alice, BOB).identifier
    assert state is not None
    assert state.epoch_id == 2
    inject(bob, ALICE, compose_receipt(imdn, _ID, _NOW, headers))
    await asyncio.sleep(5)
    assert message.state is MessageState.DISPLAYED


@scenario("two-carriers")
async def test_without_a_group_no_receipt_is_sent(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await asyncio.sleep(2)
    mls_of(bob)._context.renew_engine(thread_of(bob, ALICE))
    before = len(_sent_receipts(stage, bob))
    bob.chat(ALICE).read()
    await asyncio.sleep(5)
    assert len(_sent_receipts(stage, bob)) == before
    assert alice.chat(BOB).label == "RCS · encrypted"
