"""The command line: thin shells over `rcs_sim.scenario`. Exit status 0 passed, 1 failed, 2 the set-up is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ims_core.errors import SimulatorError

__all__ = [
    "app",
    "bench",
    "demo",
    "doctor",
    "faults",
    "main",
    "matrix",
    "phone",
    "profiles",
    "run",
    "scenarios",
    "trace_calendar",
    "trace_dissector",
    "trace_keylog",
    "trace_ladder",
    "trace_oracle",
    "trace_pcapng",
    "trace_show",
    "up",
    "why",
]

app = typer.Typer(
    name="rcs-sim",
    help="An RCS lab: IMS core, RCS servers and emulated phones, on real octets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
trace_app = typer.Typer(no_args_is_help=True, help="Views of a trace file.")
app.add_typer(trace_app, name="trace")

_Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
_TraceFile = Annotated[Path, typer.Argument(help="trace file (NDJSON)", exists=False)]
_Output = Annotated[Path | None, typer.Option("--output", "-o", help="write here instead of standard output")]


def main() -> None:
    """Entry point of the `rcs-sim` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no "…" shows another sign for it
    try:
        app()
    except SimulatorError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        raise SystemExit(0) from None
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{place}: mend that and try again")


def _fail(text: str) -> NoReturn:
    print(f"rcs-sim: {text}", file=sys.stderr)
    raise SystemExit(2)


@app.command()
def demo(
    as_json: _Json = False,
    seed: Annotated[int, typer.Option(help="same seed, same octets")] = 7,
    real: Annotated[bool, typer.Option("--real", help="over loopback sockets and in real time")] = False,
    out: Annotated[Path, typer.Option(help="folder for trace, pcapng and ladder")] = Path("rcs-sim-out"),
    legacy: Annotated[bool, typer.Option("--legacy", help="the older one-to-one scheme too")] = False,
    key_log: Annotated[bool, typer.Option("--key-log", help="with each encrypted trace, the keys to read it")] = False,
) -> None:
    """The same conversation as SMS, plain RCS, encrypted RCS, and the latter two with a failing network."""
    from rcs_sim.scenario.demo import run_demo

    raise SystemExit(run_demo(seed=seed, real=real, out=out, as_json=as_json, with_legacy=legacy, with_keys=key_log))


@app.command()
def up(
    network: Annotated[str, typer.Option(help="network profile, or the path of a network file")] = "two-carriers",
    state: Annotated[Path | None, typer.Option(help="folder for the store; default in the user's state folder")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="also listen with TLS, under the lab's own authority")] = False,
    ports: Annotated[str, typer.Option(help="standard or free")] = "standard",
    trace: Annotated[Path | None, typer.Option(help="write the trace to this file")] = None,
    as_json: _Json = False,
) -> None:
    """Run the network on sockets until Ctrl-C."""
    from rcs_sim.scenario.up import run_up

    raise SystemExit(run_up(network=network, state=state, with_tls=tls, ports=ports, trace_file=trace, as_json=as_json))


@app.command()
def phone(
    msisdn: Annotated[str, typer.Option(help="the phone's number, such as +12025550101")],
    acs: Annotated[str, typer.Option(help="URL of the autoconfiguration server")],
    enrichment: Annotated[
        str, typer.Option(help="URL of the plain HTTP request before an https one; default: the same URL as --acs")
    ] = "",
    device: Annotated[str, typer.Option(help="device profile")] = "android",
    imsi: Annotated[str | None, typer.Option(help="IMSI; default made from the number as this network does")] = None,
    host: Annotated[str, typer.Option(help="own address")] = "127.0.0.1",
    cs: Annotated[str | None, typer.Option(help="host:port of the SMS centre, for SMS without IMS")] = None,
    smsc: Annotated[str, typer.Option(help="number of the SMS centre, as stored on the SIM")] = "",
    k: Annotated[str | None, typer.Option(envvar="RCS_SIM_K", help="AKA key, 32 hexadecimal digits")] = None,
    opc: Annotated[str | None, typer.Option(envvar="RCS_SIM_OPC", help="AKA OPc, 32 hexadecimal digits")] = None,
    ca: Annotated[Path | None, typer.Option(help="certificate to trust for TLS")] = None,
    key_log: Annotated[
        Path | None,
        typer.Option(help="write the keys of encrypted messages to this file: whoever has it can read them"),
    ] = None,
    as_json: _Json = False,
) -> None:
    """One emulated phone in this terminal, against this network or another."""
    from rcs_sim.scenario.terminal_phone import PhoneOptions, run_phone

    options = PhoneOptions(
        msisdn=msisdn,
        acs=acs,
        enrichment=enrichment,
        device=device,
        imsi=imsi,
        host=host,
        cs=cs,
        service_centre=smsc,
        k=k,
        opc=opc,
        ca=ca,
        key_log=key_log,
        as_json=as_json,
    )
    raise SystemExit(run_phone(options))


