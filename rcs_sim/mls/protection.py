"""The form in which a member's signed content leaves (RFC 9420 §6.2, §6.3)."""

from __future__ import annotations

from rcs_sim.mls.crypto import Random
from rcs_sim.mls.framing import protect_public
from rcs_sim.mls.group_state import EpochState
from rcs_sim.mls.identifiers import WireFormat
from rcs_sim.mls.key_log import message_line
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import AuthenticatedContent, MLSMessage
from rcs_sim.mls.private_framing import seal_private
from rcs_sim.mls.secret_tree import ratchet_of

__all__ = ["protect"]


def protect(state: EpochState, policy: MemberPolicy, authenticated: AuthenticatedContent, random: Random) -> MLSMessage:
    """The message of *authenticated*, in the wire format that it was signed for. A PrivateMessage uses up a key."""
    public, suite = state.public, state.public.suite
    if authenticated.wire_format is WireFormat.PUBLIC_MESSAGE:
        return MLSMessage(protect_public(suite, authenticated, state.secrets.membership_key, public.context))
    if policy.key_log is not None:
        tree, kind = state.secret_tree, ratchet_of(authenticated.content.content_type)
        key = tree.peek(state.own_leaf, kind, tree.next_generation(state.own_leaf, kind))
        policy.key_log(message_line(public.context, key))
    return MLSMessage(seal_private(suite, authenticated, state.secret_tree, state.sender_data, random, policy.padding))
