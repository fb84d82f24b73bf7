"""A conversation as one octet string, and back: group, request under way, what was sealed, opened and parked, health.

All of it is secret. Version 1, in the presentation language of RFC 9420 §2.1::

    struct {
      uint8 version = 1;
      opaque participants<V>;              // numbers, one text each
      optional<Group> group;               // of the present era, its Commit under way included
      optional<Started> candidate;         // a group that the focus has not taken yet
      uint8 has_left;
      optional<Hold> hold;
      optional<SelfUpdated> self_updated;  // state and certificate of the last attempt
      optional<ReceiptKeys> former;        // receipts of the era before can still be verified
      HealthMachine health;
      MessageExchange exchange;
    } ConversationSnapshot;
"""

from __future__ import annotations

from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.member.control_plane import ControlPlane, Hold
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup, Former
from rcs_sim.e2ee.member.group_start import StartedGroup
from rcs_sim.e2ee.member.health import HealthMachine
from rcs_sim.e2ee.member.health_course import HealthCourse
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.member.message_exchange import MessageExchange
from rcs_sim.e2ee.member.operations import OperationKind, PendingOperation
from rcs_sim.e2ee.member.receipt_signature import ReceiptKeys
from rcs_sim.mls.codec import (
    Reader,
    TlsDecodeError,
    encode_opaque,
    encode_optional,
    encode_u8,
    encode_u32,
    encode_u64,
    encode_vector,
)
from rcs_sim.mls.extensions import encode_extensions, read_extensions
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.snapshot import restore as restore_group
from rcs_sim.mls.snapshot import snapshot as snapshot_group
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["CONVERSATION_SNAPSHOT_VERSION", "restore_conversation", "snapshot_conversation"]

CONVERSATION_SNAPSHOT_VERSION = 2
_SPEC = "the snapshot format of rcs_sim.e2ee.member.conversation_snapshot"


def snapshot_conversation(conversation: EncryptedConversation) -> bytes:
    """All of *conversation*. The pool, which it shares with others, writes itself."""
    control = conversation.control
    parts = (
        encode_u8(CONVERSATION_SNAPSHOT_VERSION),
        encode_vector(map(_encode_text, sorted(conversation.participants))),
        encode_optional(None if control.group is None else _encode_group(control.group)),
        encode_optional(None if control.candidate is None else _encode_started(control.candidate)),
        encode_u8(control.has_left),
        encode_optional(None if control.hold is None else _encode_hold(control.hold)),
        encode_optional(_encode_self_updated(control)),
        encode_optional(None if control.former_receipts is None else control.former_receipts.encode()),
        control.course.machine.encode(),
        conversation.exchange.encode(),
    )
    return b"".join(parts)


def restore_conversation(octets: bytes, setting: MemberSetting, pool: KeyPackagePool) -> EncryptedConversation:
    """The conversation that `snapshot_conversation` gave. Raises TlsDecodeError or MlsValidationError on octets that
    are none, LocalProtocolError if the leaf key in them is not the device's."""
    reader = Reader(octets)
    if (version := reader.u8()) != CONVERSATION_SNAPSHOT_VERSION:
        reader.fail(f"a conversation of version {version}", _SPEC)
    participants = reader.vector(_text)
    control = ControlPlane(setting, pool)
    control.group = reader.optional(lambda inner: _read_group(inner, setting))
    control.resume(reader.optional(lambda inner: _read_started(inner, setting)))
    control.has_left = bool(reader.u8())
    control.hold = reader.optional(lambda inner: Hold(_text(inner), inner.u64()))
    control.self_updated_at = reader.optional(lambda inner: (_identifier(inner), inner.opaque()))
    control.former_receipts = reader.optional(ReceiptKeys.read)
    control.course = HealthCourse(HealthMachine.read(reader))
    exchange = MessageExchange.read(reader)
    reader.finish()
    return EncryptedConversation(setting, pool, participants, control=control, exchange=exchange)


# --- a group ----------------------------------------------------------------------------------------------------------


