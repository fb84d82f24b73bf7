"""Mistakes of digest RCC.16 §17 made by a stranger whose groups are those of ts-mls, over real SIP and MSRP: what takes
a signature of his own to get wrong. The numbers are those of the list."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.support.mls_ts import TsStack
from tests.support.outside_member import OutsideMember, aad
from tests.support.outside_pair import KDS_OF, OutsideNetwork, outside_network, outside_pair, outside_stack
from tests.support.outside_wire import compose, framed, uint, value
from tests.support.real_phones import received

pytestmark = pytest.mark.interop

_WISHES = "positive-delivery, negative-delivery, display"


@pytest.fixture(scope="module")
def stack() -> Iterator[TsStack]:
    with outside_stack() as running:
        yield running


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideNetwork]:
    with outside_network(tmp_path_factory.mktemp("mistakes"), "google-like") as running:
        yield running


# --- 2 ----------------------------------------------------------------------------------------------------------------

_BOUND: dict[str, Callable[[str], bytes]] = {
    "nothing": lambda _: b"",
    "no era": lambda control_id: b"\x00\x01" + framed(control_id.encode()),
    "the epoch for the era": lambda control_id: aad(control_id, 2),
    "no octet for the resent component": lambda control_id: aad(control_id, 1)[:-1],
    "another version": lambda control_id: b"\x00\x02" + aad(control_id, 1)[2:],
    "a length that is not the shortest": lambda control_id: (
        b"\x00\x01\x40" + bytes((len(control_id),)) + aad(control_id, 1)[3:]
    ),
}


def _committed(member: OutsideMember, control_id: str, bound: bytes, *proposals: dict[str, object]) -> bytes:
    """A COMMIT with authenticated data of the test's own."""
    base = member.state
    member.mls.authenticated_data = bound
    member.last = member.mls.commit(*proposals)
    return member._changing(3, base)


async def test_2_a_commit_that_is_bound_to_something_else_is_refused_and_nothing_has_changed(
    network: OutsideNetwork, stack: TsStack
) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        base, mls = pair.member.state, pair.member.mls
        mls.keep()
        for number, (kind, bound) in enumerate(_BOUND.items()):
            control_id = f"bound-{number}"
            told = await pair.ask(control_id, _committed(pair.member, control_id, bound(control_id)), state=base)
            assert (kind, told.reason, told.detail) == (kind, "invalid-input", "aad")
            assert told.server == base
            mls.go_back()
        await pair.accepted("good", pair.member.commit("good"), base)
        await pair.says("nothing was broken")
        await pair.reads("not here either")


# --- 5 ----------------------------------------------------------------------------------------------------------------


async def test_5_a_tree_inside_the_group_info_is_refused_though_it_is_signed(
    network: OutsideNetwork, stack: TsStack
) -> None:
    async with outside_pair(network, stack, "red", "android") as pair:
        member = pair.member
        packages, control_id = member.claim(pair.theirs, 1), f"{uuid4()}"
        member.create(packages, control_id)
        with_tree = value(1, member.mls.group_info(with_tree=True)) + value(4, member.state[2])
        both = with_tree + value(2, member.mls.tree())
        for info, token in ((with_tree, "invalid-input"), (both, "invalid-commit")):
            request = b"".join(
                (
                    uint(1, 1),
                    value(2, member.group_id),
                    value(3, base64.urlsafe_b64encode(uuid4().bytes + b"ab")),
                    value(5, _identifier(member)),
                    value(8, member.last.welcomes[0]),
                    value(9, info),
                    uint(14, 1),
                )
            )
            told = await pair.ask(f"{uuid4()}", request)
            assert told.reason == token
        plain = await pair.phone.chat(pair.own).send("no group has come of it")
        assert plain.text == "no group has come of it"


def _identifier(member: OutsideMember) -> bytes:
    era, epoch, authenticator = member.state
    return uint(1, era) + uint(2, epoch) + value(3, authenticator)


