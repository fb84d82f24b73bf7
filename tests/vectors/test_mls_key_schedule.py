"""Key schedule, exporter, PSKs and transcript hashes against the vectors (RFC 9420 §8)."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, ProtocolVersion
from rcs_sim.mls.key_schedule import (
    EpochSecrets,
    derive_epoch,
    derive_epoch_of_secret,
    derive_joiner_secret,
    derive_welcome_secret,
)
from rcs_sim.mls.messages import AuthenticatedContent
from rcs_sim.mls.psk import derive_psk_secret
from rcs_sim.mls.psk_id import ExternalPskID
from rcs_sim.mls.transcript import confirmed_transcript_hash, interim_transcript_hash
from tests.support.vectors import load_vectors

_SCHEDULE = "mls/mls-implementations/key-schedule.json"
_EXPORTER = "mls/mls-rs-extra/epoch_secret_exporter_test_vector.json"
_PSKS = ("mls/mls-implementations/psk_secret.json", "mls/mls-rs-extra/psk_secret.json")
_TRANSCRIPTS = ("mls/mls-implementations/transcript-hashes.json", "mls/openmls-extra/transcript-hashes.json")

_SECRETS = (
    "sender_data_secret",
    "exporter_secret",
    "external_secret",
    "confirmation_key",
    "membership_key",
    "resumption_psk",
    "epoch_authenticator",
    "init_secret",
)


def _each(*files: str) -> Any:
    found = [(file, number, entry) for file in files for number, entry in enumerate(load_vectors(file))]
    ids = [f"{file.split('/')[1]}-{number}-suite{entry['cipher_suite']}" for file, number, entry in found]
    return pytest.mark.parametrize("entry", [entry for _, _, entry in found], ids=ids)


def _octets(entry: dict[str, Any], *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(entry[name]) for name in names)


def _context(entry: dict[str, Any], part: dict[str, Any], epoch: int) -> bytes:
    (group_id,) = _octets(entry, "group_id")
    tree_hash, transcript = _octets(part, "tree_hash", "confirmed_transcript_hash")
    suite_id = CipherSuite.of(entry["cipher_suite"]).id
    return GroupContext(ProtocolVersion.MLS10, suite_id, group_id, Epoch(epoch), tree_hash, transcript, ()).encode()


def _check_exports(suite: CipherSuite, secrets: EpochSecrets, part: dict[str, Any]) -> None:
    asked = part["exporter"]
    made = secrets.export(suite, asked["label"], bytes.fromhex(asked["context"]), asked["length"])
    assert made.octets.hex() == asked["secret"]
    assert secrets.external_key_pair(suite).public.hex() == part["external_pub"]


@_each(_SCHEDULE)
def test_five_epochs_have_the_secrets_of_the_vectors(entry: dict[str, Any]) -> None:
    suite = CipherSuite.of(entry["cipher_suite"])
    init_secret = Secret.of_hex(entry["initial_init_secret"])
    for epoch, part in enumerate(entry["epochs"]):
        context = _context(entry, part, epoch)
        assert context.hex() == part["group_context"]
        psk_secret, commit_secret = Secret.of_hex(part["psk_secret"]), Secret.of_hex(part["commit_secret"])
        joiner = derive_joiner_secret(suite, init_secret, commit_secret, context)
        assert joiner.octets.hex() == part["joiner_secret"]
        assert derive_welcome_secret(suite, joiner, psk_secret).octets.hex() == part["welcome_secret"]
        secrets, encryption_secret = derive_epoch(suite, joiner, psk_secret, context)
        assert encryption_secret.octets.hex() == part["encryption_secret"]
        for name in _SECRETS:
            secret: Secret = getattr(secrets, name)
            assert secret.octets.hex() == part[name], name
        _check_exports(suite, secrets, part)
        init_secret = secrets.init_secret


@_each(_EXPORTER)
def test_the_exporter_vectors_export_what_they_say(entry: dict[str, Any]) -> None:
    """Made by a test of mls-rs: exporter_secret and context stand together, the label is "test"."""
    suite = CipherSuite.of(entry["cipher_suite"])
    both, wanted = _octets(entry, "input", "output")
    template, _ = derive_epoch_of_secret(suite, suite.zero_secret())
    kept = {name: getattr(template, name) for name in _SECRETS}
    secrets = EpochSecrets(**kept | {"exporter_secret": Secret(both[: suite.hash_octets])})
    assert secrets.export(suite, "test", both[suite.hash_octets :], len(wanted)).octets == wanted


@_each(*_PSKS)
def test_pre_shared_keys_add_up_as_in_the_vectors(entry: dict[str, Any]) -> None:
    psks = []
    for part in entry["psks"]:
        prefix = "psk_" if "psk_id" in part else ""
        psk_id, nonce, psk = _octets(part, f"{prefix}id", f"{prefix}nonce", "psk")
        psks.append((ExternalPskID(psk_id, nonce), Secret(psk)))
    assert derive_psk_secret(CipherSuite.of(entry["cipher_suite"]), psks).octets.hex() == entry["psk_secret"]


@_each(*_TRANSCRIPTS)
def test_transcript_hashes_are_those_of_the_vectors(entry: dict[str, Any]) -> None:
    suite = CipherSuite.of(entry["cipher_suite"])
    octets, before, confirmed, interim = _octets(
        entry,
        "authenticated_content",
        "interim_transcript_hash_before",
        "confirmed_transcript_hash_after",
        "interim_transcript_hash_after",
    )
    commit = AuthenticatedContent.decode(octets)
    assert commit.encode() == octets
    signature, tag = commit.auth.signature, commit.auth.confirmation_tag
    assert confirmed_transcript_hash(suite, before, commit.wire_format, commit.content, signature) == confirmed
    assert tag is not None
    assert suite.mac(Secret.of_hex(entry["confirmation_key"]), confirmed) == tag
    assert interim_transcript_hash(suite, confirmed, tag) == interim


def test_the_number_of_cases_is_told() -> None:
    for file in (_SCHEDULE, _EXPORTER, *_PSKS, *_TRANSCRIPTS):
        print(f"{file}: {len(load_vectors(file))} entries")
