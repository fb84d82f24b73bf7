"""What can be wrong with a focus, for scenarios (RCC.16 digest §14.14)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ims_core.store.mls_conversations import StoredAnswer, StoredFanOut
from rcs_sim.e2ee.client_message import ClientMlsRcsMessage
from rcs_sim.e2ee.failure_reason import ServerFailureReason
from rcs_sim.e2ee.server_message import CommitBundle, decode_server_message, encode_server_message
from rcs_sim.wire.protobuf import ProtobufError

__all__ = ["MlsFocusFault", "as_forked", "with_lie", "with_lie_in_fan_out"]

_STALE = frozenset({ServerFailureReason.INCORRECT_EPOCH, ServerFailureReason.INCORRECT_EPOCH_AUTHENTICATOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class MlsFocusFault:
    """The usual value is that nothing is wrong.

    refuses_with           every request and pull is refused with this reason
    is_silent              requests are decided, and nobody is answered
    withholds_fan_out      members get no Welcomes, commits and proposals, as if they had them
    fan_out_delay_s        they get them so much later
    holds_convergence      acceptance is not followed by convergence
    lies                   acceptances and bundles carry another epoch authenticator than the committer's
    forks                  a commit on a base that has passed is accepted too: its committer alone hears of it
    """

    refuses_with: ServerFailureReason | None = None
    is_silent: bool = False
    withholds_fan_out: bool = False
    fan_out_delay_s: float = 0.0
    holds_convergence: bool = False
    lies: bool = False
    forks: bool = False


def with_lie(answer: StoredAnswer) -> StoredAnswer:
    """*answer* with another authenticator."""
    return replace(answer, authenticator=_other(answer.authenticator))


def with_lie_in_fan_out(fan_out: StoredFanOut) -> StoredFanOut:
    """The same for what the members get."""
    arm = decode_server_message(fan_out.octets)
    if not isinstance(arm, CommitBundle) or arm.state is None:
        return fan_out
    lie = _other(arm.epoch_authenticator)
    bundle = replace(arm, state=replace(arm.state, epoch_authenticator=lie), epoch_authenticator=lie)
    return replace(fan_out, octets=encode_server_message(bundle))


def as_forked(answer: StoredAnswer, octets: bytes) -> StoredAnswer | None:
    """The acceptance that a loser's commit would have had; None for a refusal of another kind."""
    if answer.reason not in _STALE:
        return None
    try:
        result = ClientMlsRcsMessage.decode(octets).result
    except ProtobufError:
        return None
    if result is None:
        return None
    return replace(
        answer,
        reason="",
        detail="",
        era=result.era_id,
        epoch=result.epoch_id,
        authenticator=result.epoch_authenticator,
    )


def _other(authenticator: bytes) -> bytes:
    return bytes(octet ^ 0xFF for octet in authenticator)
