"""The S-CSCF that the relay and digest rows drive answers on its own."""

from __future__ import annotations

import re
import socket

from rcs_sim.bench.processes import python_child, running
from rcs_sim.bench.scscf_alone import serve


def _register(user: str, port: int) -> bytes:
    return (
        "REGISTER sip:bench.test SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{user};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@bench.test>;tag=f\r\nTo: <sip:{user}@bench.test>\r\n"
        f"Call-ID: {user}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{user}@127.0.0.1:{port}>\r\n"
        "Expires: 3600\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def test_it_challenges_its_subscribers_and_nobody_else() -> None:
    with running(python_child(serve.__module__, 2)) as server:
        address = ("127.0.0.1", server.read_json()["port"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.bind(("127.0.0.1", 0))
            link.settimeout(10)
            answers = {}
            for user in ("user0", "user1", "user2"):
                link.sendto(_register(user, link.getsockname()[1]), address)
                answers[user] = link.recv(4096)
    statuses = [int(answer[8:11]) for answer in answers.values()]
    assert statuses == [401, 401, 404]
    assert re.search(rb'WWW-Authenticate: Digest realm="bench.test"', answers["user0"])
