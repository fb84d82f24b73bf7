"""The two registrars that are compared: our S-CSCF alone and one Kamailio worker, each on a free port of loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from rcs_sim.bench.processes import BenchError, Child, python_child, running
from rcs_sim.bench.sipp import find_program, free_udp_port

__all__ = ["Registrar", "StartRegistrar", "kamailio", "own_scscf"]

_READY_WITHIN_S = 15.0
_PROBE_S = 0.1
_MEMORY_MB = ("-m", "512", "-M", "32")  # shared, and of each process


@dataclass(frozen=True, slots=True)
class Registrar:
    """A registrar and relay that answers at *port*; *pid* is that of its first process."""

    port: int
    pid: int


StartRegistrar = Callable[[Path, int], AbstractContextManager[Registrar]]  # scratch folder, how many subscribers


@contextmanager
def own_scscf(folder: Path, subscribers: int) -> Iterator[Registrar]:
    """Our S-CSCF with an HSS that knows *subscribers* users. *folder* is not needed."""
    with running(python_child("rcs_sim.bench.scscf_alone", subscribers)) as child:
        yield Registrar(child.read_json()["port"], child.pid)


@contextmanager
def kamailio(folder: Path, subscribers: int) -> Iterator[Registrar]:
    """Kamailio with one UDP worker. It takes any user who knows the password."""
    program = find_program("kamailio")
    if program is None:
        raise BenchError("kamailio is not installed (Debian packages kamailio and kamailio-extra-modules)")
    port = free_udp_port()
    with as_file(files("rcs_sim.bench") / "data" / "kamailio.cfg") as settings:
        command = [program, "-DD", "-E", "-f", str(settings), "-l", f"udp:127.0.0.1:{port}", *_MEMORY_MB]
        command += ["-w", str(folder), "-Y", str(folder)]
        with running(command, cwd=folder, is_ours=False) as child:
            _wait_until_it_answers(port, child)
            yield Registrar(port, child.pid)


def _wait_until_it_answers(port: int, child: Child) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", port))
        probe.settimeout(_PROBE_S)
        octets = _options(port, probe.getsockname()[1])
        while time.monotonic() < deadline:
            try:
                probe.send(octets)
                probe.recv(4096)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                time.sleep(_PROBE_S)
                continue
            return
    raise BenchError(f"kamailio did not answer within {_READY_WITHIN_S:.0f} s: {child.printed}")


def _options(port: int, own_port: int) -> bytes:
    return (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{own_port};branch=z9hG4bKprobe;rport\r\n"
        "Max-Forwards: 1\r\nFrom: <sip:probe@bench.test>;tag=p\r\nTo: <sip:bench.test>\r\n"
        f"Call-ID: probe-{own_port}@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()
