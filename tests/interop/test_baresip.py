"""baresip, a plain SIP phone, registers at `rcs-sim up` and shows a MESSAGE. It takes text/plain only, no CPIM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import Program, filled, free_port, network_file, program, rcs_sim_up, require
from tests.support.raw_phone import RawSubscriber, raw_phone

pytestmark = pytest.mark.interop

_WITHIN_S = 15.0


@contextmanager
def _baresip(folder: Path, carrier: Mapping[str, Any], account: RawSubscriber, contact: str) -> Iterator[Program]:
    """baresip with that account; *contact* is whom it may send to."""
    settings = folder / "baresip"
    settings.mkdir()
    for template in (Path(__file__).parent / "baresip").iterdir():
        text = filled(
            template,
            HOST="127.0.0.1",
            PORT=str(free_port()),
            USER=account.impi.partition("@")[0],
            DOMAIN=account.domain,
            PASSWORD=account.password,
            PROXY=carrier["pcscf"]["udp"],
            PEER=contact,
        )
        (settings / template.name).write_text(text, encoding="utf-8")
    with program([require("baresip"), "-f", str(settings), "-4"], cwd=folder, env={"HOME": str(folder)}) as running:
        yield running


async def test_baresip_registers_and_shows_a_message(tmp_path: Path) -> None:
    require("baresip")
    with rcs_sim_up(tmp_path, network=network_file(tmp_path, sip_users=("carol", "chuck"))) as (_, document):
        red = document["carriers"]["red"]
        carol, chuck = RawSubscriber.of(red, "sip:carol@"), RawSubscriber.of(red, "sip:chuck@")
        with _baresip(tmp_path, red, carol, chuck.impu) as running:
            await running.shows("200 OK () [1 binding]", _WITHIN_S)
            async with raw_phone(red["pcscf"]["tcp"]) as raw:
                await raw.register(chuck)
                raw.send(raw.head("MESSAGE", carol.impu, chuck, "Content-Type: text/plain"), "hello carol")
                await raw.response(200, "MESSAGE")
                await running.shows("hello carol", _WITHIN_S)
