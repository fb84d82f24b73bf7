"""linphonec, a plain SIP phone with CPIM and receipts of its own, and an emulated phone on `rcs-sim up`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.client.message_state import MessageState
from tests.support.peers import Program, filled, free_port, network_file, program, rcs_sim_up, require
from tests.support.real_phones import real_phones, received

pytestmark = pytest.mark.interop

_WITHIN_S = 15.0
_ALICE = "+12025550101"


@contextmanager
def _linphonec(folder: Path, carrier: Mapping[str, Any], user: str) -> Iterator[Program]:
    """linphonec, registered. Its data folder has to exist, else it keeps no messages and shows none."""
    subscriber = next(one for one in carrier["subscribers"] if one["impu"].startswith(f"sip:{user}@"))
    settings = filled(
        Path(__file__).parent / "linphone" / "linphonerc",
        PORT=str(free_port()),
        PROXY=carrier["pcscf"]["udp"],
        USER=user,
        DOMAIN=carrier["domain"],
        PASSWORD=subscriber["password"],
    )
    (folder / "linphonerc").write_text(settings, encoding="utf-8")
    (folder / ".local" / "share" / "linphone").mkdir(parents=True)
    environment = {"HOME": str(folder), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    with program([require("linphonec"), "-c", "linphonerc"], cwd=folder, env=environment) as running:
        running.ask_until("status registered", "registered, identity=", _WITHIN_S)
        yield running


async def test_linphonec_registers_and_reports_the_delivery_of_a_cpim_message_and_is_read(tmp_path: Path) -> None:
    require("linphonec")
    network = network_file(tmp_path, sip_users=("carol",))
    with rcs_sim_up(tmp_path, network=network) as (_, document):
        red = document["carriers"]["red"]
        domain = red["domain"]
        with _linphonec(tmp_path, red, "carol") as carol:
            async with real_phones() as phones:
                alice = await phones.add("alice", red, _ALICE)

                message = alice.chat(f"sip:carol@{domain}").send("hello carol")
                await carol.shows("hello carol", _WITHIN_S)
                await message.delivered(_WITHIN_S)
                assert message.state is MessageState.DELIVERED
                receipts = [
                    parse_datagram(record.raw)
                    for record in phones.messages("MESSAGE")
                    if record.source != "alice" and b"imdn" in record.raw
                ]
                assert [str(receipt.content_type) for receipt in receipts] == ["message/imdn+xml"], "bare, not in CPIM"

                carol.say(f"chat sip:{_ALICE}@{domain} hello alice")
                shown = await received(alice, "hello alice", _WITHIN_S)
                assert shown.conversation.peer == f"sip:carol@{domain}"
            carol.say("quit")
