from __future__ import annotations

import asyncio

from ims_core.wire.sip.message import Response
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
