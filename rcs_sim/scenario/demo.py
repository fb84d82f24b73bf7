"""The demo: one conversation as SMS, as plain RCS, and as plain RCS with the network failing in the middle.

The iOS-like phone opens a chat session for its first text; what follows goes in it, among it a text that would be too
long for pager mode. The network fails while that one is on its way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ims_core.pcapng import write_pcapng
from ims_core.trace import ListSink, RecordKind, TraceRecord
from ims_core.transport.virtual_loop import run
from rcs_sim.client.display import ShownEvent
from rcs_sim.client.messages import SentMessage
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.documents import DemoDocument, DemoRow
from rcs_sim.scenario.exported_pdu import exported_pdu
from rcs_sim.scenario.ladder import ladder_svg, ladder_text, lanes_of
from rcs_sim.scenario.message_outcome import MessageOutcome, observe
from rcs_sim.scenario.simulation import Simulation

__all__ = ["COLUMNS", "DemoColumn", "play_column", "run_demo"]

_SETTLE_S = 240.0  # a message that is neither shown nor given up by then counts as lost
_READ_AFTER_S = 1.0
_PAUSE_S = 2.0  # between an answer and the next message
_REPAIR_S = 600.0  # after the network is back: until the phones have found out, at the latest
_REPAIR_GUARD_S = 15.0  # reconnectGuardTimer of the carrier profiles (10 s), and a little
_FAILS_AFTER_S = 0.02  # the message has left the phone and has not come to the relay
_FAILING = ("red.pcscf", "red.msrp_relay")  # what red's phones use of RCS, by SIP and by MSRP
_SHOWN_CHARACTERS = 60  # of a text, where a person reads
_SHOWN_HOPS = 24  # of the way of a message
_WIDTH = 150  # columns of the output where it goes to no terminal
_NUMBERS = {"alice": "+12025550101", "bob": "+12025550152"}


@dataclass(frozen=True, slots=True)
class _Line:
    sender: str
    text: str


_STOPS = ("the old lighthouse", "the fish market", "the blue bridge", "the rope walk", "the customs house")
_WAY = "".join(
    f" {number}. From {first} it is {4 + number} minutes along the water to {then}, where you keep left at the"
    " second gate and go down the stone steps behind the boat sheds until you see the next sign on the wall."
    for number, (first, then) in enumerate(zip(_STOPS, (*_STOPS[1:], "the harbour"), strict=True), start=1)
)
_CONVERSATION = (
    _Line("alice", "Hi Bob, are we still on for tonight?"),
    _Line("bob", "Yes! Eight at the harbour."),
    _Line("alice", "Great, I will bring the maps." + _WAY),
    _Line("alice", "Still there?"),
    _Line("bob", "See you there 👍"),
)


@dataclass(frozen=True, slots=True)
class DemoColumn:
    """One way to have the conversation. While message *fails_during* (from 0) is on its way red's RCS fails; it is back
    before message *is_back_before*."""

    name: str
    title: str
    uses_sms: bool = False
    fails_during: int | None = None
    is_back_before: int | None = None


COLUMNS = (
    DemoColumn("sms", "SMS only", uses_sms=True),
    DemoColumn("rcs", "plain RCS"),
    DemoColumn(
        "rcs-failing",
        "plain RCS, the network fails in the middle",
        fails_during=2,
        is_back_before=4,
    ),
)


@dataclass(frozen=True, slots=True)
class _Played:
    column: DemoColumn
    rows: list[DemoRow]
    outcomes: list[MessageOutcome]
    records: list[TraceRecord]


async def play_column(column: DemoColumn, *, seed: int, is_real: bool) -> _Played:
    """The conversation in one column, in a network of its own."""
    sink = ListSink()
    async with Simulation(network="two-carriers", seed=seed, is_real=is_real, sinks=[sink]) as simulation:
        phones = {
            name: await simulation.add_phone(
                name, device=device, carrier=carrier, msisdn=_NUMBERS[name], reads_after_s=_READ_AFTER_S
            )
            for name, device, carrier in (("alice", "android", "red"), ("bob", "ios", "blue"))
        }
        await asyncio.sleep(_PAUSE_S)
        outcomes = []
        for index, line in enumerate(_CONVERSATION):
            if index == column.is_back_before:
                for element in _FAILING:
                    await simulation.restore(element)
                await _until_registered(phones["alice"])
            failure = _fail(simulation) if index == column.fails_during else None
            outcomes.append(await _say(column, line, f"m{index + 1}", phones, simulation, sink))
            if failure is not None:
                await failure
            await asyncio.sleep(_PAUSE_S)
    rows = [outcome.row(column.name) for outcome in outcomes]
    return _Played(column, rows, outcomes, list(sink.records))


def _fail(simulation: Simulation) -> asyncio.Task[None]:
    """The network fails in a moment."""

    async def fail() -> None:
        await asyncio.sleep(_FAILS_AFTER_S)
        for element in _FAILING:
            await simulation.cut(element)

    return asyncio.get_running_loop().create_task(fail())


async def _until_registered(phone: Phone) -> None:
    """Waits for the phone to find out by itself that the network is back."""
    registered = asyncio.Event()

    def look(_: ShownEvent) -> None:
        if phone.is_registered:
            registered.set()

    phone.watchers.append(look)
    try:
        async with asyncio.timeout(_REPAIR_S):
            await registered.wait()
    except TimeoutError:
        pass  # the next rows show what came of it
    finally:
        phone.watchers.remove(look)
    await asyncio.sleep(_REPAIR_GUARD_S)


async def _say(
    column: DemoColumn, line: _Line, name: str, phones: dict[str, Phone], simulation: Simulation, sink: ListSink
) -> MessageOutcome:
    receiver = next(other for other in phones if other != line.sender)
    peer = _NUMBERS[receiver]
    first = len(sink.records)
    sender = phones[line.sender]

    async def send() -> SentMessage:
        if column.uses_sms:
            return await sender.send_sms(peer, line.text)
        return await sender.chat(peer).send(line.text)

    return await observe(
        name,
        line.text,
        sender=sender,
        receiver=phones[receiver],
        send=send,
        clock=simulation.clock,
        records=lambda: list(sink.records)[first:],
        within_s=_SETTLE_S,
    )


def run_demo(*, seed: int, real: bool, out: Path, as_json: bool) -> int:
    """Plays every column, writes its files, prints the result; 0 if nothing was lost or shown twice."""
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = _WIDTH
    played: list[_Played] = []
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        for column in COLUMNS:
            task = progress.add_task(column.title, total=None)
            play = partial(play_column, column, seed=seed, is_real=real)
            played.append(run(play, clock="real" if real else "virtual"))
            progress.remove_task(task)
    files = {kind: path for one in played for kind, path in _write_files(one, out).items()}
    document = DemoDocument(seed=seed, columns={one.column.name: one.rows for one in played}, files=files)
    if as_json:
        print(json.dumps(document.model_dump(by_alias=True), ensure_ascii=False))
    else:
        _show(played, files, console)
    return 0 if all(row.delivered and not row.duplicates for one in played for row in one.rows) else 1


def _write_files(one: _Played, out: Path) -> dict[str, str]:
    name = one.column.name
    trace, capture, ladder = (out / f"{name}.{kind}" for kind in ("ndjson", "pcapng", "svg"))
    trace.write_text("".join(record.to_json() + "\n" for record in one.records), encoding="utf-8")
    with capture.open("wb") as stream:
        write_pcapng(one.records, stream, exported=exported_pdu)
    ladder.write_text(ladder_svg(one.records, title=one.column.title), encoding="utf-8")
    return {f"{name}.{kind}": str(path) for kind, path in (("trace", trace), ("pcapng", capture), ("ladder", ladder))}


def _show(played: Sequence[_Played], files: dict[str, str], console: Console) -> None:
    for one in played:
        table = Table(title=one.column.title, title_justify="left", caption_justify="left")
        for heading in (
            "",
            "from",
            "text",
            "by",
            "label",
            "delivered",
            "read",
            "shown",
            "wire octets",
            "seconds",
            "why",
        ):
            table.add_column(heading)
        for row in one.rows:
            table.add_row(
                row.id,
                row.sender,
                _short(row.text),
                row.mode or row.transport,
                row.label,
                "✓" if row.delivered else "-",
                "✓" if row.displayed else "-",
                f"{row.duplicates + 1}x" if row.transport != "none" else "never",
                f"{row.wire_octets:,}",
                f"{row.seconds:.2f}",
                row.reason or "",
            )
        console.print(table)
        for outcome in one.outcomes:
            console.print(f"[bold]{outcome.id}[/] what the phones showed:")
            for shown in outcome.shown:
                console.print(f"    {_short(shown, 2 * _SHOWN_CHARACTERS)}", markup=False)
        console.print(_short_ladder(one), markup=False, highlight=False, soft_wrap=True)
    for kind, path in files.items():
        console.print(f"{kind:22} {path}", markup=False, highlight=False)


def _short(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _short_ladder(one: _Played) -> str:
    """The ways of the first message and of the long one, without answers and receipts."""
    ways = []
    for outcome in (one.outcomes[0], max(one.outcomes, key=lambda each: len(each.text))):
        wanted = [record for record in outcome.records if _carries_text(record)]
        first, rest = wanted[:_SHOWN_HOPS], len(wanted) - _SHOWN_HOPS
        ways.append(f"the way of {outcome.id}:\n" + ladder_text(first, lanes_of(first)))
        if rest > 0:
            ways.append(f"    … and {rest} more")
    return "\n".join(ways)


def _carries_text(record: TraceRecord) -> bool:
    if record.kind is not RecordKind.MESSAGE or record.raw.startswith(b"SIP/2.0 ") or "receipt" in record.details:
        return False
    if record.protocol == "MSRP":
        return record.summary.startswith("SEND ") and not record.summary.endswith(("1-0/0", "is-composing"))
    return record.protocol == "SM" or record.summary.startswith(("MESSAGE ", "INVITE "))
