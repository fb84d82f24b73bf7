from __future__ import annotations

import asyncio

import pytest

from ims_core.wire.sip.message import Request, Response
from tests.rcs_sim.client.stories import play, two_phones
from tests.support.stub_core import ALICE, World


def test_the_subscription_is_refreshed_in_its_dialog() -> None:
    async def story(world: World) -> None:
        await two_phones(world)
        await asyncio.sleep(7000)
        subscribes = world.core.of("SUBSCRIBE", ALICE)
        assert len(subscribes) >= 3
        assert len({each.call_id for each in subscribes}) == 1
        assert [each.cseq.number for each in subscribes] == list(range(1, len(subscribes) + 1))

    play(story)


@pytest.mark.parametrize(("status", "again"), [(489, False), (405, False), (503, True)])
def test_a_package_that_is_not_served_is_not_asked_for_again_d08(status: int, again: bool) -> None:
    async def story(world: World) -> None:
        world.core.answers["SUBSCRIBE"].append(status)
        alice = world.phone("alice", ALICE)
        await alice.power_on()
        await asyncio.sleep(1000)
        assert (len(world.core.of("SUBSCRIBE")) > 1) is again
        assert alice.is_registered

    play(story)


def _notify(world: World, body: bytes, **changes: str) -> list[int]:
    """Sends a NOTIFY in the subscription; the list gets the status of the answer."""
    subscribe, tag, _, cseq = world.core.subscriptions[ALICE]
    fields = {
        "Max-Forwards": "70",
        "From": f"{subscribe.text('To')};tag={tag}",
        "To": subscribe.text("From") or "",
        "Call-ID": subscribe.call_id,
        "CSeq": f"{cseq + 5} NOTIFY",
        "Contact": "<sip:127.0.1.10>",
        "Event": "reg",
        "Subscription-State": "active;expires=3600",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    request = Request.new("NOTIFY", "sip:x@h", list(fields.items()), body, "application/reginfo+xml" if body else None)
    statuses: list[int] = []

    def note(outcome: object) -> None:
        statuses.append(outcome.status if isinstance(outcome, Response) else 0)

    world.core.send(ALICE, request, note)
    return statuses


@pytest.mark.parametrize(
    ("body", "changes", "status"),
    [
        (b"", {}, 200),
        (b"not xml", {}, 200),
        (b"", {"Call_ID": "another"}, 481),
        (b"", {"Event": "presence"}, 489),
        (b"", {"Subscription_State": "@"}, 400),
        (b"", {"CSeq": "1 NOTIFY"}, 500),
    ],
)
def test_notifications_are_judged_before_they_are_believed(body: bytes, changes: dict[str, str], status: int) -> None:
    async def story(world: World) -> None:
        alice, _ = await two_phones(world)
        _notify(world, b"")
        await asyncio.sleep(1)
        answer = _notify(world, body, **{"CSeq": "9 NOTIFY", **changes})
        await asyncio.sleep(1)
        assert answer == [status]
        assert alice.is_registered

    play(story)
