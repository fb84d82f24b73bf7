"""What a phone asks of the focus, read whole: check 1 of RCC.16 digest §14.6 over the fields of §14.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage, ClientOperation, WelcomeAction
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.treeless_welcome import append_tree, split_welcome
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.messages import MLSMessage, MLSMessageBody, PrivateMessage, PublicMessage
from rcs_sim.mls.proposals import Add
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["FocusRequest", "read_group_info", "read_request"]

_INPUT = ServerFailureReason.INVALID_INPUT
_UNPARSABLE = ServerFailureReason.UNPARSABLE_COMMIT
_GROUP_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_CONTEXT_ID = re.compile(r"[A-Za-z0-9_-]{24}")
_AUTHENTICATOR_OCTETS = 32
_MAX_ROSTER_CHANGES = 256
_MAX_MOMENT = 2**64 - 1
_MAX_NODES = 255  # of a tree, or 128 leaves (choice): more than two people have devices

# RCC.16 digest §14.3: the fields of each request besides operation and group id. Others are tolerated (choice).
_FIELDS: Mapping[ClientOperation, tuple[str, ...]] = {
    ClientOperation.CREATE: ("context_id", "result", "group_info"),
    ClientOperation.EXTERNAL_COMMIT: ("base", "result", "commit", "group_info"),
    ClientOperation.COMMIT: ("base", "result", "commit", "group_info"),
    ClientOperation.PROPOSE: ("base", "proposal"),
}


@dataclass(frozen=True, slots=True)
class FocusRequest:
    """A request whose parts can be read. *sender* are the digits of who sent it, *control_id* its imdn.Message-ID;
    *commit* and *proposal* are those of any wire format, None without one."""

    sender: str
    control_id: str
    octets: bytes
    message: ClientMlsRcsMessage
    commit: MLSMessageBody | None
    proposal: MLSMessageBody | None
    group_info: GroupInfo | None
    tree: RatchetTreeExtension | None

    @property
    def operation(self) -> ClientOperation:
        return ClientOperation(self.message.operation)

    @property
    def is_create(self) -> bool:
        return self.operation is ClientOperation.CREATE

    @property
    def is_new_era(self) -> bool:
        """A create over a group that the focus has."""
        return self.is_create and self.message.welcome_action == WelcomeAction.NEW_ERA_EXISTING_GROUP

    @property
    def advance(self) -> AdvanceKind:
        return AdvanceKind(self.message.advance_kind)

    @property
    def base(self) -> EpochIdentifier:
        """What it builds on; the default of an era before the first without one."""
        return self.message.base or EpochIdentifier()

    @property
    def result(self) -> EpochIdentifier:
        """The state after it; the base where it changes none."""
        return self.message.result or self.base

    @property
    def handshake(self) -> PublicMessage | None:
        """Its commit or proposal, if that is a PublicMessage."""
        found = self.proposal if self.operation is ClientOperation.PROPOSE else self.commit
        return found if isinstance(found, PublicMessage) else None

    @property
    def covered(self) -> Commit | None:
        """What the commit says, if it is a PublicMessage."""
        found = None if self.handshake is None else self.handshake.content.content
        return found if isinstance(found, Commit) else None


def read_request(sender: str, control_id: str, octets: bytes) -> FocusRequest:
    """Check 1. Raises MlsRefused, and nothing else, on any octets: ``invalid-input`` with the name of the field, or
    ``unparsable-commit``."""
    try:
        message = ClientMlsRcsMessage.decode(octets)
    except ProtobufError as error:
        raise MlsRefused(1, _INPUT, "body") from error
    operation = _verify_operation(message)
    _verify_fields(message, operation)
    request = FocusRequest(
        sender,
        control_id,
        octets,
        message,
        _commit(message),
        _proposal(message),
        _group_info(message),
        _tree(message),
    )
    _verify_adding(request)
    return request


def _verify_adding(request: FocusRequest) -> None:
    """A commit that adds brings the Welcome of who is added: nobody else could let them in."""
    covered = None if request.is_create else request.covered
    if covered is not None and not request.message.welcome and any(isinstance(each, Add) for each in covered.proposals):
        raise MlsRefused(1, _INPUT, "welcome")


def _verify_operation(message: ClientMlsRcsMessage) -> ClientOperation:
    operation = message.operation
    if not isinstance(operation, ClientOperation) or operation is ClientOperation.UNSPECIFIED:
        raise MlsRefused(1, _INPUT, "operation")
    return operation


def _verify_fields(message: ClientMlsRcsMessage, operation: ClientOperation) -> None:
    if not _GROUP_ID.fullmatch(message.mls_group_id):  # raw random octets are refused (observed)
        raise MlsRefused(1, _INPUT, "mls_group_id")
    missing = next((name for name in _FIELDS[operation] if not getattr(message, name)), None)
    if missing is not None:
        raise MlsRefused(1, _UNPARSABLE if missing == "commit" else _INPUT, missing)
    if operation is ClientOperation.CREATE:
        _verify_create(message)
    for name, identifier in (("base", message.base), ("result", message.result)):
        if identifier is not None and not _is_identifier(identifier):
            raise MlsRefused(1, _INPUT, name)
    for name, numbers in (("add", message.add), ("remove", message.remove)):
        if len(numbers) > _MAX_ROSTER_CHANGES:
            raise MlsRefused(1, _INPUT, name)


def _verify_create(message: ClientMlsRcsMessage) -> None:
    if not _CONTEXT_ID.fullmatch(message.context_id):
        raise MlsRefused(1, _INPUT, "context_id")
    if message.welcome_action not in (WelcomeAction.NEW_GROUP, WelcomeAction.NEW_ERA_EXISTING_GROUP):
        raise MlsRefused(1, _INPUT, "welcome_action")
    is_new_era = message.welcome_action == WelcomeAction.NEW_ERA_EXISTING_GROUP
    if is_new_era is not (message.base is not None):
        raise MlsRefused(1, _INPUT, "base")
    if not isinstance(message.advance_kind, AdvanceKind) or (message.advance_kind and not is_new_era):
        raise MlsRefused(1, _INPUT, "advance_kind")
    is_alone = message.advance_kind == AdvanceKind.PHOENIX_DOWNGRADE
    if not message.welcome and not is_alone:  # who ends encryption may build the era alone
        raise MlsRefused(1, _INPUT, "welcome")


def _is_identifier(identifier: EpochIdentifier) -> bool:
    has_authenticator = len(identifier.epoch_authenticator) == _AUTHENTICATOR_OCTETS
    return has_authenticator and identifier.era_id > 0 and identifier.epoch_id <= _MAX_MOMENT


def _commit(message: ClientMlsRcsMessage) -> MLSMessageBody | None:
    if not message.commit:
        return None
    body = _body(message.commit, _UNPARSABLE, "commit")
    is_handshake = isinstance(body, PrivateMessage)  # whose form check 8 is about
    if not is_handshake and not (isinstance(body, PublicMessage) and isinstance(body.content.content, Commit)):
        raise MlsRefused(1, _UNPARSABLE, "commit")
    return body


def _proposal(message: ClientMlsRcsMessage) -> MLSMessageBody | None:
    if not message.proposal:
        return None
    body = _body(message.proposal, _INPUT, "proposal")
    is_proposal = isinstance(body, PublicMessage) and not isinstance(body.content.content, (bytes, Commit))
    if not is_proposal and not isinstance(body, PrivateMessage):
        raise MlsRefused(1, _INPUT, "proposal")
    return body


def _group_info(message: ClientMlsRcsMessage) -> GroupInfo | None:
    """The GroupInfo; what stands beside it is looked at too."""
    for octets in message.key_delivery:
        if not isinstance(_body(octets, _INPUT, "key_delivery"), PrivateMessage):
            raise MlsRefused(1, _INPUT, "key_delivery")
    if message.welcome:
        _verify_welcome(message.welcome)
    if message.group_info is None:
        return None
    if message.group_info.epoch_authenticator != (message.result or EpochIdentifier()).epoch_authenticator:
        raise MlsRefused(1, _INPUT, "epoch_authenticator")
    try:
        return read_group_info(message.group_info.group_info)
    except TlsDecodeError as error:
        raise MlsRefused(1, _INPUT, "group_info") from error


def _verify_welcome(octets: bytes) -> None:
    """A Welcome, alone or with the nodes of its tree behind it, as some devices send it (inferred)."""
    try:
        found = split_welcome(octets)
    except TlsDecodeError as error:
        raise MlsRefused(1, _INPUT, "welcome") from error
    if len(found.welcome) != len(octets) and octets != append_tree(found.welcome, found.ratchet_tree or b"\x00"):
        raise MlsRefused(1, _INPUT, "welcome")


def _tree(message: ClientMlsRcsMessage) -> RatchetTreeExtension | None:
    if message.group_info is None:
        return None
    try:
        tree = RatchetTreeExtension.decode(message.group_info.ratchet_tree)
    except TlsDecodeError as error:
        raise MlsRefused(1, _INPUT, "ratchet_tree") from error
    if len(tree.nodes) > _MAX_NODES:
        raise MlsRefused(1, _INPUT, "ratchet_tree")
    return tree


def _body(octets: bytes, reason: ServerFailureReason, name: str) -> MLSMessageBody:
    try:
        return MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body
    except TlsDecodeError as error:
        raise MlsRefused(1, reason, name) from error


def read_group_info(octets: bytes) -> GroupInfo:
    """A GroupInfo as an MLSMessage, or bare: then the cipher suite stands where the wire format would (digest §14.4).
    Raises TlsDecodeError."""
    if octets[2:4] != b"\x00\x04":
        return GroupInfo.decode(octets)
    body = MLSMessage.decode(octets).body
    assert isinstance(body, GroupInfo)  # wire format 4
    return body
