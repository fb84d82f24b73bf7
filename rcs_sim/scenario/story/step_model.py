"""What a step of a scenario file may say: an action of a phone's user, a fault, the calendar, an expectation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rcs_sim.scenario.story.expectation_model import Expect

__all__ = [
    "ACTIONS",
    "KEYWORDS",
    "Age",
    "Airplane",
    "Count",
    "Handset",
    "NewDevice",
    "NewSim",
    "NewWords",
    "Nothing",
    "OperatorSms",
    "Peer",
    "Reaction",
    "Reading",
    "Resend",
    "Send",
    "Step",
    "StepAction",
    "TakenBack",
    "Text",
]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Address = Annotated[str, Field(min_length=1, description="a phone of the scenario, or a number (E.164) or SIP URI")]
Seconds = Annotated[float, Field(ge=0)]
_DAY_S = 86_400.0
_MOST_DAYS = 3650
_FILLING = "The quick brown fox jumps over the lazy dog. "


def _short(member: str) -> Callable[[Any], Any]:
    """`read: bob` for `read: {from: bob}`."""

    def expand(value: Any) -> Any:
        return {member: value} if isinstance(value, str | bool | int | float) else value

    return expand


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Send(_Strict):
    """A text. *octets* makes one of that length."""

    to: Address
    text: str = Field("", description="what is said")
    octets: int | None = Field(None, ge=1, le=10_000_000, description="in place of a text: one of that many characters")
    as_: Name | None = Field(None, alias="as", description="name of the message in expectations")
    as_sms: bool | None = Field(None, description="the user's own choice for this message")

    @model_validator(mode="after")
    def _says_something(self) -> Send:
        if bool(self.text) is (self.octets is not None):
            raise ValueError("a message has a text, or a number of octets")
        return self

    @property
    def content(self) -> str:
        if self.octets is None:
            return self.text
        return (_FILLING * (self.octets // len(_FILLING) + 1))[: self.octets]


class Reaction(_Strict):
    """One emoji on a message of the conversation, whoever of the two wrote it."""

    to: Name = Field(description="the message")
    emoji: str = Field(min_length=1, description="exactly one")
    as_: Name | None = Field(None, alias="as", description="name of the reaction in expectations")


class TakenBack(_Strict):
    """Of a message: one's own reaction to it, or all of it."""

    message: Name
    anyway: bool = Field(False, description="as a handset that does not look who wrote it, and when")
    as_: Name | None = Field(None, alias="as")


class NewWords(_Strict):
    """A new text for a message."""

    message: Name
    text: str = Field(min_length=1)
    anyway: bool = Field(False, description="as a handset that does not look who wrote it, and when")
    as_: Name | None = Field(None, alias="as")


class Text(_Strict):
    """A text as SMS, or an answer to message *to*."""

    to: Address
    text: str = Field(min_length=1)
    as_: Name | None = Field(None, alias="as")


class Peer(_Strict):
    """An action on the conversation with *peer*."""

    peer: Address


class Handset(_Strict):
    """Another handset in which the SIM goes on."""

    device: str = Field(min_length=1)


class NewDevice(_Strict):
    """A further device of the same number."""

    as_: Name = Field(alias="as", description="name of the new phone in later steps")
    device: str = "android"
    reads_after_s: Seconds | None = None


class NewSim(_Strict):
    """Another SIM in the same handset."""

    msisdn: str = Field(pattern=r"^\+[1-9][0-9]{3,14}$")
    carrier: str | None = None


class Airplane(_Strict):
    """Airplane mode on or off."""

    on: bool


class Reading(_Strict):
    """The conversation with *peer*, or all."""

    peer: Address | None = None


class Nothing(_Strict):
    """A bare word."""


class Resend(_Strict):
    """The user's answer to "not delivered: send as text?"."""

    message: Name


class Count(_Strict):
    """Of short messages."""

    count: int = Field(ge=1)


PeerOf = Annotated[Peer, BeforeValidator(_short("peer"), json_schema_input_type=Peer | str)]


