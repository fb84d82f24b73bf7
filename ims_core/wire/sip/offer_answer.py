"""Offer and answer inside a dialog: whose turn it is (RFC 3264 §4, §8, RFC 3311 §5, RFC 6337).

This knows when a session description may be sent, not what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import SipMessage

__all__ = [
    "OFFER_ANSWER",
    "OFFER_ANSWER_IGNORED",
    "SDP_TYPE",
    "Description",
    "OfferAnswer",
    "OfferInput",
    "OfferState",
    "carries_description",
    "description_of",
]

SDP_TYPE: Final = "application/sdp"


class OfferState(Enum):
    STABLE = auto()
    LOCAL_OFFER = auto()  # ours is out
    REMOTE_OFFER = auto()  # theirs waits for our answer


class OfferInput(Enum):
    SEND_OFFER = auto()
    RECEIVE_OFFER = auto()
    SEND_ANSWER = auto()
    RECEIVE_ANSWER = auto()
    REFUSED = auto()  # the request that carried the offer got a final answer other than 2xx


# RFC 3264 §4: no new offer while one has no answer. A pair of RECEIVE_OFFER that is absent is what 491 and 500 are for.
OFFER_ANSWER: Mapping[tuple[OfferState, OfferInput], OfferState] = {
    (OfferState.STABLE, OfferInput.SEND_OFFER): OfferState.LOCAL_OFFER,
    (OfferState.STABLE, OfferInput.RECEIVE_OFFER): OfferState.REMOTE_OFFER,
    (OfferState.LOCAL_OFFER, OfferInput.RECEIVE_ANSWER): OfferState.STABLE,
    (OfferState.LOCAL_OFFER, OfferInput.REFUSED): OfferState.STABLE,
    (OfferState.REMOTE_OFFER, OfferInput.SEND_ANSWER): OfferState.STABLE,
    (OfferState.REMOTE_OFFER, OfferInput.REFUSED): OfferState.STABLE,
}
OFFER_ANSWER_IGNORED: frozenset[tuple[OfferState, OfferInput]] = frozenset(
    {
        (OfferState.STABLE, OfferInput.RECEIVE_ANSWER),  # a body that nobody asked for
        (OfferState.STABLE, OfferInput.REFUSED),  # the request carried no offer
    }
)


@dataclass(frozen=True, slots=True)
class Description:
    """What one side says of the session, as it stands in a message body."""

    octets: bytes
    content_type: str = SDP_TYPE


class OfferAnswer:
    """The exchange of offers in one dialog."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = OfferState.STABLE

    @property
    def state(self) -> OfferState:
        return self._state

    @property
    def is_stable(self) -> bool:
        """Whether either side may make an offer."""
        return self._state is OfferState.STABLE

    @property
    def glare_status(self) -> int | None:
        """How an offer that comes now is refused: 491 while ours is out, 500 with Retry-After while another one of the
        peer has no answer (RFC 3261 §14.2, RFC 3311 §5.2); None if it is welcome."""
        if self.is_stable:
            return None
        return 491 if self._state is OfferState.LOCAL_OFFER else 500

    def step(self, event: OfferInput) -> None:
        """Raises LocalProtocolError for an input that is not allowed now."""
        if (self._state, event) in OFFER_ANSWER_IGNORED:
            return
        after = OFFER_ANSWER.get((self._state, event))
        if after is None:
            raise LocalProtocolError(f"{event.name} in {self._state.name}", spec="RFC 3264 §4")
        self._state = after


def carries_description(message: SipMessage) -> bool:
    """Whether the body is a session description, or a multipart body that may hold one."""
    if not message.body:
        return False
    try:
        content_type = message.content_type
    except SipParseError:
        return False
    return content_type is not None and (content_type.type == SDP_TYPE or content_type.type.startswith("multipart/"))


def description_of(message: SipMessage) -> Description | None:
    """The session description that is the whole body; None if there is none, or if it is a part of a multipart body."""
    if not carries_description(message):
        return None
    content_type = message.content_type
    is_whole = content_type is not None and content_type.type == SDP_TYPE
    return Description(message.body) if is_whole else None
