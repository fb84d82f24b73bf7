"""aiosip 0.2.0 registers at `rcs-sim up` and sends a text, which is what that package of 2017 can do for RCS.

It runs in a process of its own, with two lines for what newer Pythons have removed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.peers import free_port, network_file, program, rcs_sim_up, require_package
from tests.support.raw_phone import RawSubscriber
from tests.support.real_phones import real_phones, received

pytestmark = pytest.mark.interop

_WITHIN_S = 15.0
_ALICE = "+12025550101"
_CLIENT = Path(__file__).parent / "aiosip_client.py"


async def test_it_registers_and_its_text_is_shown(tmp_path: Path) -> None:
    require_package("aiosip")
    with rcs_sim_up(tmp_path, network=network_file(tmp_path, sip_users=("carol",))) as (_, document):
        red = document["carriers"]["red"]
        carol = RawSubscriber.of(red, "sip:carol@")
        arguments = [
            red["pcscf"]["udp"],
            str(free_port()),
            carol.impu,
            carol.password,
            f"sip:{_ALICE}@{carol.domain}",
        ]
        async with real_phones() as phones:
            alice = await phones.add("alice", red, _ALICE)
            with program([sys.executable, str(_CLIENT), *arguments], cwd=tmp_path) as client:
                await client.shows("REGISTER 200", _WITHIN_S)
                await client.shows("MESSAGE 20", _WITHIN_S)
                shown = await received(alice, "hello from aiosip")
                assert shown.conversation.peer == carol.impu
