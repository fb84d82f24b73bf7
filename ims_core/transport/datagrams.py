"""Datagrams read and written many at a time: one system call a batch where the kernel has recvmmsg(2) and sendmmsg(2).

Elsewhere one call a datagram, with the same result. All octets are copied in and out before a call returns, so the
buffers are shared by all sockets of a thread, and no datagram is longer than its place in them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Final, Protocol

__all__ = [
    "AT_ONCE",
    "Batch",
    "BatchedDatagrams",
    "Datagrams",
    "Key",
    "PlainDatagrams",
    "SocketAddress",
    "batches",
    "datagrams_of",
    "has_batches",
]

AT_ONCE: Final = 16
"""Datagrams of a batch, at most."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Key = bytes | SocketAddress
"""A remote address as an implementation keeps it: equal for equal addresses, and opaque to others."""

_PLACE_OCTETS = 65536  # no UDP payload is longer, over IPv4 (65507) and IPv6 (65527), jumbograms aside
_IPV4, _IPV6 = struct.Struct("=H2s4s8x"), struct.Struct("=H2sI16sI")  # sockaddr_in, sockaddr_in6
_PORT = struct.Struct("!H")


class Datagrams(Protocol):
    """What a bound, non-blocking UDP socket has received, and what leaves it."""

    def key_of(self, to: SocketAddress) -> Key:
        """Raises OSError if *to* is no address of this socket's family."""
        ...

    def address_of(self, key: Key) -> SocketAddress: ...

    def read(self) -> Sequence[tuple[bytes, Key]]:
        """The next datagrams and whom they are from; fewer than AT_ONCE: there are no more for now. Raises OSError."""
        ...

    def write(self, datagrams: Sequence[tuple[bytes, Key]]) -> int:
        """Sends at most the first AT_ONCE in order; gives how many were taken. Raises the OSError of the first."""
        ...


class PlainDatagrams:
    """One system call a datagram."""

    __slots__ = ("_failure", "_socket")

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._failure: OSError | None = None  # came after others were read

    def key_of(self, to: SocketAddress) -> Key:
        _packed(self._socket.family, to)
        return to

    def address_of(self, key: Key) -> SocketAddress:
        assert not isinstance(key, bytes)
        return key

    def read(self) -> Sequence[tuple[bytes, Key]]:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        found: list[tuple[bytes, Key]] = []
        receive = self._socket.recvfrom
        try:
            while len(found) < AT_ONCE:
                found.append(receive(_PLACE_OCTETS))
        except (BlockingIOError, InterruptedError):
            return found
        except OSError as error:
            if not found:
                raise
            self._failure = error
        return found

    def write(self, datagrams: Sequence[tuple[bytes, Key]]) -> int:
        sent = 0
        for octets, to in datagrams[:AT_ONCE]:
            assert not isinstance(to, bytes)
            try:
                self._socket.sendto(octets, to)
            except OSError:
                if not sent:
                    raise
                break
            sent += 1
        return sent


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


class Batch:
    """Places for AT_ONCE datagrams with their addresses, and the headers that name them to the kernel."""

    __slots__ = ("_kept", "headers", "lengths", "names", "octets", "places")

    def __init__(self, name_octets: int) -> None:
        octets, names = bytearray(AT_ONCE * _PLACE_OCTETS), bytearray(AT_ONCE * name_octets)
        first, first_name = _location(octets), _location(names)
        places, headers = (_Iovec * AT_ONCE)(), (_Mmsghdr * AT_ONCE)()
        for index in range(AT_ONCE):
            places[index].base = first + index * _PLACE_OCTETS
            places[index].length = _PLACE_OCTETS
            header = headers[index].header
            header.name, header.name_length = first_name + index * name_octets, name_octets
            header.iov, header.iov_length = ctypes.addressof(places[index]), 1
        self._kept = places, headers
        self.headers = ctypes.c_void_p(ctypes.addressof(headers))
        view = memoryview(octets)
        self.octets = [view[start : start + _PLACE_OCTETS] for start in range(0, len(octets), _PLACE_OCTETS)]
        view = memoryview(names)
        self.names = [view[start : start + name_octets] for start in range(0, len(names), name_octets)]
        self.lengths = memoryview(headers).cast("B").cast("I")[_LENGTH_AT::_LENGTH_STEP]
        self.places = memoryview(places).cast("B").cast("L")[_PLACE_AT::_PLACE_STEP]


