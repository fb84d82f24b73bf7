"""State tables of autoconfiguration at the client (RCC.14, digest §1.1, §1.3, §1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from rcs_sim.client.provisioning_values import ServiceState

__all__ = ["IGNORED", "PROCEDURE", "STARTS", "Action", "Input", "Procedure", "Start", "Trigger"]


class Trigger(Enum):
    """What may make a phone ask for its configuration."""

    BOOT = auto()
    SIM_CHANGED = auto()  # another subscription than the one that the stored configuration is for
    SERVER_SMS = auto()  # "-rcscfg"
    VALIDITY_ENDED = auto()
    SWITCHED_ON = auto()  # the user turned RCS on
    REGISTER_REFUSED = auto()  # REGISTER was answered 403


class Start(Enum):
    """Answer to a trigger."""

    NOT = auto()
    IF_EXPIRED = auto()
    ASK = auto()
    AFRESH = auto()  # forget everything, then ask


_ = Start
# digest §1.4, column "ask again"
STARTS: Mapping[tuple[ServiceState, Trigger], Start] = {
    (ServiceState.UNCONFIGURED, Trigger.BOOT): _.ASK,
    (ServiceState.UNCONFIGURED, Trigger.SIM_CHANGED): _.AFRESH,
    (ServiceState.UNCONFIGURED, Trigger.SERVER_SMS): _.ASK,
    (ServiceState.UNCONFIGURED, Trigger.VALIDITY_ENDED): _.ASK,  # given up before, asked again later
    (ServiceState.UNCONFIGURED, Trigger.SWITCHED_ON): _.ASK,
    (ServiceState.UNCONFIGURED, Trigger.REGISTER_REFUSED): _.NOT,
    (ServiceState.ACTIVE, Trigger.BOOT): _.IF_EXPIRED,
    (ServiceState.ACTIVE, Trigger.SIM_CHANGED): _.AFRESH,
    (ServiceState.ACTIVE, Trigger.SERVER_SMS): _.ASK,
    (ServiceState.ACTIVE, Trigger.VALIDITY_ENDED): _.ASK,
    (ServiceState.ACTIVE, Trigger.SWITCHED_ON): _.IF_EXPIRED,
    (ServiceState.ACTIVE, Trigger.REGISTER_REFUSED): _.ASK,
    (ServiceState.RESET, Trigger.BOOT): _.ASK,
    (ServiceState.RESET, Trigger.SIM_CHANGED): _.AFRESH,
    (ServiceState.RESET, Trigger.SERVER_SMS): _.ASK,
    (ServiceState.RESET, Trigger.VALIDITY_ENDED): _.NOT,
    (ServiceState.RESET, Trigger.SWITCHED_ON): _.NOT,
    (ServiceState.RESET, Trigger.REGISTER_REFUSED): _.NOT,
    (ServiceState.OFF_FOR_GOOD, Trigger.BOOT): _.NOT,
    (ServiceState.OFF_FOR_GOOD, Trigger.SIM_CHANGED): _.AFRESH,
    (ServiceState.OFF_FOR_GOOD, Trigger.SERVER_SMS): _.NOT,
    (ServiceState.OFF_FOR_GOOD, Trigger.VALIDITY_ENDED): _.NOT,
    (ServiceState.OFF_FOR_GOOD, Trigger.SWITCHED_ON): _.NOT,
    (ServiceState.OFF_FOR_GOOD, Trigger.REGISTER_REFUSED): _.NOT,
    (ServiceState.OFF_UNTIL_USER, Trigger.BOOT): _.NOT,
    (ServiceState.OFF_UNTIL_USER, Trigger.SIM_CHANGED): _.AFRESH,
    (ServiceState.OFF_UNTIL_USER, Trigger.SERVER_SMS): _.NOT,
    (ServiceState.OFF_UNTIL_USER, Trigger.VALIDITY_ENDED): _.NOT,
    (ServiceState.OFF_UNTIL_USER, Trigger.SWITCHED_ON): _.ASK,
    (ServiceState.OFF_UNTIL_USER, Trigger.REGISTER_REFUSED): _.NOT,
    (ServiceState.DORMANT, Trigger.BOOT): _.ASK,
    (ServiceState.DORMANT, Trigger.SIM_CHANGED): _.AFRESH,
    (ServiceState.DORMANT, Trigger.SERVER_SMS): _.ASK,
    (ServiceState.DORMANT, Trigger.VALIDITY_ENDED): _.ASK,
    (ServiceState.DORMANT, Trigger.SWITCHED_ON): _.ASK,
    (ServiceState.DORMANT, Trigger.REGISTER_REFUSED): _.NOT,
}


class Procedure(Enum):
    """Where the exchange with the server stands."""

    IDLE = auto()
    ENRICHING = auto()  # the request without parameters is out
    REQUESTING = auto()  # the real request is out, with cookie or token
    OTP_REQUESTING = auto()  # the real request is out, with SMS_port
    OTP_WAITING = auto()  # for the SMS
    OTP_ANSWERING = auto()  # the one-time password is out
    OTP_PAUSE = auto()  # after a 511
    MSISDN_WAITING = auto()  # for the user
    BACKING_OFF = auto()


class Input(Enum):
    """What can happen to the exchange."""

    START_ENRICHED = auto()
    START_TOKEN = auto()
    START_OTP = auto()
    START_HELD = auto()  # a Retry-After has not run out
    DOCUMENT = auto()  # 200 with a readable document
    NO_DOCUMENT = auto()  # 200 with a cookie at most
    UNREADABLE = auto()
    REDIRECT = auto()
    FORBIDDEN_CELLULAR = auto()
    FORBIDDEN_WIFI = auto()
    AUTHENTICATION = auto()  # 511
    BUSY = auto()  # 503 with Retry-After
    FAILURE = auto()  # any other answer, or none
    SMS = auto()
    TIMER = auto()
    MSISDN = auto()
    EXHAUSTED = auto()  # the attempts of its kind are used up
    ABORT = auto()


class Action(Enum):
    """What to do with it."""

    SEND_ENRICHMENT = auto()
    SEND_REQUEST = auto()
    SEND_OTP_REQUEST = auto()
    SEND_OTP = auto()
    FOLLOW = auto()
    AWAIT_SMS = auto()
    REMEMBER_SMS = auto()
    PAUSE = auto()
    ASK_MSISDN = auto()
    APPLY = auto()
    FORBID = auto()
    HOLD = auto()
    WAIT_OUT = auto()
    BACK_OFF = auto()
    KEEP_OLD = auto()
    RESTART = auto()
    GIVE_UP = auto()
    STOP = auto()


_OUT = (Procedure.ENRICHING, Procedure.REQUESTING, Procedure.OTP_REQUESTING, Procedure.OTP_ANSWERING)
_ALL = tuple(Procedure)

PROCEDURE: Mapping[tuple[Procedure, Input], tuple[Procedure, Action]] = {
    (Procedure.IDLE, Input.START_ENRICHED): (Procedure.ENRICHING, Action.SEND_ENRICHMENT),
    (Procedure.IDLE, Input.START_TOKEN): (Procedure.REQUESTING, Action.SEND_REQUEST),
    (Procedure.IDLE, Input.START_OTP): (Procedure.OTP_REQUESTING, Action.SEND_OTP_REQUEST),
    (Procedure.IDLE, Input.START_HELD): (Procedure.BACKING_OFF, Action.WAIT_OUT),
    # a request is out: what every state does with its answers (digest §1.3)
    **{(state, Input.DOCUMENT): (Procedure.IDLE, Action.APPLY) for state in _OUT},
    **{(state, Input.UNREADABLE): (Procedure.BACKING_OFF, Action.KEEP_OLD) for state in _OUT},
    **{(state, Input.REDIRECT): (state, Action.FOLLOW) for state in _OUT},
    **{(state, Input.FORBIDDEN_CELLULAR): (Procedure.IDLE, Action.FORBID) for state in _OUT},
    **{(state, Input.FORBIDDEN_WIFI): (Procedure.MSISDN_WAITING, Action.ASK_MSISDN) for state in _OUT},
    **{(state, Input.BUSY): (Procedure.BACKING_OFF, Action.HOLD) for state in _OUT},
    **{(state, Input.FAILURE): (Procedure.BACKING_OFF, Action.BACK_OFF) for state in _OUT},
    **{(state, Input.TIMER): (Procedure.BACKING_OFF, Action.BACK_OFF) for state in _OUT},
    # header enrichment
    (Procedure.ENRICHING, Input.NO_DOCUMENT): (Procedure.REQUESTING, Action.SEND_REQUEST),
    (Procedure.ENRICHING, Input.AUTHENTICATION): (Procedure.OTP_REQUESTING, Action.SEND_OTP_REQUEST),
    # one-time password
    (Procedure.REQUESTING, Input.NO_DOCUMENT): (Procedure.OTP_WAITING, Action.AWAIT_SMS),
    (Procedure.REQUESTING, Input.AUTHENTICATION): (Procedure.OTP_PAUSE, Action.PAUSE),
    (Procedure.OTP_REQUESTING, Input.NO_DOCUMENT): (Procedure.OTP_WAITING, Action.AWAIT_SMS),
    (Procedure.OTP_REQUESTING, Input.AUTHENTICATION): (Procedure.OTP_PAUSE, Action.PAUSE),
    (Procedure.OTP_REQUESTING, Input.SMS): (Procedure.OTP_REQUESTING, Action.REMEMBER_SMS),  # faster than the answer
    (Procedure.OTP_REQUESTING, Input.EXHAUSTED): (Procedure.IDLE, Action.GIVE_UP),
    (Procedure.OTP_WAITING, Input.SMS): (Procedure.OTP_ANSWERING, Action.SEND_OTP),
    (Procedure.OTP_WAITING, Input.TIMER): (Procedure.OTP_REQUESTING, Action.SEND_OTP_REQUEST),
    (Procedure.OTP_ANSWERING, Input.NO_DOCUMENT): (Procedure.BACKING_OFF, Action.KEEP_OLD),
    (Procedure.OTP_ANSWERING, Input.AUTHENTICATION): (Procedure.OTP_PAUSE, Action.PAUSE),
    (Procedure.OTP_PAUSE, Input.TIMER): (Procedure.OTP_REQUESTING, Action.SEND_OTP_REQUEST),
    (Procedure.OTP_PAUSE, Input.EXHAUSTED): (Procedure.IDLE, Action.GIVE_UP),
    (Procedure.MSISDN_WAITING, Input.MSISDN): (Procedure.OTP_REQUESTING, Action.SEND_OTP_REQUEST),
    (Procedure.MSISDN_WAITING, Input.EXHAUSTED): (Procedure.IDLE, Action.GIVE_UP),
    (Procedure.BACKING_OFF, Input.TIMER): (Procedure.IDLE, Action.RESTART),
    **{(state, Input.ABORT): (Procedure.IDLE, Action.STOP) for state in _ALL},
}

# absorbed without effect; every other absent pair is illegal
IGNORED: frozenset[tuple[Procedure, Input]] = frozenset(
    {
        *((state, Input.SMS) for state in _ALL if (state, Input.SMS) not in PROCEDURE),
        *((state, Input.MSISDN) for state in _ALL if (state, Input.MSISDN) not in PROCEDURE),
        *((state, Input.TIMER) for state in _ALL if (state, Input.TIMER) not in PROCEDURE),
        # a start is not begun twice
        *(
            (state, start)
            for state in _ALL
            if state is not Procedure.IDLE
            for start in (Input.START_ENRICHED, Input.START_TOKEN, Input.START_OTP, Input.START_HELD)
        ),
    }
)
