"""The vectors of RCC.16's bodies: every entry runs but those on certificates and keys, which test_certificate_vectors
has."""

from __future__ import annotations

import hashlib
import re
import uuid
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from rcs_sim.e2ee.authenticated_data import AuthenticatedData, is_bound_to
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage, ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.commitment import MetadataSlot, metadata_commitment, ref_hash
from rcs_sim.e2ee.continuity import continuity_commitment, token_commitment
from rcs_sim.e2ee.custom_proposals import (
    RCS_CUSTOM_BODIES,
    rcs_signature_proposal,
    self_remove_proposal,
    server_remove_proposal,
)
from rcs_sim.e2ee.derived_content import (
    DerivedContent,
    VerifiableDeliveryImdn,
    VerifiableDisplayImdn,
    VerifiableVideoChatMessage,
    derived_content_of,
)
from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, text_entity
from rcs_sim.e2ee.encrypted_group_data import EncryptedGroupData, GroupDataTarget
from rcs_sim.e2ee.enhanced_group_info import ControlMessage, MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import (
    DowngradeReason,
    EndMlsForm,
    Framing,
    RcsExtensionType,
    encode_extension_value,
    end_mls_extension,
    era_extension,
    era_of,
    metadata_keys_requested_extension,
    read_end_mls,
    read_extension_value,
)
from rcs_sim.e2ee.file_crypto import derive_file_keys, open_file, seal_file
from rcs_sim.e2ee.file_info import FileEncryptionInfo, FileInfo, FileMetadata
from rcs_sim.e2ee.group_metadata_keys import GroupMetadataKeys
from rcs_sim.e2ee.identity_code import VerifiedUser, hash_to_digits, identity_code, identity_hash
from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.message_id import is_mx_message_id, mx_message_id, uuid_of_mx_message_id
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.e2ee.padding import padme
from rcs_sim.e2ee.profile import Revision, google_like_profile, lineage_like_profile, strict_v4_profile
from rcs_sim.e2ee.secret_payload import SecretPayload
from rcs_sim.e2ee.server_message import (
    AcceptedMessage,
    CommitBundle,
    RawMlsMessage,
    ServerMlsRcsMessage,
    decode_server_message,
    encode_server_message,
)
from rcs_sim.mls.codec import Reader, TlsDecodeError, encode_u64, encode_varint
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.leaf_node import Capabilities
from rcs_sim.mls.proposals import decode_proposal
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage, compose_cpim
from rcs_sim.wire.imdn import Imdn, ImdnKind, ImdnStatus
from rcs_sim.wire.message_reference import ReferenceType
from tests.support.vectors import load_vectors

Entry = dict[str, Any]

ENTRIES: dict[str, Entry] = {entry["name"]: entry for entry in load_vectors("rcc16/vectors.json")["vectors"]}
ELSEWHERE = frozenset({"cert", "ext5", "key_package", "kds", "trust_list"})
KEY = bytes(range(1, 33))
GROUP_DATE = "2026-03-02T10:15:30.120Z"


def inputs(name: str) -> dict[str, Any]:
    return dict(ENTRIES[name]["inputs"])


def expected(name: str) -> bytes:
    return bytes.fromhex(ENTRIES[name]["expected_hex"])


def octets_of(value: dict[str, Any], name: str) -> bytes:
    """An input that is given in hex or as text."""
    return bytes.fromhex(value[f"{name}_hex"]) if f"{name}_hex" in value else str(value[name]).encode()


def state_of(value: list[Any], fill: int = 0) -> EpochIdentifier:
    authenticator = bytes.fromhex(value[2]) if len(value) > 2 else bytes((fill,)) * 32
    return EpochIdentifier(value[0], value[1], authenticator)


# --- numbers and ids --------------------------------------------------------------------------------------------------


def check_mls_varint(name: str) -> None:
    value = inputs(name)
    if "hex" in value:
        with pytest.raises(TlsDecodeError):
            Reader(bytes.fromhex(value["hex"])).varint()
        return
    assert encode_varint(value["value"]) == expected(name)
    assert Reader(expected(name)).varint() == value["value"]


