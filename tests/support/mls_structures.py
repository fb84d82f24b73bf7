"""Hypothesis strategies for the structures of RFC 9420, and the table of all decoders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import CustomBodies, Reader, TlsStruct
from rcs_sim.mls.commit import Commit, HPKECiphertext, UpdatePath, UpdatePathNode
from rcs_sim.mls.credential import BasicCredential, UnknownCredential, X509Credential, decode_credential
from rcs_sim.mls.extensions import (
    ApplicationId,
    Extension,
    ExternalPub,
    ExternalSender,
    ExternalSenders,
    RequiredCapabilities,
)
from rcs_sim.mls.group_info import GroupContext, GroupInfo, ParentNode, RatchetTreeExtension
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    ContentType,
    CredentialType,
    Epoch,
    ExtensionType,
    LeafIndex,
    LeafNodeSource,
    ProposalType,
    ProtocolVersion,
    ResumptionPskUsage,
    SenderType,
    WireFormat,
)
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import Capabilities, LeafNode, Lifetime
from rcs_sim.mls.messages import (
    AuthenticatedContent,
    FramedContent,
    FramedContentAuthData,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    content_type_of,
)
from rcs_sim.mls.proposals import (
    Add,
    CustomProposal,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    ProposalRef,
    ReInit,
    Remove,
    Update,
    decode_proposal,
    empty_body,
    fixed_body,
)
from rcs_sim.mls.psk_id import ExternalPskID, ResumptionPskID, decode_psk_id
from rcs_sim.mls.welcome import EncryptedGroupSecrets, GroupSecrets, KeyPackageRef, Welcome

CUSTOM: CustomBodies = {0xF002: empty_body, 0xF004: fixed_body(4)}

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
opaque = st.one_of(st.binary(max_size=40), st.binary(min_size=60, max_size=70))


def listed(items: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)


versions = u16.map(ProtocolVersion)
suites = u16.map(CipherSuiteId)
extension_types = u16.map(ExtensionType)
proposal_types = u16.map(ProposalType)
credential_types = u16.map(CredentialType)
leaf_indices = u32.map(LeafIndex)
epochs = u64.map(Epoch)

unknown_credentials = st.builds(UnknownCredential, st.integers(3, 0xFFFF).map(CredentialType), opaque)
credentials = st.one_of(
    st.builds(BasicCredential, opaque), st.builds(X509Credential, listed(opaque)), unknown_credentials
)
extensions = st.builds(Extension, extension_types, opaque)
extension_lists = listed(extensions)
capabilities = st.builds(
    Capabilities,
    listed(versions),
    listed(suites),
    listed(extension_types, 8),
    listed(proposal_types),
    listed(credential_types),
)
lifetimes = st.builds(Lifetime, u64, u64)
_sources = st.one_of(
    st.tuples(st.just(LeafNodeSource.KEY_PACKAGE), lifetimes, st.none()),
    st.just((LeafNodeSource.UPDATE, None, None)),
    st.tuples(st.just(LeafNodeSource.COMMIT), st.none(), opaque),
)


@st.composite
def leaf_node_values(draw: st.DrawFn) -> LeafNode:
    source, lifetime, parent_hash = draw(_sources)
    rest: tuple[Any, ...] = (source, lifetime, parent_hash, draw(extension_lists), draw(opaque))
    return LeafNode(draw(opaque), draw(opaque), draw(credentials), draw(capabilities), *rest)


leaf_nodes = leaf_node_values()
key_packages = st.builds(KeyPackage, versions, suites, opaque, leaf_nodes, extension_lists, opaque)
psk_ids = st.one_of(
    st.builds(ExternalPskID, opaque, opaque),
    st.builds(ResumptionPskID, st.sampled_from(ResumptionPskUsage), opaque, epochs, opaque),
)
custom_proposals = st.one_of(
    st.builds(CustomProposal.of_opaque, st.integers(8, 0xEFFF).map(ProposalType), opaque),
    st.just(CustomProposal(ProposalType(0xF002), b"")),
    st.builds(CustomProposal, st.just(ProposalType(0xF004)), st.binary(min_size=4, max_size=4)),
)
proposals = st.one_of(
    st.builds(Add, key_packages),
    st.builds(Update, leaf_nodes),
    st.builds(Remove, leaf_indices),
    st.builds(PreSharedKey, psk_ids),
    st.builds(ReInit, opaque, versions, suites, extension_lists),
    st.builds(ExternalInit, opaque),
    st.builds(GroupContextExtensions, extension_lists),
    custom_proposals,
)
ciphertexts = st.builds(HPKECiphertext, opaque, opaque)
path_nodes = st.builds(UpdatePathNode, opaque, listed(ciphertexts))
paths = st.builds(UpdatePath, leaf_nodes, listed(path_nodes))
commits = st.builds(Commit, listed(st.one_of(proposals, opaque.map(ProposalRef))), st.one_of(st.none(), paths))
senders = st.one_of(
    st.builds(Sender.member, leaf_indices),
    st.builds(Sender.external, u32),
    st.sampled_from([Sender(SenderType.NEW_MEMBER_PROPOSAL), Sender(SenderType.NEW_MEMBER_COMMIT)]),
)
framed_contents = st.builds(FramedContent, opaque, epochs, senders, opaque, st.one_of(opaque, proposals, commits))


@st.composite
def auth_data(draw: st.DrawFn, content: FramedContent) -> FramedContentAuthData:
    is_commit = content_type_of(content.content) is ContentType.COMMIT
    return FramedContentAuthData(draw(opaque), draw(opaque) if is_commit else None)


@st.composite
def authenticated_contents(draw: st.DrawFn) -> AuthenticatedContent:
    content = draw(framed_contents)
    return AuthenticatedContent(WireFormat(draw(u16)), content, draw(auth_data(content)))


@st.composite
def public_messages(draw: st.DrawFn) -> PublicMessage:
    content = draw(framed_contents)
    is_member = content.sender.sender_type is SenderType.MEMBER
    return PublicMessage(content, draw(auth_data(content)), draw(opaque) if is_member else None)


private_messages = st.builds(PrivateMessage, opaque, epochs, st.sampled_from(ContentType), opaque, opaque, opaque)
group_contexts = st.builds(GroupContext, versions, suites, opaque, epochs, opaque, opaque, extension_lists)
group_infos = st.builds(GroupInfo, group_contexts, extension_lists, opaque, leaf_indices, opaque)
parent_nodes = st.builds(ParentNode, opaque, opaque, listed(leaf_indices))
ratchet_trees = st.builds(RatchetTreeExtension, listed(st.one_of(st.none(), leaf_nodes, parent_nodes)))
secrets = opaque.map(Secret)
group_secrets = st.builds(GroupSecrets, secrets, st.one_of(st.none(), secrets), listed(psk_ids))
encrypted_secrets = st.builds(EncryptedGroupSecrets, opaque.map(KeyPackageRef), ciphertexts)
welcomes = st.builds(Welcome, suites, listed(encrypted_secrets), opaque)
messages = st.builds(MLSMessage, st.one_of(public_messages(), private_messages, welcomes, group_infos, key_packages))
required_capabilities = st.builds(
    RequiredCapabilities, listed(extension_types), listed(proposal_types), listed(credential_types)
)
external_senders = st.builds(ExternalSenders, listed(st.builds(ExternalSender, opaque, credentials)))

Decode = Callable[[bytes], TlsStruct]


def _of(kind: type[TlsStruct]) -> Decode:
    return partial(kind.decode, custom_bodies=CUSTOM)


def _auth_data(content_type: ContentType) -> Decode:
    def decode(octets: bytes) -> TlsStruct:
        reader = Reader(octets)
        value = FramedContentAuthData.read_for(reader, content_type)
        reader.finish()
        return value

    return decode


DECODERS: dict[str, tuple[st.SearchStrategy[Any], Decode]] = {
    "credential": (credentials, decode_credential),
    "extension": (extensions, _of(Extension)),
    "application_id": (st.builds(ApplicationId, opaque), _of(ApplicationId)),
    "required_capabilities": (required_capabilities, _of(RequiredCapabilities)),
    "external_pub": (st.builds(ExternalPub, opaque), _of(ExternalPub)),
    "external_senders": (external_senders, _of(ExternalSenders)),
    "capabilities": (capabilities, _of(Capabilities)),
    "lifetime": (lifetimes, _of(Lifetime)),
    "leaf_node": (leaf_nodes, _of(LeafNode)),
    "key_package": (key_packages, _of(KeyPackage)),
    "psk_id": (psk_ids, decode_psk_id),
    "proposal": (proposals, partial(decode_proposal, custom_bodies=CUSTOM)),
    "hpke_ciphertext": (ciphertexts, _of(HPKECiphertext)),
    "update_path": (paths, _of(UpdatePath)),
    "commit": (commits, _of(Commit)),
    "sender": (senders, _of(Sender)),
    "framed_content": (framed_contents, _of(FramedContent)),
    "commit_auth_data": (st.builds(FramedContentAuthData, opaque, opaque), _auth_data(ContentType.COMMIT)),
    "auth_data": (st.builds(FramedContentAuthData, opaque), _auth_data(ContentType.PROPOSAL)),
    "authenticated_content": (authenticated_contents(), _of(AuthenticatedContent)),
    "public_message": (public_messages(), _of(PublicMessage)),
    "private_message": (private_messages, _of(PrivateMessage)),
    "group_context": (group_contexts, _of(GroupContext)),
    "group_info": (group_infos, _of(GroupInfo)),
    "parent_node": (parent_nodes, _of(ParentNode)),
    "ratchet_tree": (ratchet_trees, _of(RatchetTreeExtension)),
    "group_secrets": (group_secrets, _of(GroupSecrets)),
    "welcome": (welcomes, _of(Welcome)),
    "message": (messages, _of(MLSMessage)),
}
