"""tshark with the dissector that ships: with the key log it prints what was sealed, without it does not."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

import rcs_sim
from ims_core.pcapng import write_pcapng
from ims_core.trace import ListSink, RecordKind
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.scenario.simulation import Simulation
from rcs_sim.scenario.wireshark import dissector_text
from tests.support.peers import require

pytestmark = pytest.mark.interop

BOB, ALICE = "+12025550152", "+12025550101"
TEXTS = ["a sealed greeting", "eine Antwort 👍", "x" * 700]
_ANOTHER_ERA = "the same group id, and epoch 1 again"


@dataclass(frozen=True, slots=True)
class _Run:
    folder: Path
    keys: list[str]

    def read(self, *fields: str, keys: Iterable[str] | None, shown: str = "rcc16") -> list[tuple[str, ...]]:
        """The fields of every sealed message."""
        log = self.folder / "mls.keylog"
        log.write_text("\n".join(keys or ()) + "\n")
        names = [argument for field in fields for argument in ("-e", field)]
        preference = ["-o", f"rcc16.keylog:{log}"] if keys is not None else []
        script, capture = f"lua_script:{self.folder / 'rcc16.lua'}", str(self.folder / "mls.pcapng")
        done = subprocess.run(
            ["tshark", "-X", script, *preference, "-r", capture, "-Y", shown, "-T", "fields", *names],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "Lua" not in done.stderr.replace("lua_script", "")
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module", params=["sessions", "pager"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Run:
    require("tshark")
    sink, keys = ListSink(), list[str]()

    async def story() -> None:
        async with Simulation("two-carriers", 7, sinks=[sink], key_log=keys.append) as sim:
            alice = await sim.add_phone("alice", msisdn=ALICE)
            bob = await sim.add_phone("bob", "android" if request.param == "pager" else "ios", "blue", msisdn=BOB)
            await asyncio.sleep(1)
            for index, text in enumerate(TEXTS):
                sender, peer = (bob, ALICE) if index == 1 else (alice, BOB)
                await (await sender.chat(peer).send(text)).delivered(within_s=20)
            await bob.wipe()
            await bob.power_on()
            await asyncio.sleep(2)
            await (await alice.chat(BOB).send(_ANOTHER_ERA)).delivered(within_s=60)

    rcs_sim.run(story, clock="virtual")
    folder = tmp_path_factory.mktemp("dissector")
    (folder / "rcc16.lua").write_text(dissector_text(), encoding="utf-8")
    with (folder / "mls.pcapng").open("wb") as stream:
        write_pcapng([one for one in sink.records if one.kind is RecordKind.MESSAGE], stream, exported=exported_pdu)
    return _Run(folder, keys)


def test_with_the_key_log_every_hop_of_every_message_shows_its_text(played: _Run) -> None:
    rows = played.read("rcc16.status", "rcc16.text", "rcc16.inner_content_type", keys=played.keys)
    assert {(status, text) for status, text, _ in rows} == {("yes", text) for text in (*TEXTS, _ANOTHER_ERA)}
    assert {inner.lower() for _, _, inner in rows} == {"text/plain;charset=utf-8"}
    assert all(sum(text == wanted for _, text, _ in rows) >= 3 for wanted in TEXTS)


def test_without_it_or_with_that_of_another_epoch_nothing_is_shown(played: _Run) -> None:
    for keys in (None, [], [line for line in played.keys if line.startswith("EPOCH")], ["nonsense", "EPOCH 00 1 2 00"]):
        rows = played.read("rcc16.status", "rcc16.text", keys=keys)
        assert rows
        assert {text for _, text in rows} == {""}
        assert "yes" not in {status for status, _ in rows}


def test_a_wrong_key_opens_nothing(played: _Run) -> None:
    wrong = [
        line[:-1] + ("0" if line[-1] != "0" else "1") if line.startswith("MESSAGE") else line for line in played.keys
    ]
    rows = played.read("rcc16.status", "rcc16.text", keys=wrong)
    assert {row for row in rows} == {("the content does not open", "")}


def test_nothing_is_malformed(played: _Run) -> None:
    bad = "rcc16 && (_ws.malformed || _ws.lua.error)"
    assert played.read("frame.number", keys=played.keys, shown=bad) == []
