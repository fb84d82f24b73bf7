from __future__ import annotations

import asyncio

import pytest

from rcs_sim.client.display import Shown
from rcs_sim.client.e2ee.arrivals import MAX_UNDECIDED, named_sender
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.content_types import MLS_NAMESPACE
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.mls.codec import encode_opaque
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, compose_cpim
from rcs_sim.wire.cpim_header import CpimHeader
from tests.scenarios.e2ee.test_mixed_carriers import red_without
from tests.scenarios.e2ee.test_peer_to_peer import p2p
from tests.scenarios.stage import ALICE, BEN, BOB, Stage, received, scenario, texts
from tests.support.encrypted_phones import (
    engine_of,
    focus_fault,
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


def _imdns(stage: Stage, phone: Phone) -> int:
    """How many notifications about `_ID` the phone has sent."""
    sent = stage.requests("MESSAGE", phone.name)
    return sum(b"message/imdn+xml" in one.body and _ID.encode() in one.body for one in sent)


async def _injected(stage: Stage, alice: Phone, body: bytes, headers: tuple[CpimHeader, ...]) -> None:
    inject(alice, BOB, sealed_cpim(alice, _ID, body, headers))
    await asyncio.sleep(20)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ((), "no Era-ID"),
        (("Epoch-Authenticator",), "no Era-ID"),
        (("Era-ID",), "no Epoch-Authenticator"),
    ],
)
@scenario("two-carriers")
async def test_a_sealed_body_without_its_headers_is_dropped_before_it_is_opened_and_nobody_is_told(
    stage: Stage, kept: tuple[str, ...], why: str
) -> None:
    alice, bob = await locked(stage)
    body = sealed_by(alice, BOB, "no gate holds me", _ID)
    headers = tuple(one for one in headers_of_state(alice, BOB) if one.name in kept)
    # the messaging server of the focus would refuse them itself: they come to the phone from the other side of it
    cpim = CpimMessage.parse(sealed_cpim(alice, _ID, body, headers))
    before = len(received(bob))
    hand_in(alice, bob, cpim)
    await asyncio.sleep(20)
    assert len(received(bob)) == before
    assert [one for one in notes(stage, bob) if one.startswith("dropped")] == [f"dropped: {why}"]
    assert _imdns(stage, bob) == 0
    assert not thread_of(bob, ALICE).heal.is_running
    hand_in(alice, bob, CpimMessage.parse(sealed_cpim(alice, _ID, body, headers_of_state(alice, BOB))))
    await asyncio.sleep(5)
    assert texts(bob)[-1] == "no gate holds me"  # nothing was used up by the copy that was dropped


@pytest.mark.parametrize(
    ("era", "authenticator"),
    [("-1", "ok"), ("4294967296", "ok"), ("one", "ok"), ("1", "AAAA"), ("1", "not base64!")],
)
@scenario("two-carriers")
async def test_headers_that_cannot_be_read_are_as_bad_as_none(stage: Stage, era: str, authenticator: str) -> None:
    alice, bob = await locked(stage)
    (_, good) = headers_of_state(alice, BOB)
    value = good.value if authenticator == "ok" else authenticator
    headers = (CpimHeader(MLS_NAMESPACE, "Era-ID", era), CpimHeader(MLS_NAMESPACE, "Epoch-Authenticator", value))
    hand_in(alice, bob, CpimMessage.parse(sealed_cpim(alice, _ID, sealed_by(alice, BOB, "x", _ID), headers)))
    await asyncio.sleep(10)
    assert texts(bob) == ["we have a lock"]
    assert _imdns(stage, bob) == 0
    assert any(one.startswith("dropped: malformed") for one in notes(stage, bob))


