"""pcapng: block structure, and what tshark makes of it."""

from __future__ import annotations

import io
import shutil
import ssl
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from ims_core.pcapng import write_pcapng
from ims_core.trace import RecordKind, TraceRecord
from ims_core.transport.lab_ca import LabCa
from ims_core.wire.msrp.message import MsrpResponse
from tests.support.msrp_endpoints import send_frame

_REQUEST = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 10.1.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)
_RP_DATA = bytes.fromhex("00070007912120550591F913312A0B912120550501F20000A705C8329BFD06")


def _record(number: int, raw: bytes, transport: str, source: str, target: str, protocol: str = "SIP") -> TraceRecord:
    return TraceRecord(
        number=number,
        at=1_772_446_500.25 + number,
        kind=RecordKind.MESSAGE,
        source="alice",
        target="red.pcscf",
        protocol=protocol,
        raw=raw,
        transport=transport,
        source_address=source,
        target_address=target,
        call_id="c1",
    )


def _capture(records: list[TraceRecord]) -> bytes:
    output = io.BytesIO()
    write_pcapng(records, output, exported=lambda r: ("gsm_a_rp", r.raw) if r.protocol == "RP" else None)
    return output.getvalue()


def _records() -> list[TraceRecord]:
    request = _REQUEST % (0, b"")
    return [
        _record(1, request, "UDP", "10.1.0.1:5060", "127.0.1.10:5060"),
        _record(2, request, "TCP", "10.1.0.1:40000", "127.0.1.10:5060"),
        _record(3, request, "TLS", "10.1.0.1:40001", "127.0.1.10:5061"),
        _record(4, request, "TCP", "[2001:db8::1]:40000", "[2001:db8::2]:5060"),
        _record(5, _REQUEST % (150_000, b"x" * 150_000), "TCP", "10.1.0.1:40000", "127.0.1.10:5060"),
        _record(6, _RP_DATA, "", "", "", "RP"),
    ]


def test_every_block_says_its_length_twice() -> None:
    octets, offset, kinds = _capture(_records()), 0, []
    while offset < len(octets):
        kind, length = struct.unpack_from("<II", octets, offset)
        assert struct.unpack_from("<I", octets, offset + length - 4) == (length,)
        assert length % 4 == 0
        kinds.append(kind)
        offset += length
    assert kinds[:3] == [0x0A0D0D0A, 1, 1]
    assert set(kinds[3:]) == {6}


def test_records_without_octets_or_addresses_give_no_packet() -> None:
    empty = len(_capture([]))
    assert len(_capture([_record(1, b"", "UDP", "10.1.0.1:1", "10.1.0.2:2")])) == empty
    assert len(_capture([_record(1, b"x", "UDP", "nowhere", "10.1.0.2:2")])) == empty


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (Debian package tshark)")
def test_tshark_decodes_every_packet_without_a_complaint(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    path.write_bytes(_capture(_records()))
    tshark = ["tshark", "-r", str(path)]
    bad = ["-Y", "_ws.malformed || _ws.expert.severity >= 0x800000"]
    assert subprocess.run([*tshark, *bad], capture_output=True, check=True, text=True).stdout == ""
    fields = [*tshark, "-T", "fields", "-e", "sip.Method", "-e", "gsm_sms.sms_text", "-e", "frame.comment"]
    lines = subprocess.run(fields, capture_output=True, check=True, text=True).stdout.splitlines()
    assert sum(line.startswith("OPTIONS") for line in lines) == 5
    assert sum("\tHello\t" in line for line in lines) == 1
    assert all("alice -> red.pcscf" in line for line in lines)


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (Debian package tshark)")
@pytest.mark.parametrize(
    ("transport", "address"),
    [("TCP", "127.0.1.22:2855"), ("TLS", "127.0.1.22:2856"), ("TCP", "10.1.0.1:51001"), ("TLS", "[2001:db8::2]:33000")],
)
def test_tshark_shows_msrp_on_its_ports_and_on_those_of_phones(tmp_path: Path, transport: str, address: str) -> None:
    phone = "[2001:db8::1]:49152" if "::" in address else "10.1.0.9:49152"
    chunks = [
        send_frame(name, "s1", body) for name, body in (("bind", None), ("text", b"hello"), ("long", bytes(99_000)))
    ]
    records = []
    for chunk in chunks:
        response = MsrpResponse.to(chunk, 200).encode()
        records.append(_record(len(records) + 1, chunk.encode(), transport, phone, address, "MSRP"))
        records.append(_record(len(records) + 1, response, transport, address, phone, "MSRP"))
    path = tmp_path / "trace.pcapng"
    path.write_bytes(_capture(records))
    tshark = ["tshark", "-r", str(path)]
    bad = ["-Y", "_ws.malformed || _ws.expert.severity >= 0x800000 || tcp.analysis.flags"]
    assert subprocess.run([*tshark, *bad], capture_output=True, check=True, text=True).stdout == ""
    fields = ["-Y", "msrp", "-T", "fields", "-e", "msrp.method", "-e", "msrp.status.code"]
    lines = subprocess.run([*tshark, *fields], capture_output=True, check=True, text=True).stdout.split()
    assert lines == ["SEND", "200"] * len(chunks)


def _tls_link(keys: Path) -> list[tuple[bool, bytes]]:
    """What crosses a TLS link that carries one request, as (is from the client, octets)."""
    authority = LabCa(keys.parent)
    sides = []
    for is_server in (False, True):
        context = authority.server_context("red.pcscf", ["127.0.1.10"]) if is_server else authority.client_context()
        context.keylog_filename = str(keys)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if is_server else "127.0.1.10"
        sides.append(
            (context.wrap_bio(incoming, outgoing, server_side=is_server, server_hostname=name), incoming, outgoing)
        )
    crossed: list[tuple[bool, bytes]] = []
    for _ in range(4):
        for is_client, (tls, _, outgoing), (_, incoming, _) in ((True, *sides), (False, *reversed(sides))):
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            if octets := outgoing.read():
                crossed.append((is_client, octets))
                incoming.write(octets)
    sides[0][0].write(_REQUEST % (0, b""))
    return [*crossed, (True, sides[0][2].read())]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_embedded_tls_secrets_open_a_tls_link(tmp_path: Path) -> None:
    keys, path = tmp_path / "tls.keys", tmp_path / "trace.pcapng"
    phone, edge = "10.1.0.9:49152", "127.0.1.10:5061"
    records = [
        _record(number, octets, "TCP", *((phone, edge) if is_client else (edge, phone)))
        for number, (is_client, octets) in enumerate(_tls_link(keys), 1)
    ]
    for secrets, methods in ((b"", []), (keys.read_bytes(), ["OPTIONS"])):
        with path.open("wb") as stream:
            write_pcapng(records, stream, tls_secrets=secrets)
        fields = ["-Y", "sip", "-T", "fields", "-e", "sip.Method"]
        shown = subprocess.run(["tshark", "-r", str(path), *fields], capture_output=True, check=True, text=True)
        assert shown.stdout.split() == methods
