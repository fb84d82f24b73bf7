"""Sides that differ: pager and session, TLS and plain, carriers without sessions or store; and invitations refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.loader import profile_folder
from tests.scenarios.stage import ALICE, BOB, Stage, network, received, scenario, texts

LONG = "a text that is too long for pager mode, " * 60
_SETTLE_S = 1.0


def _profile(folder: Path, kind: str, base: str, name: str, change: Callable[[str], str]) -> str:
    text = (profile_folder() / kind / f"{base}.yaml").read_text(encoding="utf-8")
    (folder / f"{name}.yaml").write_text(change(text), encoding="utf-8")
    return str(folder / f"{name}.yaml")


def pager_only(folder: Path) -> str:
    """A device that announces no sessions, and takes none."""
    return _profile(
        folder,
        "devices",
        "android",
        "pager-only",
        lambda text: (
            text.replace("    - ims.icsi.oma.cpm.session\n", "").replace("    - ims.icsi.oma.cpm.largemsg\n", "")
            + "session: {supported: false}\n"
        ),
    )


def session_only(folder: Path) -> str:
    """A device that announces no pager mode, and sends none."""
    return _profile(
        folder,
        "devices",
        "ios",
        "session-only",
        lambda text: text.replace("    - ims.icsi.oma.cpm.msg\n", "").replace(
            "messaging:\n", "messaging:\n  sends_pager: false\n"
        ),
    )


def carrier(folder: Path, name: str, text: str) -> str:
    return _profile(folder, "carriers", "google-like", name, lambda before: before + text)


async def _two(stage: Stage, one: str, other: str) -> tuple[Phone, Phone]:
    alice, bob = await stage.phone("alice", ALICE, one), await stage.phone("bob", BOB, other)
    await asyncio.sleep(_SETTLE_S)
    return alice, bob


def test_a_session_to_a_phone_that_knows_only_pager_mode_comes_to_it_in_pager_mode(tmp_path: Path) -> None:
    @scenario()
    async def story(stage: Stage) -> None:
        bob, alice = await stage.phone("bob", BOB), await stage.phone("alice", ALICE, pager_only(tmp_path))
        await asyncio.sleep(_SETTLE_S)
        said = []
        for text in ("one", "two", LONG, "four"):
            said.append(await bob.chat(ALICE).send(text))
            await said[-1].delivered(within_s=20)
        alice.chat(BOB).read()
        await said[-1].displayed(within_s=10)
        assert texts(alice) == ["one", "two", LONG, "four"]
        assert not stage.requests("INVITE", "red.pcscf", "alice")
        assert [one.conversation_id for one in received(alice)] == [message.conversation_id for message in said]
        await (await alice.chat(BOB).send("answer")).delivered(within_s=20)
        assert texts(bob) == ["answer"]

    story()


def test_a_pager_message_to_a_phone_that_knows_only_sessions_comes_to_it_in_a_session(tmp_path: Path) -> None:
    @scenario()
    async def story(stage: Stage) -> None:
        alice, bob = await _two(stage, pager_only(tmp_path), session_only(tmp_path))
        first = await alice.chat(BOB).send("in pager mode")
        await first.delivered(within_s=20)
        second = await alice.chat(BOB).send("the next one")
        await second.delivered(within_s=20)
        bob.chat(ALICE).read()
        await second.displayed(within_s=20)
        assert texts(bob) == ["in pager mode", "the next one"]
        assert not [each for each in stage.requests("MESSAGE", "blue.pcscf", "bob") if b"pager mode" in each.body]
        (invite, *_) = stage.requests("INVITE", "blue.pcscf", "bob")
        assert ALICE in (invite.text("P-Asserted-Identity") or "")
        await (await bob.chat(ALICE).send("answer")).delivered(within_s=20)
        await (await bob.chat(ALICE).send(LONG)).delivered(within_s=20)
        assert texts(alice) == ["answer", LONG]

    story()


def test_what_waited_for_a_phone_that_knows_only_sessions_comes_in_order(tmp_path: Path) -> None:
    @scenario()
    async def story(stage: Stage) -> None:
        alice, bob = await _two(stage, "android", session_only(tmp_path))
        await (await alice.chat(BOB).send("before")).delivered(within_s=20)
        await bob.power_off()
        said = []
        for number in range(6):
            said.append(await alice.chat(BOB).send(f"{number}" + (LONG if number % 2 else "")))
            await asyncio.sleep(1)
        await bob.power_on()
        for message in said:
            await message.delivered(within_s=120)
        assert texts(bob) == ["before", *(message.text for message in said)]

    story()


@pytest.mark.parametrize("has_tls", [("red",), ("blue",), ("red", "blue")])
def test_each_side_may_have_tls_or_not(has_tls: tuple[str, ...], tmp_path: Path) -> None:
    own = carrier(tmp_path, "tls", "msrp_tls: true\n")

    @scenario(network(red=own if "red" in has_tls else None, blue=own if "blue" in has_tls else None))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        await (await alice.chat(BOB).send(LONG)).delivered(within_s=10)
        await (await bob.chat(ALICE).send(LONG + "back")).delivered(within_s=10)
        assert (texts(bob), texts(alice)) == ([LONG], [LONG + "back"])
        assert stage.errors() == []

    story()


def test_a_carrier_without_sessions_sends_long_texts_as_large_messages(tmp_path: Path) -> None:
    @scenario(network(red=carrier(tmp_path, "no-chat", "chat_auth: false\n")))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        message = await alice.chat(BOB).send(LONG)
        await message.delivered(within_s=60)
        assert message.transport is MessageTransport.RCS
        assert texts(bob) == [LONG]
        await (await alice.chat(BOB).send("short")).delivered(within_s=10)
        await (await bob.chat(ALICE).send("back")).delivered(within_s=30)
        assert texts(alice) == ["back"]

    story()


def test_a_carrier_without_store_says_480_and_the_long_text_goes_as_sms(tmp_path: Path) -> None:
    @scenario(lambda: network(blue="no-store"))
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice_and_bob()
        await (await alice.chat(BOB).send("before")).delivered(within_s=5)
        await bob.power_off()
        text = LONG[:1250]
        message = await alice.chat(BOB).send(text)
        await message.sent(within_s=20)
        await asyncio.sleep(300)
        await bob.power_on()
        await message.delivered(within_s=300)
        assert (message.transport, message.reason) == (MessageTransport.SMS, FallbackReason.PEER_UNREACHABLE)
        assert stage.arrivals(bob) == ["before", text]

    story()


@scenario()
async def test_an_invitation_to_nobody_is_404_and_the_text_goes_as_sms(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    message = alice.chat("+12025550159").send(LONG[:1250])
    await message.final(within_s=120)
    assert message.state is MessageState.FAILED  # nobody has that number for SMS either
    assert message.transport is MessageTransport.SMS


@scenario()
async def test_a_relay_that_cannot_be_reached_leads_to_pager_mode_for_what_it_can_carry(stage: Stage) -> None:
    """The session is lost, the next one cannot be connected: pager mode then (digest §8.6)."""
    alice, bob = await stage.alice_and_bob()
    await (await alice.chat(BOB).send(LONG)).delivered(within_s=10)
    async with stage.sim.partition("red.msrp_relay"):
        message = alice.chat(BOB).send("short enough")
        await message.delivered(within_s=300)
    assert message.transport is MessageTransport.RCS
    assert len(stage.requests("INVITE", "alice", "red.pcscf")) == 2
    assert [each for each in stage.requests("MESSAGE", "alice", "red.pcscf") if b"short enough" in each.body]
    await asyncio.sleep(600)
    assert stage.arrivals(bob) == [LONG, "short enough"]


@scenario()
async def test_receipts_of_a_session_that_broke_come_in_pager_mode(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    message = await alice.chat(BOB).send(LONG)
    await message.delivered(within_s=10)
    async with stage.sim.partition("blue.msrp_relay"):
        bob.chat(ALICE).read()
        await message.displayed(within_s=120)
    assert stage.arrivals(bob) == [LONG]