@scenario("two-carriers")
async def test_a_message_under_another_id_than_it_is_bound_to_is_not_shown_and_not_reported(stage: Stage) -> None:
    alice, bob = await locked(stage)
    body = sealed_by(alice, BOB, "bound elsewhere", _ID, bound_id="MxAAAAAAAAAAAAAAAAAAAAAA")
    await _injected(stage, alice, body, headers_of_state(alice, BOB))
    assert texts(bob) == ["we have a lock"]
    assert any(one.startswith("not opened: bad_binding") for one in notes(stage, bob))
    assert _imdns(stage, bob) == 0


@scenario("two-carriers")
async def test_a_message_bound_to_another_era_is_not_shown_and_not_reported(stage: Stage) -> None:
    alice, bob = await locked(stage)
    body = sealed_by(alice, BOB, "of another era", _ID, bound_era=2)
    await _injected(stage, alice, body, headers_of_state(alice, BOB))
    assert texts(bob) == ["we have a lock"]
    assert any(one.startswith("not opened: bad_binding") for one in notes(stage, bob))
    assert _imdns(stage, bob) == 0


@scenario("two-carriers")
async def test_a_message_with_a_wrong_key_generation_is_reported_as_not_readable(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await _injected(stage, alice, sealed_by(alice, BOB, "wrongly stamped", _ID, off_by=1), headers_of_state(alice, BOB))
    assert texts(bob) == ["we have a lock"]
    assert any(one.startswith("not opened: key_generation") for one in notes(stage, bob))
    assert any(one.startswith("failure told: failed-to-decrypt, attempt 1") for one in notes(stage, bob))
    again = await alice.chat(BOB).send("and on we go")
    await again.delivered(within_s=30)


@scenario("two-carriers")
async def test_a_payload_of_an_unknown_type_is_dropped_without_a_receipt(stage: Stage) -> None:
    alice, bob = await locked(stage)
    await _injected(stage, alice, sealed_by(alice, BOB, "odd", _ID, payload_type=9), headers_of_state(alice, BOB))
    assert texts(bob) == ["we have a lock"]
    assert _imdns(stage, bob) == 0


@scenario("two-carriers")
async def test_a_message_signed_by_another_member_than_its_sender_is_dropped_without_a_receipt(stage: Stage) -> None:
    alice = await stage.phone("alice", ALICE)
    bob = await stage.phone("bob", BOB)
    tablet = await stage.phone("tablet", BOB)
    await asyncio.sleep(2)
    await (await alice.chat(BOB).send("we have a lock")).delivered(within_s=30)
    await asyncio.sleep(10)
    body = sealed_by(bob, ALICE, "in the name of alice", _ID)
    hand_in(alice, tablet, CpimMessage.parse(sealed_cpim(alice, _ID, body, headers_of_state(bob, ALICE))))
    await asyncio.sleep(10)
    assert texts(tablet) == ["we have a lock"]
    assert any(one.startswith("not opened: impersonation") for one in notes(stage, tablet))
    assert _imdns(stage, tablet) == 0
    assert not thread_of(tablet, ALICE).heal.is_running


@pytest.mark.parametrize("named", [ANONYMOUS_URI, f"tel:{BOB}", f"tel:{ALICE}"])
@scenario("two-carriers", is_read_by_others=False)
async def test_words_of_ones_own_that_the_peer_plays_back_are_not_shown_as_his(stage: Stage, named: str) -> None:
    """The peer has the octets, their id and their headers, and writes into CPIM From what he likes."""
    alice, bob = await locked(stage)
    tablet = await stage.phone("tablet", BOB)
    await (await alice.chat(BOB).send("to both of your screens")).delivered(within_s=300)
    await asyncio.sleep(60)
    body = sealed_by(bob, ALICE, "words of bob", _ID)
    cpim = CpimMessage.parse(sealed_cpim(bob, _ID, body, headers_of_state(bob, ALICE))).with_from(named)
    inject(alice, BOB, cpim.raw)
    await asyncio.sleep(20)
    assert "words of bob" not in texts(tablet) + texts(bob)
    assert any(one.startswith("not opened: impersonation") for one in notes(stage, tablet))
    assert _imdns(stage, tablet) == 0


@pytest.mark.parametrize("kept", [(), ("Era-ID",), ("Epoch-Authenticator",)])
@pytest.mark.parametrize("writer", ["alice", "bob"])
@scenario("two-carriers", is_read_by_others=False)
async def test_through_all_servers_a_body_without_its_headers_is_dropped_before_it_is_opened(
    stage: Stage, writer: str, kept: tuple[str, ...]
) -> None:
    alice, bob = await locked(stage)
    sender, reader, peer, back = (alice, bob, BOB, ALICE) if writer == "alice" else (bob, alice, ALICE, BOB)
    body, shown, told = sealed_by(sender, peer, "no gate holds me", _ID), texts(reader), _imdns(stage, reader)
    headers = tuple(one for one in headers_of_state(sender, peer) if one.name in kept)
    inject(sender, peer, sealed_cpim(sender, _ID, body, headers))
    await asyncio.sleep(20)
    assert texts(reader) == shown
    assert [one for one in notes(stage, reader) if one.startswith("dropped: no ")]
    assert _imdns(stage, reader) == told
    assert not thread_of(reader, back).heal.is_running


@scenario("two-carriers")
async def test_the_same_message_twice_is_shown_once_and_acknowledged_twice(stage: Stage) -> None:
    alice, bob = await locked(stage)
    body = sealed_by(alice, BOB, "only once", _ID)
    cpim = CpimMessage.parse(sealed_cpim(alice, _ID, body, headers_of_state(alice, BOB)))
    for _ in range(3):
        hand_in(alice, bob, cpim)
        await asyncio.sleep(5)
    assert texts(bob) == ["we have a lock", "only once"]
    assert [one.details["text"] for one in stage.shown(bob, Shown.MESSAGE)].count("only once") == 1
    assert not any(one.startswith("not opened") for one in notes(stage, bob))


@scenario("two-carriers")
async def test_what_is_no_control_message_is_dropped_and_the_group_stands(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for kind in ("message/mls-rcs-server", "message/mls-rcs", "message/mls-rcs-server-kick", "message/mls-ft"):
        cpim = compose_cpim(
            sender="sip:anonymous@anonymous.invalid",
            recipient="sip:anonymous@anonymous.invalid",
            message_id=_ID,
            date_time="2026-03-02T10:15:30.000Z",
            body=b"\xff\xff\xff",
            content_type=kind,
        )
        hand_in(alice, bob, CpimMessage.parse(cpim))
    await asyncio.sleep(5)
    assert sum(one.startswith("dropped") for one in notes(stage, bob)) == 4
    await (await alice.chat(BOB).send("still here")).delivered(within_s=30)


@scenario("two-carriers")
async def test_a_phone_takes_no_word_of_a_focus_from_another_phone(stage: Stage) -> None:
    alice, bob = await locked(stage)
    body = compose_cpim(
        sender="sip:anonymous@anonymous.invalid",
        recipient="sip:anonymous@anonymous.invalid",
        message_id=_ID,
        date_time="2026-03-02T10:15:30.000Z",
        body=b"\x0a\x02\x00\x01",
        content_type="message/mls-rcs-server",
    )
    inject(alice, BOB, body)
    await asyncio.sleep(5)
    came = [one.raw for one in stage.sink.records if one.target == bob.name and _ID.encode() in one.raw]
    assert came == []


@scenario("two-carriers")
async def test_a_message_of_a_later_epoch_waits_for_the_commit_and_is_read_then(stage: Stage) -> None:
    alice, bob = await locked(stage)
    focus_fault(stage, fan_out_delay_s=4.0)
    rekey(alice, BOB)
    await asyncio.sleep(1)
    engine = engine_of(alice, BOB)
    assert engine.identifier is not None
    assert engine.identifier.epoch_id == 2
    body = sealed_by(alice, BOB, "from the future", _ID)
    inject(alice, BOB, sealed_cpim(alice, _ID, body, headers_of_state(alice, BOB)))
    await asyncio.sleep(1)
    assert texts(bob) == ["we have a lock"]
    assert any(one.startswith("parked") for one in notes(stage, bob))
    await asyncio.sleep(10)
    assert texts(bob) == ["we have a lock", "from the future"]
    assert _imdns(stage, bob) >= 1
    assert not any(one.startswith("failure told") for one in notes(stage, bob))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("<tel:+12025550101>", "12025550101"),
        ("Alice <tel:+1-202-555-0101;phone-context=x>", "12025550101"),
        ("<sip:anonymous@anonymous.invalid>", ""),
        ("<sip:alice@red.example>", ""),
    ],
)
def test_the_focus_names_a_number_of_ours_in_cpim_from(header: str, expected: str) -> None:
    octets = f"From: {header}\r\nTo: <sip:anonymous@anonymous.invalid>\r\n\r\nContent-Type: text/plain\r\n\r\nx"
    assert named_sender(CpimMessage.parse(octets.encode())) == expected


