from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from ims_core.transport.msrp_identity import MsrpIdentity
from ims_core.transport.tokens import Tokens

_NOW = 1_772_446_500.25


def _pem(identity: MsrpIdentity) -> bytes:
    return identity.certificate.public_bytes(serialization.Encoding.PEM)


def test_the_certificate_signs_itself_and_has_the_fingerprint() -> None:
    identity = MsrpIdentity.make("alice", _NOW, Tokens("seed"))
    identity.certificate.verify_directly_issued_by(identity.certificate)
    assert identity.fingerprint.matches(identity.certificate.public_bytes(serialization.Encoding.DER))
    assert (
        identity.certificate.not_valid_before_utc.timestamp()
        < _NOW
        < identity.certificate.not_valid_after_utc.timestamp()
    )
    assert identity.certificate.public_key() == identity.key.public_key()


def test_the_same_seed_makes_the_same_identity_and_others_make_others() -> None:
    made = [MsrpIdentity.make("alice", _NOW, Tokens(seed)) for seed in ("a", "a", "b", None, None)]
    assert _pem(made[0]) == _pem(made[1])
    assert len({_pem(identity) for identity in made}) == 4


@pytest.mark.parametrize("name", ["", "x" * 500, "red.msrp_relay"])
def test_any_name_will_do(name: str) -> None:
    assert (
        MsrpIdentity.make(name, _NOW, Tokens("seed")).certificate.subject
        == MsrpIdentity.make(name, _NOW, Tokens("other")).certificate.subject
    )


def test_the_key_is_not_shown() -> None:
    identity = MsrpIdentity.make("alice", _NOW, Tokens("seed"))
    assert repr(identity) == f"MsrpIdentity({identity.fingerprint})"
