"""Can this machine run everything? One line per thing, with what it is for and what to do where it is missing."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["Finding", "findings", "run_doctor"]

_PEERS = (
    ("sipp", "sip-tester", "load, registration tests"),
    ("kamailio", "kamailio and kamailio-extra-modules", "registrar peer, speed comparison"),
    ("linphonec", "linphone-cli", "a phone that is not ours"),
    ("baresip", "baresip-core", "a phone that is not ours"),
    ("tshark", "tshark", "checks of captures"),
)
_PACKAGES = ("aiohttp", "cryptography", "h11", "lxml", "phonenumbers", "pydantic", "rich", "ruamel.yaml", "typer")
_STANDARD = (("127.0.1.10", 5060), ("127.0.1.40", 80), ("127.0.2.10", 5060), ("127.0.2.40", 80))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. *is_needed*: without it nothing runs."""

    what: str
    is_there: bool
    is_needed: bool
    note: str


def findings() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python 3.11 or newer", sys.version_info >= (3, 11), True, f"this is {version}")
    for package in _PACKAGES:
        yield _package(package)
    for host, port in _STANDARD:
        yield _port(host, port)
    for program, package, purpose in _PEERS:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
        yield Finding(program, path is not None, False, path or f"Debian package {package}; for {purpose}")


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, True, f"pip install {name}")


def _port(host: str, port: int) -> Finding:
    what = f"{host}:{port} can be listened on"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(what, False, False, f"{error.strerror}: use `rcs-sim up --ports free`")
    return Finding(what, True, False, "for `rcs-sim up` with the standard ports")


def run_doctor(*, as_json: bool) -> int:
    """Prints the findings; 0 if all that is needed is there, else 2."""
    found = list(findings())
    if as_json:
        print(json.dumps([asdict(finding) for finding in found]))
    else:
        table = Table("", "what", "note")
        for finding in found:
            mark = "[green]ok[/]" if finding.is_there else "[red]missing[/]" if finding.is_needed else "[yellow]no[/]"
            table.add_row(mark, finding.what, finding.note)
        Console().print(table)
    return 0 if all(finding.is_there for finding in found if finding.is_needed) else 2