def test_headers_of_a_resend_name_the_first_id() -> None:
    headers = MlsHeaders(era_id=1, epoch_authenticator=bytes(32), original_message_id=_ID).to_headers()
    assert [one.name for one in headers] == ["Era-ID", "Epoch-Authenticator", "Original-Message-ID"]


@scenario("two-carriers")
async def test_a_text_that_goes_out_three_times_is_shown_once_and_each_copy_is_receipted_under_its_own_id(
    stage: Stage,
) -> None:
    alice, bob = await locked(stage)
    ids = (_ID, "MxAAAAAAAAAAAAAAAAAAAAAA", "MxBBBBBBBBBBBBBBBBBBBBBB")
    copies = []
    for message_id in ids:
        root = MlsHeaders(original_message_id="" if message_id == _ID else _ID).to_headers()
        body = sealed_by(alice, BOB, "three times", message_id)
        copies.append(sealed_cpim(alice, message_id, body, (*headers_of_state(alice, BOB), *root)))
    for copy in (copies[1], copies[2], copies[0], copies[1]):  # the first one comes late
        hand_in(alice, bob, CpimMessage.parse(copy))
        await asyncio.sleep(2)
    assert texts(bob) == ["we have a lock", "three times"]
    sent = b"".join(one.raw for one in stage.sink.records if one.source == "bob" and b"<delivered/>" in one.raw)
    assert [message_id for message_id in ids if message_id.encode() in sent] == list(ids[1:])


