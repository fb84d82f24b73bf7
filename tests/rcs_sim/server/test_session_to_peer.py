"""Requests, answers and fan-out in sessions: those of phones, and those that the server opens (§14.1, §16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from ims_core.store.sqlite import SqliteStore
from ims_core.transport.virtual_loop import clock_of_running_loop, run
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, MlsGroupInfo
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle, decode_server_message
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.server.mls_trust import FixedTrust
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn
from tests.rcs_sim.server.messaging_lab import BLUE, BOB, C1, CONFIG, PHONE, TABLET, UeBinding, gruu, message, sip
from tests.rcs_sim.server.session_lab import Party, SessionLab, on_virtual_time, session_lab
from tests.support.focus_devices import FocusDevice, trust

ZOE = "+12025550199"
CONFIG_WITH_FOCUS = replace(CONFIG, mls_rules=MlsFocusRules())
SERVER = "message/mls-rcs-server"


def lab() -> AbstractAsyncContextManager[SessionLab]:
    return session_lab(config=CONFIG_WITH_FOCUS, trust=FixedTrust(trust()))


def devices() -> tuple[FocusDevice, FocusDevice]:
    """Bob's and Zoe's."""
    return FocusDevice(BOB[1:]), FocusDevice(ZOE[1:], vendor_id=1)


def cpim(control_id: str, body: bytes, content_type: str = "message/mls-rcs-client", era: int = 0) -> bytes:
    headers = MlsHeaders(era_id=era, epoch_authenticator=bytes(32)).to_headers() if era else ()
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=control_id,
        date_time="2027-01-15T08:00:00.000Z",
        body=body,
        content_type=content_type,
        disposition_notification=("negative-delivery",),
        extra=headers,
    )


def request(control_id: str, asked: ClientMlsRcsMessage) -> bytes:
    return cpim(control_id, asked.encode())


def heard(party: Party) -> list[CpimMessage]:
    """What came to a party in its session."""
    return [CpimMessage.parse(body) for body in party.notes.bodies]


async def until(is_so: Callable[[], bool]) -> None:
    """On the real clock."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - a party of this lab wakes nobody
            await asyncio.sleep(0.005)


async def chat(lab: SessionLab, within_s: float = 0.5) -> tuple[Party, Party]:
    """Bob invites Zoe: the phone, and her network."""
    bob = await lab.party("bob", gruu(PHONE))
    zoe = await lab.party("zoe", f"tel:{ZOE}")
    bob.contact_tags = f';+sip.instance="<{PHONE}>"'
    await lab.register()
    bob.invite(sender=BOB, recipient=ZOE, case="orig", domain=BLUE)
    if within_s < 0.5:
        await until(lambda: "session opened" in lab.notes)
    await lab.settle(within_s)
    return bob, zoe


async def created(lab: SessionLab, bob: Party, zoe: Party) -> tuple[FocusDevice, FocusDevice]:
    one, other = devices()
    bob.send(request("create", one.create("create", [other])))
    await lab.settle()
    one.adopt()
    arm = decode_server_message(heard(zoe)[0].body)
    assert isinstance(arm, CommitBundle)
    other.receive(arm)
    return one, other


@on_virtual_time
async def test_a_create_in_a_session_is_answered_and_fanned_out_in_it() -> None:
    async with lab() as net:
        bob, zoe = await chat(net)
        one, other = await created(net, bob, zoe)
        answers = heard(bob)
        assert [decode_server_message(each.body) for each in answers] == [
            AcceptedMessage("create", one.state, converged=False),
            AcceptedMessage("create", one.state, converged=True),
        ]
        assert {FocusHeaders.of(each).in_reply_to for each in answers} == {"create"}
        assert bob.notes.sent_ids  # received whole
        (bundle,) = heard(zoe)
        assert (bundle.content_type.essence, bundle.message_id) == (SERVER, "create")
        assert one.state == other.state
        assert net.core.messages == []


@on_virtual_time
async def test_a_request_from_the_other_side_of_the_session_is_taken_there_and_the_phone_gets_the_bundle() -> None:
    async with lab() as net:
        bob, zoe = await chat(net)
        one, other = await created(net, bob, zoe)
        zoe.send(request("rekey", other.commit("rekey")))
        await net.settle()
        other.adopt()
        phone = heard(bob)[2:]
        assert [each.message_id for each in phone] == ["rekey"]
        arm = decode_server_message(phone[0].body)
        assert isinstance(arm, CommitBundle)
        one.receive(arm)
        assert one.state == other.state
        kinds = [type(decode_server_message(each.body)) for each in heard(zoe)[1:]]
        assert kinds.count(AcceptedMessage) == 2
        assert kinds.count(CommitBundle) == 1  # for her other devices


@on_virtual_time
async def test_a_refusal_comes_in_the_session_and_the_message_goes_no_further() -> None:
    async with lab() as net:
        bob, zoe = await chat(net)
        await created(net, bob, zoe)
        bob.send(cpim("m1", b"sealed", "message/mls", era=9))
        await net.settle()
        refusal = heard(bob)[-1]
        assert Imdn.parse(refusal.body).server_failure_reason == "incorrect-era"
        assert len(heard(zoe)) == 1


@on_virtual_time
async def test_an_application_message_passes_with_every_octet() -> None:
    async with lab() as net:
        bob, zoe = await chat(net)
        one, _ = await created(net, bob, zoe)
        headers = MlsHeaders(era_id=1, epoch_authenticator=one.state.epoch_authenticator).to_headers()
        octets = compose_cpim(
            sender=ANONYMOUS_URI,
            recipient=ANONYMOUS_URI,
            message_id="m1",
            date_time="2027-01-15T08:00:00.000Z",
            body=bytes(range(256)),
            content_type="message/mls",
            extra=headers,
        )
        bob.send(octets)
        await net.settle()
        assert zoe.notes.bodies[-1] == octets


