"""Both echo servers send back what comes, and end with their input."""

from __future__ import annotations

import socket

import pytest

from ims_core.transport.datagrams import has_batches
from rcs_sim.bench.processes import python_child, running
from rcs_sim.bench.udp_echo import until_input_ends

needs_batches = pytest.mark.skipif(not has_batches(), reason="this system has no recvmmsg and sendmmsg")


@pytest.mark.parametrize("kind", ["ours", "asyncio", pytest.param("calls", marks=needs_batches)])
def test_a_datagram_comes_back(kind: str) -> None:
    with running(python_child(until_input_ends.__module__, kind, len(b"hello"))) as server:
        port = server.read_json()["port"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(10)
            link.sendto(b"hello", ("127.0.0.1", port))
            assert link.recv(100) == b"hello"
        process = server.process
    assert process.returncode == 0
