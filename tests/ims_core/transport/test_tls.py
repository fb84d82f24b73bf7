from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ims_core.errors import TransportError
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import Address, Transport
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tls import TlsPolicy
from ims_core.transport.virtual_loop import RealClock
from tests.support.flows import Recorder
from tests.support.real_links import HOST, listen_at, until


async def test_a_handshake_that_never_ends_times_out(network: SocketNetwork) -> None:
    with socket.create_server((HOST, 0)) as silent:
        alice = Recorder("alice")
        address = Address(Transport.TLS, HOST, silent.getsockname()[1])
        network.connect(HOST, address, alice, timeout_s=0.05)
        await until(lambda: len(alice.ends) == 1)
        assert "within 0.05 s" in str(alice.ends[0])


async def test_tls_without_an_authority_says_so() -> None:
    network = SocketNetwork(RealClock())
    with pytest.raises(TransportError, match="lab's certificates"):
        await network.listen(Address(Transport.TLS, HOST, 0), Recorder("bob"))
    alice = Recorder("alice")
    network.connect(HOST, Address(Transport.TLS, HOST, 5061), alice)
    await until(lambda: len(alice.ends) == 1)
    await network.close()


async def test_a_certificate_of_another_authority_is_refused(network: SocketNetwork, tmp_path: Path) -> None:
    address = await listen_at(network, Transport.TLS, Recorder("bob"))
    stranger, alice = SocketNetwork(RealClock(), LabCa(tmp_path)), Recorder("alice")
    stranger.connect(HOST, address, alice)
    await until(lambda: len(alice.ends) == 1)
    assert "not trusted" in str(alice.ends[0])
    await stranger.close()


async def test_mutual_tls_wants_a_certificate_of_the_lab(authority: LabCa) -> None:
    strict = SocketNetwork(RealClock(), tls=TlsPolicy(authority=authority, is_mutual=True))
    bob, alice = Recorder("bob", answer=bytes.upper), Recorder("alice")
    address = await listen_at(strict, Transport.TLS, bob)
    strict.connect(HOST, address, alice).send(b"hi")
    await until(lambda: alice.stream == b"HI")
    lax, mallory = SocketNetwork(RealClock(), authority), Recorder("mallory")
    lax.connect(HOST, address, mallory).send(b"hi")
    await until(lambda: len(mallory.ends) == 1)
    assert bob.stream == b"hi"
    await lax.close()
    await strict.close()
