"""Private keys of a group that crossed a link in clear: whoever saw one can read what is sealed to it.

A key is known by its public half, which stands in the ratchet trees and key packages of the trace."""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_hops import Hop, hop_of

__all__ = ["KeyLeak", "candidates_in", "key_leaks"]

_OCTETS = 32  # of a private key of P-256 and of X25519
_IN_DER = (b"\x02\x01\x01\x04\x20", b"\x04\x22\x04\x20")  # ECPrivateKey (RFC 5915), CurvePrivateKey (RFC 8410)
_DER_IN_BASE64 = (b"MIGHAgEAMBMGByqGSM49", b"MHcCAQEE", b"MC4CAQAwBQYDK2V")
_DER_DIGITS = 184  # of the longest of them
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{43,}")
_SIGNS = bytes.maketrans(b"-_", b"+/")
_BASE64_DIGITS, _HEXADECIMAL_DIGITS = 43, 64
_MAX_CANDIDATES = 10_000  # of a trace; each costs a multiplication on the curve


@dataclass(frozen=True, slots=True)
class KeyLeak:
    """*public_key* is that of the node or key package whose private key crossed *hop*."""

    hop: Hop
    public_key: bytes


def candidates_in(records: Iterable[TraceRecord]) -> list[tuple[TraceRecord, frozenset[bytes]]]:
    """What may be a secret of 32 octets on each link, those records left out that carry none: bare in base64 or
    hexadecimal digits, as DER, or as PEM."""
    messages = (record for record in records if record.kind is RecordKind.MESSAGE)
    found = ((record, frozenset(_candidates(record.raw))) for record in messages)
    return [(record, candidates) for record, candidates in found if candidates]


def key_leaks(
    candidates: Iterable[tuple[TraceRecord, frozenset[bytes]]], public_keys: Container[bytes]
) -> list[KeyLeak]:
    """Every hop that carried one of the private keys among its candidates."""
    found, public_of = [], dict[bytes, bytes]()
    for record, octets in candidates:
        for candidate in octets:
            if candidate not in public_of and len(public_of) < _MAX_CANDIDATES:
                public_of[candidate] = next((key for key in _public_keys(candidate) if key in public_keys), b"")
            if public_of.get(candidate):
                found.append(KeyLeak(hop_of(record), public_of[candidate]))
    return found


def _candidates(octets: bytes) -> Iterator[bytes]:
    yield from _in_der(octets)
    plain = octets.translate(None, b"\r\n")
    for begin in _DER_IN_BASE64:
        place = plain.find(begin)
        if place >= 0:
            yield from _in_der(_from_base64(plain[place : place + _DER_DIGITS]))
    for run in _RUN.findall(octets):
        if len(run) == _BASE64_DIGITS:
            yield _from_base64(run + b"=")
        elif len(run) == _HEXADECIMAL_DIGITS:
            yield _from_hexadecimal(run)


def _in_der(octets: bytes) -> Iterator[bytes]:
    for marker in _IN_DER:
        place = octets.find(marker)
        while place >= 0:
            key = octets[place + len(marker) : place + len(marker) + _OCTETS]
            if len(key) == _OCTETS:
                yield key
            place = octets.find(marker, place + 1)


def _from_base64(digits: bytes) -> bytes:
    whole = digits.partition(b"=")[0].partition(b"-----")[0].translate(_SIGNS)
    try:
        return a2b_base64(whole[: len(whole) // 4 * 4] if len(whole) != _BASE64_DIGITS else whole + b"=")
    except BinasciiError:
        return b""


def _from_hexadecimal(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _public_keys(private: bytes) -> Iterator[bytes]:
    """The keys that are public if *private* is private."""
    if len(private) != _OCTETS:
        return
    try:
        key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())
    except ValueError:  # not between 1 and the order of the curve
        pass
    else:
        yield key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    yield x25519.X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
