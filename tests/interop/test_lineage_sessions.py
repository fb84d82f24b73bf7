"""A LineageOS-like phone in session mode on `rcs-sim up`, with a peer of the other carrier (real clients, rows 7-11).

The phone is played by a script that writes exactly the octets of such a client, and by the device profile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from ims_core.trace import TraceRecord
from ims_core.wire.sip.message import Request
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.scenario.loader import load_device
from tests.support.lineage_script import LineageLab, LineageScript, lineage_script, read_cpim
from tests.support.lineage_session import LineageSession
from tests.support.peers import network_file, rcs_sim_up
from tests.support.real_phones import RealPhones, real_phones, received, until

pytestmark = pytest.mark.interop

_WITHIN_S = 15.0
_ANDROID, _IOS = load_device("android"), load_device("ios")
_ONLY_SESSIONS = replace(_IOS, capability=replace(_IOS.capability, answer_wait_s=0))
_HASTY = replace(_ANDROID, capability=replace(_ANDROID.capability, answer_wait_s=0))  # sends before OPTIONS is answered
_LONG = "a text that no pager message carries " * 150


@dataclass(frozen=True, slots=True)
class _Lab:
    """*own* of red, and a number of blue that no other test uses."""

    own: LineageLab
    blue: dict[str, Any]
    theirs: str


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Iterator[tuple[str, str]]]]:
    folder = tmp_path_factory.mktemp("lineage")
    network = network_file(folder, bulk=20, bulk_service="rcs", blue_bulk=20)
    with rcs_sim_up(folder, network=network, uses_own_ports=True) as (_, document):
        carriers = document["carriers"]
        ours = [one["msisdn"] for one in carriers["red"]["subscribers"] if (one["msisdn"] or "").startswith("+1212")]
        theirs = [one["msisdn"] for one in carriers["blue"]["subscribers"] if (one["msisdn"] or "").startswith("+13")]
        yield carriers, iter(zip(ours, theirs, strict=True))


@pytest.fixture
def lab(_running: tuple[dict[str, Any], Iterator[tuple[str, str]]]) -> _Lab:
    carriers, numbers = _running
    ours, theirs = next(numbers)
    return _Lab(LineageLab(carriers["red"], ours, theirs), carriers["blue"], theirs)


@asynccontextmanager
async def _both(lab: _Lab, device: DevicePolicy = _HASTY) -> AsyncIterator[tuple[LineageScript, Phone, RealPhones]]:
    """The script of red and an emulated phone of blue, both registered."""
    async with real_phones() as phones, lineage_script(lab.own) as script:
        peer = await phones.add("peer", lab.blue, lab.theirs, device)
        assert peer.is_registered, phones.ladder()
        yield script, peer, phones


def _session_messages(phones: RealPhones, text: str) -> list[TraceRecord]:
    return [each for each in phones.sink.records if each.protocol == "MSRP" and text.encode() in each.raw]


# ----------------------------------------------------------------------------------------------------------- by script


@pytest.mark.parametrize("form", ["tel:{number}", "sip:{number}@{domain}"])
async def test_a_session_that_it_opens_carries_texts_receipts_and_typing_both_ways(lab: _Lab, form: str) -> None:
    async with _both(lab) as (script, peer, phones):
        session = LineageSession(script)
        await session.invite(form.format(number=lab.theirs, domain=lab.blue["domain"]))
        await _converse(session, peer, phones, lab.own.ours)
        await session.bye()
        await until(phones, lambda: not peer.chat(lab.own.ours).session)


async def test_a_session_that_it_takes_carries_texts_receipts_and_typing_both_ways(lab: _Lab) -> None:
    async with _both(lab, _ONLY_SESSIONS) as (script, peer, phones):
        first = peer.chat(lab.own.ours).send("the first")
        session = LineageSession(script)
        await session.accept()
        await session.receipt(await session.next_text("the first"), "delivery")
        await first.delivered(_WITHIN_S)
        await _converse(session, peer, phones, lab.own.ours)
        peer.chat(lab.own.ours).end_session()
        script.raw.answer(await script.raw.request("BYE"))


async def _converse(session: LineageSession, peer: Phone, phones: RealPhones, own: str) -> None:
    chat = peer.chat(own)
    session.typing("active")
    await until(phones, lambda: chat.is_peer_typing)
    message_id = f"{uuid4()}"
    await session.text("by session", message_id)
    assert (await received(peer, "by session")).transport is MessageTransport.RCS
    assert _session_messages(phones, "by session")
    assert await session.next_receipt() == ("delivered", message_id)
    chat.read()
    assert await session.next_receipt() == ("displayed", message_id)
    assert (await session.msrp.report()).text("Status") == "000 200 OK"
    chat.type()
    assert await session.next_typing() == "active"
    answer = chat.send("and back")
    arrived = await session.next_text("and back")
    await session.receipt(arrived, "delivery")
    await answer.delivered(_WITHIN_S)
    await session.receipt(arrived, "display")
    await answer.displayed(_WITHIN_S)
    assert not phones.messages("MESSAGE", "peer")


async def test_long_texts_go_both_ways_in_chunks(lab: _Lab) -> None:
    async with _both(lab) as (script, peer, _):
        session = LineageSession(script)
        await session.invite(f"tel:{lab.theirs}")
        await session.text(_LONG, f"{uuid4()}")
        await received(peer, _LONG)
        answer = peer.chat(lab.own.ours).send(_LONG[::-1])
        await session.receipt(await session.next_text(_LONG[::-1]), "delivery")
        await answer.delivered(_WITHIN_S)


async def test_what_comes_while_it_is_away_is_handed_out_when_it_registers(lab: _Lab) -> None:
    async with real_phones() as phones:
        peer = await phones.add("peer", lab.blue, lab.theirs, _ONLY_SESSIONS)
        async with lineage_script(lab.own) as script:
            script.deregister()
        short = peer.chat(lab.own.ours).send("kept, short")
        long = peer.chat(lab.own.ours).send(_LONG)
        await short.sent(_WITHIN_S)
        await long.sent(_WITHIN_S)
        async with lineage_script(lab.own) as again:
            kept = await again.raw.request("MESSAGE")
            again.raw.answer(kept)
            headers, content = read_cpim(kept)
            assert content == "kept, short"
            again.receipt(headers, "delivery")
            session = LineageSession(again)
            await session.accept()
            await session.receipt(await session.next_text(_LONG), "delivery")
            await short.delivered(_WITHIN_S)
            await long.delivered(_WITHIN_S)


async def test_what_it_sends_to_somebody_who_is_away_is_kept(lab: _Lab) -> None:
    async with _both(lab) as (script, peer, _):
        await peer.power_off()
        session = LineageSession(script)
        await session.invite(f"tel:{lab.theirs}")
        message_id = f"{uuid4()}"
        await session.text("for later", message_id)
        await session.text(_LONG, f"{uuid4()}")
        await peer.power_on()
        await received(peer, "for later")
        await received(peer, _LONG)
        assert [one.text for one in peer.chat(lab.own.ours).messages] == ["for later", _LONG]
        receipt = await script.raw.request("MESSAGE")  # nothing of the peer's comes on a session that he did not take
        assert message_id in read_cpim(receipt)[1]


# ----------------------------------------------------------------------------------------------------- rows 9 and 10


@pytest.mark.slow
async def test_a_session_outlives_its_interval_though_nobody_answers_update(lab: _Lab) -> None:
    """The shortest interval that there is (RFC 4028 §4): the server refreshes, gets no answer, and lets it live."""
    async with _both(lab) as (script, peer, phones):
        session = LineageSession(script)
        await session.invite(f"tel:{lab.theirs}", interval_s=90)
        before = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < before + 100:
            with suppress(TimeoutError):
                seen = await script.raw.next(100 - (asyncio.get_running_loop().time() - before))
                assert not isinstance(seen, Request) or seen.method != "BYE", seen.encode().decode()
        await _converse(session, peer, phones, lab.own.ours)


# ------------------------------------------------------------------------------------------------ by the device profile


async def test_the_device_profile_chats_in_both_modes_with_the_other_carrier(lab: _Lab) -> None:
    async with real_phones() as phones:
        lineage = await phones.add("lineage", lab.own.red, lab.own.ours, "lineage-like")
        peer = await phones.add("peer", lab.blue, lab.theirs, _HASTY)
        for sender, receiver in ((lineage, peer), (peer, lineage)):
            for text in (f"short of {sender.name}", f"{sender.name}: {_LONG}"):
                message = sender.chat(receiver).send(text)
                await received(receiver, text)
                receiver.chat(sender).read()
                await message.displayed(_WITHIN_S)
                assert message.transport is MessageTransport.RCS
        assert phones.messages("MESSAGE", "lineage")
        assert phones.messages("INVITE", "lineage")
