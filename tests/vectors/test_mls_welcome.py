"""A Welcome against the vectors: group secrets, GroupInfo, its signature and confirmation tag (RFC 9420 §12.4.3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.key_schedule import derive_epoch, derive_welcome_secret, welcome_key_and_nonce
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.psk import derive_psk_secret
from rcs_sim.mls.welcome import GroupSecrets, Welcome
from tests.support.vectors import load_vectors

_FILE = "mls/mls-implementations/welcome.json"
_ENTRIES: list[dict[str, Any]] = load_vectors(_FILE)


def _body(entry: dict[str, Any], name: str) -> Any:
    return MLSMessage.decode(bytes.fromhex(entry[name])).body


@pytest.mark.parametrize("entry", _ENTRIES, ids=[f"suite{entry['cipher_suite']}" for entry in _ENTRIES])
def test_the_new_member_reads_the_group_info(entry: dict[str, Any]) -> None:
    suite = CipherSuite.of(entry["cipher_suite"])
    key_package: KeyPackage = _body(entry, "key_package")
    welcome: Welcome = _body(entry, "welcome")
    reference = suite.key_package_ref(key_package.encode())
    (mine,) = [each for each in welcome.secrets if each.new_member == reference]
    init_key = Secret.of_hex(entry["init_priv"])
    assert suite.key_pair_of(init_key).public == key_package.init_key
    opened = suite.decrypt_with_label(init_key, "Welcome", welcome.encrypted_group_info, mine.encrypted_group_secrets)
    secrets = GroupSecrets.decode(opened)
    assert secrets.encode() == opened
    assert not secrets.psks
    psk_secret = derive_psk_secret(suite, ())
    key, nonce = welcome_key_and_nonce(suite, derive_welcome_secret(suite, secrets.joiner_secret, psk_secret))
    info = GroupInfo.decode(suite.open(key, nonce, b"", welcome.encrypted_group_info))
    signer = bytes.fromhex(entry["signer_pub"])
    assert suite.verify_with_label(signer, "GroupInfoTBS", info.to_be_signed(), info.signature)
    context = info.group_context
    epoch, _ = derive_epoch(suite, secrets.joiner_secret, psk_secret, context.encode())
    assert epoch.is_confirmation_tag(suite, context.confirmed_transcript_hash, info.confirmation_tag)


def test_the_number_of_cases_is_told() -> None:
    print(f"{_FILE}: {len(_ENTRIES)} entries")
