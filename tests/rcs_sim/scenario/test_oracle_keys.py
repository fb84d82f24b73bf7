"""A private key of a leaf is known wherever it crosses a link, in whichever form; nothing else is taken for one."""

from __future__ import annotations

import asyncio
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

import rcs_sim
from ims_core.trace import ListSink, RecordKind, TraceRecord
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.phone import Phone
from rcs_sim.mls.identifiers import NodeIndex
from rcs_sim.mls.tree_math import node_of
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_keys import candidates_in, key_leaks
from rcs_sim.scenario.simulation import Simulation
from tests.support.encrypted_phones import engine_of, mls_of, rekey

_ALICE, _BOB = "+12025550101", "+12025550152"
_SCALAR = bytes(range(1, 33))
_P256 = ec.derive_private_key(int.from_bytes(_SCALAR, "big"), ec.SECP256R1())
_X25519 = x25519.X25519PrivateKey.from_private_bytes(_SCALAR)
_POINT = _P256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
_KNOWN = frozenset((_POINT, _X25519.public_key().public_bytes_raw()))
_PLAIN = NoEncryption()
_PKCS8, _SEC1 = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL

_FORMS: dict[str, Callable[[], bytes]] = {
    "base64": lambda: b'{"key":"' + b64encode(_SCALAR) + b'"}',
    "base64url": lambda: b'{"kty":"EC","d":"' + urlsafe_b64encode(_SCALAR).rstrip(b"=") + b'"}',
    "hexadecimal": lambda: b"X-Debug: " + _SCALAR.hex().encode() + b"\r\n",
    "DER": lambda: b"\x00\x01" + _P256.private_bytes(Encoding.DER, _PKCS8, _PLAIN) + b"\x02",
    "DER (RFC 5915)": lambda: _P256.private_bytes(Encoding.DER, _SEC1, _PLAIN),
    "PEM": lambda: _P256.private_bytes(Encoding.PEM, _PKCS8, _PLAIN),
    "PEM with CRLF": lambda: _P256.private_bytes(Encoding.PEM, _PKCS8, _PLAIN).replace(b"\n", b"\r\n"),
    "PEM (RFC 5915)": lambda: _P256.private_bytes(Encoding.PEM, _SEC1, _PLAIN),
    "PEM of X25519": lambda: _X25519.private_bytes(Encoding.PEM, _PKCS8, _PLAIN),
}


def _record(octets: bytes) -> TraceRecord:
    return TraceRecord(7, 0.0, RecordKind.MESSAGE, "alice", "red.kds", protocol="HTTP", raw=octets)


@pytest.mark.parametrize("form", _FORMS)
def test_a_private_key_is_known_in_every_form(form: str) -> None:
    (leak, *_) = key_leaks(candidates_in([_record(b"POST / HTTP/1.1\r\n\r\n" + _FORMS[form]())]), _KNOWN)
    assert leak.hop.number == 7
    assert leak.public_key in _KNOWN


def test_public_keys_and_keys_of_nobody_are_none() -> None:
    other = ec.derive_private_key(77, ec.SECP256R1())
    octets = b64encode(_POINT) + b" " + other.private_bytes(Encoding.PEM, _PKCS8, _PLAIN) + b" " + b64encode(bytes(32))
    assert key_leaks(candidates_in([_record(octets)]), _KNOWN) == []
    assert key_leaks(candidates_in([_record(_FORMS["PEM"]())]), frozenset()) == []


def test_what_was_sealed_to_a_group_whose_key_is_known_is_under_a_lock_that_lies() -> None:
    """A phone that hands out the key of its leaf."""
    sink, keys = ListSink(), list[bytes]()

    async def main() -> None:
        async with Simulation("two-carriers", sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
            await sim.add_phone("bob", device="ios", carrier="blue", msisdn=_BOB)
            await asyncio.sleep(3)
            await (await alice.chat(_BOB).send("sealed to the two of us")).delivered(within_s=30)
            keys.append(_leaf_key(alice))

    rcs_sim.run(main, clock="virtual")
    honest = Oracle(sink.records)
    assert honest.violations() == []
    last = sink.records[-1]
    octets = b"POST /debug HTTP/1.1\r\n\r\n" + b64encode(keys[0])
    leak = replace(_record(octets), number=last.number + 1, at=last.at + 1)
    oracle = Oracle([*sink.records, leak])
    assert {(each.kind.value, each.phone) for each in oracle.violations()} == {
        ("lying lock", "alice"),
        ("lying lock", "bob"),
    }
    assert oracle.violations()[0].why == f"a private key of its group went from alice to red.kds (record {leak.number})"
    assert honest.readers("m1") == {"alice", "bob"}
    assert oracle.readers("m1") == {"alice", "bob", "red.kds"}


@pytest.mark.parametrize("whose", ["of a parent", "of a key package"])
def test_keys_of_parents_and_of_key_packages_open_it_too(whose: str) -> None:
    sink, packages, parents = ListSink(), list[bytes](), list[bytes]()

    async def main() -> None:
        async with Simulation("two-carriers", sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red", msisdn=_ALICE)
            bob = await sim.add_phone("bob", device="ios", carrier="blue", msisdn=_BOB)
            await asyncio.sleep(3)
            pool = mls_of(bob).credentials.pool
            packages.extend(each.init_private.octets for each in pool._entries.values())
            await (await alice.chat(_BOB).send("sealed to a Welcome")).delivered(within_s=30)
            rekey(alice, _BOB)
            await asyncio.sleep(10)
            await (await alice.chat(_BOB).send("sealed after a path")).delivered(within_s=30)
            held = engine_of(alice, _BOB).group
            assert held is not None
            root = held.group._state.keys.get(NodeIndex(1))
            assert root is not None
            parents.append(root.octets)

    rcs_sim.run(main, clock="virtual")
    assert Oracle(sink.records).violations() == []
    last = sink.records[-1]
    octets = b"\n".join(b'"%s"' % b64encode(key) for key in (parents if whose == "of a parent" else packages))
    leak = replace(_record(octets), number=last.number + 1, at=last.at + 1)
    found = {each.message.text for each in Oracle([*sink.records, leak]).violations()}
    assert found == {"sealed after a path" if whose == "of a parent" else "sealed to a Welcome"}


def _leaf_key(phone: Phone) -> bytes:
    assert phone.encryption is not None
    assert phone.encryption.mls is not None
    conversation = phone._messenger.conversations[ContactKey(_BOB)]
    thread = phone.encryption.mls._context.thread(conversation)
    assert thread is not None
    assert thread.engine.group is not None
    keys = thread.engine.group.group._state.keys
    key = keys.get(node_of(keys.leaf))
    assert key is not None
    return key.octets


@given(st.binary(max_size=300))
def test_any_octets_are_read_without_an_error(octets: bytes) -> None:
    for begin in (b"", b"MIGHAgEAMBMGByqGSM49", b"MHcCAQEE====", b"\x02\x01\x01\x04\x20", b"A" * 43, b"f" * 64):
        assert key_leaks(candidates_in([_record(begin + octets)]), _KNOWN) == []
