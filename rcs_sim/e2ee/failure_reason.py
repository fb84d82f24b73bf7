"""Why a message or a request failed: reasons of clients and of the focus, and what their receiver does (RCC.16 §7.7.2).

On the wire a reason is an element of a negative delivery notification. A number travels only in the signed binary form
of a client's reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum, auto

__all__ = [
    "CLIENT_REASONS_BY_CODE",
    "ClientFailureReason",
    "ClientRemedy",
    "ServerFailureReason",
    "ServerRemedy",
    "client_remedy",
    "server_remedy",
]


class ClientRemedy(Enum):
    """What the sender does on hearing a client's reason."""

    SELF_HEAL = auto()
    REPLACE_LEAF = auto()
    ESCALATE = auto()
    ADVANCE_AND_RESEND = auto()
    RESEND_AS_PUBLIC_MESSAGE = auto()
    RESEND_CAPPED = auto()
    """Without any reason: sent again at the current epoch, so many times; never escalated."""
    LOG = auto()
    NONE = auto()


class ServerRemedy(Enum):
    """What the sender does on hearing a reason of the focus."""

    SELF_HEAL = auto()
    UPDATE_OWN_LEAF = auto()
    """Self-Update if the own leaf is stale, a new certificate if it is under the floor, else the peer is reported."""
    DO_NOT_RETRY = auto()
    """These octets are wrong: the fault is our own."""
    COMMIT_PROPOSALS = auto()
    RETRY_SAME_OCTETS = auto()
    NONE = auto()
    TERMINAL = auto()
    END_MLS = auto()
    ADVANCE_ERA = auto()


class ClientFailureReason(StrEnum):
    """Element names (RCC.16 §7.7.2.3). Codes 1 to 5 are RCC.16's; sources differ on the others, which are used as here
    in signed content (choice)."""

    MESSAGE_FROM_NON_MEMBER = "message-from-non-member"
    INVALID_CREDENTIAL = "invalid-credential"
    INVALID_COMMIT = "invalid-commit"
    FAILED_TO_DECRYPT = "failed-to-decrypt"
    COMMIT_IN_PRIVATEMESSAGE = "commit-in-privatemessage"
    RESENT_MESSAGE_FAILED_TO_DECRYPT = "resent-message-for-me-failed-to-decrypt"
    COMMIT_PROCESSED_IN_ENHANCED_SELF_HEAL = "commit-processed-in-enhanced-self-heal"
    COMMIT_PROCESSED_IN_SELF_HEAL = "commit-processed-in-self-heal"
    COMMIT_FAILED_THEN_ERA_ADVANCEMENT = "commit-failed-then-era-advancement"
    CONTROL_MESSAGE_FAILED_DUE_TO_DOWNGRADE = "control-message-failed-due-to-downgrade"
    PROPOSAL_PROCESSED_IN_ENHANCED_SELF_HEAL = "proposal-processed-in-enhanced-self-heal"
    PROPOSAL_PROCESSED_IN_SELF_HEAL = "proposal-processed-in-self-heal"
    CONTROL_MESSAGE_FAILED = "control-message-failed"

    @property
    def code(self) -> int:
        """Number in the signed content."""
        return _CLIENT[self][0]

    @property
    def is_failure(self) -> bool:
        """Whether something failed; the others report an outcome and never set off a remedy."""
        return _CLIENT[self][1]

    @property
    def remedy(self) -> ClientRemedy:
        """What its receiver does."""
        return _CLIENT[self][2]


_C = ClientFailureReason
_CLIENT: Mapping[ClientFailureReason, tuple[int, bool, ClientRemedy]] = {
    _C.MESSAGE_FROM_NON_MEMBER: (1, True, ClientRemedy.SELF_HEAL),
    _C.INVALID_CREDENTIAL: (2, True, ClientRemedy.REPLACE_LEAF),
    _C.INVALID_COMMIT: (3, True, ClientRemedy.ESCALATE),
    _C.FAILED_TO_DECRYPT: (4, True, ClientRemedy.ADVANCE_AND_RESEND),
    _C.COMMIT_IN_PRIVATEMESSAGE: (5, True, ClientRemedy.RESEND_AS_PUBLIC_MESSAGE),
    _C.RESENT_MESSAGE_FAILED_TO_DECRYPT: (6, True, ClientRemedy.LOG),
    _C.COMMIT_PROCESSED_IN_ENHANCED_SELF_HEAL: (7, False, ClientRemedy.NONE),
    _C.COMMIT_PROCESSED_IN_SELF_HEAL: (8, False, ClientRemedy.NONE),
    _C.COMMIT_FAILED_THEN_ERA_ADVANCEMENT: (9, False, ClientRemedy.NONE),
    _C.CONTROL_MESSAGE_FAILED_DUE_TO_DOWNGRADE: (10, False, ClientRemedy.NONE),
    _C.PROPOSAL_PROCESSED_IN_ENHANCED_SELF_HEAL: (11, False, ClientRemedy.NONE),
    _C.PROPOSAL_PROCESSED_IN_SELF_HEAL: (12, False, ClientRemedy.NONE),
    _C.CONTROL_MESSAGE_FAILED: (13, True, ClientRemedy.ESCALATE),
}
CLIENT_REASONS_BY_CODE: Mapping[int, ClientFailureReason] = {each.code: each for each in ClientFailureReason}