@scenario("two-carriers")
async def test_messages_of_two_peers_that_wait_under_one_id_are_shown_each_in_its_conversation(stage: Stage) -> None:
    alice, bob = await locked(stage)
    ben = await stage.phone("ben", BEN, "ios")
    await asyncio.sleep(2)
    await (await alice.chat(BEN).send("we too")).delivered(within_s=30)
    focus_fault(stage, fan_out_delay_s=10.0)
    for phone in (bob, ben):
        rekey(phone, ALICE)
    await asyncio.sleep(3)
    for phone, text in ((bob, "of bob"), (ben, "of ben")):
        body = sealed_by(phone, ALICE, text, _ID)
        hand_in(phone, alice, CpimMessage.parse(sealed_cpim(phone, _ID, body, headers_of_state(phone, ALICE))))
    await asyncio.sleep(20)
    shown = {peer: [each.text for each in alice.chat(peer).messages if each.direction == "in"] for peer in (BOB, BEN)}
    assert shown == {BOB: ["of bob"], BEN: ["of ben"]}


@scenario("two-carriers")
async def test_what_has_no_id_is_each_time_another_message(stage: Stage) -> None:
    alice, bob = await locked(stage)
    for text in ("first without", "second without"):
        body = sealed_by(bob, ALICE, text, "", bound_id="")
        cpim = sealed_cpim(bob, "", body, headers_of_state(bob, ALICE)).replace(b"imdn.Message-ID: \r\n", b"")
        hand_in(bob, alice, CpimMessage.parse(cpim))
    await asyncio.sleep(2)
    assert texts(alice) == ["first without", "second without"]


