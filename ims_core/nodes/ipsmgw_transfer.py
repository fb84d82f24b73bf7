"""One mobile terminated transfer in the IP-SM-GW: a MESSAGE with RP-DATA and the RP answer (TS 24.341 §5.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from ims_core.errors import LocalProtocolError

__all__ = ["IGNORED", "TABLE", "Transfer", "TransferAction", "TransferInput", "TransferState"]


class TransferState(Enum):
    SENT = auto()  # the MESSAGE has no final answer
    ACCEPTED = auto()  # 2xx; TR1N runs
    ENDED = auto()


class TransferInput(Enum):
    SUCCESS = auto()  # 2xx to the MESSAGE
    UNREACHABLE = auto()  # 404, 408, 410, 430, 480, or no answer
    FAILURE = auto()  # another final answer
    RP_ANSWER = auto()  # RP-ACK or RP-ERROR
    TIMER = auto()  # TR1N, or no answer at all


class TransferAction(Enum):
    START_TR1N = auto()
    PASS_ON = auto()  # the RP answer, to the SMSC
    TELL_ABSENT = auto()
    TELL_FAILURE = auto()


_S, _I, _A = TransferState, TransferInput, TransferAction

# Absent pair = illegal; IGNORED lists the pairs that change nothing.
TABLE: Mapping[tuple[TransferState, TransferInput], tuple[TransferState, TransferAction]] = {
    (_S.SENT, _I.SUCCESS): (_S.ACCEPTED, _A.START_TR1N),
    (_S.SENT, _I.UNREACHABLE): (_S.ENDED, _A.TELL_ABSENT),
    (_S.SENT, _I.FAILURE): (_S.ENDED, _A.TELL_FAILURE),
    (_S.SENT, _I.RP_ANSWER): (_S.ENDED, _A.PASS_ON),  # it overtook the 200
    (_S.SENT, _I.TIMER): (_S.ENDED, _A.TELL_ABSENT),
    (_S.ACCEPTED, _I.RP_ANSWER): (_S.ENDED, _A.PASS_ON),
    (_S.ACCEPTED, _I.TIMER): (_S.ENDED, _A.TELL_ABSENT),
}
IGNORED = frozenset((_S.ENDED, event) for event in TransferInput)


@dataclass(slots=True)
class Transfer:
    """*reference* is that of the SMSC's FORWARD; *party* the number (or, for a status report to an AS, the URI) that
    has to answer, with RP-MR *rp_reference* and In-Reply-To *call_id*."""

    number: int
    reference: int
    party: str
    rp_reference: int
    call_id: str
    state: TransferState = field(default=TransferState.SENT)

    def step(self, event: TransferInput) -> TransferAction | None:
        """What to do, None if nothing. Raises LocalProtocolError for an illegal input."""
        found = TABLE.get((self.state, event))
        if found is not None:
            self.state, action = found
            return action
        if (self.state, event) in IGNORED:
            return None
        raise LocalProtocolError(f"{event.name} in state {self.state.name}", spec="TS 24.341 §5.3.3")
