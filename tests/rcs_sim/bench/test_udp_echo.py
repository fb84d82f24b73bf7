"""Both echo servers send back what comes, and end with their input."""

from __future__ import annotations

import socket

import pytest

from rcs_sim.bench.processes import python_child, running
from rcs_sim.bench.udp_echo import until_input_ends


@pytest.mark.parametrize("kind", ["ours", "asyncio"])
def test_a_datagram_comes_back(kind: str) -> None:
    with running(python_child(until_input_ends.__module__, kind)) as server:
        port = server.read_json()["port"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(10)
            link.sendto(b"hello", ("127.0.0.1", port))
            assert link.recv(100) == b"hello"
        process = server.process
    assert process.returncode == 0