@pytest.mark.parametrize("content_type", ["message/mls-rcs-client", "message/mls-rcs-server"])
@pytest.mark.parametrize("form", ["bare", "behind its length", "as for a focus"])
def test_without_an_arbiter_a_commit_of_the_peer_counts_in_whatever_form_it_comes(content_type: str, form: str) -> None:
    """A bare MLSMessage is what the carrier leg of the reference sends (digest §4.7)."""

    @scenario(red_without())
    async def story(stage: Stage) -> None:
        alice, bob = await locked(stage)
        engine = engine_of(alice, BOB)
        before = engine.identifier
        operation = engine.control.rekey("by-hand", int(alice._messenger.alarms.now()))
        engine.control.publish(int(alice._messenger.alarms.now()))
        commit = operation.request.commit
        body = {"bare": commit, "behind its length": encode_opaque(commit)}.get(form, operation.request.encode())
        assert before is not None
        headers = MlsHeaders(era_id=before.era_id, epoch_authenticator=before.epoch_authenticator).to_headers()
        cpim = compose_cpim(
            sender=ANONYMOUS_URI,
            recipient=ANONYMOUS_URI,
            message_id="by-hand",
            date_time="2026-03-02T10:15:00Z",
            body=body,
            content_type=content_type,
            extra=headers,
        )
        hand_in(alice, bob, CpimMessage.parse(cpim))
        await asyncio.sleep(5)
        is_request = (content_type, form) == ("message/mls-rcs-client", "as for a focus")  # its sender waits for one
        expected = before if is_request else engine.identifier
        assert engine_of(bob, ALICE).identifier == expected, notes(stage, bob)

    story()


@scenario(p2p)
async def test_who_has_ended_encryption_tells_all_the_same_that_he_cannot_read_a_later_era(stage: Stage) -> None:
    alice, bob = await locked(stage)
    alice.chat(BOB).end_encryption()
    await asyncio.sleep(20)
    assert thread_of(alice, BOB).has_ended
    async with stage.sim.fault("mls.drop_welcome", of="alice", count=9):
        mls_of(bob)._healing.revive(thread_of(bob, ALICE))
        await asyncio.sleep(20)
        message = bob.chat(ALICE).send("of a later era")
        await asyncio.sleep(5)
    assert [each for each in notes(stage, alice) if each.startswith("failure told")], notes(stage, alice)
    await message.delivered(within_s=900)
    assert texts(alice)[-1] == "of a later era"


@scenario("two-carriers")
async def test_what_comes_while_a_focus_is_asked_about_a_welcome_waits_for_the_answer_within_bounds(
    stage: Stage,
) -> None:
    """It may be of the group that the Welcome lets in to; the answer may never come."""
    alice, bob = await locked(stage)
    ben = await stage.phone("ben", BEN)
    await (await alice.chat(BEN).send("another group")).delivered(within_s=30)
    arrivals, thread = mls_of(bob)._arrivals, thread_of(bob, ALICE)
    arrivals._wait_for_decision(thread)
    before = len(notes(stage, bob))
    for number in range(MAX_UNDECIDED + 1):
        body = sealed_by(alice, BEN, "not for bob", f"{_ID[:-3]}{number:03}")
        cpim = sealed_cpim(alice, f"{_ID[:-3]}{number:03}", body, headers_of_state(alice, BEN))
        hand_in(alice, bob, CpimMessage.parse(cpim))
    assert len([each for each in notes(stage, bob)[before:] if each.startswith("not opened")]) == 1
    await asyncio.sleep(30)
    assert len([each for each in notes(stage, bob)[before:] if each.startswith("not opened")]) == MAX_UNDECIDED + 1
    assert thread not in arrivals._undecided
    assert texts(bob) == ["we have a lock"]
    assert texts(ben) == ["another group"]