@on_virtual_time
async def test_a_phone_that_speaks_for_a_focus_in_a_session_is_not_heard() -> None:
    async with lab() as net:
        bob, zoe = await chat(net)
        bob.send(cpim("f1", b"\x22\x00", SERVER))
        await net.settle()
        assert heard(zoe) == []
        zoe.send(cpim("t1", b"\x22\x00", SERVER))
        await net.settle()
        assert [each.message_id for each in heard(bob)] == ["t1"]


@on_virtual_time
async def test_the_server_opens_a_session_to_the_other_carrier_for_what_is_too_long_for_a_message() -> None:
    async with lab() as net:
        zoe = await net.party("zoe", f"tel:{ZOE}")
        bob = await net.party("bob", gruu(PHONE))
        await net.register()
        one, other = devices()
        asked = request("create", other.create("create", [one]))
        # her network hands it over as one MESSAGE, so no session stands
        assert await net.core.send(message(asked, sender=ZOE, recipient=BOB, case="term", call_id="x@y")) == 200
        await net.settle()
        other.adopt()
        (invite,) = zoe.invites
        assert invite.text("P-Served-User") == f"<sip:{CONFIG.name}@{BLUE}>;sescase=orig;regstate=reg"
        assert invite.texts("P-Asserted-Identity") == (f"<{sip(BOB, BLUE)}>", f"<tel:{BOB}>")
        assert invite.text("Conversation-ID") == C1
        assert heard(zoe)[0].message_id == "create"  # what else is said comes in it too
        short = [CpimMessage.parse(each.body) for each in net.core.messages]
        assert [type(decode_server_message(each.body)) for each in short if each.content_type.essence == SERVER]
        assert [each.message_id for each in heard(bob)] == ["create"]
        # what follows uses it again
        zoe.send(request("rekey", other.commit("rekey")))
        await net.settle()
        assert len(zoe.invites) == 1
        state = net.server.core.focus
        assert state is not None
        found = state.conversation(BOB[1:], ZOE[1:])
        assert found is not None
        assert found.state is not None
        assert (found.state.epoch_id, found.outstanding) == (2, ())


@on_virtual_time
async def test_a_session_that_is_refused_is_opened_again_later() -> None:
    async with lab() as net:
        zoe = await net.party("zoe", f"tel:{ZOE}")
        zoe.on_invite = 503
        await net.register()
        _, other = devices()
        one, _ = devices()
        asked = request("create", other.create("create", [one]))
        await net.core.send(message(asked, sender=ZOE, recipient=BOB, case="term", call_id="x@y"))
        await net.settle(1)
        assert len(zoe.invites) == 1
        zoe.on_invite = "answer"
        await net.settle(CONFIG.redeliver_min_s + 1)
        assert [each.message_id for each in heard(zoe)] == ["create"]


@on_virtual_time
async def test_a_pull_in_a_session_is_answered_in_it() -> None:
    async with lab() as net:
        bob, zoe = await chat(net)
        one, _ = await created(net, bob, zoe)
        zoe.send(cpim("p", one.state.encode(), "message/mls-rcs"))
        await net.settle()
        pulled = heard(zoe)[-1]
        assert (pulled.content_type.essence, FocusHeaders.of(pulled).in_reply_to) == ("message/mls-rcs", "p")


@on_virtual_time
async def test_the_phones_other_device_gets_the_bundle_of_a_session() -> None:
    async with lab() as net:
        bob, _ = await chat(net)
        tablet = await net.party("tablet", gruu(TABLET))
        binding = UeBinding(TABLET, host="192.0.2.13")
        await net.register(UeBinding(), binding, by=binding)
        one, other = devices()
        bob.send(request("create", one.create("create", [other])))
        await net.settle()
        assert [each.message_id for each in heard(tablet)] == ["create"]
        assert len(heard(bob)) == 2


def test_what_was_accepted_survives_the_end_of_the_process(tmp_path: Path) -> None:
    """State, log and the answer to a repeated request, on a store that lasts."""

    async def main() -> None:
        now_s = int(clock_of_running_loop().now())  # the store has a thread, so the clock is the real one
        one, other = FocusDevice(BOB[1:], issued_s=now_s), FocusDevice(ZOE[1:], vendor_id=1, issued_s=now_s)
        one.now_s = other.now_s = now_s
        asked = request("create", one.create("create", [other]))
        store = SqliteStore(tmp_path / "blue.db")
        await store.open()
        async with session_lab(store, CONFIG_WITH_FOCUS, trust=FixedTrust(trust())) as net:
            bob, zoe = await chat(net, 0.1)
            bob.send(asked)
            await until(lambda: len(heard(bob)) == 2)
        await store.close()
        one.adopt()
        store = SqliteStore(tmp_path / "blue.db")
        await store.open()
        async with session_lab(store, CONFIG_WITH_FOCUS, trust=FixedTrust(trust())) as net:
            bob, zoe = await chat(net, 0.1)
            bob.send(asked)
            await until(lambda: len(heard(bob)) == 2)
            assert decode_server_message(heard(bob)[0].body) == AcceptedMessage("create", one.state, converged=False)
            assert heard(zoe) == []  # nothing is fanned out again
            zoe.send(cpim("p", b"", "message/mls-rcs"))
            await until(lambda: len(heard(zoe)) == 1)
            arm = decode_server_message(heard(zoe)[0].body)
            assert isinstance(arm, MlsGroupInfo)
            assert arm.epoch_authenticator == one.state.epoch_authenticator
        await store.close()

    run(main, clock="real")
