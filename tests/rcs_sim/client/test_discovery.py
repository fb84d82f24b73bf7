from __future__ import annotations

import asyncio

import pytest

from ims_core.wire.sip.message import Request, Response
from rcs_sim.client.discovery import is_stored_nowhere
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, BOB, World


def test_options_goes_out_once_and_both_sides_learn_d01_d07() -> None:
    async def story(world: World) -> None:
        alice, bob = await two_phones(world)
        for _ in range(5):
            alice.chat(BOB)
        await asyncio.sleep(1)
        queries = world.core.of("OPTIONS")
        assert len(queries) == 1
        assert "+sip.instance" in (queries[0].text("Contact") or "")
        assert "+g.gsma.rcs.msgrevoke" in (queries[0].text("Contact") or "")
        bob.chat(ALICE)
        await asyncio.sleep(1)
        assert len(world.core.of("OPTIONS")) == 1
        assert bob.chat(ALICE).label == "RCS"

    play(story)


def test_a_phone_answers_options_with_its_own_tags() -> None:
    async def story(world: World) -> None:
        await two_phones(world)
        answers: list[Response] = []
        query = world.core.message(f"tel:{BOB}", b"", "text/plain")
        request = type(query).new(
            "OPTIONS", f"tel:{ALICE}", [(n, query.text(n) or "") for n in ("From", "To", "Call-ID")]
        )
        request = request.edit().append("CSeq", "1 OPTIONS").append("Max-Forwards", "70").done()
        world.core.send(ALICE, request, lambda outcome: answers.append(outcome))  # type: ignore[arg-type]  # a response
        await asyncio.sleep(1)
        assert answers[0].status == 200
        contact = answers[0].text("Contact") or ""
        assert "oma.cpm.msg" in contact
        assert "+sip.instance" in contact

    play(story)


def test_a_lineage_like_phone_gives_no_answer_to_options_and_stays_unknown_row_10() -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world, ios="lineage-like")
        chat = alice.chat(BOB)
        await asyncio.sleep(200)
        assert chat.label == "RCS"
        for _ in range(20):
            alice.chat(BOB)
            await asyncio.sleep(10)
        assert len(world.core.of("OPTIONS")) == 1

    play(story)


@pytest.mark.parametrize(
    ("status", "headers", "is_void"),
    [
        (480, [("Warning", '399 blue.messaging_server "the recipient is not registered"')], True),
        (480, [("Warning", '301 a "b", 399 c "d"')], True),
        (480, [], False),
        (480, [("Reason", "SIP;cause=408")], False),
        (480, [("Warning", "rubbish")], False),
        (408, [("Warning", '399 a "b"')], False),
        (202, [("Warning", '399 a "b"')], False),
    ],
)
def test_a_480_with_a_warning_says_that_nobody_has_the_message(
    status: int, headers: list[tuple[str, str]], is_void: bool
) -> None:
    request = Request.new("MESSAGE", "tel:+1", [("Via", "SIP/2.0/TCP a;branch=z9hG4bK1")])
    assert is_stored_nowhere(Response.to(request, status, headers=headers)) is is_void
