"""What the focus says that it holds, in whichever form it says it (RCC.16 §7.10.2, §7.10.3)."""

from __future__ import annotations

from dataclasses import dataclass

from rcs_sim.client.e2ee.control_channel import ControlAnswer
from rcs_sim.e2ee.client_message import MlsGroupInfo
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.enhanced_group_info import MlsEnhancedGroupInfo
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.extension_bodies import era_of, has_end_mls
from rcs_sim.e2ee.member.commit_verdict import FocusRefusal
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.messages import MLSMessage

__all__ = ["ServerState", "read_answer"]

_NOT_FOUND = "mls-group-not-found"
_HAS_ENDED = "mls-group-has-end-mls"
_NO_PULLS = frozenset({("invalid-input", "pull"), (_HAS_ENDED, "pull")})


@dataclass(frozen=True, slots=True)
class ServerState:
    """*is_empty*: the focus says that it has no such group. *enhanced* is None for an answer that cannot be read.
    *is_only_named*: the focus answers no pulls, and names its state and group id in the refusal; then
    *is_said_to_have_ended* is its word, without proof."""

    enhanced: MlsEnhancedGroupInfo | None = None
    has_end_mls: bool = False
    is_empty: bool = False
    is_only_named: bool = False
    is_said_to_have_ended: bool = False
    group_id: bytes | None = None

    @property
    def latest(self) -> EpochIdentifier | None:
        return None if self.enhanced is None else self.enhanced.latest

    @property
    def group_info(self) -> MlsGroupInfo | None:
        return None if self.enhanced is None else self.enhanced.group_info


def read_answer(answer: ControlAnswer) -> ServerState:
    """The answer to a pull of either kind."""
    match answer:
        case FocusRefusal():
            return _of_refusal(answer)
        case MlsGroupInfo():
            return _of_ordinary(answer)
        case MlsEnhancedGroupInfo():
            info = None if answer.group_info is None else _read(answer.group_info)
            return ServerState(answer, info is not None and has_end_mls(info.group_context.extensions))
    return ServerState()


def _of_refusal(refusal: FocusRefusal) -> ServerState:
    """A carrier that gives no GroupInfo out says all the same which state it holds (digest RCC.16 §1.1, §14.6)."""
    if (refusal.reason, refusal.detail) not in _NO_PULLS or refusal.server is None:
        return ServerState(is_empty=refusal.reason == _NOT_FOUND)
    named = MlsEnhancedGroupInfo(refusal.server)
    is_over = refusal.reason == _HAS_ENDED
    return ServerState(named, is_only_named=True, is_said_to_have_ended=is_over, group_id=refusal.group_id)


def _of_ordinary(answer: MlsGroupInfo) -> ServerState:
    info = _read(answer)
    era = None if info is None else era_of(info.group_context.extensions)
    if info is None or not era:
        return ServerState()
    latest = EpochIdentifier(era, int(info.group_context.epoch), answer.epoch_authenticator)
    return ServerState(MlsEnhancedGroupInfo(latest, answer), has_end_mls(info.group_context.extensions))


def _read(answer: MlsGroupInfo) -> GroupInfo | None:
    """The GroupInfo as MLSMessage or bare (digest RCC.16 §14.4)."""
    octets = answer.group_info
    try:
        if octets[2:4] == b"\x00\x04":
            body = MLSMessage.decode(octets, RCS_CUSTOM_BODIES).body
            return body if isinstance(body, GroupInfo) else None
        return GroupInfo.decode(octets)
    except TlsDecodeError:
        return None
