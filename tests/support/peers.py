"""Starts and stops the outside programs of the interop tests, and `rcs-sim up` as a process of its own.

A peer that is not installed makes its tests skip with one line; in CI (RCS_SIM_REQUIRE_PEERS) that is a failure.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rcs_sim.scenario.trace_views import read_trace
from tests.support.traces import read_by_others

__all__ = [
    "Program",
    "filled",
    "free_port",
    "kamailio",
    "network_file",
    "peer_lacks",
    "program",
    "rcs_sim_up",
    "require",
    "require_folder",
    "require_package",
]

_START_S = 30.0
_STOP_S = 10.0
_SERVER_PORTS = 16_384, 32_768
_ASK_AGAIN_S = 0.2
_ANSWERS_S = 1.0  # a server that is up does; one that is coming up may forget the question
_PACKAGES = {
    "sipp": "sip-tester",
    "tshark": "tshark",
    "kamailio": "kamailio",
    "linphonec": "linphone-cli",
    "baresip": "baresip-core",
    "node": "nodejs, at least 20",
    "chromium": "chromium",
}


def require(name: str) -> str:
    """Path of an installed program; skips the test, or fails it in CI, where it is missing."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is not None:
        return path
    _missing(f"{name} is not installed (Debian package {_PACKAGES[name]})")


def require_package(name: str, extra: str = "test") -> None:
    """Skips the test, or fails it in CI, where a Python package of an extra is missing."""
    if importlib.util.find_spec(name) is None:
        _missing(f"{name} is not installed (Python package of the extra {extra!r})")


def require_folder(path: Path, how: str) -> None:
    """Skips the test, or fails it in CI, where what a peer needs is missing."""
    if not path.is_dir():
        _missing(f"{path.name} is not installed ({how})")


def peer_lacks(reason: str) -> NoReturn:
    """Likewise, where a peer that is there cannot do what the test needs."""
    _missing(reason)


