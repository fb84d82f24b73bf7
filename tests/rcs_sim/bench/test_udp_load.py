"""The load counts what comes back."""

from __future__ import annotations

import socket
import threading

from rcs_sim.bench.udp_load import drive


def test_it_stops_when_the_count_is_reached() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        seen: list[int] = []

        def echo() -> None:
            for _ in range(13):  # the window of 4 is filled again after each but the last
                octets, source = server.recvfrom(100)
                seen.append(len(octets))
                server.sendto(octets, source)

        thread = threading.Thread(target=echo)
        thread.start()
        result = drive(server.getsockname()[1], 10, 4, 50)
        thread.join(10)
    assert result["echoed"] == 10
    assert result["lost"] == 0
    assert set(seen) == {50}