def _bare(value: Any) -> Any:
    """`bob: wipe` for `bob: {wipe: {}}`."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if each is None else each for key, each in value.items()}
    return value


class StepAction(_Strict):
    """One thing that a user does; exactly one member."""

    send: Send | None = None
    sms: Text | None = Field(None, description="sends as SMS, whatever the contact can do")
    reply: Text | None = Field(None, description="answers a message, and names it")
    react: Reaction | None = Field(None, description="puts an emoji on a message, in the place of one's own before")
    unreact: Annotated[TakenBack, BeforeValidator(_short("message"), json_schema_input_type=TakenBack | str)] | None = (
        Field(None, description="takes one's reaction back")
    )
    edit: NewWords | None = Field(None, description="gives a message of one's own a new text")
    recall: Annotated[TakenBack, BeforeValidator(_short("message"), json_schema_input_type=TakenBack | str)] | None = (
        Field(None, description="takes a message of one's own back, for everybody")
    )
    read: Annotated[Reading, BeforeValidator(_short("peer"), json_schema_input_type=Reading | str)] | None = Field(
        None, description="looks at one conversation, or at all"
    )
    open: PeerOf | None = Field(None, description="opens a conversation")
    type: PeerOf | None = Field(None, description="presses a key")
    accept: PeerOf | None = Field(None, description="takes an invitation to chat")
    decline: PeerOf | None = Field(None, description="does not take it")
    end_session: PeerOf | None = Field(None, description="leaves the chat session")
    consent: PeerOf | None = Field(None, description="agrees to go on without encryption")
    revive: PeerOf | None = Field(None, description="wants the encryption back")
    resend_as_sms: Annotated[Resend, BeforeValidator(_short("message"), json_schema_input_type=Resend | str)] | None = (
        None
    )
    power_on: Nothing | None = None
    power_off: Nothing | None = None
    power_cycle: Nothing | None = None
    lose_power: Nothing | None = Field(None, description="stops without a word to anybody")
    airplane: (
        Annotated[Airplane, BeforeValidator(_short("on"), json_schema_input_type=Airplane | bool | str)] | None
    ) = None
    wipe: Nothing | None = Field(None, description="factory reset; the phone is off afterwards")
    swap_device: Annotated[Handset, BeforeValidator(_short("device"), json_schema_input_type=Handset | str)] | None = (
        None
    )
    swap_sim: Annotated[NewSim, BeforeValidator(_short("msisdn"), json_schema_input_type=NewSim | str)] | None = None
    add_device: Annotated[NewDevice, BeforeValidator(_short("as"), json_schema_input_type=NewDevice | str)] | None = (
        None
    )
    free_sms_memory: Annotated[Count, BeforeValidator(_short("count"), json_schema_input_type=Count | int)] | None = (
        None
    )

    @model_validator(mode="after")
    def _is_one(self) -> StepAction:
        if len(self.model_fields_set) != 1:
            raise ValueError("a step is one action")
        return self

    @property
    def word(self) -> str:
        return next(iter(self.model_fields_set))


class Age(_Strict):
    """So much time passes on the calendar."""

    days: float = Field(0, ge=0)
    hours: float = Field(0, ge=0)
    minutes: float = Field(0, ge=0)
    seconds: float = Field(0, ge=0)

    @model_validator(mode="after")
    def _is_time(self) -> Age:
        if self.duration_s <= 0:
            raise ValueError("no time at all")
        if self.duration_s > _MOST_DAYS * _DAY_S:
            raise ValueError(f"more than {_MOST_DAYS} days")
        return self

    @property
    def duration_s(self) -> float:
        return self.days * _DAY_S + self.hours * 3600 + self.minutes * 60 + self.seconds


class OperatorSms(_Strict):
    """An SMS of the operator."""

    carrier: str
    to: Address
    text: str = Field(min_length=1)


def _faults(value: Any) -> Any:
    """`fault: kds.down` for `fault: {kds.down: {}}`."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if scope is None else scope for key, scope in value.items()}
    return value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


BareWord = Literal["read", "power_on", "power_off", "power_cycle", "lose_power", "wipe"]
FaultWord = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z0-9_]+$")]


class Step(BaseModel):
    """One step: an action of a phone (the key is its name), or one of the members here. *id* names the step."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[
        str, Annotated[StepAction, BeforeValidator(_bare, json_schema_input_type=StepAction | BareWord)]
    ] = Field(init=False)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9 _-]*$")] | None = None
    expect: Expect | None = None
    fault: (
        Annotated[
            dict[FaultWord, dict[str, Any]],
            BeforeValidator(_faults, json_schema_input_type=dict[FaultWord, dict[str, Any] | None] | FaultWord),
        ]
        | None
    ) = Field(None, description="faults that begin; for_s ends them by themselves")
    end_fault: (
        Annotated[list[FaultWord], BeforeValidator(_several, json_schema_input_type=list[FaultWord] | FaultWord)] | None
    ) = None
    age: Annotated[Age, BeforeValidator(_short("days"), json_schema_input_type=Age | float)] | None = Field(
        None, description="time passes; days if bare"
    )
    operator_sms: OperatorSms | None = None
    note: str | None = Field(None, description="a remark that stands in the trace")

    @model_validator(mode="after")
    def _is_one(self) -> Step:
        if len(self._said()) != 1:
            raise ValueError("a step is one thing: the name of a phone with its action, or " + ", ".join(KEYWORDS))
        return self

    def _said(self) -> list[str]:
        return [name for name in self.model_fields_set if name != "id"]

    @property
    def actor(self) -> str | None:
        """The phone whose user acts; None for the other kinds of step."""
        return next(iter(self.__pydantic_extra__), None)

    @property
    def action(self) -> StepAction | None:
        return next(iter(self.__pydantic_extra__.values()), None)

    @property
    def title(self) -> str:
        """A few words for progress and failures."""
        words = f"{self.actor}: {self.action.word}" if self.action is not None else self._said()[0]
        return f"{self.id} ({words})" if self.id else words


KEYWORDS: tuple[str, ...] = tuple(name for name in Step.model_fields if name != "id")
ACTIONS: tuple[str, ...] = tuple(StepAction.model_fields)
