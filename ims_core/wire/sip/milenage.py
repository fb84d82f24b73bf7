"""Milenage: the authentication functions of a USIM over AES-128 (TS 35.206)."""

from __future__ import annotations

from typing import Final, Self

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret

__all__ = ["RESYNC_AMF", "Milenage", "derive_opc", "xor"]

RESYNC_AMF: Final = bytes(2)
"""The dummy AMF under which MAC-S is computed (TS 33.102 §6.3.3)."""

_BLOCK_OCTETS: Final = 16
_SQN_OCTETS: Final = 6


class Milenage:
    """The functions f1 to f5* of one subscriber (TS 35.206 §4.1).

    *k* and *opc* are 16 octets each, *rand* 16, *sqn* 6, *amf* 2.
    """

    __slots__ = ("_k", "_opc")

    def __init__(self, k: Secret, opc: Secret) -> None:
        if len(k) != _BLOCK_OCTETS or len(opc) != _BLOCK_OCTETS:
            raise LocalProtocolError("K and OPc have 16 octets each", spec="TS 35.206 §4.1")
        self._k = k
        self._opc = opc

    @classmethod
    def from_op(cls, k: Secret, op: Secret) -> Self:
        """With OPc = OP xor E[OP]_K, where *op* is the operator's variant of the algorithm."""
        return cls(k, derive_opc(k, op))

    def f1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-A, network authentication code, 8 octets."""
        return self._out1(rand, sqn, amf)[:8]

    def f1_star(self, rand: bytes, sqn: bytes, amf: bytes = RESYNC_AMF) -> bytes:
        """MAC-S, resynchronisation code, 8 octets."""
        return self._out1(rand, sqn, amf)[8:]

    def f2(self, rand: bytes) -> bytes:
        """RES, 8 octets."""
        return self._out(rand, rotated_octets=0, constant=1)[8:]

    def f3(self, rand: bytes) -> bytes:
        """CK, 16 octets."""
        return self._out(rand, rotated_octets=4, constant=2)

    def f4(self, rand: bytes) -> bytes:
        """IK, 16 octets."""
        return self._out(rand, rotated_octets=8, constant=4)

    def f5(self, rand: bytes) -> bytes:
        """AK, which hides SQN in AUTN, 6 octets."""
        return self._out(rand, rotated_octets=0, constant=1)[:6]

    def f5_star(self, rand: bytes) -> bytes:
        """AK*, which hides SQN_MS in AUTS, 6 octets."""
        return self._out(rand, rotated_octets=12, constant=8)[:6]

    def _out1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        if len(sqn) != _SQN_OCTETS or len(amf) != 2:
            raise LocalProtocolError("SQN has 6 octets and AMF 2", spec="TS 35.206 §4.1")
        opc = self._opc.octets
        rotated = _rotate(xor((sqn + amf) * 2, opc), 8)
        return xor(self._encrypt(xor(self._temp(rand), rotated)), opc)

    def _out(self, rand: bytes, *, rotated_octets: int, constant: int) -> bytes:
        """OUT2 to OUT5: the rotations r2 to r5 are whole octets, the constants c2 to c5 fit the last one."""
        opc = self._opc.octets
        block = bytearray(_rotate(xor(self._temp(rand), opc), rotated_octets))
        block[-1] ^= constant
        return xor(self._encrypt(bytes(block)), opc)

    def _temp(self, rand: bytes) -> bytes:
        if len(rand) != _BLOCK_OCTETS:
            raise LocalProtocolError("RAND has 16 octets", spec="TS 35.206 §4.1")
        return self._encrypt(xor(rand, self._opc.octets))

    def _encrypt(self, block: bytes) -> bytes:
        return _encrypt(self._k, block)


def derive_opc(k: Secret, op: Secret) -> Secret:
    """OPc, which is what a USIM keeps instead of OP (TS 35.206 §4.1)."""
    return Secret(xor(_encrypt(k, op.octets), op.octets))


def _encrypt(k: Secret, block: bytes) -> bytes:
    return Cipher(AES(k.octets), ECB()).encryptor().update(block)


def xor(left: bytes, right: bytes) -> bytes:
    """Bitwise exclusive or of two strings of the same length."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def _rotate(block: bytes, octets: int) -> bytes:
    return block[octets:] + block[:octets]
