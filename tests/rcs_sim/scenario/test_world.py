"""The two worlds: what an element is given in memory and on sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import rcs_sim
from ims_core.errors import SimulatorError
from ims_core.store.memory import MemoryStore
from ims_core.store.sqlite import SqliteStore
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.memory_link import LinkProfile
from rcs_sim.scenario.world import MemoryWorld, SocketWorld, WorldError, free_port


def _in_memory(seed: int = 1) -> MemoryWorld:
    async def main() -> MemoryWorld:
        return MemoryWorld(seed, Trace())

    return rcs_sim.run(main, clock="virtual")


def test_the_world_in_memory_repeats_by_its_seed() -> None:
    assert _in_memory(1).tokens.word() == _in_memory(1).tokens.word()
    assert _in_memory(1).tokens.word() != _in_memory(2).tokens.word()


def test_the_world_in_memory_has_its_own_ports_stores_and_hosts() -> None:
    world = _in_memory()
    assert world.port("127.0.1.10", 5060) == 5060
    assert world.http_ports("127.0.1.40") == (80, 443)
    assert isinstance(world.store("red"), MemoryStore)
    assert world.store("red") is world.store("red")
    assert world.store("red") is not world.store("blue")
    hosts = [world.phone_host(carrier, number) for carrier in (1, 2) for number in range(600)]
    assert len(set(hosts)) == 1200
    assert hosts[0] == "10.1.0.1"


def test_links_get_the_quality_of_their_kinds() -> None:
    async def main() -> tuple[float, float]:
        world = MemoryWorld(1, Trace())
        world.set_links(
            {"a": "access", "b": "core", "c": "core"},
            lambda source, target: LinkProfile(latency_s=0.5 if "access" in (source, target) else 0.1),
        )
        return world.memory_network.link("a", "b").latency_s, world.memory_network.link("b", "c").latency_s

    assert rcs_sim.run(main, clock="virtual") == (0.5, 0.1)


def test_secrets_stay_the_same_with_the_folder_and_differ_without(tmp_path: Path) -> None:
    def word(state: Path | None) -> str:
        return SocketWorld(Trace(), state=state, with_tls=False, ports="free").secrets.word()

    assert word(tmp_path / "a") == word(tmp_path / "a")
    assert word(tmp_path / "a") != word(tmp_path / "b")
    assert word(None) != word(None)


def test_the_store_is_kept_in_the_folder(tmp_path: Path) -> None:
    world = SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free")
    assert isinstance(world.store("red"), SqliteStore)
    assert isinstance(SocketWorld(Trace(), state=None, with_tls=False, ports="free").store("red"), MemoryStore)


def test_free_ports_are_free_and_standard_ones_are_the_usual(tmp_path: Path) -> None:
    free = SocketWorld(Trace(), state=None, with_tls=False, ports="free")
    with socket.create_server(("127.0.0.1", free.port("127.0.0.1", 5060))):
        pass
    assert SocketWorld(Trace(), state=None, with_tls=False, ports="standard").port("127.0.0.1", 5060) == 5060


def test_an_address_that_is_not_here_is_named() -> None:
    world = SocketWorld(Trace(), state=None, with_tls=False, ports="free")
    with pytest.raises(SimulatorError, match=r"192\.0\.2\.7 is no address of this machine"):
        world.port("192.0.2.7", 5060)


def test_tls_needs_a_folder_and_an_authority(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="--state"):
        SocketWorld(Trace(), state=None, with_tls=True, ports="free")
    world = SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free")
    with pytest.raises(WorldError, match="--tls"):
        world.http_server("red.acs", Address(Transport.TLS, "127.0.0.1", 0), _nobody)


def test_authorities_begin_at_the_same_second_with_the_same_state_and_anew_after_a_year(tmp_path: Path) -> None:
    def epoch() -> int:
        return SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free").pki_epoch_s

    first = epoch()
    for kept, is_used in ((str(first - 86_400), True), (str(first - 366 * 86_400), False), ("", False)):
        (tmp_path / "pki-epoch").write_text(kept)
        assert (epoch() == int(kept) if is_used else epoch() >= first) is True
    (tmp_path / "pki-epoch").unlink()
    (tmp_path / "pki-epoch").mkdir()
    with pytest.raises(WorldError, match="give another --state"):
        epoch()


@pytest.mark.parametrize("kept", [b"x", b"-5", b"1e9", b"\xff\xfe", "\u0663".encode(), b"9" * 5000])
def test_a_damaged_beginning_of_the_authorities_is_said_and_kept(tmp_path: Path, kept: bytes) -> None:
    """New authorities would make all that the stores hold worthless."""
    (tmp_path / "pki-epoch").write_bytes(kept)
    with pytest.raises(WorldError, match="pki-epoch is damaged: it holds no time; remove it for new authorities"):
        SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free")
    assert (tmp_path / "pki-epoch").read_bytes() == kept


def test_the_federation_has_tls_where_there_is_a_folder(tmp_path: Path) -> None:
    kept = SocketWorld(Trace(), state=tmp_path, with_tls=False, ports="free")
    assert kept.federation_address("127.0.0.1").transport is Transport.TLS
    unkept = SocketWorld(Trace(), state=None, with_tls=False, ports="free")
    assert unkept.federation_address("127.0.0.1").transport is Transport.TCP
    with pytest.raises(WorldError, match="--state"):
        unkept.federation_server("red.kds", "kds.red", Address(Transport.TLS, "127.0.0.1", 0), _nobody)


async def _nobody(request: object) -> object:
    raise AssertionError("nobody asks")


def test_a_state_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(WorldError, match="give another --state"):
        SocketWorld(Trace(), state=tmp_path / "state", with_tls=False, ports="free")


def test_a_free_port_is_nobodys_over_tcp_and_udp_and_none_that_diallers_get() -> None:
    port = free_port("127.0.0.1")
    assert port < 32_768
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as listener:
            listener.bind(("127.0.0.1", port))
    world = SocketWorld(Trace(), state=None, with_tls=False, ports="free")
    assert len({world.port("127.0.0.1", 5060) for _ in range(200)}) == 200
    with pytest.raises(SimulatorError, match=r"198\.51\.100\.1"):
        free_port("198.51.100.1")