class ServerFailureReason(StrEnum):
    """Element names (RCC.16 §7.7.2.1); the last five are observed additions. There is no binary form."""

    INCORRECT_ERA = "incorrect-era"
    INCORRECT_EPOCH = "incorrect-epoch"
    INCORRECT_EPOCH_AUTHENTICATOR = "incorrect-epoch-authenticator"
    EXPIRED_CREDENTIAL = "expired-credential"
    MISMATCHED_RCS_GROUP_STATE = "mismatched-rcs-group-state"
    UNPARSABLE_COMMIT = "unparsable-commit"
    MISMATCHED_CONFIRMATION_TAG = "mismatched-confirmation-tag"
    PENDING_PROPOSAL = "pending-proposal"
    TRANSIENT_ERROR = "transient-error"
    ENCRYPTION_NOT_AVAILABLE = "encryption-not-available"
    INVALID_COMMIT = "invalid-commit"
    MLS_GROUP_NOT_FOUND = "mls-group-not-found"
    INVALID_INPUT = "invalid-input"
    ERA_ADVANCEMENT_QUOTA_REACHED = "era-advancement-quota-reached"
    MLS_GROUP_HAS_END_MLS = "mls-group-has-end-mls"
    EPOCH_ADVANCEMENT_QUOTA_REACHED = "epoch-advancement-quota-reached"

    @property
    def code(self) -> int:
        """Number in traces; it never travels."""
        return _SERVER_ORDER[self]

    @property
    def remedy(self) -> ServerRemedy:
        """What its receiver does."""
        return _SERVER[self]

    @property
    def invalidates_ciphertext(self) -> bool:
        """Whether what was sealed may not be sent again as it is."""
        return self is not ServerFailureReason.TRANSIENT_ERROR


_S = ServerFailureReason
_SERVER_ORDER: Mapping[ServerFailureReason, int] = {each: number for number, each in enumerate(_S, 1)}
_SERVER: Mapping[ServerFailureReason, ServerRemedy] = {
    _S.INCORRECT_ERA: ServerRemedy.SELF_HEAL,
    _S.INCORRECT_EPOCH: ServerRemedy.SELF_HEAL,
    _S.INCORRECT_EPOCH_AUTHENTICATOR: ServerRemedy.SELF_HEAL,
    _S.EXPIRED_CREDENTIAL: ServerRemedy.UPDATE_OWN_LEAF,
    _S.MISMATCHED_RCS_GROUP_STATE: ServerRemedy.SELF_HEAL,
    _S.UNPARSABLE_COMMIT: ServerRemedy.DO_NOT_RETRY,
    _S.MISMATCHED_CONFIRMATION_TAG: ServerRemedy.SELF_HEAL,
    _S.PENDING_PROPOSAL: ServerRemedy.COMMIT_PROPOSALS,
    _S.TRANSIENT_ERROR: ServerRemedy.RETRY_SAME_OCTETS,
    _S.ENCRYPTION_NOT_AVAILABLE: ServerRemedy.NONE,
    _S.INVALID_COMMIT: ServerRemedy.NONE,
    _S.MLS_GROUP_NOT_FOUND: ServerRemedy.TERMINAL,
    _S.INVALID_INPUT: ServerRemedy.DO_NOT_RETRY,
    _S.ERA_ADVANCEMENT_QUOTA_REACHED: ServerRemedy.END_MLS,
    _S.MLS_GROUP_HAS_END_MLS: ServerRemedy.TERMINAL,
    _S.EPOCH_ADVANCEMENT_QUOTA_REACHED: ServerRemedy.ADVANCE_ERA,
}


def client_remedy(token: str | None) -> ClientRemedy:
    """What to do on a negative delivery notification with this reason element. None is a notification without any,
    which is not the same as one that is not known: for that there is no remedy."""
    if token is None:
        return ClientRemedy.RESEND_CAPPED
    try:
        return ClientFailureReason(token).remedy
    except ValueError:
        return ClientRemedy.NONE


def server_remedy(token: str) -> ServerRemedy:
    """What to do on a refusal with this reason element; nothing if it is not known."""
    try:
        return ServerFailureReason(token).remedy
    except ValueError:
        return ServerRemedy.NONE