@app.command()
def run(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="file, folder, or name that ships")],
    seed: Annotated[int | None, typer.Option(help="this seed once; default: what the file says")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="play each run so often, and compare verdicts and traces")] = 1,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="runs beside each other")] = None,
    variant: Annotated[list[str] | None, typer.Option(help="only this point of the matrix, by its name")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="one thing different: phones.bob.device=ios"),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="STEP", help="stop after this step (number or id)")] = None,
    fork: Annotated[
        str | None, typer.Option(metavar="STEP", help="what --set and --insert say is so from this step on")
    ] = None,
    insert: Annotated[Path | None, typer.Option(help="with --fork: file of steps to put before it")] = None,
    trace: Annotated[Path | None, typer.Option(help="keep the trace here; of several runs in a folder")] = None,
    junit: Annotated[Path | None, typer.Option(help="write JUnit XML to this file")] = None,
    html: Annotated[Path | None, typer.Option(help="write a report to this file: one HTML file, no network")] = None,
    out: Annotated[Path, typer.Option(help="folder for the traces of runs that do not pass")] = Path("rcs-sim-out"),
    key_log: Annotated[bool, typer.Option("--key-log", help="beside every trace, the keys to read it")] = False,
    real: Annotated[bool, typer.Option("--real", help="over loopback sockets and in real time")] = False,
    as_json: _Json = False,
) -> None:
    """Play scenarios and judge them."""
    from rcs_sim.scenario.story.batch import RunWishes
    from rcs_sim.scenario.story.changes import parse_change
    from rcs_sim.scenario.story.reading import Fork
    from rcs_sim.scenario.story.run_command import run_scenarios

    if insert is not None and fork is None:
        _fail("--insert goes with --fork STEP: before which step?")
    changes = tuple(parse_change(text) for text in change or ())
    wishes = RunWishes(
        seed=seed,
        repeat=repeat,
        variants=tuple(variant or ()),
        changes=() if fork is not None else changes,
        fork=None if fork is None else Fork(fork, changes, insert),
        until=until,
        is_real=real,
        trace=trace,
        failed_folder=out,
        key_log=key_log,
    )
    raise SystemExit(run_scenarios(scenarios, wishes, jobs=jobs, junit=junit, html=html, as_json=as_json))


@app.command()
def matrix(
    scenarios: Annotated[
        list[str] | None, typer.Argument(metavar="SCENARIO...", help="file, folder, or name; default a first lock")
    ] = None,
    devices: Annotated[str | None, typer.Option(help="device profiles, comma separated")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help="the same as a SCENARIO")] = None,
    seed: Annotated[int | None, typer.Option(help="this seed once; default: what the file says")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="runs beside each other")] = None,
    svg: Annotated[Path | None, typer.Option(help="write a heat map to this file")] = None,
    as_json: _Json = False,
) -> None:
    """Play scenarios between every pair of kinds of phone. Exit status 1 if a run fails."""
    from rcs_sim.scenario.matrix import DEFAULT_DEVICES, DEFAULT_SCENARIO, run_matrix

    names = [name.strip() for name in devices.split(",") if name.strip()] if devices else DEFAULT_DEVICES
    chosen = [*(scenarios or ()), *(scenario or ())] or [DEFAULT_SCENARIO]
    raise SystemExit(run_matrix(chosen, names, seed=seed, jobs=jobs, svg=svg, as_json=as_json))


@app.command()
def scenarios(
    names: Annotated[list[str] | None, typer.Argument(help="files, folders or names; default all that ship")] = None,
    as_json: _Json = False,
) -> None:
    """Scenarios that ship, or those given."""
    from rcs_sim.scenario.story.run_command import show_scenarios

    raise SystemExit(show_scenarios(names or [], as_json=as_json))


@app.command()
def faults(
    word: Annotated[str | None, typer.Argument(help="one of them, such as kds.down; default all")] = None,
    as_json: _Json = False,
) -> None:
    """Everything that can be made to go wrong: what it does, its scope, an example, the scenarios that use it."""
    from rcs_sim.scenario.faults.fault_list import show_faults

    raise SystemExit(show_faults(word, as_json=as_json))


@app.command()
def profiles(as_json: _Json = False) -> None:
    """Devices, carriers and networks that ship."""
    from rcs_sim.scenario.loader import profile_names

    found = {kind: profile_names(kind) for kind in ("devices", "carriers", "networks", "scenarios")}
    if as_json:
        print(json.dumps(found))
        return
    for kind, names in found.items():
        print(f"{kind:10} {', '.join(names) or '(none yet)'}")