def _missing(reason: str) -> NoReturn:
    if os.environ.get("RCS_SIM_REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has, for UDP and for TCP, for programs that cannot take port 0. It is not one of those that
    connections leave from, so that nobody gets it in the meantime."""
    while True:
        port = random.randrange(*_SERVER_PORTS)
        if _may_bind(host, port):
            return port


def _may_bind(host: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


class Program:
    """A running program, with its standard input and the lines that it printed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = b""

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def expect(self, text: str, within_s: float = _START_S) -> str:
        """Waits until *text* was printed; returns everything printed so far."""
        deadline = time.monotonic() + within_s
        while text.encode() not in self.output:
            if not self._read_some(deadline - time.monotonic()):
                shown = self.output.decode(errors="replace")[-4000:]
                pytest.fail(f"{self.process.args!r} did not print {text!r} within {within_s} s; it printed:\n{shown}")
        return self.output.decode(errors="replace")

    def until_it_answers(self, port: int, within_s: float = _START_S) -> None:
        """Asks the SIP server that this is by OPTIONS over TCP, again and again, until it says anything at all."""
        deadline = time.monotonic() + within_s
        lines = (
            f"OPTIONS sip:127.0.0.1:{port} SIP/2.0",
            "Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1",
            "Max-Forwards: 70",
            "From: <sip:ready@127.0.0.1>;tag=1",
            f"To: <sip:127.0.0.1:{port}>",
            "Call-ID: ready",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
        )
        request = "\r\n".join((*lines, "", "")).encode()
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), _ANSWERS_S) as connection:
                connection.sendall(request)
                if connection.recv(4096):
                    return
            self._read_some(_ASK_AGAIN_S)
        pytest.fail(f"{self.process.args!r} does not answer at port {port}; it printed:\n{self.output!r}")

    def ask_until(self, line: str, answer: str, within_s: float = _START_S) -> None:
        """Says *line* again and again until *answer* was printed."""
        deadline = time.monotonic() + within_s
        while answer.encode() not in self.output:
            assert time.monotonic() < deadline, (
                f"no {answer!r} to {line!r} within {within_s} s; printed:\n{self.output!r}"
            )
            self.say(line)
            self._read_some(_ASK_AGAIN_S)
            self._read_some(_ASK_AGAIN_S)  # the first was the echo

    def expect_line(self, start: str, within_s: float = _START_S) -> str:
        """Waits for a whole line that starts with *start*; returns it."""
        printed = self.expect(start, within_s)
        while "\n" not in printed[printed.index(start) :]:
            assert self._read_some(within_s), "the program stopped in the middle of a line"
            printed = self.output.decode(errors="replace")
        return printed[printed.index(start) :].partition("\n")[0]

    def _read_some(self, timeout_s: float) -> bool:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, timeout_s))
        chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        self.output += chunk
        return bool(chunk)

    async def shows(self, text: str, within_s: float = _START_S) -> str:
        """`expect` for a test that has phones of its own: its event loop goes on."""
        return await asyncio.to_thread(self.expect, text, within_s)

    def rest(self) -> str:
        """Everything that was printed, after the program has ended."""
        while self._read_some(_STOP_S):
            pass
        return self.output.decode(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends the program; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(_STOP_S)


@contextmanager
def program(arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Runs a program in *cwd*; stops it, and closes its pipes, at the end."""
    with subprocess.Popen(
        list(arguments),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        running = Program(process)
        try:
            yield running
        finally:
            running.stop()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # children that it left behind: Kamailio does so now and then


def filled(template: Path, **values: str) -> str:
    """The text of *template* with each ``@NAME@`` replaced."""
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


@contextmanager
def kamailio(folder: Path, configuration: str, **values: str) -> Iterator[int]:
    """Kamailio with one of our configurations, in which *values*, HOST and PORT are replaced; its port."""
    port = free_port()
    template = Path(__file__).parents[1] / "interop" / "kamailio" / configuration
    text = filled(template, HOST="127.0.0.1", PORT=str(port), **values)
    (folder / "kamailio.cfg").write_text(text, encoding="utf-8")
    command = [require("kamailio"), "-DD", "-E", "-f", "kamailio.cfg", "-m", "64", "-M", "8"]
    with program([*command, "-w", str(folder), "-Y", str(folder)], cwd=folder) as running:
        running.until_it_answers(port)
        yield port


def network_file(
    folder: Path,
    *,
    sip_users: Sequence[str] = (),
    bulk: int = 0,
    bulk_service: str = "sip",
    blue_bulk: int = 0,
    profile: str = "google-like",
) -> Path:
    """A two-carrier network file on addresses of its own. Red also has *sip_users* with plain SIP service, and *bulk*
    subscribers for load, blue *blue_bulk* with RCS. *profile* is that of both carriers."""
    networks = _free_networks()
    extra = [f"      - {{name: {user}, service: sip}}" for user in sip_users]
    if bulk:
        extra += ["    bulk:", f'      - {{first: "+12125550100", count: {bulk}, service: {bulk_service}}}']
    lines = [
        "name: interop",
        "carriers:",
        *_carrier(
            "red", networks[0], ("+12025550101", "+12025550102", "+12025550103"), "+12025550199", ("+1202555010", "+12")
        ),
        *extra,
        *_carrier("blue", networks[1], ("+12025550152",), "+12025550198", ("+1202555015", "+13")),
    ]
    if blue_bulk:
        lines += ["    bulk:", f'      - {{first: "+13125550100", count: {blue_bulk}, service: rcs}}']
    lines = [line.replace("profile: google-like", f"profile: {profile}") for line in lines]
    path = folder / "network.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _free_networks() -> tuple[str, str]:
    """Two /24 of loopback where nobody listens: several labs with the standard ports stand side by side."""
    while True:
        first = f"127.{random.randrange(16, 127)}.{random.randrange(256)}"
        second = f"127.{random.randrange(128, 250)}.{random.randrange(256)}"
        if _may_bind(f"{first}.10", 5060) and _may_bind(f"{second}.10", 5060):
            return first, second


def _carrier(name: str, network: str, subscribers: Sequence[str], smsc: str, prefixes: Sequence[str]) -> list[str]:
    return [
        f"  {name}:",
        "    profile: google-like",
        f"    domain: ims.mnc00{1 if name == 'red' else 2}.mcc001.3gppnetwork.org",
        f"    addresses: {network}.0/24",
        f'    smsc: "{smsc}"',
        f"    prefixes: {json.dumps(prefixes)}",
        "    subscribers:",
        *(f'      - {{msisdn: "{msisdn}"}}' for msisdn in subscribers),
    ]


@contextmanager
def rcs_sim_up(
    folder: Path, *arguments: str, network: Path | None = None, uses_own_ports: bool = False, is_traced: bool = True
) -> Iterator[tuple[Program, dict[str, Any]]]:
    """`rcs-sim up` with its store in *folder*; gives the process and the document that it printed. Its ports
    are free ones, or with *uses_own_ports* those that it takes when nobody says anything. It has to end well. If it
    *is_traced*, other readers than its writer have to read in the trace what it has read, of foreign peers too."""
    command = [sys.executable, "-m", "rcs_sim", "up", "--json", "--state", str(folder / "state")]
    if is_traced:
        command += ["--trace", str(folder / "trace.ndjson")]
    if not uses_own_ports:
        command += ["--ports", "free"]
    if network is not None:
        command += ["--network", str(network)]
    with program([*command, *arguments], cwd=folder) as running:
        yield running, json.loads(running.expect_line('{"ready"'))
        status, printed = running.stop(), running.rest()
        assert status == 0, printed
        assert "Traceback" not in printed, printed
        if is_traced:
            read_by_others([read_trace(folder / "trace.ndjson")], folder)