def check_aad(name: str) -> None:
    value = inputs(name)
    if "hex" in value:
        octets = bytes.fromhex(value["hex"])
        with pytest.raises(TlsDecodeError):
            AuthenticatedData.decode(octets)
        assert is_bound_to(octets, "any id")
        return
    resent = bytes.fromhex(value.get("resent_component_hex", "00"))
    authenticated = AuthenticatedData(value["message_id"], value["era"], resent)
    assert authenticated.encode() == expected(name)
    assert AuthenticatedData.decode(expected(name)) == authenticated
    assert is_bound_to(expected(name), value["message_id"])
    assert not is_bound_to(expected(name), value["message_id"] + "x")


def check_mx_id(name: str) -> None:
    octets = uuid.UUID(inputs(name)["uuid"]).bytes
    message_id = mx_message_id(octets)
    assert message_id.encode() == expected(name)
    assert uuid_of_mx_message_id(message_id) == octets
    assert is_mx_message_id(message_id)


def check_padme(name: str) -> None:
    assert encode_u64(padme(inputs(name)["length"])) == expected(name)


# --- the message plane ------------------------------------------------------------------------------------------------


def check_secret_payload(name: str) -> None:
    value = inputs(name)
    if name.endswith("prefix"):
        content = bytes(value["content_length"])
        assert SecretPayload(value["key_generation"], content, value["type"]).encode() == expected(name) + content
        return
    payload = SecretPayload.decode(expected(name))
    entity = EncryptedEntity.decode(payload.content)
    assert payload.key_generation == value["key_generation"]
    assert payload.encode() == expected(name)
    if "text" in value:
        assert entity == text_entity(value["text"])
        assert entity.encode() == payload.content
        return
    assert entity.reference is not None
    assert entity.reference.target_id == value["target"]
    assert entity.reference.kind is ReferenceType.ADD_REACTION
    assert f"U+{ord(entity.text):X}" == value["emoji"]


def receipt_of(name: str) -> DerivedContent:
    value = inputs(name)
    reported, reason = value["reported_id"], value.get("reason", 0)
    statement: VerifiableDeliveryImdn | VerifiableDisplayImdn = VerifiableDeliveryImdn(reported, 1)
    if name.endswith("displayed"):
        statement = VerifiableDisplayImdn(reported, 1)
    elif name.endswith("failed4"):
        statement = VerifiableDeliveryImdn(reported, 2, reason)
    return DerivedContent(value["own_id"], value["era"], statement)


def check_receipt(name: str) -> None:
    value = inputs(name)
    if "own_id" in value:
        content = receipt_of(name)
        assert content.encode() == expected(name)
        assert DerivedContent.decode(expected(name)) == content
    elif "proto_hex" in value:
        video = VerifiableVideoChatMessage(bytes.fromhex(value["proto_hex"]))
        assert video.encode() == expected(name)
        assert VerifiableVideoChatMessage.decode(expected(name)) == video
    elif "reason" in value:
        assert VerifiableDeliveryImdn(value["id"], value["status"], value["reason"]).encode() == expected(name)
    else:
        assert VerifiableDisplayImdn(value["id"], value["status"]).encode() == expected(name)


def check_imdn(name: str) -> None:
    value = inputs(name)
    if name == "imdn/reject/both_arms":
        assert Imdn.parse(value["xml"].encode()).has_both_reasons
        return
    _, arm, token = ("imdn", "", None) if name == "imdn/bare_failed" else name.split("/")
    reasons = {f"{arm}_failure_reason": token} if token else {}
    failed = Imdn(value["message_id"], value["datetime"], ImdnKind.DELIVERY, ImdnStatus.FAILED, **reasons)
    assert failed.encode_compact() == expected(name)
    assert Imdn.parse(expected(name)) == failed
    assert (derived_content_of(failed, "own", 1) is None) == (arm == "server")


