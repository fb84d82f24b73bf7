"""The key schedule (RFC 9420 §8): what depends on what, and what is not kept."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite, CryptoError
from rcs_sim.mls.key_schedule import (
    EpochSecrets,
    derive_epoch,
    derive_epoch_of_secret,
    derive_joiner_secret,
    derive_welcome_secret,
    open_external_init,
    seal_external_init,
    welcome_key_and_nonce,
)

_SUITE = CipherSuite.of(2)
_EPOCH, _ENCRYPTION = derive_epoch_of_secret(_SUITE, Secret(b"epoch secret"))


def _fixed(length: int) -> bytes:
    return b"\x2a" * length


def test_each_secret_of_an_epoch_is_another() -> None:
    secrets = [getattr(_EPOCH, each.name).octets for each in fields(EpochSecrets)]
    assert len({*secrets, _ENCRYPTION.octets}) == 9


def test_what_opens_all_messages_is_not_among_the_secrets_that_are_kept() -> None:
    assert _ENCRYPTION not in [getattr(_EPOCH, each.name) for each in fields(EpochSecrets)]


def test_an_epoch_depends_on_all_that_enters_it() -> None:
    inputs = Secret(b"init"), Secret(b"commit"), b"context"
    joiner = derive_joiner_secret(_SUITE, *inputs)
    others = [
        derive_joiner_secret(_SUITE, Secret(b"other"), *inputs[1:]),
        derive_joiner_secret(_SUITE, inputs[0], Secret(b"other"), inputs[2]),
        derive_joiner_secret(_SUITE, *inputs[:2], b"other"),
    ]
    assert joiner not in others
    epoch, _ = derive_epoch(_SUITE, joiner, Secret(b"psk"), b"context")
    assert epoch != derive_epoch(_SUITE, joiner, Secret(b"other"), b"context")[0]
    assert epoch != derive_epoch(_SUITE, joiner, Secret(b"psk"), b"other")[0]


def test_exports_differ_by_label_context_and_length() -> None:
    exported = _EPOCH.export(_SUITE, "label", b"context", 32)
    assert exported != _EPOCH.export(_SUITE, "other", b"context", 32)
    assert exported != _EPOCH.export(_SUITE, "label", b"other", 32)
    assert exported.octets[:16] != _EPOCH.export(_SUITE, "label", b"context", 16).octets
    assert len(_EPOCH.export(_SUITE, "label", b"", 1000)) == 1000


def test_a_confirmation_tag_is_of_its_epoch_and_transcript() -> None:
    tag = _EPOCH.confirmation_tag(_SUITE, b"transcript")
    assert _EPOCH.is_confirmation_tag(_SUITE, b"transcript", tag)
    assert not _EPOCH.is_confirmation_tag(_SUITE, b"other", tag)
    assert not _EPOCH.is_confirmation_tag(_SUITE, b"transcript", tag[:-1])


@pytest.mark.parametrize("number", range(1, 8))
def test_who_joins_from_outside_has_the_init_secret_of_the_group(number: int) -> None:
    suite = CipherSuite.of(number)
    epoch, _ = derive_epoch_of_secret(suite, Secret(b"epoch secret"))
    public = epoch.external_key_pair(suite).public
    kem_output, init_secret = seal_external_init(suite, public, _fixed)
    assert open_external_init(suite, epoch.external_secret, kem_output) == init_secret
    assert len(init_secret) == suite.hash_octets
    for wrong in (b"", kem_output[:-1]):
        with pytest.raises(CryptoError):
            open_external_init(suite, epoch.external_secret, wrong)
        with pytest.raises(CryptoError):
            seal_external_init(suite, wrong, _fixed)


def test_key_and_nonce_of_a_welcome_have_their_lengths() -> None:
    key, nonce = welcome_key_and_nonce(_SUITE, derive_welcome_secret(_SUITE, Secret(b"joiner"), Secret(b"psk")))
    assert (len(key), len(nonce)) == (16, 12)


def test_no_secret_shows() -> None:
    assert repr(_EPOCH).count("Secret(32 octets)") == 8
