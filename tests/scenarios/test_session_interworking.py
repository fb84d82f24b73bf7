"""Sessions with people who have no RCS: the network takes them and sends short messages (digest §8.1, §19.8)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.scenario.loader import profile_folder
from rcs_sim.scenario.model import NetworkFile
from tests.scenarios.stage import ALICE, BOB, Stage, network, received, scenario

LONG = "a text that is too long for pager mode, " * 36  # 1,440 octets: ten short messages
_REVOKE_S = 900.0


def _interworking(folder: Path) -> NetworkFile:
    """Blue falls back to SMS."""
    text = (profile_folder() / "carriers" / "google-like.yaml").read_text(encoding="utf-8")
    assert "interworking:" not in text
    (folder / "interworking.yaml").write_text(text + "interworking: true\n", encoding="utf-8")
    return network(blue=str(folder / "interworking.yaml"))


def test_a_session_with_a_user_who_has_no_rcs_device_becomes_short_messages_and_is_never_revoked_l04(
    tmp_path: Path,
) -> None:
    @scenario(_interworking(tmp_path))
    async def story(stage: Stage) -> None:
        alice = await stage.phone("alice", ALICE)
        server = stage.sim.carrier("blue").config_server
        assert server is not None
        server.impose(BOB, -1)  # he has the service no more
        bob = await stage.phone("bob", BOB, is_on=False)
        await bob.power_on()
        assert not bob.is_registered
        message = alice.chat(BOB).send(LONG)
        await message.delivered(within_s=60)
        await asyncio.sleep(_REVOKE_S)
        (answer,) = [record for record in stage.sink.records if _is_answer(record.summary, record.target)]
        assert b"+g.gsma.rcs.msgfallback" in answer.raw
        assert [one.text for one in received(bob)] == [LONG]
        assert not [request for request in stage.requests("MESSAGE", "alice") if b"rcsrevoke" in request.body]
        assert message.state is MessageState.DELIVERED
        assert message.transport is MessageTransport.SMS
        assert len(stage.requests("INVITE", "alice")) == 1
        assert stage.errors() == []

    story()


def _is_answer(summary: str, target: str) -> bool:
    return summary.startswith("200") and "INVITE" in summary and target == "alice"
