"""A stranger as member of encrypted conversations on `rcs-sim up`: groups are those of ts-mls, requests are put
together from the digest's tables, and all goes over real SIP and MSRP. Its peer is a phone of the other carrier."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from tests.support.encrypted_phones import engine_of, rekey
from tests.support.mls_ts import TsStack
from tests.support.outside_member import aad, enrolled, sealed_text
from tests.support.outside_pair import (
    CLIENT,
    PULL,
    SERVER,
    OutsideNetwork,
    authenticator_of,
    outside_network,
    outside_pair,
    outside_stack,
)
from tests.support.outside_wire import compose, fields, first, identifier, uint, value
from tests.support.real_phones import until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def stack() -> Iterator[TsStack]:
    with outside_stack() as running:
        yield running


@pytest.fixture(scope="module", params=["google-like", "rcc16-strict"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideNetwork]:
    with outside_network(tmp_path_factory.mktemp("outside"), request.param) as running:
        yield running


@pytest.mark.parametrize(("side", "device"), [("red", "ios"), ("blue", "android")])
async def test_a_group_that_it_makes_is_joined_and_goes_from_commit_to_commit(
    network: OutsideNetwork, stack: TsStack, side: str, device: str
) -> None:
    async with outside_pair(network, stack, side, device) as pair:
        await pair.locked()
        await pair.says("the first of mine")
        await pair.reads("the first of yours")
        base = pair.member.state
        request = pair.member.commit("rekey-of-outside")
        await pair.accepted("rekey-of-outside", request, base)
        await pair.says("after my commit")
        await pair.reads("you too")
        rekey(pair.phone, pair.own)
        await pair.follows()
        await pair.says("after yours")
        await pair.reads("and back")
        assert engine_of(pair.phone, pair.own).identifier is not None


@pytest.mark.parametrize(("side", "device"), [("red", "android"), ("blue", "ios")])
async def test_it_joins_what_a_phone_begins_and_ends_it(
    network: OutsideNetwork, stack: TsStack, side: str, device: str
) -> None:
    async with outside_pair(network, stack, side, device) as pair:
        sent = await pair.phone.chat(pair.own).send("you did not expect this")
        welcome = await pair.line.cpim(lambda each: each.content_type == SERVER and bool(first(each.body, 2, 1, 1)))
        pair.member.receive(welcome.body)
        assert first(welcome.body, 2, 2) == identifier(*pair.member.state)
        assert first(welcome.body, 2, 4) == pair.member.state[2]
        pair.member.group_id = pair.member.mls.group_id()
        sealed = await pair.line.cpim(lambda each: each.content_type == "message/mls")
        assert pair.member.open(sealed.body, sealed.message_id) == sent.text
        await pair.says("but here I am")
        tablet = enrolled(pair.member.account, stack, pair.vendor)
        base = pair.member.state
        await pair.accepted("tablet", pair.member.add(tablet.mls.key_package(), "tablet"), base)
        tablet.mls.join(pair.member.last.welcomes[0], pair.member.last.tree)
        assert tablet.state[1:] == pair.member.state[1:]
        await pair.reads("now there are three")
        base = pair.member.state
        await pair.accepted("the-end", pair.member.end_mls("the-end", 2), base)
        await until(pair.phones, lambda: pair.phone.chat(pair.own).label == "RCS")
        told = await pair.ask("too-late", pair.member.commit("too-late"), state=pair.member.state)
        assert told.reason == "mls-group-has-end-mls"
        await pair.phone.chat(pair.own).send("in clear then")
        clear = await pair.line.cpim(lambda each: each.content_type == "text/plain")
        assert clear.body == b"in clear then"


async def test_it_reads_what_the_focus_holds_and_what_it_has_missed(network: OutsideNetwork, stack: TsStack) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        states, requests = [pair.member.state], list[bytes]()
        for number in range(3):
            requests.append(pair.member.commit(f"commit-{number}"))
            await pair.accepted(f"commit-{number}", requests[-1], states[-1])
            states.append(pair.member.state)
        ordinary = await pair.ask("ordinary", b"", PULL)
        assert ordinary.content_type == SERVER
        info = first(ordinary.body, 3)
        assert first(info, 1)[:4] == b"\x00\x01\x00\x04"
        assert first(info, 1) == first(requests[-1], 9, 1)
        assert (first(info, 2), first(info, 4)) == (first(requests[-1], 9, 2), states[-1][2])
        enhanced = await pair.ask("enhanced", identifier(*states[0]), PULL)
        assert enhanced.content_type == PULL
        assert first(enhanced.body, 2) == identifier(*states[-1])
        assert first(enhanced.body, 3) == info
        if not network.has_log:
            assert {number for number, _ in fields(enhanced.body)} == {2, 3}
            return
        assert first(enhanced.body, 5) == identifier(*states[-1])
        listed = [held for number, held in fields(enhanced.body) if number == 4 and isinstance(held, bytes)]
        assert [first(each, 1) for each in listed] == [b"commit-0", b"commit-1", b"commit-2"]
        assert [first(each, 2, 2, 1, 2, 1) for each in listed] == [first(each, 6) for each in requests]
        stranger = await pair.ask("unknown", identifier(1, 1, bytes(32)), PULL)
        assert {number for number, _ in fields(stranger.body)} == {2, 3}
        assert (await pair.ask("garbage", b"\xff\xff", PULL)).reason == "invalid-input"


async def test_a_second_client_comes_in_by_an_external_commit_and_a_member_does_not(
    network: OutsideNetwork, stack: TsStack
) -> None:
    """Unless the carrier lets a member do so."""
    async with outside_pair(network, stack, "red", "android") as pair:
        await pair.locked()
        await pair.says("one client")
        pulled = first((await pair.ask("pull", b"", PULL)).body, 3)
        first_client, second = pair.member, enrolled(pair.member.account, stack, pair.vendor)
        second.group_id = first_client.group_id
        request = second.join_by_commit(pulled, "tablet", 1)
        pair.member = second
        await pair.accepted("tablet", request, first_client.state)
        await until(pair.phones, lambda: authenticator_of(pair) == second.state[2])
        await pair.says("another client")
        await pair.reads("to both of you")
        pulled = first((await pair.ask("again", b"", PULL)).body, 3)
        request = second.join_by_commit(pulled, "resync", 1, resync=True)
        told = await pair.ask("resync", request)
        expected = ("", "") if network.has_log else ("invalid-commit", "external-commit-refused")
        assert (told.reason, told.detail) == expected


# --- what a hostile one writes ----------------------------------------------------------------------------------------


def _without(request: bytes, number: int) -> bytes:
    return b"".join(_written(known, held) for known, held in fields(request) if known != number)


def _with(request: bytes, number: int, octets: bytes) -> bytes:
    return _without(request, number) + value(number, octets)


def _written(number: int, held: int | bytes) -> bytes:
    return uint(number, held) if isinstance(held, int) else value(number, held)


def _bent(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def _hostile(request: bytes, peer: str) -> list[tuple[str, bytes, str]]:
    """Requests that differ from a good COMMIT in one thing, and the token that says so."""
    commit, info = first(request, 6), first(request, 9)
    era, epoch, authenticator = 1, 1, first(request, 4, 3)
    other = bytes(32)
    return [
        ("no octets", b"", "invalid-input"),
        ("no protobuf", b"\xff" * 40, "invalid-input"),
        ("cut off", request[:-9], "invalid-input"),
        ("operation 0", _without(request, 1), "invalid-input"),
        ("operation 99", uint(1, 99) + _without(request, 1), "invalid-input"),
        ("no group id", _without(request, 2), "invalid-input"),
        ("raw group id", _with(request, 2, bytes(16)), "invalid-input"),
        ("another group id", _with(request, 2, f"{uuid4()}".encode()), "incorrect-era"),
        ("no base", _without(request, 4), "invalid-input"),
        ("short authenticator", _with(request, 4, identifier(era, epoch, b"short")), "invalid-input"),
        ("era 0", _with(request, 4, identifier(0, epoch, authenticator)), "invalid-input"),
        ("era beyond 32 bits", _with(request, 4, identifier(2**33, epoch, authenticator)), "invalid-input"),
        ("another era", _with(request, 4, identifier(2, epoch, authenticator)), "incorrect-era"),
        ("another epoch", _with(request, 4, identifier(era, 2**64 - 1, authenticator)), "incorrect-epoch"),
        ("another state", _with(request, 4, identifier(era, epoch, other)), "incorrect-epoch-authenticator"),
        ("no result", _without(request, 5), "invalid-input"),
        ("result two on", _with(request, 5, identifier(era, 3, first(request, 5, 3))), "incorrect-epoch"),
        ("another result", _with(request, 5, identifier(era, 2, other)), "invalid-input"),
        ("no commit", _without(request, 6), "unparsable-commit"),
        ("half a commit", _with(request, 6, commit[: len(commit) // 2]), "unparsable-commit"),
        ("octets behind the commit", _with(request, 6, commit + b"\x00"), "unparsable-commit"),
        ("a signature of nobody", _with(request, 6, _bent(commit, len(commit) - 90)), "invalid-commit"),
        ("the group info as commit", _with(request, 6, first(info, 1)), "unparsable-commit"),
        ("no group info", _without(request, 9), "invalid-input"),
        ("half a group info", _with(request, 9, _with(info, 1, first(info, 1)[:40])), "invalid-input"),
        ("no tree", _with(request, 9, _without(info, 2)), "invalid-input"),
        ("a tree of nobody", _with(request, 9, _with(info, 2, b"\x00")), "invalid-commit"),
        (
            "a signature of no group info",
            _with(request, 9, _with(info, 1, _bent(first(info, 1), -5))),
            "invalid-commit",
        ),
        ("a welcome that is none", request + value(8, b"welcome"), "invalid-input"),
        ("keys that are none", request + value(10, b"key"), "invalid-input"),
        ("the peer kicked", request + value(12, f"tel:{peer}".encode()), "mismatched-rcs-group-state"),
        ("somebody added", request + value(11, b"tel:+19995550100"), "mismatched-rcs-group-state"),
        ("group data without keys", request + value(13, b"<x/>"), "invalid-commit"),
        ("as an external commit", uint(1, 2) + _without(request, 1), "invalid-commit"),
        ("as a proposal", uint(1, 4) + _without(request, 1), "invalid-input"),
        ("as a create", uint(1, 1) + _without(request, 1), "invalid-input"),
    ]


async def test_whatever_is_wrong_is_told_once_and_by_name_and_nothing_has_changed(
    network: OutsideNetwork, stack: TsStack
) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        base, mls = pair.member.state, pair.member.mls
        mls.keep()
        for number, (what, _, token) in enumerate(_hostile(pair.member.commit("counted"), pair.theirs)):
            mls.go_back()
            body = _hostile(pair.member.commit(f"bad-{number}"), pair.theirs)[number][1]
            told = await pair.ask(f"bad-{number}", body, state=base)
            assert (what, told.reason) == (what, token)
            assert told.server == base
        mls.go_back()
        request = pair.member.commit("good")
        told = await pair.ask("another id", request, state=base)
        assert (told.reason, told.detail) == ("invalid-input", "aad")
        for _ in range(2):  # the same octets again get the same answers
            await pair.accepted("good", request, base)
        told = await pair.ask("good", request + value(99, b"other octets"), state=base)
        assert (told.reason, told.detail) == ("invalid-input", "message-id")
        await pair.says("nothing was broken")
        await pair.reads("not here either")
        await asyncio.sleep(1)
        answers = [each.in_reply_to for each in pair.line.unread() if each.in_reply_to.startswith("bad-")]
        assert answers == [], "exactly one answer each"


_HEADERS: list[tuple[Any, Any]] = [
    (None, "own"),
    ("", "own"),
    ("-1", "own"),
    ("1.0", "own"),
    ("4294967296", "own"),
    ("0x1", "own"),
    (1, None),
    (1, ""),
    (1, "not base64"),
    (1, "AAAA"),
    (1, "url"),
    (1, "unpadded"),
]


def _shown(spelling: Any, authenticator: bytes) -> Any:
    octets = base64.b64encode(authenticator).decode()
    forms = {"own": octets, "unpadded": octets.rstrip("="), "url": f"-_{octets[2:]}"}
    return forms.get(spelling, spelling)


async def test_a_message_whose_headers_cannot_be_read_is_dropped_without_a_word(
    network: OutsideNetwork, stack: TsStack
) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        await pair.says("first")
        for number, (era, authenticator) in enumerate(_HEADERS):
            message_id = f"spoiled-{number}"
            sealed = pair.member.seal(message_id, message_id)
            shown = _shown(authenticator, pair.member.state[2])
            wishes = "positive-delivery, negative-delivery, display"
            cpim = compose(message_id, "message/mls", sealed, era=era, authenticator=shown, wishes=wishes)
            assert await pair.line.say(pair.target, cpim) in (200, 202)
        await pair.says("last")
        shown_texts = [each.text for each in pair.phone.chat(pair.own).messages]
        assert [text for text in shown_texts if text and text.startswith("spoiled")] == []
        assert [each for each in pair.line.unread() if b"spoiled-" in each.body] == []


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("another id", lambda own: aad("another", 1)),
        ("another era", lambda own: aad(own, 2)),
    ],
)
async def test_a_message_that_is_bound_to_something_else_is_not_shown_and_gets_no_receipt(
    network: OutsideNetwork, stack: TsStack, kind: str, spoil: Callable[[str], bytes]
) -> None:
    async with outside_pair(network, stack, "red", "android") as pair:
        await pair.locked()
        await pair.says("first")
        member, mls = pair.member, pair.member.mls
        mls.authenticated_data = spoil("bound")
        sealed = mls.seal(sealed_text("bound elsewhere", member.generation))
        member.generation += 1
        era, _, authenticator = member.state
        wishes = "positive-delivery, negative-delivery, display"
        cpim = compose("bound", "message/mls", sealed, era=era, authenticator=authenticator, wishes=wishes)
        assert await pair.line.say(pair.target, cpim) in (200, 202)
        await pair.says("last")
        assert "bound elsewhere" not in [each.text for each in pair.phone.chat(pair.own).messages]
        assert [each for each in pair.line.unread() if b">bound<" in each.body] == []


@pytest.mark.parametrize(
    "kind", ["Message/MLS-RCS-Client", "message/mls-rcs-client;charset=UTF-8", "MESSAGE/MLS-RCS-CLIENT ; a=b"]
)
async def test_a_control_message_is_one_however_its_type_is_written(
    network: OutsideNetwork, stack: TsStack, kind: str
) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        told = await pair.ask("odd", b"\xff", kind)
        assert (told.reason, told.detail) == ("invalid-input", "body")


async def test_thousands_of_requests_of_one_sender_are_answered_once_each(
    network: OutsideNetwork, stack: TsStack
) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        era, _, authenticator = pair.member.state
        count = 2000
        for begin in range(0, count, 100):
            ids = [f"flood-{number}" for number in range(begin, begin + 100)]
            for name in ids:
                body = b"\xff" * 60
                cpim = compose(name, CLIENT, body, era=era, authenticator=authenticator)
                assert await pair.line.say(pair.target, cpim) == 200
        told = [(await pair.answer(f"flood-{number}")).reason for number in range(count)]
        assert set(told) == {"invalid-input"}
        await pair.says("still here")
        await pair.reads("me too")


_IDS = ["<&>\"'", "ключ-ё", "a" * 256, "with a space", "%00%0d%0a", "]]>"]


async def test_an_answer_names_the_request_whatever_its_id_is_made_of(network: OutsideNetwork, stack: TsStack) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        for control_id in _IDS:
            told = await pair.ask(control_id, b"\xff")
            assert (told.reason, told.in_reply_to) == ("invalid-input", control_id)
            document = ElementTree.fromstring(told.body)
            named = document.find("{urn:ietf:params:xml:ns:imdn}message-id")
            assert named is not None
            assert named.text == control_id
        for control_id in ("commit <&>\"'", "ключ второй"):
            base = pair.member.state
            await pair.accepted(control_id, pair.member.commit(control_id), base)
        await pair.says("all the same")