def _encode_group(group: EncryptedGroup) -> bytes:
    token, operation = group.continuity_token, group.operation
    names = encode_vector([encode_opaque(key) + _encode_text(number) for key, number in group.names.items()])
    ends = encode_vector([encode_u64(epoch) + encode_u64(end_s) for epoch, end_s in group.past_ends_s.items()])
    parts = (
        encode_opaque(snapshot_group(group.group)),
        encode_optional(None if token is None else encode_opaque(token)),
        encode_extensions(group.welcome_extensions),
        encode_optional(None if operation is None else _encode_operation(operation)),
        names,
        ends,
        encode_optional(None if group.before is None else _encode_former(group.before)),
    )
    return b"".join(parts)


def _read_group(reader: Reader, setting: MemberSetting) -> EncryptedGroup:
    """Certificates were judged when they came in, and are not judged again."""
    mls = _read_mls(reader, setting)
    token = reader.optional(Reader.opaque)
    group = EncryptedGroup(setting, mls, continuity_token=token, welcome_extensions=read_extensions(reader))
    operation = reader.optional(_read_operation)
    names = dict(reader.vector(lambda inner: (inner.opaque(), _text(inner))))
    ends = dict(reader.vector(lambda inner: (inner.u64(), inner.u64())))
    group.resume(operation, ends, names, reader.optional(lambda inner: _read_former(inner, setting)))
    return group


def _encode_former(former: Former) -> bytes:
    return encode_opaque(snapshot_group(former.group)) + encode_u32(former.committer)


def _read_former(reader: Reader, setting: MemberSetting) -> Former:
    return Former(_read_mls(reader, setting), LeafIndex(reader.u32()))


def _read_mls(reader: Reader, setting: MemberSetting) -> Group:
    mls = restore_group(reader.opaque(), setting.identity.signature_key, setting.lenient_policy)
    mls.policy = setting.policy
    return mls


def _encode_started(started: StartedGroup) -> bytes:
    return _encode_group(started.group) + _encode_operation(started.operation)


def _read_started(reader: Reader, setting: MemberSetting) -> StartedGroup:
    return StartedGroup(_read_group(reader, setting), _read_operation(reader))


# --- requests ---------------------------------------------------------------------------------------------------------


def _encode_operation(operation: PendingOperation) -> bytes:
    parts = (
        encode_u8(operation.kind),
        _encode_text(operation.control_id),
        encode_opaque(operation.request.encode()),
        _encode_identifier(operation.before),
        _encode_identifier(operation.result),
        encode_u64(operation.started_s),
    )
    return b"".join(parts)


def _read_operation(reader: Reader) -> PendingOperation:
    kind, control_id, request = reader.u8(), _text(reader), reader.opaque()
    try:
        return PendingOperation(
            kind=OperationKind(kind),
            control_id=control_id,
            request=ClientMlsRcsMessage.decode(request),
            before=reader.optional(_identifier),
            result=reader.optional(_identifier),
            started_s=reader.u64(),
        )
    except (ProtobufError, ValueError) as error:
        raise TlsDecodeError(f"no operation: {error}", spec=_SPEC) from error


def _encode_hold(hold: Hold) -> bytes:
    return _encode_text(hold.control_id) + encode_u64(hold.until_s)


def _encode_self_updated(control: ControlPlane) -> bytes | None:
    tried = control.self_updated_at
    return None if tried is None else encode_opaque(tried[0].encode()) + encode_opaque(tried[1])


def _encode_identifier(identifier: EpochIdentifier | None) -> bytes:
    return encode_optional(None if identifier is None else encode_opaque(identifier.encode()))


def _identifier(reader: Reader) -> EpochIdentifier:
    octets = reader.opaque()
    try:
        return EpochIdentifier.decode(octets)
    except ProtobufError as error:
        raise TlsDecodeError(f"no epoch identifier: {error}", spec=_SPEC) from error


def _encode_text(text: str) -> bytes:
    return encode_opaque(text.encode("utf-8", "surrogateescape"))


def _text(reader: Reader) -> str:
    return reader.opaque().decode("utf-8", "surrogateescape")
