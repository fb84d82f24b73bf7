"""Milenage against the test sets of TS 35.207 and TS 35.208."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from ims_core.wire.sip.milenage import Milenage, derive_opc, xor
from tests.support.vectors import load_vectors

_CASES: list[dict[str, str]] = load_vectors("rcs/milenage.json")["cases"]


@pytest.mark.parametrize("case", _CASES, ids=[f"set-{case['test_set']}" for case in _CASES])
def test_each_test_set_gives_its_published_values(case: dict[str, str]) -> None:
    k, rand, sqn, amf = Secret.of_hex(case["K"]), *(bytes.fromhex(case[name]) for name in ("RAND", "SQN", "AMF"))
    op = Secret.of_hex(case["OP"])
    milenage = Milenage.from_op(k, op)
    assert derive_opc(k, op) == Secret.of_hex(case["OPc"])
    assert milenage.f1(rand, sqn, amf).hex() == case["f1_MAC_A"]
    assert milenage.f1_star(rand, sqn, amf).hex() == case["f1*_MAC_S"]
    assert milenage.f2(rand).hex() == case["f2_RES"]
    assert milenage.f3(rand).hex() == case["f3_CK"]
    assert milenage.f4(rand).hex() == case["f4_IK"]
    assert milenage.f5(rand).hex() == case["f5_AK"]
    assert milenage.f5_star(rand).hex() == case["f5*_AK"]


def test_exclusive_or_keeps_leading_zeros() -> None:
    assert xor(b"\0\1\2", b"\0\1\3") == b"\0\0\1"


@pytest.mark.parametrize(("k", "opc"), [(15, 16), (16, 17), (32, 16)])
def test_keys_of_another_length_are_refused(k: int, opc: int) -> None:
    with pytest.raises(LocalProtocolError, match=r"TS 35\.206"):
        Milenage(Secret(bytes(k)), Secret(bytes(opc)))


def test_inputs_of_another_length_are_refused() -> None:
    milenage = Milenage(Secret(bytes(16)), Secret(bytes(16)))
    for rand, sqn, amf in (
        (bytes(15), bytes(6), bytes(2)),
        (bytes(16), bytes(5), bytes(2)),
        (bytes(16), bytes(6), b""),
    ):
        with pytest.raises(LocalProtocolError):
            milenage.f1(rand, sqn, amf)


def test_keys_are_not_shown() -> None:
    assert "Secret" not in repr(Milenage(Secret(bytes(16)), Secret(bytes(16))))