@app.command()
def doctor(as_json: _Json = False) -> None:
    """Can this machine run everything? Says what is missing and what it is for."""
    from rcs_sim.scenario.doctor import run_doctor

    raise SystemExit(run_doctor(as_json=as_json))


@app.command()
def bench(
    rows: Annotated[list[str] | None, typer.Argument(help="rows to measure; default all")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="runs of which the median is taken")] = 5,
    as_json: _Json = False,
) -> None:
    """Speed and size, beside the peers that are installed."""
    from rcs_sim.bench.table import run_bench

    raise SystemExit(run_bench(rows or [], repeat=repeat, as_json=as_json))


@app.command()
def why(
    file: _TraceFile,
    message: Annotated[str | None, typer.Argument(help="m1, m2, an imdn.Message-ID, or a text; default all")] = None,
    as_json: _Json = False,
) -> None:
    """Why a message has no lock, did not go as RCS, failed or was lost: each gate with the record that shows it."""
    from rcs_sim.scenario.trace_views import why as explain

    _print(explain(file, message, as_json=as_json), None)


@trace_app.command("show")
def trace_show(file: _TraceFile, output: _Output = None, as_json: _Json = False) -> None:
    """Every record on a line."""
    from rcs_sim.scenario.trace_views import show

    _print(show(file, as_json=as_json), output)


@trace_app.command("ladder")
def trace_ladder(
    file: _TraceFile,
    output: _Output = None,
    lanes: Annotated[str | None, typer.Option(help="elements to show, comma separated, left to right")] = None,
    as_json: _Json = False,
) -> None:
    """Ladder diagram; SVG if the output's name ends with .svg."""
    from rcs_sim.scenario.trace_views import ladder

    names = lanes.split(",") if lanes else None
    _print(ladder(file, names, as_svg=_is_svg(output), as_json=as_json), output)


@trace_app.command("pcapng")
def trace_pcapng(
    file: _TraceFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="file to write")] = Path("trace.pcapng"),
    tls_keys: Annotated[
        Path | None, typer.Option(help="TLS secrets to embed: what SSLKEYLOGFILE of `rcs-sim up --tls` named")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Capture file that Wireshark decodes."""
    from rcs_sim.scenario.trace_views import save_pcapng

    count = save_pcapng(file, output, tls_keys)
    print(json.dumps({"file": str(output), "messages": count}) if as_json else f"{output}: {count} messages")


@trace_app.command("keylog")
def trace_keylog(
    file: _TraceFile,
    output: _Output = None,
    keys: Annotated[Path | None, typer.Option(help="key log; default the one beside the trace, FILE.keylog")] = None,
    as_json: _Json = False,
) -> None:
    """The keys that open what is sealed in this trace, for Wireshark and tshark; with --json also what they open."""
    from rcs_sim.scenario.trace_views import key_log
    from rcs_sim.scenario.wireshark import write_private

    text = key_log(file, keys, as_json=as_json)
    if output is None:
        print(text)
    else:
        write_private(output, text)


@trace_app.command("calendar")
def trace_calendar(file: _TraceFile, output: _Output = None, as_json: _Json = False) -> None:
    """When certificates, key packages and leaves were renewed, and when a conversation would seize; SVG if the output's
    name ends with .svg."""
    from rcs_sim.scenario.trace_views import calendar

    _print(calendar(file, as_svg=_is_svg(output), as_json=as_json), output)


@trace_app.command("dissector")
def trace_dissector(output: _Output = None, as_json: _Json = False) -> None:
    """Lua script with which Wireshark and tshark show what encrypted messages say, given a key log."""
    from rcs_sim.scenario.wireshark import dissector_text

    _print(json.dumps({"lua": dissector_text()}) if as_json else dissector_text(), output)


@trace_app.command("oracle")
def trace_oracle(
    file: _TraceFile,
    output: _Output = None,
    keys: Annotated[Path | None, typer.Option(help="key log whose keys are looked for on the links, too")] = None,
    as_json: _Json = False,
) -> None:
    """Who could read each message, and whether every lock says the truth. Exit status 1 if one does not."""
    from rcs_sim.scenario.trace_views import oracle

    text, status = oracle(file, keys, as_json=as_json)
    _print(text, output)
    raise SystemExit(status)


def _is_svg(output: Path | None) -> bool:
    return output is not None and output.suffix == ".svg"


def _print(text: str, output: Path | None) -> None:
    write: Callable[[str], object] = print if output is None else output.write_text
    write(text)