def check_cpim(name: str) -> None:
    value = inputs(name)
    is_receipt = name == "cpim/receipt_headers"
    headers = MlsHeaders(
        era_id=value["era"],
        epoch_authenticator=b"" if is_receipt else bytes.fromhex(value["authenticator_hex"]),
        signature=bytes(241) if is_receipt else b"",
    )
    body = bytes(value.get("content_length", 0))
    octets = compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id=value["message_id"],
        date_time=value.get("datetime", GROUP_DATE),
        body=body,
        content_type="message/imdn+xml" if is_receipt else "message/mls",
        disposition_notification=() if is_receipt else ("positive-delivery", "negative-delivery", "display"),
        content_disposition="notification" if is_receipt else None,
        extra=headers.to_headers(),
    )
    assert octets == expected(name) + body
    read = MlsHeaders.of(CpimMessage.parse(octets))
    assert (read.era_id, read.epoch_authenticator) == (headers.era_id, headers.epoch_authenticator)
    assert read.signature == headers.signature
    assert (read.fault is None) != is_receipt


def check_groupdata(name: str) -> None:
    if name == "groupdata/set_subject":
        content = b64encode(expected("file_crypto/subject/ct")).decode()
        change = EncryptedGroupData(GroupDataTarget.SUBJECT, content)
    else:
        change = EncryptedGroupData(GroupDataTarget.ICON, None)
    assert change.encode() == expected(name)
    assert EncryptedGroupData.parse(expected(name)) == change


# --- files and metadata -----------------------------------------------------------------------------------------------


def sealed(name: str) -> tuple[bytes, FileEncryptionInfo, bytes, str]:
    """Ciphertext, description, plaintext and Info of a file_crypto entry."""
    value = inputs(name)
    if "same" in value:
        value = inputs(value["same"])
    plaintext, info = octets_of(value, "message"), value["info"]
    fixed = iter((bytes.fromhex(value["key_hex"]), bytes.fromhex(value["iv_hex"])))
    file = seal_file(plaintext, info, "text/plain", lambda _: next(fixed))
    assert file.metadata.encryption_info is not None
    assert open_file(file.ciphertext, file.metadata) == plaintext
    return file.ciphertext, file.metadata.encryption_info, plaintext, info


def check_file_crypto(name: str) -> None:
    ciphertext, encryption, plaintext, info = sealed(name)
    keys = derive_file_keys(encryption.key_material, info)
    padding = padme(len(plaintext)) - len(plaintext)
    padded = plaintext + bytes(padding) + len(plaintext).to_bytes(4, "big") + padding.to_bytes(4, "big")
    found = {
        "k_enc": keys.encryption.octets,
        "k_hmac": keys.authentication.octets,
        "padded": padded,
        "ct": ciphertext,
        "ct_sha256": hashlib.sha256(ciphertext).digest(),
        "tag": encryption.hmac_tag,
    }
    assert found[name.rpartition("/")[2]] == expected(name)


def check_commitment(name: str) -> None:
    value = inputs(name)
    octets = bytes.fromhex(value["value_hex"])
    assert ref_hash(value["label"].encode(), octets) == expected(name)
    slot = MetadataSlot.ICON if "icon" in value["label"] else MetadataSlot.SUBJECT
    if name.startswith("commitment/v3/"):
        encryption = FileEncryptionInfo(octets, bytes(12), bytes(32))
        assert metadata_commitment(slot, encryption, Revision.V3) == expected(name)
    else:
        encryption = FileEncryptionInfo(bytes(32), bytes(12), octets)
        assert metadata_commitment(slot, encryption, Revision.V4) == expected(name)


def check_continuity(name: str) -> None:
    value = inputs("continuity/TokenCommitment")
    token, authenticator = bytes.fromhex(value["token_hex"]), bytes.fromhex(value["epoch_authenticator_hex"])
    if name == "continuity/TokenCommitment":
        assert token_commitment(token, authenticator) == expected(name)
        return
    is_prefixed = inputs(name)["label"].startswith("MLS 1.0 ")
    assert continuity_commitment(token, authenticator, is_label_prefixed=is_prefixed) == expected(name)


