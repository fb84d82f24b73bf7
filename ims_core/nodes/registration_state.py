"""The registration of one user at the S-CSCF as a table (TS 24.229 §5.4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from ims_core.errors import LocalProtocolError

__all__ = [
    "IGNORED",
    "LINES",
    "REGISTRATION",
    "RegistrationAction",
    "RegistrationInput",
    "RegistrationState",
    "next_state",
]


class RegistrationState(Enum):
    """What the S-CSCF knows of a user. RECHALLENGED is one who is registered while a challenge of his is open: a second
    device, or a re-registration that is authenticated anew."""

    NOT_REGISTERED = auto()
    CHALLENGED = auto()
    REGISTERED = auto()
    RECHALLENGED = auto()

    __hash__ = object.__hash__  # members are single objects: this is several times faster than Enum's hash of the name


class RegistrationInput(Enum):
    """A REGISTER, classified by its credentials, or something that happened to the bindings."""

    UNPROVEN = auto()  # no answer to a challenge: the first REGISTER
    STALE = auto()  # right credentials, but the nonce is old, or its count was used
    WRONG = auto()  # wrong credentials, and there are tries left
    WRONG_AGAIN = auto()  # wrong credentials once too often
    REFUSED = auto()  # the USIM found the network false: no response and no AUTS
    OUT_OF_STEP = auto()  # the USIM sent AUTS
    AUTHENTIC = auto()  # right credentials; bindings remain afterwards, or the REGISTER only asks
    AUTHENTIC_AND_GONE = auto()  # right credentials; it removed the last binding
    AWAIT_AUTH_EXPIRED = auto()  # nobody answered the challenge in time (reg-await-auth)
    BINDINGS_GONE = auto()  # the last binding expired, or its flow failed
    DEREGISTERED = auto()  # by the network

    __hash__ = object.__hash__  # as for RegistrationState


class RegistrationAction(Enum):
    CHALLENGE = auto()  # 401
    CHALLENGE_STALE = auto()  # 401 with stale=true
    RESYNCHRONISE = auto()  # new vector from SQN_MS, 401
    REJECT = auto()  # 403
    ACCEPT = auto()  # 200
    FORGET = auto()  # the open challenge is void
    END = auto()  # tell the HSS, the application servers and the subscribers to reg event


_S, _I, _A = RegistrationState, RegistrationInput, RegistrationAction

# TS 24.229 §5.4.1.2 (REGISTER), §5.4.1.4 (de-registration by the user), §5.4.1.5 (by the network). Absent = illegal.
REGISTRATION: Mapping[tuple[RegistrationState, RegistrationInput], tuple[RegistrationState, RegistrationAction]] = {
    (_S.NOT_REGISTERED, _I.UNPROVEN): (_S.CHALLENGED, _A.CHALLENGE),
    (_S.NOT_REGISTERED, _I.STALE): (_S.CHALLENGED, _A.CHALLENGE_STALE),
    (_S.NOT_REGISTERED, _I.WRONG): (_S.CHALLENGED, _A.CHALLENGE),
    (_S.NOT_REGISTERED, _I.WRONG_AGAIN): (_S.NOT_REGISTERED, _A.REJECT),
    (_S.NOT_REGISTERED, _I.REFUSED): (_S.NOT_REGISTERED, _A.REJECT),
    (_S.NOT_REGISTERED, _I.OUT_OF_STEP): (_S.CHALLENGED, _A.RESYNCHRONISE),
    (_S.NOT_REGISTERED, _I.AUTHENTIC): (_S.REGISTERED, _A.ACCEPT),
    (_S.NOT_REGISTERED, _I.AUTHENTIC_AND_GONE): (_S.NOT_REGISTERED, _A.ACCEPT),
    (_S.CHALLENGED, _I.UNPROVEN): (_S.CHALLENGED, _A.CHALLENGE),
    (_S.CHALLENGED, _I.STALE): (_S.CHALLENGED, _A.CHALLENGE_STALE),
    (_S.CHALLENGED, _I.WRONG): (_S.CHALLENGED, _A.CHALLENGE),
    (_S.CHALLENGED, _I.WRONG_AGAIN): (_S.NOT_REGISTERED, _A.REJECT),
    (_S.CHALLENGED, _I.REFUSED): (_S.NOT_REGISTERED, _A.REJECT),
    (_S.CHALLENGED, _I.OUT_OF_STEP): (_S.CHALLENGED, _A.RESYNCHRONISE),
    (_S.CHALLENGED, _I.AUTHENTIC): (_S.REGISTERED, _A.ACCEPT),
    (_S.CHALLENGED, _I.AUTHENTIC_AND_GONE): (_S.NOT_REGISTERED, _A.ACCEPT),
    (_S.CHALLENGED, _I.AWAIT_AUTH_EXPIRED): (_S.NOT_REGISTERED, _A.FORGET),
    (_S.REGISTERED, _I.UNPROVEN): (_S.RECHALLENGED, _A.CHALLENGE),
    (_S.REGISTERED, _I.STALE): (_S.RECHALLENGED, _A.CHALLENGE_STALE),
    (_S.REGISTERED, _I.WRONG): (_S.RECHALLENGED, _A.CHALLENGE),
    (_S.REGISTERED, _I.WRONG_AGAIN): (_S.REGISTERED, _A.REJECT),
    (_S.REGISTERED, _I.REFUSED): (_S.REGISTERED, _A.REJECT),
    (_S.REGISTERED, _I.OUT_OF_STEP): (_S.RECHALLENGED, _A.RESYNCHRONISE),
    (_S.REGISTERED, _I.AUTHENTIC): (_S.REGISTERED, _A.ACCEPT),
    (_S.REGISTERED, _I.AUTHENTIC_AND_GONE): (_S.NOT_REGISTERED, _A.ACCEPT),
    (_S.REGISTERED, _I.BINDINGS_GONE): (_S.NOT_REGISTERED, _A.END),
    (_S.REGISTERED, _I.DEREGISTERED): (_S.NOT_REGISTERED, _A.END),
    (_S.RECHALLENGED, _I.UNPROVEN): (_S.RECHALLENGED, _A.CHALLENGE),
    (_S.RECHALLENGED, _I.STALE): (_S.RECHALLENGED, _A.CHALLENGE_STALE),
    (_S.RECHALLENGED, _I.WRONG): (_S.RECHALLENGED, _A.CHALLENGE),
    (_S.RECHALLENGED, _I.WRONG_AGAIN): (_S.REGISTERED, _A.REJECT),
    (_S.RECHALLENGED, _I.REFUSED): (_S.REGISTERED, _A.REJECT),
    (_S.RECHALLENGED, _I.OUT_OF_STEP): (_S.RECHALLENGED, _A.RESYNCHRONISE),
    (_S.RECHALLENGED, _I.AUTHENTIC): (_S.REGISTERED, _A.ACCEPT),
    (_S.RECHALLENGED, _I.AUTHENTIC_AND_GONE): (_S.NOT_REGISTERED, _A.ACCEPT),
    (_S.RECHALLENGED, _I.AWAIT_AUTH_EXPIRED): (_S.REGISTERED, _A.FORGET),
    (_S.RECHALLENGED, _I.BINDINGS_GONE): (_S.CHALLENGED, _A.END),
    (_S.RECHALLENGED, _I.DEREGISTERED): (_S.NOT_REGISTERED, _A.END),
}

# A challenge that was answered on another device meanwhile; a network that ends what is not there.
IGNORED: frozenset[tuple[RegistrationState, RegistrationInput]] = frozenset(
    (
        (_S.NOT_REGISTERED, _I.AWAIT_AUTH_EXPIRED),
        (_S.REGISTERED, _I.AWAIT_AUTH_EXPIRED),
        (_S.NOT_REGISTERED, _I.DEREGISTERED),
        (_S.CHALLENGED, _I.DEREGISTERED),
    )
)


LINES: Final = {**dict.fromkeys(IGNORED), **REGISTRATION}
"""What `next_state` looks up."""


def next_state(
    state: RegistrationState, event: RegistrationInput
) -> tuple[RegistrationState, RegistrationAction] | None:
    """One line of the table; None for an input that is ignored. Raises LocalProtocolError for an illegal one."""
    try:
        return LINES[state, event]
    except KeyError:
        fault = f"registration in {state.name} cannot take {event.name}"
        raise LocalProtocolError(fault, spec="TS 24.229 §5.4.1") from None
