"""Load for an echo server over UDP: a window of datagrams in flight, from blocking sockets, in a process of its own.

Run as `python -m rcs_sim.bench.udp_load PORT COUNT IN_FLIGHT OCTETS`; prints one JSON object.
"""

from __future__ import annotations

import json
import socket
import sys
import time

__all__ = ["drive"]

_LOST_AFTER_S = 0.25
_STOP_AFTER_S = 30.0
_BUFFER_OCTETS = 4 << 20


def drive(port: int, count: int, in_flight: int, octets: int) -> dict[str, float]:
    """Sends until *count* datagrams came back, always *in_flight* of them out; lost ones are replaced."""
    payload, buffer = b"x" * octets, bytearray(octets + 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        link.connect(("127.0.0.1", port))
        link.settimeout(_LOST_AFTER_S)
        send, receive = link.send, link.recv_into
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        echoed = lost = 0
        for _ in range(in_flight):
            send(payload)
        while echoed < count and time.perf_counter() - wall_start < _STOP_AFTER_S:
            try:
                receive(buffer)
            except TimeoutError:
                lost += in_flight
                for _ in range(in_flight):
                    send(payload)
                continue
            echoed += 1
            send(payload)
        wall, cpu = time.perf_counter() - wall_start, time.process_time() - cpu_start
    return {"echoed": echoed, "lost": lost, "wall_s": wall, "cpu_s": cpu}


if __name__ == "__main__":
    print(json.dumps(drive(*map(int, sys.argv[1:5]))))
