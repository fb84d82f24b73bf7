"""The relay that the rows on message sessions drive passes chunks on, on its own."""

from __future__ import annotations

import socket

from ims_core.wire.msrp.media import Setup
from ims_core.wire.msrp.uri import parse_msrp_uri
from rcs_sim.bench.msrp_relay_alone import media_at, serve
from rcs_sim.bench.processes import python_child, running


def test_a_chunk_comes_out_at_the_far_side() -> None:
    with socket.create_server(("127.0.0.1", 0)) as far, running(python_child(serve.__module__)) as relay:
        far.settimeout(10)
        sides = relay.read_json()
        far_port = far.getsockname()[1]
        relay.write_json({"near": "msrp://127.0.0.1:9/near;tcp", "far": f"msrp://127.0.0.1:{far_port}/far;tcp"})
        connection, _ = far.accept()
        near = parse_msrp_uri(sides["near"])
        with connection, socket.create_connection((near.address, near.connect_port)) as phone:
            connection.settimeout(10)
            phone.sendall(
                f"MSRP tid00001 SEND\r\nTo-Path: {near}\r\nFrom-Path: msrp://127.0.0.1:9/near;tcp\r\nMessage-ID: m1\r\n"
                "Byte-Range: 1-5/5\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------tid00001$\r\n".encode()
            )
            seen = b""
            while b"hello" not in seen:
                seen += connection.recv(4096)
        process = relay.process
    assert f"From-Path: {sides['far']}".encode() in seen
    assert process.returncode == 0


def test_a_uri_says_where_its_owner_is() -> None:
    media = media_at("msrp://10.0.0.1:2855/s1;tcp", Setup.PASSIVE)
    assert (media.host, media.port, media.setup, media.cm_equals_path) == ("10.0.0.1", 2855, Setup.PASSIVE, True)
