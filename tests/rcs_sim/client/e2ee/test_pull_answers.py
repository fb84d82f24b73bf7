from __future__ import annotations

import asyncio
import base64
import re

import pytest

from ims_core.trace import RecordKind
from rcs_sim.client.e2ee.pull_answers import NOTHING_AFTER_S
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import engine_of, focus_fault, inject, pair_locked, reinstalled


def _nobody_arbitrates() -> NetworkFile:
    file = load_network("two-carriers")
    carriers = {name: entry.model_copy(update={"profile": "p2p"}) for name, entry in file.carriers.items()}
    return file.model_copy(update={"carriers": carriers})


def _pull(control_id: str, more: str = "", body: bytes = b"") -> bytes:
    """By the letter of digest RCC.16 §14.1 and §14.3, without our encoders."""
    lines = (
        "From: <sip:anonymous@anonymous.invalid>",
        "To: <sip:anonymous@anonymous.invalid>",
        "NS: imdn <urn:ietf:params:imdn>",
        f"imdn.Message-ID: {control_id}",
        "DateTime: 2026-01-05T09:00:00Z",
        "imdn.Disposition-Notification: negative-delivery",
        *([more] if more else []),
        "",
        "Content-Type: message/mls-rcs",
        f"Content-Length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


def _answers(stage: Stage, answering: Phone, control_id: str) -> list[str]:
    """CPIM octets of what the phone said about that request, each once."""
    raws = [
        one.raw.decode("utf-8", "replace")
        for one in stage.sink.records
        if one.kind is RecordKind.MESSAGE and one.source == answering.name
    ]
    return [raw for raw in raws if f"<message-id>{control_id}</message-id>" in raw]


def _header(raw: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*?)\r?$", raw, re.MULTILINE)
    return found.group(1) if found else ""


async def _asked(stage: Stage, asking: Phone, peer: str, answering: Phone, control_id: str, **more: object) -> str:
    inject(asking, peer, _pull(control_id, **more))  # type: ignore[arg-type]  # as given
    await asyncio.sleep(NOTHING_AFTER_S + 1)
    (answer,) = _answers(stage, answering, control_id)
    return answer


@scenario(_nobody_arbitrates)
async def test_a_live_group_is_named_with_its_state(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    held = engine_of(alice, BOB)
    assert held.identifier is not None
    for asking, peer, answering in ((bob, ALICE, alice), (alice, BOB, bob)):
        answer = await _asked(stage, asking, peer, answering, f"MxPullOf{asking.name:z<16}")
        assert "<mls-server-failure-reason><invalid-input" in answer
        assert _header(answer, "sim.Detail") == "pull"
        assert _header(answer, "sim.Server-Era") == str(held.identifier.era_id)
        assert _header(answer, "sim.Server-Epoch") == str(held.identifier.epoch_id)
        told = base64.b64decode(_header(answer, "sim.Server-Epoch-Authenticator"))
        assert told == held.identifier.epoch_authenticator
        assert held.group is not None
        assert _header(answer, "sim.Group-ID") == held.group.group_id.decode()


@scenario(_nobody_arbitrates)
async def test_a_pull_from_a_state_gets_the_same_answer(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    answer = await _asked(stage, bob, ALICE, alice, "MxFromState", body=b"\x08\x01\x10\x01\x1a\x01z")
    assert "<invalid-input" in answer


@scenario(_nobody_arbitrates)
async def test_a_group_that_was_ended_is_told_as_ended(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(10)
    answer = await _asked(stage, bob, ALICE, alice, "MxAfterTheEnd")
    assert "<mls-server-failure-reason><mls-group-has-end-mls" in answer
    assert _header(answer, "sim.Detail") == "pull"
    assert _header(answer, "sim.Server-Era") != ""


@scenario(_nobody_arbitrates)
async def test_that_there_is_nothing_is_said_late(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    inject(bob, ALICE, _pull("MxNothing"))
    await asyncio.sleep(NOTHING_AFTER_S - 0.5)
    assert _answers(stage, alice, "MxNothing") == []
    await asyncio.sleep(1)
    (answer,) = _answers(stage, alice, "MxNothing")
    assert "<mls-server-failure-reason><mls-group-not-found" in answer
    assert "sim.Server-Era" not in answer


@scenario(_nobody_arbitrates)
async def test_the_device_that_has_the_group_speaks_first(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    second = await stage.phone("alice2", ALICE)
    inject(bob, ALICE, _pull("MxOfTwo"))
    await asyncio.sleep(0.5)
    assert [len(_answers(stage, phone, "MxOfTwo")) for phone in (alice, second)] == [1, 0]


@scenario(_nobody_arbitrates)
async def test_what_answers_a_pull_is_no_pull(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    reply = "NS: sim <urn:rcs-sim:mls>\r\nsim.In-Reply-To: MxSomething"
    inject(bob, ALICE, _pull("MxAnswer", more=reply))
    await asyncio.sleep(10)
    assert _answers(stage, alice, "MxAnswer") == []


@scenario(_nobody_arbitrates)
async def test_what_cannot_be_read_is_no_pull(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    inject(bob, ALICE, _pull("MxGarbage", body=b"\xff\xff\xff"))
    await asyncio.sleep(10)
    assert _answers(stage, alice, "MxGarbage") == []


@scenario(_nobody_arbitrates)
async def test_nobody_is_answered_without_end(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    for number in range(30):
        inject(bob, ALICE, _pull(f"MxFlood{number:02}"))
        await asyncio.sleep(0.1)
    await asyncio.sleep(10)
    assert sum(len(_answers(stage, alice, f"MxFlood{number:02}")) for number in range(30)) == 8


@scenario("two-carriers")
async def test_where_somebody_arbitrates_no_pull_comes_to_a_phone(stage: Stage) -> None:
    alice, bob = await pair_locked(stage)
    for asking, peer in ((bob, ALICE), (alice, BOB)):
        inject(asking, peer, _pull(f"MxTaken{asking.name}"))
    await asyncio.sleep(10)
    assert _answers(stage, alice, "MxTakenbob") == _answers(stage, bob, "MxTakenalice") == []


@pytest.mark.parametrize("who", ["alice", "bob"])
@scenario("two-carriers")
async def test_who_shows_a_lock_without_a_group_says_nothing(stage: Stage, who: str) -> None:
    alice, bob = await pair_locked(stage)
    phone, peer = (alice, BOB) if who == "alice" else (bob, ALICE)
    await reinstalled(phone)
    focus_fault(stage, is_silent=True)
    conversation = phone.chat(peer)._conversation
    phone._messenger.mark_encrypted(conversation, is_encrypted=True)
    encryption = phone._messenger.encryption
    assert encryption is not None
    encryption._pulls._answer(conversation, "MxUnsure")  # type: ignore[attr-defined]  # no server brings it here
    await asyncio.sleep(NOTHING_AFTER_S + 1)
    assert _answers(stage, phone, "MxUnsure") == []
