"""SIPp registers 200 users with Digest at `rcs-sim up`; they send each other MESSAGEs.

Two SIPp processes of 100 users each: one alone would take a MESSAGE with the Call-ID of its own call for a part of that
call. The second registers first and answers; when the first has sent all its MESSAGEs, they change places.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import Program, free_port, network_file, program, rcs_sim_up, require

pytestmark = pytest.mark.interop

_PARTS = Path(__file__).parent / "sipp"
_CROWD = 100  # users of one SIPp
_RATE = 200  # new calls a second
_WITHIN_S = 40.0
_RCS_TAGS = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"'
_TRANSPORTS = {"udp": "u1", "tcp": "tn"}  # tn: a connection for each user


@dataclass(frozen=True, slots=True)
class _Side:
    """One SIPp: its scenario, and its lines of injected fields."""

    folder: Path
    transport: str
    host: str
    name: str

    def write(
        self, parts: list[tuple[str, dict[str, str]]], users: list[dict[str, Any]], peers: list[dict[str, Any]]
    ) -> None:
        texts = [_part(name, changes, label) for label, (name, changes) in enumerate(parts, 1)]
        head = f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{self.name}">\n'
        head += '  <Global variables="registered,answered"/>\n'
        (self.folder / f"{self.name}.xml").write_text(head + "".join(texts) + "</scenario>\n", encoding="ascii")
        lines = ["SEQUENTIAL", *map(_fields, range(len(users)), users, peers)]
        (self.folder / f"{self.name}.csv").write_text("\n".join(lines) + "\n", encoding="ascii")

    @contextmanager
    def run(self, target: str) -> Iterator[Program]:
        kind = _TRANSPORTS[self.transport]
        command = [
            *(require("sipp"), target, "-sf", f"{self.name}.xml", "-oocsf", str(_PARTS / "answer.xml")),
            *("-inf", f"{self.name}.csv", "-i", self.host, "-p", str(free_port(self.host)), "-t", kind),
            *("-m", str(_CROWD), "-l", str(2 * _CROWD), "-r", str(_RATE), "-key", "crowd", str(_CROWD)),
            *(
                "-max_socket",
                "2000",
                "-buff_size",
                "4194304",
                "-nostdin",
                "-timeout",
                f"{_WITHIN_S:.0f}s",
                "-timeout_error",
            ),
            *("-trace_logs", "-log_file", "/dev/stdout", "-trace_err", "-error_file", f"{self.name}.err"),
        ]
        with program(command, cwd=self.folder) as running:
            yield running

    def check(self, running: Program) -> None:
        """SIPp's exit status is 0 if no call has failed."""
        status = running.process.wait(_WITHIN_S)
        errors = self.folder / f"{self.name}.err"
        seen = [line for line in errors.read_text(errors="replace").split("\n") if "out-of-call MESSAGE" not in line]
        assert status == 0, f"{self.name}: exit status {status}\n" + "\n".join(seen)[:4000]


def _part(name: str, changes: dict[str, str], label: int) -> str:
    text = (_PARTS / f"{name}.xml").read_text(encoding="ascii")
    for placeholder, value in ({"LABEL": str(label)} | changes).items():
        text = text.replace(f"@{placeholder}@", value)
    return text


def _fields(number: int, user: dict[str, Any], peer: dict[str, Any]) -> str:
    domain = user["impu"].rpartition("@")[2]
    credentials = f"[authentication username={user['impi']} password={user['password']}]"
    return f"{user['impu']};{domain};{credentials};{number:04};{peer['impu']}"


@pytest.mark.parametrize(
    ("service", "first", "second"),
    [("sip", "udp", "udp"), ("sip", "tcp", "tcp"), ("sip", "udp", "tcp"), ("rcs", "tcp", "udp")],
)
def test_users_register_and_exchange_messages_without_a_failed_call(
    service: str, first: str, second: str, tmp_path: Path
) -> None:
    require("sipp")
    message = "chat" if service == "rcs" else "text"
    register = ("register", {"TAGS": _RCS_TAGS if service == "rcs" else ""})
    all_registered, all_answered = ("wait", {"WHAT": "registered"}), ("wait", {"WHAT": "answered"})
    network = network_file(tmp_path, bulk=2 * _CROWD, bulk_service=service)
    with rcs_sim_up(tmp_path, network=network, is_traced=False) as (_, document):
        red = document["carriers"]["red"]
        users = [user for user in red["subscribers"] if (user["msisdn"] or "").startswith("+1212")]
        ours, theirs = users[:_CROWD], users[_CROWD:]
        caller = _Side(tmp_path, first, "127.0.0.1", "caller")
        callee = _Side(tmp_path, second, "127.0.0.1", "callee")
        caller.write([register, all_registered, (message, {}), all_answered], ours, theirs)
        callee.write([register, all_answered, (message, {})], theirs, ours)
        with callee.run(red["pcscf"][second]) as answering:
            answering.expect(f"registered {_CROWD}.", _WITHIN_S)
            with caller.run(red["pcscf"][first]) as calling:
                caller.check(calling)
                callee.check(answering)
