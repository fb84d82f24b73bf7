"""Welcome and GroupSecrets (RFC 9420 §12.4.3.1)."""

from __future__ import annotations

from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import HPKECiphertext
from rcs_sim.mls.identifiers import CipherSuiteId
from rcs_sim.mls.psk_id import ExternalPskID
from rcs_sim.mls.welcome import EncryptedGroupSecrets, GroupSecrets, KeyPackageRef, Welcome


def test_group_secrets_come_back_and_do_not_show() -> None:
    for path_secret in (None, Secret(b"path secret")):
        secrets = GroupSecrets(Secret(b"joiner secret"), path_secret, (ExternalPskID(b"id", b"nonce"),))
        assert GroupSecrets.decode(secrets.encode()) == secrets
        assert "joiner secret" not in repr(secrets)
        assert "path secret" not in repr(secrets)


def test_a_welcome_names_each_new_member() -> None:
    secrets = tuple(EncryptedGroupSecrets(KeyPackageRef(name), HPKECiphertext(b"kem", b"x")) for name in (b"a", b"b"))
    welcome = Welcome(CipherSuiteId(2), secrets, b"group info")
    assert Welcome.decode(welcome.encode()) == welcome
