"""HPKE against the vectors of RFC 9180: modes base and psk, KEMs P-256 and X25519."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.hpke import Aead, Hpke, HpkeContext, HpkeMode, kem_of
from tests.support.vectors import load_vectors

_FILE = "mls/hpke/rfc9180-test-vectors.p256-x25519-hkdfsha256.selection.json"
_EXPORT_ONLY = 0xFFFF


def _octets(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def _contexts(case: dict[str, Any]) -> tuple[bytes, HpkeContext, HpkeContext]:
    hpke = Hpke(kem_of(case["kem_id"]), case["kdf_id"], Aead.of(case["aead_id"]))
    receiver = hpke.kem.derive_key_pair(Secret(_octets(case, "ikmR")))
    assert receiver.private.octets == _octets(case, "skRm")
    assert receiver.public == _octets(case, "pkRm")
    assert hpke.kem.key_pair_of(receiver.private) == receiver
    info, ephemeral = _octets(case, "info"), Secret(_octets(case, "ikmE"))
    shared, kem_output = hpke.kem.encapsulate(receiver.public, ephemeral)
    assert shared == hpke.kem.decapsulate(receiver, kem_output) == _octets(case, "shared_secret")
    if case["mode"] == HpkeMode.BASE:
        kem_output, sender = hpke.setup_base_s(receiver.public, info, ephemeral)
        return kem_output, sender, hpke.setup_base_r(kem_output, receiver, info)
    psk = Secret(_octets(case, "psk")), _octets(case, "psk_id")
    kem_output, sender = hpke.setup_psk_s(receiver.public, info, *psk, ephemeral)
    return kem_output, sender, hpke.setup_psk_r(kem_output, receiver, info, *psk)


@pytest.mark.parametrize("number", range(len(load_vectors(_FILE))))
def test_each_case_encrypts_opens_and_exports_as_it_says(number: int) -> None:
    case: dict[str, Any] = load_vectors(_FILE)[number]
    kem_output, sender, receiver = _contexts(case)
    assert kem_output == _octets(case, "enc")
    assert bool(case["encryptions"]) == (case["aead_id"] != _EXPORT_ONLY)
    for each in case["encryptions"]:
        aad, plaintext = _octets(each, "aad"), _octets(each, "pt")
        assert sender.seal(aad, plaintext).hex() == each["ct"]
        assert receiver.open(aad, _octets(each, "ct")) == plaintext
    for each in case["exports"]:
        context = _octets(each, "exporter_context")
        assert sender.export(context, each["L"]).octets.hex() == each["exported_value"]
        assert receiver.export(context, each["L"]) == sender.export(context, each["L"])


def test_the_number_of_cases_is_told() -> None:
    print(f"{_FILE}: {len(load_vectors(_FILE))} entries")
