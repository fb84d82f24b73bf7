"""PublicMessage and PrivateMessage against the vectors, both ways (RFC 9420 §6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import (
    membership_tag,
    protect_public,
    sign_content,
    unprotect_public,
    verify_signature,
    with_confirmation_tag,
)
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import CipherSuiteId, Epoch, LeafIndex, ProtocolVersion, WireFormat
from rcs_sim.mls.messages import (
    AuthenticatedContent,
    Content,
    FramedContent,
    FramedContentAuthData,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    encode_content,
)
from rcs_sim.mls.private_framing import open_private, padme, seal_private
from rcs_sim.mls.proposals import decode_proposal
from rcs_sim.mls.secret_tree import SecretTree, SenderDataKeys
from rcs_sim.mls.signature import SignatureKey
from tests.support.vectors import load_vectors

_FILES = (
    "mls/mls-implementations/message-protection.json",
    "mls/openmls-extra/message-protection.json",
    "mls/mls-rs-extra/framing.json",
)
_MEMBERSHIP_TAGS = "mls/mls-rs-extra/membership_tag.json"
_SENDER = LeafIndex(1)
_LEAVES = 2
_TAG = b"a confirmation tag"


def _each(*files: str) -> Any:
    found = [(file.split("/")[1], entry) for file in files for entry in load_vectors(file)]
    return pytest.mark.parametrize(
        "entry", [e for _, e in found], ids=[f"{f}-suite{e['cipher_suite']}" for f, e in found]
    )


class _Epoch:
    """What the vector gives of an epoch. Each use of the secret tree begins anew."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry = entry
        self.suite = CipherSuite.of(entry["cipher_suite"])
        self.context = GroupContext(
            ProtocolVersion.MLS10,
            self.suite.id,
            self.octets("group_id"),
            Epoch(entry["epoch"]),
            self.octets("tree_hash"),
            self.octets("confirmed_transcript_hash"),
            (),
        )
        self.membership_key = Secret(self.octets("membership_key"))
        self.sender_data = SenderDataKeys(self.suite, Secret(self.octets("sender_data_secret")))

    def octets(self, name: str) -> bytes:
        return bytes.fromhex(self.entry[name])

    def tree(self) -> SecretTree:
        return SecretTree(self.suite, Secret(self.octets("encryption_secret")), _LEAVES)

    def key(self) -> SignatureKey:
        private = self.octets("signature_priv").removesuffix(self.octets("signature_pub"))
        return self.suite.scheme.key(Secret(private))

    def message(self, name: str) -> Any:
        return MLSMessage.decode(self.octets(name)).body

    def content(self, name: str) -> Content:
        octets = self.octets(name)
        if name == "application":
            return octets
        return Commit.decode(octets) if name == "commit" else decode_proposal(octets)

    def sign(self, name: str, wire_format: WireFormat) -> AuthenticatedContent:
        content = FramedContent(
            self.context.group_id, self.context.epoch, Sender.member(_SENDER), b"", self.content(name)
        )
        signed = sign_content(self.suite, self.key(), wire_format, content, self.context)
        return with_confirmation_tag(signed, _TAG) if name == "commit" else signed

    def open(self, message: PrivateMessage) -> AuthenticatedContent:
        opened = open_private(self.suite, message, self.tree(), self.sender_data)
        self.verify(opened.authenticated)
        return opened.authenticated

    def read(self, message: PublicMessage) -> AuthenticatedContent:
        content = unprotect_public(self.suite, message, self.membership_key, self.context)
        self.verify(content)
        return content

    def verify(self, content: AuthenticatedContent) -> None:
        assert content.content.sender == Sender.member(_SENDER)
        verify_signature(self.suite, content, self.octets("signature_pub"), self.context)


def _plain(content: AuthenticatedContent) -> bytes:
    inner = content.content.content
    return inner if isinstance(inner, bytes) else encode_content(inner)


@pytest.mark.parametrize("name", ["proposal", "commit", "application"])
@_each(*_FILES)
def test_private_messages_open_and_ours_too(entry: dict[str, Any], name: str) -> None:
    epoch = _Epoch(entry)
    assert _plain(epoch.open(epoch.message(f"{name}_priv"))) == epoch.octets(name)
    signed = epoch.sign(name, WireFormat.PRIVATE_MESSAGE)
    ours = seal_private(epoch.suite, signed, epoch.tree(), epoch.sender_data, bytes, padme)
    again = MLSMessage.decode(MLSMessage(ours).encode()).body
    assert isinstance(again, PrivateMessage)
    assert epoch.open(again) == signed


@pytest.mark.parametrize("name", ["proposal", "commit"])
@_each(*_FILES)
def test_public_messages_are_believed_and_ours_too(entry: dict[str, Any], name: str) -> None:
    epoch = _Epoch(entry)
    message: PublicMessage = epoch.message(f"{name}_pub")
    assert _plain(epoch.read(message)) == epoch.octets(name)
    with pytest.raises(MlsValidationError, match="ValSem008"):
        epoch.read(replace(message, membership_tag=bytes(epoch.suite.hash_octets)))
    signed = epoch.sign(name, WireFormat.PUBLIC_MESSAGE)
    ours = protect_public(epoch.suite, signed, epoch.membership_key, epoch.context)
    again = MLSMessage.decode(MLSMessage(ours).encode()).body
    assert isinstance(again, PublicMessage)
    assert epoch.read(again) == signed


@_each(*_FILES)
def test_application_data_is_not_taken_in_public(entry: dict[str, Any]) -> None:
    epoch = _Epoch(entry)
    signed = epoch.sign("application", WireFormat.PUBLIC_MESSAGE)
    with pytest.raises(MlsValidationError, match="ValSem005"):
        epoch.read(protect_public(epoch.suite, signed, epoch.membership_key, epoch.context))
    with pytest.raises(LocalProtocolError):
        seal_private(epoch.suite, signed, epoch.tree(), epoch.sender_data, bytes)


@_each(_MEMBERSHIP_TAGS)
def test_membership_tags_are_those_of_the_vectors(entry: dict[str, Any]) -> None:
    """Made by a test of mls-rs: an empty commit, without signature or tag, in a context of its own."""
    suite = CipherSuite.of(entry["cipher_suite"])
    hashes = suite.hash(bytes((1, 2, 3))), suite.hash(bytes((3, 2, 1)))
    context = GroupContext(ProtocolVersion.MLS10, CipherSuiteId(suite.id), b"group", Epoch(1), *hashes, ())
    content = FramedContent(b"", Epoch(0), Sender.member(_SENDER), b"", Commit((), None))
    commit = AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, content, FramedContentAuthData(b""))
    assert membership_tag(suite, Secret(b"membership_key"), commit, context).hex() == entry["tag"]


def test_the_number_of_cases_is_told() -> None:
    for file in (*_FILES, _MEMBERSHIP_TAGS):
        print(f"{file}: {len(load_vectors(file))} entries")
