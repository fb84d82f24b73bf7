"""Starts and stops the outside programs of the interop tests, and `rcs-sim up` as a process of its own.

A peer that is not installed makes its tests skip with one line; in CI (RCS_SIM_REQUIRE_PEERS) that is a failure.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Program", "free_port", "network_file", "program", "rcs_sim_up", "require"]

_START_S = 30.0
_STOP_S = 10.0
_PACKAGES = {
    "sipp": "sip-tester",
    "tshark": "tshark",
    "kamailio": "kamailio",
    "linphonec": "linphone-cli",
    "baresip": "baresip-core",
}


def require(name: str) -> str:
    """Path of an installed program; skips the test, or fails it in CI, where it is missing."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is not None:
        return path
    reason = f"{name} is not installed (Debian package {_PACKAGES[name]})"
    if os.environ.get("RCS_SIM_REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port that nobody had a moment ago, for programs that cannot take port 0."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


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
    ) as process:
        running = Program(process)
        try:
            yield running
        finally:
            running.stop()


def network_file(folder: Path, *, sip_users: Sequence[str] = (), bulk: int = 0, bulk_service: str = "sip") -> Path:
    """A two-carrier network file. Red also has *sip_users* with plain SIP service, and *bulk* subscribers for load."""
    extra = [f"      - {{name: {user}, service: sip}}" for user in sip_users]
    if bulk:
        extra += ["    bulk:", f'      - {{first: "+12125550100", count: {bulk}, service: {bulk_service}}}']
    lines = [
        "name: interop",
        "carriers:",
        *_carrier("red", 1, ("+12025550101", "+12025550102", "+12025550103"), "+12025550199", ("+1202555010", "+12")),
        *extra,
        *_carrier("blue", 2, ("+12025550152",), "+12025550198", ("+1202555015", "+13")),
    ]
    path = folder / "network.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _carrier(name: str, number: int, subscribers: Sequence[str], smsc: str, prefixes: Sequence[str]) -> list[str]:
    return [
        f"  {name}:",
        "    profile: google-like",
        f"    domain: ims.mnc00{number}.mcc001.3gppnetwork.org",
        f"    addresses: 127.0.{number}.0/24",
        f'    smsc: "{smsc}"',
        f"    prefixes: {json.dumps(prefixes)}",
        "    subscribers:",
        *(f'      - {{msisdn: "{msisdn}"}}' for msisdn in subscribers),
    ]


@contextmanager
def rcs_sim_up(folder: Path, *arguments: str, network: Path | None = None) -> Iterator[tuple[Program, dict[str, Any]]]:
    """`rcs-sim up` on free ports with its store in *folder*; gives the process and the document that it printed."""
    command = [sys.executable, "-m", "rcs_sim", "up", "--json", "--ports", "free", "--state", str(folder / "state")]
    if network is not None:
        command += ["--network", str(network)]
    with program([*command, *arguments], cwd=folder) as running:
        yield running, json.loads(running.expect_line('{"ready"'))
