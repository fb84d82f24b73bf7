"""Where end-to-end encryption joins a phone's messages: what may leave as it is, what has to be sealed (RCC.16 §7.2).

The messenger and the inbox know these values and the two Protocols, and nothing of how a scheme works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Protocol

from ims_core.errors import SimulatorError
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import ContactKey
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import Imdn

if TYPE_CHECKING:
    from rcs_sim.client.conversation import Conversation
    from rcs_sim.client.message_session import MessageSession
    from rcs_sim.client.messages import ReceivedMessage, SentMessage

__all__ = [
    "SEALING",
    "EncryptedArrival",
    "Encryption",
    "NotSealed",
    "Scheme",
    "SealDecision",
    "SealStep",
    "SealedContent",
    "SealingPower",
    "seal_step",
]


class Scheme(StrEnum):
    """How a message is sealed; the ``scheme`` of labels and reports."""

    MLS = "mls"  # RCC.16
    LEGACY = "legacy"  # one-to-one, from before (choice)


class SealStep(Enum):
    """What becomes of the next message of a conversation."""

    PLAIN = auto()  # it goes as plain RCS, or as SMS
    SEAL = auto()
    WAIT = auto()  # for a set-up, a transition or a convergence: asked again when that is over
    REFUSE = auto()  # it fails visibly


class SealingPower(Enum):
    """What the engine can do for a conversation (digest RCC.16 §7.2, first column)."""

    CAN_SEAL = auto()
    BUSY = auto()  # it will be able to, or know that it cannot
    CONVERGING = auto()  # a commit of ours is not everywhere yet (digest RCC.16 §5.9)
    NO_STATE = auto()
    ASKING = auto()  # the focus, whether there is a group: what it says is waited for in any case
    LOCKED_OUT = auto()  # there is a group, or there may be one, and this phone is not in it
    DOWNGRADED = auto()
    UNAVAILABLE = auto()
    NO_IDENTITY = auto()
    UNEXPECTED_MEMBER = auto()  # a ghost, or a participant without a leaf (digest RCC.16 §14.10)


_P, _S, _R = SealingPower, SealStep, FallbackReason

SEALING: Mapping[tuple[SealingPower, bool], tuple[SealStep, FallbackReason]] = {
    (_P.CAN_SEAL, True): (_S.SEAL, _R.NONE),
    (_P.CAN_SEAL, False): (_S.SEAL, _R.NONE),
    (_P.BUSY, True): (_S.WAIT, _R.ENCRYPTION_BUSY),
    (_P.BUSY, False): (_S.WAIT, _R.ENCRYPTION_BUSY),
    (_P.CONVERGING, True): (_S.WAIT, _R.CONVERGING),
    (_P.CONVERGING, False): (_S.WAIT, _R.CONVERGING),
    (_P.NO_STATE, True): (_S.REFUSE, _R.NO_ENCRYPTION_STATE),
    (_P.NO_STATE, False): (_S.PLAIN, _R.NONE),
    (_P.ASKING, True): (_S.WAIT, _R.FOCUS_ASKED),
    (_P.ASKING, False): (_S.WAIT, _R.FOCUS_ASKED),
    (_P.LOCKED_OUT, True): (_S.REFUSE, _R.LOCKED_OUT),
    (_P.LOCKED_OUT, False): (_S.REFUSE, _R.LOCKED_OUT),
    (_P.DOWNGRADED, True): (_S.REFUSE, _R.ENCRYPTION_ENDED),
    (_P.DOWNGRADED, False): (_S.PLAIN, _R.NONE),
    (_P.UNAVAILABLE, True): (_S.REFUSE, _R.ENCRYPTION_UNAVAILABLE),
    (_P.UNAVAILABLE, False): (_S.PLAIN, _R.NONE),
    (_P.NO_IDENTITY, True): (_S.REFUSE, _R.NO_ENCRYPTION_IDENTITY),
    (_P.NO_IDENTITY, False): (_S.PLAIN, _R.NONE),
    (_P.UNEXPECTED_MEMBER, True): (_S.REFUSE, _R.UNEXPECTED_MEMBER),
    (_P.UNEXPECTED_MEMBER, False): (_S.REFUSE, _R.UNEXPECTED_MEMBER),
}
"""Digest RCC.16 §7.2, by power and by the mark "shown as encrypted": a marked conversation is sealed or refused."""


@dataclass(frozen=True, slots=True)
class SealDecision:
    """*reason* says why it is not simply sealed."""

    step: SealStep
    reason: FallbackReason = FallbackReason.NONE


def seal_step(power: SealingPower, *, is_marked: bool) -> SealDecision:
    """The row of `SEALING`."""
    return SealDecision(*SEALING[power, is_marked])


class NotSealed(SimulatorError):
    """A message could not be sealed after all: it fails, and goes nowhere as plaintext."""

    def __init__(self, why: str, reason: FallbackReason) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What stands in the CPIM in place of the text, and the CPIM headers that go with it. *wishes* are its
    Disposition-Notification: negative-delivery is always among them (digest RCC.16 §4.3)."""

    octets: bytes
    content_type: str
    headers: tuple[CpimHeader, ...]
    scheme: Scheme
    wishes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncryptedArrival:
    """A body of the encryption plane as it came: from whom (asserted), with which thread, on which session (None: in
    pager mode)."""

    sender: ContactKey
    uri: Uri
    cpim: CpimMessage
    thread_id: str
    contribution_id: str
    session: MessageSession | None = None


class Encryption(Protocol):
    """The encryption of one phone."""

    def decide(self, conversation: Conversation, *, may_wait: bool) -> SealDecision:
        """What becomes of the next message; begins what has to be begun. Without *may_wait* nothing is waited for."""
        ...

    def scheme_of(self, conversation: Conversation) -> Scheme | None:
        """That of a conversation that is marked encrypted, None of any other."""
        ...

    def seal(self, message: SentMessage) -> SealedContent:
        """Raises NotSealed. The same message gives the same octets until a report makes them void."""
        ...

    def arrived(self, arrival: EncryptedArrival) -> None:
        """A body of the encryption plane."""
        ...

    def receipt_headers(self, message: ReceivedMessage, receipt_id: str, imdn: Imdn) -> Iterable[CpimHeader] | None:
        """The CPIM headers that sign a receipt; None if it cannot be signed, and is not sent (digest RCC.16 §6.1)."""
        ...

    def accepts_receipt(self, message: SentMessage, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        """Whether a receipt about a sealed message proves what it says; the encryption acts on what is in it."""
        ...

    def reported(self, imdn: Imdn, cpim: CpimMessage | None, sender: ContactKey) -> bool:
        """A notification about something that is no message of the user: whether it was one of the encryption's."""
        ...

    def end(self, conversation: Conversation) -> None:
        """The user consents to go on without."""
        ...

    def revive(self, conversation: Conversation) -> None:
        """The user wants it back."""
        ...

    def security_code(self, conversation: Conversation) -> str | None:
        """What both users compare; None while there is nothing to compare."""
        ...

    def capability_learned(self, conversation: Conversation) -> None:
        """The tags of the peer may have changed."""
        ...
