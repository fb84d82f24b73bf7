"""`rcs-sim up`: the network on sockets until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from ims_core.errors import ProfileError
from ims_core.trace import NdjsonSink, Trace
from ims_core.transport.virtual_loop import run
from rcs_sim.scenario.annotator import RcsAnnotator
from rcs_sim.scenario.documents import UpDocument
from rcs_sim.scenario.lab import Lab
from rcs_sim.scenario.loader import load_network
from rcs_sim.scenario.world import SocketWorld, WorldError

__all__ = ["allow_many_connections", "default_state_folder", "run_up"]

_PORTS = ("standard", "free")
_OPEN_FILES = 65_536  # each connection is one; the usual 1024 would end with a few hundred idle clients
_SHOWN = 20  # subscribers of a carrier that the table names


def default_state_folder(network: str) -> Path:
    """XDG_STATE_HOME/rcs-sim/<network> (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "rcs-sim" / Path(network).stem


def run_up(
    *, network: str, state: Path | None, with_tls: bool, ports: str, trace_file: Path | None, as_json: bool
) -> int:
    """Runs until SIGINT or SIGTERM. Raises SimulatorError if the lab cannot be set up."""
    if ports not in _PORTS:
        raise ProfileError(f"{ports!r} is not allowed; allowed: {', '.join(_PORTS)}", file="--ports")
    allow_many_connections()
    folder = state or default_state_folder(network)
    run(lambda: _serve(network, folder, with_tls, ports, trace_file, as_json), clock="real")
    return 0


def allow_many_connections() -> None:
    """Takes as many open files as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(network: str, state: Path, with_tls: bool, ports: str, trace_file: Path | None, as_json: bool) -> None:
    trace = Trace()
    if trace_file is not None:
        trace.add_sink(NdjsonSink(_opened(trace_file)))
        trace.add_annotator(RcsAnnotator())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    world = SocketWorld(trace, state=state, with_tls=with_tls, ports=ports)
    lab = Lab(load_network(network), world, secrets=world.secrets, file=network)
    try:
        await lab.start()
        document = lab.document(state=str(state))
        if as_json:
            print(json.dumps(document.model_dump()), flush=True)
        else:
            _show(document)
        await stop.wait()
    finally:
        await lab.close()
        trace.close()


def _opened(path: Path) -> TextIO:
    """For its owner's eyes only: it holds what crosses every link."""
    try:
        return open(path, "w", encoding="utf-8", opener=lambda file, flags: os.open(file, flags, 0o600))
    except OSError as error:
        raise WorldError(f"{path} cannot be written ({error.strerror}): give another --trace") from error


def _show(document: UpDocument) -> None:
    console = Console()
    for name, carrier in document.carriers.items():
        endpoints = Table(title=f"{name}  {carrier.domain}", title_justify="left", show_header=False)
        for what, where in (
            ("P-CSCF UDP", carrier.pcscf.udp),
            ("P-CSCF TCP", carrier.pcscf.tcp),
            ("P-CSCF TLS", carrier.pcscf.tls),
            ("configuration server", carrier.acs),
            ("the same with TLS", carrier.acs_tls),
            ("key distribution server", carrier.kds),
            ("SMS centre", f"{carrier.smsc} at {carrier.cs}"),
        ):
            if where:
                endpoints.add_row(what, where)
        console.print(endpoints)
        subscribers = Table()
        for heading in ("number", "public and private identity", "service", "auth", "password or K, OPc"):
            subscribers.add_column(heading, overflow="fold")
        for one in carrier.subscribers[:_SHOWN]:
            subscribers.add_row(
                one.msisdn or "-",
                f"{one.impu}\n{one.impi}",
                one.service,
                one.auth,
                one.password or f"{one.k} {one.opc}",
            )
        console.print(subscribers)
        if len(carrier.subscribers) > _SHOWN:
            console.print(f"and {len(carrier.subscribers) - _SHOWN} more: `rcs-sim up --json` prints all")
    console.print(f"state in {document.state}; Ctrl-C ends it")