_LENGTH_AT, _LENGTH_STEP = (octets // 4 for octets in (_Mmsghdr.length.offset, ctypes.sizeof(_Mmsghdr)))
_WORD_OCTETS = ctypes.sizeof(ctypes.c_size_t)
_PLACE_AT, _PLACE_STEP = (octets // _WORD_OCTETS for octets in (_Iovec.length.offset, ctypes.sizeof(_Iovec)))


class _Batches(threading.local):
    """The batches of this thread: one to read and one to write for each length of an address."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[Batch, Batch]] = {}

    def of(self, name_octets: int) -> tuple[Batch, Batch]:
        found = self._of.get(name_octets)
        if found is None:
            found = self._of[name_octets] = Batch(name_octets), Batch(name_octets)
        return found


_batches = _Batches()


class BatchedDatagrams:
    """recvmmsg(2) and sendmmsg(2). A key is the octets of the sockaddr, which are not made into text each time."""

    __slots__ = ("_family", "_inbox", "_outbox", "_receive", "_send", "_socket")

    def __init__(self, bound: socket.socket) -> None:
        self._socket, self._family = bound, bound.family
        self._inbox, self._outbox = _batches.of((_IPV6 if bound.family == socket.AF_INET6 else _IPV4).size)
        self._receive, self._send = batches()

    def key_of(self, to: SocketAddress) -> Key:
        return _packed(self._family, to)

    def address_of(self, key: Key) -> SocketAddress:
        assert isinstance(key, bytes)
        if self._family == socket.AF_INET6:
            _, port, flow, host, scope = _IPV6.unpack(key)
            return socket.inet_ntop(self._family, host), _PORT.unpack(port)[0], socket.ntohl(flow), scope
        _, port, host = _IPV4.unpack(key)
        return socket.inet_ntop(self._family, host), _PORT.unpack(port)[0]

    def read(self) -> Sequence[tuple[bytes, Key]]:
        inbox = self._inbox
        count = self._receive(self._socket.fileno(), inbox.headers, AT_ONCE, 0, None)
        if count < 0:
            return _nothing(ctypes.get_errno())
        if count == 1:
            return ((inbox.octets[0][: inbox.lengths[0]].tobytes(), inbox.names[0].tobytes()),)
        return [
            (place[:length].tobytes(), name.tobytes())
            for place, length, name in zip(inbox.octets, inbox.lengths[:count].tolist(), inbox.names, strict=False)
        ]

    def write(self, datagrams: Sequence[tuple[bytes, Key]]) -> int:
        outbox, count = self._outbox, 0
        for place, name, (octets, key) in zip(outbox.octets, outbox.names, datagrams, strict=False):
            length = len(octets)
            if length > _PLACE_OCTETS:
                break
            assert isinstance(key, bytes)
            place[:length], name[:] = octets, key
            outbox.places[count] = length
            count += 1
        if not count:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        count = self._send(self._socket.fileno(), outbox.headers, count, 0)
        if count < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return count


class _Function(Protocol):
    def __call__(self, *arguments: object) -> int: ...


@cache
def batches() -> tuple[_Function, _Function]:
    """recvmmsg and sendmmsg of the C library. Raises OSError where they are missing or not allowed."""
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, "the layout of the headers is known for Linux only")
    try:
        library = ctypes.CDLL(None, use_errno=True)
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError as error:
        raise OSError(errno.ENOSYS, str(error)) from error
    number, headers, count = ctypes.c_int, ctypes.c_void_p, ctypes.c_uint
    receive.argtypes = (number, headers, count, number, ctypes.c_void_p)
    send.argtypes = (number, headers, count, number)
    receive(-1, None, 0, 0, None)
    if ctypes.get_errno() == errno.EBADF:  # anything else, such as of a sandbox, is a no
        return receive, send
    raise OSError(ctypes.get_errno(), "recvmmsg cannot be used here")


@cache
def has_batches() -> bool:
    """Whether this process can read and write many datagrams in one system call."""
    try:
        batches()
    except OSError:
        return False
    return True


def datagrams_of(bound: socket.socket) -> Datagrams:
    """The fastest way that this system has."""
    return BatchedDatagrams(bound) if has_batches() else PlainDatagrams(bound)


def _nothing(number: int) -> Sequence[tuple[bytes, Key]]:
    """No datagram was there. Raises OSError if that is not all."""
    if number in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
        return ()
    raise OSError(number, os.strerror(number))


def _packed(family: int, to: SocketAddress) -> bytes:
    """The sockaddr of *to* (ip(7), ipv6(7)). Raises OSError for what is no IP literal of the family, or no port."""
    host, port, *rest = to
    flow, scope = rest or (0, 0)
    if not 0 <= port <= 0xFFFF:
        raise OSError(errno.EINVAL, f"{port} is no port")
    if family == socket.AF_INET:
        return _IPV4.pack(family, _PORT.pack(port), socket.inet_pton(family, host))
    if "%" in host:
        host, _, zone = host.partition("%")
        scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    return _IPV6.pack(family, _PORT.pack(port), socket.htonl(flow), socket.inet_pton(family, host), scope)


def _location(octets: bytearray) -> int:
    """Where *octets* are; they stay there as long as this process holds a view of them."""
    return ctypes.addressof((ctypes.c_char * len(octets)).from_buffer(octets))
