"""The focus decides: the first valid commit of an epoch wins, whatever else comes is refused by name (RCC.16 §6.1.2).

Sans-IO. A decision is a value: the conversation after it, the answer, and what is fanned out. A refusal changes nothing
but the answers that are remembered.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from ims_core.errors import RemoteProtocolError
from ims_core.store.mls_conversations import StoredAnswer, StoredControlMessage, StoredFanOut
from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule
from rcs_sim.e2ee.client_message import ClientOperation
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ServerFailureReason as Reason
from rcs_sim.e2ee.server_message import CommitBundle, RawMlsMessage, encode_server_message
from rcs_sim.e2ee.treeless_welcome import split_welcome
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_start import verify_group_info_signature
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.seams import Seams
from rcs_sim.server.mls_checks import CHECKS_BEFORE_MLS
from rcs_sim.server.mls_conversation import SECONDS_PER_DAY, LiveGroup, MlsConversation
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_request import read_request
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.server.mls_scene import FocusScene, numbers_of

__all__ = ["MlsArbiter", "MlsDecision", "refusal_answer"]

_OUT_OF_TIME = frozenset({CertificateRule.LEAF_FLOOR, CertificateRule.VALIDITY})
_HELD_BACK = 3600  # seconds: times older than a day and this are of no quota any more
_MAX_MOMENTS = 4096  # that log, gate and quotas of a conversation go back, however often somebody commits (choice)


@dataclass(frozen=True, slots=True)
class MlsDecision:
    """*conversation* is the one after it; *logged* is the entry that the log got. *check* is the number of the check
    that failed, 0 for an acceptance. *is_new*: it was not answered before. What is accepted is stored before anybody is
    told; a refusal is remembered, and stored with what is accepted next: a flood of them costs no write (choice)."""

    conversation: MlsConversation
    answer: StoredAnswer
    check: int = 0
    fan_out: StoredFanOut | None = None
    logged: StoredControlMessage | None = None
    is_new: bool = True

    @property
    def is_accepted(self) -> bool:
        return not self.answer.reason


class MlsArbiter:
    """*seams* give the identities of the network's certificates and RCC.16's proposals."""

    __slots__ = ("_rules", "_seams")

    def __init__(self, rules: MlsFocusRules, seams: Seams) -> None:
        self._rules = rules
        self._seams = seams

    def decide(
        self,
        conversation: MlsConversation,
        sender: str,
        control_id: str,
        octets: bytes,
        now_s: int,
        conversation_id: str = "",
    ) -> MlsDecision:
        """The answer to the request *octets* of *sender* (digits), which came with the Conversation-ID
        *conversation_id*. Never raises, whatever the octets are."""
        digest = hashlib.sha256(octets).digest()
        known = conversation.answer_to(sender, control_id)
        if known is not None and known.digest == digest:
            return MlsDecision(conversation, known, is_new=False)
        try:
            self._verify_may_ask(known is not None)
            request = read_request(sender, control_id, octets)
            scene = FocusScene(self._rules, self._seams, conversation, request, now_s)
            return self._decided(scene, digest, conversation_id)
        except MlsRefused as refusal:
            answer = refusal_answer(conversation, sender, control_id, digest, refusal)
            if known is not None:  # the id belongs to the other request
                return MlsDecision(conversation, answer, refusal.check, is_new=False)
            kept = conversation.with_answer(answer, self._rules.answers_kept)
            return MlsDecision(kept, answer, refusal.check)

    def _verify_may_ask(self, is_id_used: bool) -> None:
        if not self._rules.is_available:
            raise MlsRefused(0, Reason.ENCRYPTION_NOT_AVAILABLE)
        if is_id_used:
            raise MlsRefused(1, Reason.INVALID_INPUT, "message-id")

    def _decided(self, scene: FocusScene, digest: bytes, conversation_id: str) -> MlsDecision:
        """Raises MlsRefused."""
        if scene.request.is_create and scene.request.message.context_id in scene.conversation.context_ids:
            return self._known_context(scene, digest)
        for check in CHECKS_BEFORE_MLS:
            check(scene)
        if scene.request.operation is ClientOperation.PROPOSE:
            return self._accept(scene, _with_proposal(scene), digest, conversation_id)
        return self._accept(scene, _followed(scene), digest, conversation_id)

    def _known_context(self, scene: FocusScene, digest: bytes) -> MlsDecision:
        """A create is told apart by its context id: one used before is a mistake, which a deployed server does not see
        (observed): it says yes, and its era stays."""
        if not self._rules.accepts_known_context or scene.conversation.live is None:
            raise MlsRefused(1, Reason.INVALID_INPUT, "context_id")
        answer = _acceptance(scene, scene.conversation, digest)
        return MlsDecision(scene.conversation.with_answer(answer, self._rules.answers_kept), answer)

    # -- what an acceptance changes ----------------------------------------------------------------------------------

    def _accept(self, scene: FocusScene, live: LiveGroup, digest: bytes, conversation_id: str) -> MlsDecision:
        before, request, now_s = scene.conversation, scene.request, scene.now_s
        octets = encode_server_message(_bundle(scene, live.state))
        logged = StoredControlMessage(
            key=before.key,
            number=before.next_message,
            control_id=request.control_id,
            octets=octets,
            era=live.state.era_id,
            epoch=live.state.epoch_id,
            authenticator=live.state.epoch_authenticator,
            at_s=now_s,
        )
        named = live.state if request.is_create else request.base
        fan_out = StoredFanOut(
            requester=request.sender,
            members=tuple(sorted(numbers_of(leaf for _, leaf in live.group.tree.members()) & set(before.pair))),
            control_id=request.control_id,
            conversation_id=conversation_id,
            octets=octets,
            era=named.era_id,
            authenticator=named.epoch_authenticator,
            at_s=now_s,
        )
        after = replace(_counted(scene), live=live, next_message=before.next_message + 1)
        after = self._with_log(after, logged, now_s)
        if request.is_create:
            after = after.with_context(request.message.context_id)
        answer = _acceptance(scene, after, digest)
        after = replace(after, outstanding=(*after.outstanding, fan_out))
        return MlsDecision(
            after.with_answer(answer, self._rules.answers_kept),
            answer,
            fan_out=fan_out,
            logged=logged if self._rules.has_control_log else None,
        )

    def _with_log(self, conversation: MlsConversation, logged: StoredControlMessage, now_s: int) -> MlsConversation:
        """Entries of the present era stay, older ones for some weeks."""
        if not self._rules.has_control_log:
            return conversation
        since_s = now_s - self._rules.log_days * SECONDS_PER_DAY
        kept = tuple(each for each in conversation.log if each.era == logged.era or each.at_s >= since_s)
        return replace(conversation, log=(*kept, logged)[-_MAX_MOMENTS:])


def _counted(scene: FocusScene) -> MlsConversation:
    """The conversation with the times that quotas are about."""
    conversation, request, now_s = scene.conversation, scene.request, scene.now_s
    is_external = request.operation is ClientOperation.EXTERNAL_COMMIT
    is_epoch = is_external or request.operation is ClientOperation.COMMIT
    return replace(
        conversation,
        eras_at_s=_appended(conversation.eras_at_s, now_s, is_one_more=request.is_new_era),
        epochs_at_s=_appended(conversation.epochs_at_s, now_s, is_one_more=is_epoch),
        external_commits_at_s=_appended(conversation.external_commits_at_s, now_s, is_one_more=is_external),
    )


def _appended(times_s: tuple[int, ...], now_s: int, *, is_one_more: bool) -> tuple[int, ...]:
    since_s = now_s - SECONDS_PER_DAY - _HELD_BACK
    return (*(at for at in times_s if at > since_s), *((now_s,) if is_one_more else ()))[-_MAX_MOMENTS:]


def _acceptance(scene: FocusScene, after: MlsConversation, digest: bytes) -> StoredAnswer:
    state = after.state or EpochIdentifier()
    return StoredAnswer(
        scene.request.sender,
        scene.request.control_id,
        digest,
        "",
        "",
        state.era_id,
        state.epoch_id,
        state.epoch_authenticator,
        after.group_id,
    )


def refusal_answer(
    conversation: MlsConversation, sender: str, control_id: str, digest: bytes, refusal: MlsRefused
) -> StoredAnswer:
    """The answer that says no, with the state of the focus if there is a live group."""
    state = conversation.state or EpochIdentifier()
    return StoredAnswer(
        sender,
        control_id,
        digest,
        str(refusal.reason),
        refusal.detail,
        state.era_id,
        state.epoch_id,
        state.epoch_authenticator,
        conversation.group_id,
    )


def _bundle(scene: FocusScene, state: EpochIdentifier) -> CommitBundle | RawMlsMessage:
    """What the others get (RCC.16 digest §14.4)."""
    request, message = scene.request, scene.request.message
    if request.operation is ClientOperation.PROPOSE:
        return RawMlsMessage(message.proposal)
    assert message.group_info is not None
    welcome = message.welcome if scene.adds_somebody else b""  # another is nobody's
    has_tree = not welcome or bool(split_welcome(welcome).ratchet_tree)
    return CommitBundle(
        welcome=welcome,
        ratchet_tree=b"" if has_tree else message.group_info.ratchet_tree,
        commit=b"" if request.is_create else message.commit,
        key_delivery=() if request.is_create else message.key_delivery,
        state=state,
        epoch_authenticator=state.epoch_authenticator,
    )


# --- 14 and 15: the MLS engine ----------------------------------------------------------------------------------------


def _with_proposal(scene: FocusScene) -> LiveGroup:
    """The group with one more proposal that waits for a commit. Raises MlsRefused."""
    live, handshake = scene.conversation.live, scene.request.handshake
    assert live is not None
    assert handshake is not None
    try:
        verified = live.group.verify(handshake, scene.now_s)
        if not isinstance(verified, VerifiedProposal):
            raise MlsRefused(14, Reason.INVALID_COMMIT, "proposal")
        group = PublicGroup(live.group.state, scene.seams, live.group.reinit)
        for each in live.group.proposals:
            assert each.reference is not None  # all in a cache have one
            group.proposals.add(each.reference, each.proposal, each.sender)
        group.add_proposal(verified)
    except RemoteProtocolError as error:
        raise _refusal_of(error) from error
    return replace(live, group=group)


def _followed(scene: FocusScene) -> LiveGroup:
    """The group after a create or commit. Raises MlsRefused."""
    request = scene.request
    info, beside = request.group_info, request.message.group_info
    assert info is not None
    assert beside is not None
    group = _created(scene, info) if request.is_create else _committed(scene, info)
    if group.ratchet_tree().encode() != beside.ratchet_tree:
        raise MlsRefused(14, Reason.INVALID_COMMIT, "ratchet_tree")
    if info.confirmation_tag != group.state.confirmation_tag:
        raise MlsRefused(15, Reason.MISMATCHED_CONFIRMATION_TAG)
    live, authenticator = scene.conversation.live, request.result.epoch_authenticator
    earlier = () if request.is_create or live is None else live.authenticators
    known = (*earlier, authenticator)[-_MAX_MOMENTS:]
    return LiveGroup(group, request.result.era_id, beside.group_info, known)


def _created(scene: FocusScene, info: GroupInfo) -> PublicGroup:
    try:
        return PublicGroup.start(info, ratchet_tree=scene.request.tree, seams=scene.seams, now_s=scene.now_s)
    except RemoteProtocolError as error:
        raise _refusal_of(error) from error


def _committed(scene: FocusScene, info: GroupInfo) -> PublicGroup:
    live, handshake = scene.conversation.live, scene.request.handshake
    assert live is not None
    assert handshake is not None
    try:
        verified = live.group.verify(handshake, scene.now_s)
        if not isinstance(verified, VerifiedCommit):
            raise MlsRefused(14, Reason.INVALID_COMMIT, "commit")
        group = live.group.merge(live.group.stage_commit(verified, scene.now_s))
        if info.group_context != group.context:
            raise MlsRefused(14, Reason.INVALID_COMMIT, "group_info")
        verify_group_info_signature(info, group.tree)
    except RemoteProtocolError as error:
        raise _refusal_of(error) from error
    return group


def _refusal_of(error: RemoteProtocolError) -> MlsRefused:
    """What the engine refuses is check 14, but for a chain above a leaf that is out of time."""
    if isinstance(error, CertificateRefused) and error.certificate_rule in _OUT_OF_TIME:
        return MlsRefused(12, Reason.EXPIRED_CREDENTIAL)
    return MlsRefused(14, Reason.INVALID_COMMIT)
