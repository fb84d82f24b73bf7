"""Application servers that cannot be reached are told of registrations later (TS 24.229 §5.4.1.7)."""

from __future__ import annotations

import asyncio

from ims_core.nodes.application_servers import FIRST_PAUSE_S, LONGEST_PAUSE_S, ApplicationServers
from ims_core.wire.sip.message import Request, Response
from tests.support.ims_lab import BLUE, RED, Agent, Lab, lab_story, plain_subscriber, subscriber

ALICE, CAROL = subscriber(RED, 101), plain_subscriber(RED, "carol")
ALL = ((ALICE, CAROL), (subscriber(BLUE, 152),))


def _answers(server: Agent, status: int) -> None:
    server.answer = lambda request: server.reply(request, status)


def _told(server: Agent) -> list[int]:
    return [int(request.text("Expires") or "") for request in server.received("REGISTER")]


def test_a_server_that_is_back_is_told_what_is_left_of_the_registration() -> None:
    async def tell(lab: Lab) -> None:
        messaging, gateway, _, _ = await lab.servers()
        _answers(messaging, 503)
        phone = await lab.ue("alice", "192.0.2.11", ALICE)
        assert (await phone.register(3600)).status == 200
        await asyncio.sleep(FIRST_PAUSE_S / 2)
        assert len(_told(messaging)) == 1
        await asyncio.sleep(FIRST_PAUSE_S)
        _answers(messaging, 200)
        first, second = _told(messaging)
        assert 0 < first - second <= FIRST_PAUSE_S + 2
        await asyncio.sleep(3 * FIRST_PAUSE_S)
        assert len(_told(messaging)) == 3
        await asyncio.sleep(LONGEST_PAUSE_S / 2)
        assert len(_told(messaging)) == 3
        assert len(_told(gateway)) == 1

    lab_story(tell, subscribers=ALL)
    assert ApplicationServers


def test_what_is_told_anew_takes_the_place_of_what_was_not_taken() -> None:
    async def tell(lab: Lab) -> None:
        messaging, _, _, _ = await lab.servers()
        _answers(messaging, 503)
        phone = await lab.ue("alice", "192.0.2.11", ALICE)
        await phone.register(3600)
        await asyncio.sleep(FIRST_PAUSE_S / 2)
        _answers(messaging, 200)
        await phone.register(0)
        await asyncio.sleep(10 * FIRST_PAUSE_S)
        assert _told(messaging)[1:] == [0]

    lab_story(tell, subscribers=ALL)


def test_a_server_that_stays_away_is_tried_ever_less_often_and_not_beyond_the_registration() -> None:
    async def tell(lab: Lab) -> None:
        messaging, _, _, _ = await lab.servers()
        _answers(messaging, 503)
        phone = await lab.ue("alice", "192.0.2.11", ALICE)
        await phone.register(3600)
        await asyncio.sleep(1)
        lasts_s = _told(messaging)[0]
        await asyncio.sleep(lasts_s + 10)
        assert not lab.red.is_registered(phone.impu)
        registered = [each for each in _told(messaging) if each]
        assert 3 < len(registered) < 20
        await asyncio.sleep(2 * 86_400)
        count = len(_told(messaging))
        assert 20 < count < 60  # its end was told, for a day
        await asyncio.sleep(86_400)
        assert len(_told(messaging)) == count

    lab_story(tell, subscribers=ALL)


def test_a_late_failure_does_not_bring_back_what_is_no_longer_so() -> None:
    async def tell(lab: Lab) -> None:
        messaging, _, _, _ = await lab.servers()

        def silent(request: Request) -> Response | None:
            return None

        messaging.answer = silent
        phone = await lab.ue("alice", "192.0.2.11", ALICE)
        await phone.register(3600)
        await asyncio.sleep(5)
        _answers(messaging, 200)
        await phone.register(0)
        await asyncio.sleep(600)
        assert _told(messaging)[-1] == 0

    lab_story(tell, subscribers=ALL)
