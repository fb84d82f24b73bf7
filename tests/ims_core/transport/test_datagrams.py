from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.transport.datagrams import (
    AT_ONCE,
    BatchedDatagrams,
    Datagrams,
    PlainDatagrams,
    SocketAddress,
    batches,
    datagrams_of,
    has_batches,
)
from tests.support.real_links import free_port

needs_batches = pytest.mark.skipif(not has_batches(), reason="this system has no recvmmsg and sendmmsg")
_Kind = Callable[[socket.socket], Datagrams]
KINDS = (PlainDatagrams, pytest.param(BatchedDatagrams, marks=needs_batches))
FAMILIES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_SIZES = st.one_of(st.integers(0, 1500), st.sampled_from([0, 1, 65506, 65507]))


@pytest.fixture(params=FAMILIES, ids=["IPv4", "IPv6"])
def family(request: pytest.FixtureRequest) -> tuple[socket.AddressFamily, str]:
    if request.param[0] == socket.AF_INET6 and not _has_ipv6():
        pytest.skip("this system has no ::1")
    return request.param  # type: ignore[no-any-return]  # a parameter is Any


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextmanager
def _bound(*, family: tuple[socket.AddressFamily, str] = FAMILIES[0]) -> Iterator[socket.socket]:
    with socket.socket(family[0], socket.SOCK_DGRAM) as opened:
        opened.bind((family[1], 0))
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        yield opened


def _texts(datagrams: Datagrams) -> list[tuple[bytes, SocketAddress]]:
    """All that waits, in reading turns."""
    found: list[tuple[bytes, SocketAddress]] = []
    while True:
        turn = datagrams.read()
        found += [(octets, datagrams.address_of(key)) for octets, key in turn]
        if len(turn) < AT_ONCE:
            return found


@needs_batches
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), _SIZES), max_size=40))
def test_both_ways_read_the_same_datagrams_from_the_same_addresses(sent: list[tuple[int, int]]) -> None:
    with ExitStack() as stack:
        targets = [stack.enter_context(_bound()) for _ in range(2)]
        sources = [stack.enter_context(_bound()) for _ in range(3)]
        read = []
        for target, kind in zip(targets, (PlainDatagrams, BatchedDatagrams), strict=True):
            for number, (source, size) in enumerate(sent):
                sources[source].sendto(bytes([number]) * size, target.getsockname())
            read.append(_texts(kind(target)))
        assert read[0] == read[1]
        assert read[0] == [
            (bytes([number]) * size, sources[source].getsockname()) for number, (source, size) in enumerate(sent)
        ]


@needs_batches
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.one_of(_SIZES, st.just(65536))), min_size=1, max_size=20))
def test_both_ways_send_the_same_datagrams_up_to_the_first_that_cannot_go(sent: list[tuple[int, int]]) -> None:
    outcomes = []
    for kind in (PlainDatagrams, BatchedDatagrams):
        with _bound() as source, _bound() as one, _bound() as other:
            datagrams = kind(source)
            keys = [datagrams.key_of(target.getsockname()) for target in (one, other)]
            try:
                taken = datagrams.write([(bytes([n]) * size, keys[to]) for n, (to, size) in enumerate(sent)])
            except OSError as error:
                outcomes.append((0, error.errno, [], []))
                continue
            got = [[octets for octets, _ in _texts(PlainDatagrams(target))] for target in (one, other)]
            outcomes.append((taken, 0, *got))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_is_the_same_as_a_key_and_as_text(kind: _Kind, family: tuple[socket.AddressFamily, str]) -> None:
    with _bound(family=family) as one, _bound(family=family) as other:
        datagrams = kind(one)
        other.sendto(b"x", one.getsockname())
        ((octets, key),) = datagrams.read()
        assert (octets, datagrams.address_of(key)) == (b"x", other.getsockname())
        assert datagrams.key_of(other.getsockname()) == key
        assert datagrams.write([(b"y", key), (b"", key), (b"z", key)]) == 3
        assert [found for found, _ in kind(other).read()] == [b"y", b"", b"z"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_read_where_nothing_is(kind: _Kind) -> None:
    with _bound() as one:
        assert list(kind(one).read()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", [("no literal", 5060), ("::1", 5060), ("127.0.0.1", 65536), ("127.0.0.1", -1)])
def test_what_is_no_address_of_the_family_is_refused(kind: _Kind, to: SocketAddress) -> None:
    with _bound() as one, pytest.raises(OSError, match=r"illegal|no port"):
        kind(one).key_of(to)


@pytest.mark.parametrize("kind", KINDS)
def test_a_zone_of_an_ipv6_address_is_kept(kind: _Kind) -> None:
    if not _has_ipv6():
        pytest.skip("this system has no ::1")
    zone = socket.if_nameindex()[0]
    with _bound(family=FAMILIES[1]) as one:
        datagrams = kind(one)
        keys = {datagrams.key_of((f"fe80::1%{named}", 5060, 0, 0)) for named in zone}
        if kind is BatchedDatagrams:
            assert [datagrams.address_of(key) for key in keys] == [("fe80::1", 5060, 0, zone[0])]
        with pytest.raises(OSError, match="no interface"):
            datagrams.key_of(("fe80::1%nothing", 5060, 0, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_an_icmp_error_is_raised_after_what_was_read_before_it(kind: _Kind) -> None:
    with _bound() as one, _bound() as other:
        gone = free_port(socket.SOCK_DGRAM)
        one.connect(("127.0.0.1", gone))
        one.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            kind(one).read()
        assert list(kind(one).read()) == []
        assert other.fileno() >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_socket_raises(kind: _Kind) -> None:
    with _bound() as one:
        datagrams = kind(one)
    with pytest.raises(OSError, match="descriptor") as caught:
        datagrams.read()
    assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="descriptor") as caught:
        datagrams.write([(b"x", datagrams.key_of(("127.0.0.1", 5060)))])
    assert caught.value.errno == errno.EBADF


@needs_batches
def test_threads_share_no_buffers() -> None:
    def work(octet: bytes) -> None:
        with _bound() as one, _bound() as other:
            mine, theirs = BatchedDatagrams(one), BatchedDatagrams(other)
            to = mine.key_of(other.getsockname())
            for _ in range(200):
                assert mine.write([(octet * 1000, to)] * AT_ONCE) == AT_ONCE
                wrong.extend(found for found, _ in theirs.read() if found != octet * 1000)

    wrong: list[bytes] = []
    threads = [threading.Thread(target=work, args=(octet,)) for octet in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_the_fastest_way_is_taken() -> None:
    with _bound() as one:
        assert isinstance(datagrams_of(one), BatchedDatagrams if has_batches() else PlainDatagrams)


def test_a_system_without_the_calls_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    batches.cache_clear()
    has_batches.cache_clear()
    try:
        assert not has_batches()
        with _bound() as one:
            assert isinstance(datagrams_of(one), PlainDatagrams)
    finally:
        batches.cache_clear()
        has_batches.cache_clear()
