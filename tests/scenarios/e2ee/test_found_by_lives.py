"""What random lives have found: each a small story of its own."""

from __future__ import annotations

import asyncio

from rcs_sim.client.encryption import Scheme
from rcs_sim.client.message_state import MessageState
from rcs_sim.server.kds_settings import KdsFault
from tests.scenarios.e2ee.test_life import readable
from tests.scenarios.stage import ALICE, BOB, Stage, scenario
from tests.support.encrypted_phones import LOCKED


@scenario("two-carriers")
async def test_the_answer_to_an_old_question_sends_nothing_in_clear_under_a_lock(stage: Stage) -> None:
    alice, bob = await stage.alice_and_bob()
    services = [carrier.key_service for carrier in stage.sim.lab.carriers.values()]
    for service in services:
        assert service is not None
        service.server.fault = KdsFault(is_down=True)
    async with stage.sim.fault("sip.status", method="INVITE", status=488, from_="bob"):
        message = bob.chat(ALICE).send("written before the lock")
        await asyncio.sleep(200)
    assert (message.state, message.scheme) == (MessageState.FAILED, None)
    assert message.offers_sms
    for service in services:
        assert service is not None
        service.server.fault = KdsFault()
    await asyncio.sleep(600)
    await (await alice.chat(BOB).send("now there is a lock")).delivered(within_s=60)
    assert bob.chat(ALICE).label == LOCKED
    assert not message.offers_sms
    seen = len(readable(stage, "written before"))
    message.send_as_sms()
    await asyncio.sleep(60)
    assert message.state is MessageState.FAILED
    message.send_again()
    await message.delivered(within_s=60)
    assert message.scheme is Scheme.MLS
    assert len(readable(stage, "written before")) == seen
