"""Milenage against a published test set, and its limits."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from ims_core.wire.sip.milenage import Milenage, derive_opc, xor


def test_set_1_of_ts_35_208_gives_its_values() -> None:
    k, op = Secret.of_hex("465b5ce8b199b49faa5f0a2ee238a6bc"), Secret.of_hex("cdc202d5123e20f62b6d676ac72cb318")
    rand, sqn, amf = (bytes.fromhex(text) for text in ("23553cbe9637a89d218ae64dae47bf35", "ff9bb4d0b607", "b9b9"))
    milenage = Milenage.from_op(k, op)
    assert derive_opc(k, op) == Secret.of_hex("cd63cb71954a9f4e48a5994e37a02baf")
    assert milenage.f1(rand, sqn, amf).hex() == "4a9ffac354dfafb3"
    assert milenage.f1_star(rand, sqn, amf).hex() == "01cfaf9ec4e871e9"
    assert milenage.f2(rand).hex() == "a54211d5e3ba50bf"
    assert milenage.f3(rand).hex() == "b40ba9a3c58b2a05bbf0d987b21bf8cb"
    assert milenage.f4(rand).hex() == "f769bcd751044604127672711c6d3441"
    assert (milenage.f5(rand).hex(), milenage.f5_star(rand).hex()) == ("aa689c648370", "451e8beca43b")


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
