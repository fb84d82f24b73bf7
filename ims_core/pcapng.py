"""Writes trace records as pcapng (draft-ietf-opsawg-pcapng), with IP, UDP and TCP synthesised around each message.

Message octets are the ones of the trace. What TLS protected is written in the clear, on the plain port of its protocol,
and its comment says so. Messages that had no IP link under them (short message relay links) become exported PDUs.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from ims_core.trace import RecordKind, TraceRecord

__all__ = ["ExportedPdu", "PcapngSink", "write_pcapng"]

_LINKTYPE_RAW = 101  # packet begins with an IPv4 or IPv6 header
_LINKTYPE_UPPER_PDU = 252  # Wireshark "exported PDU": tags, then the octets of one dissector
_MAX_UDP_PAYLOAD = 65_507
_MAX_SEGMENT = 65_000  # a loopback interface carries segments of this size
_PLAIN_PORT = {5061: 5060, 443: 80, 8443: 8080, 2856: 2855}
_FIN, _SYN, _PSH, _ACK = 0x01, 0x02, 0x08, 0x10
_DECRYPTION_SECRETS, _TLS_KEY_LOG = 0x0000000A, 0x544C534B
_OPTION_END, _OPTION_COMMENT, _OPTION_TSRESOL = 0, 1, 9
_MAX_COMMENT = 60_000

ExportedPdu = Callable[[TraceRecord], "tuple[str, bytes] | None"]
"""Gives the name of a Wireshark dissector and the octets for it, or None for a record that is an IP packet."""


def write_pcapng(
    records: Iterable[TraceRecord], output: BinaryIO, *, exported: ExportedPdu | None = None, tls_secrets: bytes = b""
) -> None:
    """Writes every message record that has octets. *output* is left open. *tls_secrets* are the lines of an NSS key log
    (SSLKEYLOGFILE): they go into a Decryption Secrets Block, for captures of the lab's TLS links that are merged in."""
    sink = PcapngSink(output, exported=exported)
    if tls_secrets:
        sink.embed_tls_secrets(tls_secrets)
    for record in records:
        sink.write(record)


class PcapngSink:
    """A trace sink. Keeps one small state per TCP connection, for sequence numbers that Wireshark accepts."""

    __slots__ = ("_connections", "_exported", "_output")

    def __init__(self, output: BinaryIO, *, exported: ExportedPdu | None = None) -> None:
        self._output = output
        self._exported = exported
        self._connections: dict[frozenset[tuple[bytes, int]], dict[tuple[bytes, int], int]] = {}
        output.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for linktype in (_LINKTYPE_RAW, _LINKTYPE_UPPER_PDU):
            resolution = _option(_OPTION_TSRESOL, b"\x06") + _option(_OPTION_END, b"")
            output.write(_block(1, struct.pack("<HHI", linktype, 0, 0) + resolution))

    def embed_tls_secrets(self, lines: bytes) -> None:
        """A Decryption Secrets Block (draft-ietf-opsawg-pcapng §4.7); before the packets that it is for."""
        self._output.write(_block(_DECRYPTION_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(lines)) + _pad(lines)))

    def write(self, record: TraceRecord) -> None:
        if record.kind is not RecordKind.MESSAGE or not record.raw:
            return
        pdu = self._exported(record) if self._exported else None
        if pdu is not None:
            self._packet(1, record, _exported_pdu(*pdu))
            return
        for packet in self._ip_packets(record):
            self._packet(0, record, packet)

    def close(self) -> None:
        self._output.flush()

    def _packet(self, interface: int, record: TraceRecord, octets: bytes) -> None:
        ticks = round(record.at * 1_000_000)
        fixed = struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), len(octets))
        comment = _option(_OPTION_COMMENT, _comment(record).encode("utf-8", "replace")[:_MAX_COMMENT])
        self._output.write(_block(6, fixed + _pad(octets) + comment + _option(_OPTION_END, b"")))

    def _ip_packets(self, record: TraceRecord) -> Iterator[bytes]:
        source, target = _endpoint(record.source_address, record), _endpoint(record.target_address, record)
        if source is None or target is None:
            return
        if record.transport == "UDP":
            yield _ip(source[0], target[0], 17, _udp(source, target, record.raw[:_MAX_UDP_PAYLOAD]))
            return
        sequence = self._connections.get(frozenset((source, target)))
        if sequence is None:
            sequence = self._connections[frozenset((source, target))] = {source: 1, target: 1}
            yield from _handshake(source, target)
        for start in range(0, len(record.raw), _MAX_SEGMENT):
            segment = record.raw[start : start + _MAX_SEGMENT]
            yield _tcp(source, target, sequence[source], sequence[target], _PSH | _ACK, segment)
            sequence[source] = (sequence[source] + len(segment)) & 0xFFFFFFFF


def _comment(record: TraceRecord) -> str:
    parts = [f"{record.source} -> {record.target}"]
    if record.reference_point:
        parts.append(record.reference_point)
    if record.imdn_message_id:
        parts.append(f"imdn.Message-ID {record.imdn_message_id}")
    elif record.call_id:
        parts.append(f"Call-ID {record.call_id}")
    if record.transport == "TLS":
        parts.append("was inside TLS")
    return f"#{record.number} " + ", ".join(parts)


def _endpoint(text: str, record: TraceRecord) -> tuple[bytes, int] | None:
    host, _, port = text.rpartition(":")
    try:
        address, number = ipaddress.ip_address(host.strip("[]")).packed, int(port)
    except ValueError:
        return None
    return address, _PLAIN_PORT.get(number, number) if record.transport == "TLS" else number


def _handshake(source: tuple[bytes, int], target: tuple[bytes, int]) -> Iterator[bytes]:
    yield _tcp(source, target, 0, 0, _SYN, b"")
    yield _tcp(target, source, 0, 1, _SYN | _ACK, b"")
    yield _tcp(source, target, 1, 1, _ACK, b"")


def _tcp(
    source: tuple[bytes, int], target: tuple[bytes, int], sequence: int, ack: int, flags: int, payload: bytes
) -> bytes:
    header = struct.pack("!HHIIBBHHH", source[1], target[1], sequence, ack, 5 << 4, flags, 65535, 0, 0)
    checksum = _transport_checksum(source[0], target[0], 6, header + payload)
    return _ip(source[0], target[0], 6, header[:16] + struct.pack("!H", checksum) + header[18:] + payload)


def _udp(source: tuple[bytes, int], target: tuple[bytes, int], payload: bytes) -> bytes:
    header = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0)
    checksum = _transport_checksum(source[0], target[0], 17, header + payload) or 0xFFFF
    return header[:6] + struct.pack("!H", checksum) + payload


def _ip(source: bytes, target: bytes, protocol: int, payload: bytes) -> bytes:
    if len(source) != len(target):  # a dual-stack socket: write both as IPv6, the IPv4 one mapped
        source, target = (b"\0" * 10 + b"\xff\xff" + host if len(host) == 4 else host for host in (source, target))
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source + target + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0) + source + target
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload


def _transport_checksum(source: bytes, target: bytes, protocol: int, segment: bytes) -> int:
    return _checksum(source + target + struct.pack("!II", len(segment), protocol) + segment)


def _checksum(octets: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _exported_pdu(dissector: str, octets: bytes) -> bytes:
    name = dissector.encode("ascii")
    padded = _pad(name)
    tag_dissector_name, tag_end = 12, 0
    return struct.pack("!HH", tag_dissector_name, len(padded)) + padded + struct.pack("!HH", tag_end, 0) + octets


def _pad(octets: bytes) -> bytes:
    return octets + b"\0" * (-len(octets) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _pad(value)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
