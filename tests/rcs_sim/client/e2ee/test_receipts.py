from __future__ import annotations

import asyncio
import re

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
from tests.scenarios.stage import ALICE, AMY, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    engine_of,
    hand_in,
    headers_of_state,
    inject,
    locked,
    mls_of,
    notes,
    rekey,
    sealed_by,
    sealed_cpim,
    thread_of,
)

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


@pytest.mark.parametrize(
    ("device", "form"),
    [
        ("android", r"Mx[A-Za-z0-9=-]{22}"),
        ("lineage-like", r"Mx[A-Za-z0-9=-]{22}"),
        ("ios", r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
        ("strict-v3", r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
    ],
)
@scenario("two-carriers")
async def test_a_receipt_has_an_id_of_its_own_in_the_form_of_the_device(stage: Stage, device: str, form: str) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB, device, reads_after_s=1.0)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("lock")).displayed(within_s=30)
    alice.chat(BOB).end_session()
    await asyncio.sleep(5)
    await (await alice.chat(BOB).send("in pager mode")).displayed(within_s=30)
    receipts = [CpimMessage.parse(each) for each in _sent_receipts(stage, bob)]
    receipts = [each for each in receipts if MlsHeaders.of(each).signature]
    ids = [each.message_id or "" for each in receipts]
    assert len(ids) >= 2
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(form, each) for each in ids), ids


def _sealed_receipt(bob: Phone, imdn: bytes, message_id: str = _ID) -> CpimMessage:
    content = b"\r\nContent-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n" + imdn
    body = sealed_by(bob, ALICE, "", message_id, content=content)
    return CpimMessage.parse(sealed_cpim(bob, message_id, body, headers_of_state(bob, ALICE)))


@scenario("two-carriers")
async def test_a_receipt_that_was_sealed_is_believed_without_a_signature_and_gets_none_itself(stage: Stage) -> None:
    alice, bob = await locked(stage)
    message = await alice.chat(BOB).send("read me")
    await message.delivered(within_s=30)
    imdn = (
        f'<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>{message.id}</message-id>'
        f"<datetime>{_NOW}</datetime><display-notification><status><displayed/></status></display-notification></imdn>"
    )
    before = len(_sent_receipts(stage, alice))
    hand_in(bob, alice, _sealed_receipt(bob, imdn.encode()))
    await asyncio.sleep(10)
    assert message.state is MessageState.DISPLAYED
    assert len(_sent_receipts(stage, alice)) == before
    assert len(texts(alice)) == 0


@pytest.mark.parametrize("spoilt", ["reason", "somebody else's", "unknown", "no IMDN"])
@scenario("two-carriers")
async def test_a_sealed_receipt_that_says_what_it_may_not_changes_nothing(stage: Stage, spoilt: str) -> None:
    alice, bob = await locked(stage)
    bob._inbox.receipts.signed = lambda message, receipt_id, imdn: None  # nobody hears that he has read it
    message = await alice.chat(BOB).send("read me")
    other = await alice.chat(AMY).send("not to bob")
    await asyncio.sleep(5)
    about = {"somebody else's": other.wire_id, "unknown": "MxAAAAAAAAAAAAAAAAAAAAAA"}.get(spoilt, message.id)
    status = "<failed><mls-client-failure-reason><invalid-commit/></mls-client-failure-reason></failed>"
    status = status if spoilt == "reason" else "<delivered/>"
    imdn = (
        f'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>{about}</message-id><datetime>{_NOW}</datetime>'
        f"<delivery-notification><status>{status}</status></delivery-notification></imdn>"
    )
    was = message.state, other.state
    hand_in(bob, alice, _sealed_receipt(bob, b"<x/>" if spoilt == "no IMDN" else imdn.encode()))
    await asyncio.sleep(30)
    assert (message.state, other.state) == was
    assert message.wire_id == message.id
    state = engine_of(alice, BOB).identifier
    assert state is not None
    assert state.era_id == 1