def subject_metadata() -> FileMetadata:
    _, encryption, _, _ = sealed("file_crypto/subject/ct")
    return FileMetadata("group_subject", "text/plain", encryption)


def check_file_info(name: str) -> None:
    value = inputs(name)
    assert (value["file_name"], value["content_type"], value["hint"]) == ("group_subject", "text/plain", 15)
    info = FileInfo(subject=subject_metadata())
    assert info.encode() == expected(name)
    assert FileInfo.decode(expected(name)) == info


def check_group_metadata_keys(name: str) -> None:
    value = inputs(name)
    file_info = FileInfo(subject=subject_metadata()) if "file_info" in value else None
    keys = GroupMetadataKeys(bytes.fromhex(value["token_hex"]), file_info)
    assert keys.encode() == expected(name)
    assert GroupMetadataKeys.decode(expected(name)) == keys


# --- the group plane --------------------------------------------------------------------------------------------------


def check_ext(name: str) -> None:
    value = inputs(name)
    _, kind, *rest = name.split("/")
    if kind == "reject":
        with pytest.raises(TlsDecodeError):
            read_extension_value(int(value["type"], 16), bytes.fromhex(value["hex"]))
    elif kind == "accept":
        octets = bytes.fromhex(value["hex"])
        assert read_extension_value(int(value["type"], 16), octets) == expected(name) == octets
    elif kind == "F001":
        assert era_extension(value["era"]).extension_data == expected(name)
        assert era_of((era_extension(value["era"]),)) == value["era"]
    elif kind == "F002":
        check_end_mls(name, rest)
    elif kind == "F007":
        framing = Framing.BARE if rest == ["v3_bare"] else Framing.FRAMED
        assert metadata_keys_requested_extension(framing).extension_data == expected(name)
        assert read_extension_value(0xF007, expected(name)) == b"group_metadata_keys_requested"
    else:
        check_framed(name, int(kind, 16))


def check_end_mls(name: str, rest: list[str]) -> None:
    form = EndMlsForm.LITERAL if rest == ["v3"] else EndMlsForm.PROTOBUF
    reason = DowngradeReason(inputs(name).get("downgrade_reason", 0))
    assert end_mls_extension(form, reason).extension_data == expected(name)
    read = read_end_mls(expected(name))
    assert read.form is form
    assert read.reason == (None if form is EndMlsForm.LITERAL else reason)


def check_framed(name: str, extension_type: int) -> None:
    value = inputs(name)
    if "commitment" in value:
        inner = expected(value["commitment"])
        assert extension_type == RcsExtensionType.SUBJECT_COMMITMENT
    else:
        inner = octets_of(value, "token" if "token_hex" in value else "value")
    assert encode_extension_value(inner) == expected(name)
    assert read_extension_value(extension_type, expected(name)) == inner


def check_proposal(name: str) -> None:
    made = {
        "proposal/F002_rcs_signature": rcs_signature_proposal(),
        "proposal/F003_self_remove": self_remove_proposal(),
        "proposal/F004_server_remove_leaf3": server_remove_proposal(LeafIndex(3)),
    }
    assert made[name].encode() == expected(name)
    assert decode_proposal(expected(name), RCS_CUSTOM_BODIES) == made[name]


def check_capabilities(name: str) -> None:
    profiles = {"v3": lineage_like_profile(), "v4": strict_v4_profile(), "google_observed": google_like_profile()}
    capabilities = leaf_capabilities(profiles[name.partition("/")[2]])
    assert capabilities.encode() == expected(name)
    assert Capabilities.decode(expected(name)) == capabilities


def check_epoch_identifier(name: str) -> None:
    value = inputs(name)
    authenticator = bytes.fromhex(value.get("authenticator_hex", ""))
    identifier = EpochIdentifier(value["era"], value["epoch"], authenticator)
    assert identifier.encode() == expected(name)
    assert EpochIdentifier.decode(expected(name)) == identifier


