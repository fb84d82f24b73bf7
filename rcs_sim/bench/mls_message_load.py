"""Application messages of two members: ours, what their primitives take alone, and mls-rs where it is installed.

Run as `python -m rcs_sim.bench.mls_message_load COUNT`; prints one JSON object, CPU microseconds a message.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Callable
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from rcs_sim.bench.mls_members import fresh_group
from rcs_sim.bench.mls_rs import MlsRsMember, is_installed
from rcs_sim.bench.row import median
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.messages import MLSMessage

__all__ = ["MESSAGE_OCTETS", "measure"]

MESSAGE_OCTETS = 200
_TURNS = 5  # the stacks take turns, so that what else the machine does hits all of them
_SIGNED_OCTETS = 370  # FramedContentTBS: content, sender, authenticated data, GroupContext
_SEALED_OCTETS = 280  # content and signature
_SENDER_DATA_OCTETS = 12
_AAD_OCTETS = 28
_EXPANDED_OCTETS = (16, 12, 32, 16, 12)  # key, nonce, next secret; key and nonce of the sender data

Operation: TypeAlias = Callable[[], object]
Stack: TypeAlias = Callable[[int], tuple[Operation, Operation]]


def measure(count: int) -> dict[str, dict[str, float]]:
    """*count* messages of each stack in all."""
    stacks: dict[str, Stack] = {
        "ours_2": lambda many: _ours(CipherSuite.of(2), many),
        "ours_1": lambda many: _ours(CipherSuite.of(1), many),
        "primitives_2": lambda many: _primitives(CipherSuite.of(2)),
    }
    if is_installed():
        stacks["mls_rs"] = _mls_rs
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in stacks}
    each = count // _TURNS
    for _ in range(_TURNS):
        for name, make in stacks.items():
            encrypt, decrypt = make(each)
            taken[name].append((_cpu_us(encrypt, each), _cpu_us(decrypt, each)))
    return {name: _medians(pairs) for name, pairs in taken.items()}


def _medians(pairs: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "encrypt_us": median([encrypt for encrypt, _ in pairs]),
        "decrypt_us": median([decrypt for _, decrypt in pairs]),
    }


def _cpu_us(operation: Operation, count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        operation()
    return (time.process_time() - start) / count * 1e6


def _ours(suite: CipherSuite, count: int) -> tuple[Operation, Operation]:
    made = fresh_group(suite, 2)
    sender, reader = made.creator, made.join(0)
    text = bytes(range(MESSAGE_OCTETS))
    sent: list[bytes] = []

    def encrypt() -> None:
        sent.append(sender.seal(text, secrets.token_bytes).encode())

    waiting = iter(sent)

    def decrypt() -> None:
        reader.verify(MLSMessage.decode(next(waiting)))

    return encrypt, decrypt


def _mls_rs(count: int) -> tuple[Operation, Operation]:
    sender, reader = MlsRsMember("sender"), MlsRsMember("reader")
    reader.join(sender.create([reader.key_package()]))
    text = bytes(range(MESSAGE_OCTETS))
    sent: list[bytes] = []

    def encrypt() -> None:
        sent.append(sender.seal(text))

    waiting = iter(sent)

    def decrypt() -> None:
        reader.receive(next(waiting))

    return encrypt, decrypt


def _primitives(suite: CipherSuite) -> tuple[Operation, Operation]:
    """What one message cannot do without: 5 expansions, 2 AEADs, 1 signature or its verification, by the library."""
    key, nonce, secret = bytes(16), bytes(12), bytes(32)
    signer, signed = suite.scheme.generate(secrets.token_bytes), bytes(_SIGNED_OCTETS)
    signature = signer.sign(signed)
    aad = bytes(_AAD_OCTETS)
    texts = bytes(_SEALED_OCTETS), bytes(_SENDER_DATA_OCTETS)
    sealed = [AESGCM(key).encrypt(nonce, text, aad) for text in texts]

    def expand() -> None:
        for length in _EXPANDED_OCTETS:
            HKDFExpand(SHA256(), length, aad).derive(secret)

    def encrypt() -> None:
        expand()
        for text in texts:
            AESGCM(key).encrypt(nonce, text, aad)
        signer.sign(signed)

    def decrypt() -> None:
        expand()
        for text in sealed:
            AESGCM(key).decrypt(nonce, text, aad)
        suite.scheme.is_signed(signer.public, signed, signature)

    return encrypt, decrypt


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
