"""Operations on a group: what was asked of the focus and waits for its answer; refusals of our own (RCC.16 §7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.client_message import AdvanceKind, ClientMlsRcsMessage, ClientOperation, MlsGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.server_message import CommitBundle
from rcs_sim.e2ee.treeless_welcome import append_tree, split_welcome
from rcs_sim.mls.commit_builder import PendingCommit
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.messages import MLSMessage

__all__ = [
    "KIND_OF_ADVANCE",
    "E2eeRefused",
    "OperationKind",
    "PendingOperation",
    "SealRefusal",
    "bundle_of",
    "group_info_of",
    "group_info_of_pending",
    "welcome_as_sent",
]


class OperationKind(IntEnum):
    """What is under way. The first eight numbers are the reference's (choice), the others ours."""

    EPOCH_ADVANCE = 1
    ERA_ADVANCE = 2
    END_MLS = 3
    REVIVE = 4
    ERA_ADVANCE_FOR_REVIVE = 5
    PHOENIX = 6
    COMMIT_PENDING_PROPOSALS = 7
    GROUP_METADATA = 8
    CREATE = 20
    EXTERNAL_COMMIT = 21
    ADD = 22
    REMOVE = 23
    LEAVE = 24

    @property
    def starts_group(self) -> bool:
        """Whether it makes a group of its own beside the one that is there."""
        return self in _STARTS_GROUP


_STARTS_GROUP = frozenset(
    {
        OperationKind.CREATE,
        OperationKind.ERA_ADVANCE,
        OperationKind.ERA_ADVANCE_FOR_REVIVE,
        OperationKind.PHOENIX,
        OperationKind.EXTERNAL_COMMIT,
    }
)

KIND_OF_ADVANCE = {
    AdvanceKind.NORMAL: OperationKind.ERA_ADVANCE,
    AdvanceKind.REVIVAL: OperationKind.ERA_ADVANCE_FOR_REVIVE,
    AdvanceKind.PHOENIX_DOWNGRADE: OperationKind.PHOENIX,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOperation:
    """One request and the states before and after it. It is ``message/mls-rcs-client`` under *control_id*, with the
    era and authenticator of `headers`."""

    kind: OperationKind
    control_id: str
    request: ClientMlsRcsMessage
    before: EpochIdentifier | None
    result: EpochIdentifier | None
    started_s: int

    @property
    def headers(self) -> EpochIdentifier:
        """What Era-ID and Epoch-Authenticator of the request say: the state that it builds on, of a create the new
        one (choice)."""
        is_create = self.request.operation == ClientOperation.CREATE
        found = self.result if is_create or self.before is None else self.before
        assert found is not None  # what has no result has a base
        return found


class SealRefusal(Enum):
    """Why nothing was sealed. None of these is a reason to send anything else instead."""

    NO_GROUP = auto()
    DOWNGRADED = auto()
    HELD = auto()
    """For the time being: a commit is not taken everywhere yet, or a repair is under way."""
    PENDING_PROPOSALS = auto()
    GHOST_MEMBER = auto()
    MISSING_MEMBER = auto()
    REVOKED_MEMBER = auto()
    """A certificate in the group has been revoked since it came."""
    LEFT = auto()
    OPERATION_PENDING = auto()
    NOT_ALLOWED = auto()
    FAILED = auto()


class E2eeRefused(LocalProtocolError):
    """Nothing was sealed or committed, and nothing has changed. *refusal* says why, *numbers* whom it is about."""

    def __init__(self, refusal: SealRefusal, message: str, *, spec: str, numbers: frozenset[str] = frozenset()) -> None:
        super().__init__(f"{refusal.name}: {message}", spec=spec)
        self.refusal = refusal
        self.numbers = numbers


def group_info_of(group: Group, extensions: Extensions = ()) -> MlsGroupInfo:
    """What the focus keeps of a state: GroupInfo with external_pub and without tree, the tree beside it."""
    info = group.group_info(with_tree=False, extensions=extensions)
    return _packed(info, group.ratchet_tree(), group.epoch_authenticator)


def group_info_of_pending(pending: PendingCommit, extensions: Extensions = ()) -> MlsGroupInfo:
    """The same of the state that a Commit of ours begins."""
    info = pending.group_info(with_tree=False, extensions=extensions)
    return _packed(info, pending.ratchet_tree(), pending.epoch_authenticator)


def bundle_of(operation: PendingOperation) -> CommitBundle:
    """What the others get of a request where its maker sends it himself."""
    request, info = operation.request, operation.request.group_info
    has_tree = not request.welcome or info is None or bool(split_welcome(request.welcome).ratchet_tree)
    is_create = request.operation == ClientOperation.CREATE
    return CommitBundle(
        welcome=request.welcome,
        ratchet_tree=b"" if has_tree or info is None else info.ratchet_tree,
        commit=b"" if is_create else request.commit,
        key_delivery=request.key_delivery,
        state=operation.result,
        epoch_authenticator=b"" if operation.result is None else operation.result.epoch_authenticator,
    )


def welcome_as_sent(welcome: MLSMessage | None, tree: bytes, *, appends_tree: bool) -> bytes:
    """A Welcome for its field: alone, the tree going beside it, or with the nodes behind it, as the profile does."""
    if welcome is None:
        return b""
    return append_tree(welcome.encode(), tree) if appends_tree else welcome.encode()


def _packed(info: GroupInfo, tree: RatchetTreeExtension, epoch_authenticator: bytes) -> MlsGroupInfo:
    return MlsGroupInfo(MLSMessage(info).encode(), tree.encode(), epoch_authenticator)