def check_server(name: str) -> None:
    value = inputs(name)
    arm: ServerMlsRcsMessage
    if name == "server/raw":
        arm = RawMlsMessage(bytes.fromhex(value["mls_message_hex"]))
    elif name == "server/group_info":
        fields = ("group_info_hex", "tree_hex", "authenticator_hex")
        arm = MlsGroupInfo(*[bytes.fromhex(value[field]) for field in fields])
    elif name == "server/commit_bundle_metadata":
        key_delivery = (bytes.fromhex(value["key_delivery_hex"]),)
        arm = CommitBundle(commit=bytes.fromhex(value["commit_hex"]), key_delivery=key_delivery)
    else:
        state = state_of(value["state"]) if "state" in value else None
        arm = AcceptedMessage(value["message_id"], state, bool(value.get("converged")))
    assert encode_server_message(arm) == expected(name)
    assert decode_server_message(expected(name)) == arm


def check_enhanced_group_info(name: str) -> None:
    value = inputs(name)
    control = tuple(ControlMessage(each, bytes.fromhex(message)) for each, message in value["control"])
    answer = MlsEnhancedGroupInfo(
        state_of(value["latest"], 0x33), MlsGroupInfo(b"\x01"), control, state_of(value["paginated"], 0x22)
    )
    assert answer.encode() == expected(name)
    assert MlsEnhancedGroupInfo.decode(expected(name)) == answer


def check_client(name: str) -> None:
    value = inputs(name)
    words = dict(re.findall(r"(commit|GroupInfo|tree) ([0-9a-f]+)", value["placeholders"]))
    result = state_of(value["result"])
    group_info = MlsGroupInfo(
        bytes.fromhex(words["GroupInfo"]), bytes.fromhex(words["tree"]), result.epoch_authenticator
    )
    request = ClientMlsRcsMessage(
        operation=ClientOperation.COMMIT,
        mls_group_id=value["group_id"].encode(),
        base=state_of(value["base"]),
        result=result,
        commit=bytes.fromhex(words["commit"]),
        group_info=group_info,
    )
    assert request.encode() == expected(name)
    assert ClientMlsRcsMessage.decode(expected(name)) == request


def users() -> tuple[VerifiedUser, VerifiedUser]:
    found = [expected(f"cert/{who}/participant_spki") for who in ("alice", "bob")]
    return VerifiedUser("12025550101", found[0]), VerifiedUser("12025550102", found[1])


def check_safety_number(name: str) -> None:
    value = inputs(name)
    if name == "safety_number/digits":
        assert hash_to_digits(expected("safety_number/sha512")).encode() == expected(name)
    elif name == "safety_number/sha512":
        one, other = (VerifiedUser(digits, bytes.fromhex(key)) for digits, key in value["users"])
        assert identity_hash(one, other) == identity_hash(other, one) == expected(name)
    elif name.endswith("sha512"):
        assert identity_hash(*users()) == expected(name)
    else:
        assert identity_code(*users()).encode() == expected(name)


CHECKS: dict[str, Callable[[str], None]] = {
    "mls_varint": check_mls_varint,
    "aad": check_aad,
    "mx_id": check_mx_id,
    "padme": check_padme,
    "secret_payload": check_secret_payload,
    "receipt": check_receipt,
    "imdn": check_imdn,
    "cpim": check_cpim,
    "groupdata": check_groupdata,
    "file_crypto": check_file_crypto,
    "commitment": check_commitment,
    "continuity": check_continuity,
    "file_info": check_file_info,
    "group_metadata_keys": check_group_metadata_keys,
    "ext": check_ext,
    "proposal": check_proposal,
    "capabilities": check_capabilities,
    "epoch_identifier": check_epoch_identifier,
    "server": check_server,
    "enhanced_group_info": check_enhanced_group_info,
    "client": check_client,
    "safety_number": check_safety_number,
}


def family_of(name: str) -> str:
    return name.partition("/")[0]


@pytest.mark.parametrize("name", [name for name in ENTRIES if family_of(name) not in ELSEWHERE])
def test_the_vector_holds(name: str) -> None:
    CHECKS[family_of(name)](name)


def test_no_family_is_left_out() -> None:
    assert {family_of(name) for name in ENTRIES} == CHECKS.keys() | ELSEWHERE