# --- 6 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "extensions"),
    [
        ("the era with a length", [(0xF001, "0400000001")]),
        ("the era left out", [(0xF020, "010203")]),
        ("another era", [(0xF001, "00000002")]),
        ("the era in eight octets", [(0xF001, "0000000000000001")]),
    ],
)
async def test_6_an_era_that_is_framed_anew_or_left_out_is_refused(
    network: OutsideNetwork, stack: TsStack, kind: str, extensions: list[tuple[int, str]]
) -> None:
    async with outside_pair(network, stack, "red", "ios") as pair:
        await pair.locked()
        base, mls = pair.member.state, pair.member.mls
        mls.keep()
        told = await pair.ask(
            "odd", pair.member.commit("odd", {"type": "extensions", "extensions": extensions}), state=base
        )
        assert (kind, told.reason) == (kind, "invalid-commit")
        mls.go_back()
        await pair.says("and on with the old one")


# --- 3, 1 -------------------------------------------------------------------------------------------------------------


async def test_1_3_what_the_headers_do_not_say_and_what_is_stamped_wrongly_is_not_shown(
    network: OutsideNetwork, stack: TsStack
) -> None:
    """Its namespace is another one, or is declared behind; then each stamp is that of the first message."""
    async with outside_pair(network, stack, "red", "android") as pair:
        await pair.locked()
        await pair.says("first")
        member = pair.member
        era, _, authenticator = member.state
        for number, (old, new) in enumerate(((b"gsma.com/rcs/mls", b"gsma.com/rcs/mls2"), (b"NS: e2e", b"NS: e3e"))):
            message_id = f"headers-{number}"
            sealed = member.seal(message_id, message_id)
            cpim = compose(message_id, "message/mls", sealed, era=era, authenticator=authenticator, wishes=_WISHES)
            assert await pair.line.say(pair.target, cpim.replace(old, new)) in (200, 202, 400, 488)
        generation, member.generation = member.generation, 0
        await pair.line.say(pair.target, _sealed(member, "stamped with the first", "stamped"))
        member.generation = generation + 1
        await pair.says("last")
        shown = [each.text for each in pair.phone.chat(pair.own).messages]
        assert "stamped with the first" not in shown
        assert not [text for text in shown if text and text.startswith("headers-")]
        assert (await received(pair.phone, "last")).text == "last"


def _sealed(member: OutsideMember, text: str, message_id: str) -> bytes:
    era, _, authenticator = member.state
    body = member.seal(text, message_id)
    return compose(message_id, "message/mls", body, era=era, authenticator=authenticator, wishes=_WISHES)


# --- 7 ----------------------------------------------------------------------------------------------------------------


async def test_7_receipts_of_a_stranger_who_signs_nothing_tick_nothing_and_keep_the_lock(
    network: OutsideNetwork, stack: TsStack
) -> None:
    async with outside_pair(network, stack, "blue", "android") as pair:
        assert KDS_OF["blue"] == pair.vendor
        await pair.locked()
        sent = await pair.phone.chat(pair.own).send("tell me that you have it")
        found = await pair.line.cpim(lambda each: each.content_type == "message/mls")
        assert pair.member.open(found.body, found.message_id) == sent.text
        document = (
            f'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>{found.message_id}</message-id>'
            "<datetime>2026-03-02T10:15:00Z</datetime><delivery-notification><status><delivered/></status>"
            "</delivery-notification></imdn>"
        )
        for wishes, more in (("", ""), ("", "e2e.Era-ID: 1")):
            cpim = compose(f"{uuid4()}", "message/imdn+xml", document.encode(), wishes=wishes, more=more)
            assert await pair.line.say(pair.target, cpim) in (200, 202)
        await pair.says("and the lock is there still")
        assert sent.state.name not in ("DELIVERED", "DISPLAYED")
        assert pair.phone.chat(pair.own).label == "RCS · encrypted"
