"""What a scenario file may expect of messages, labels, screens and the trace."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = [
    "NEVER",
    "SCENE",
    "VIOLATIONS",
    "Expect",
    "MessageExpectation",
    "NeverWord",
    "ScreenLine",
    "StateWord",
    "TraceLines",
    "Violation",
]

Seconds = Annotated[float, Field(ge=0, le=315_360_000)]
PhoneName = Annotated[str, Field(min_length=1)]

StateWord = Literal[
    "queued",
    "sending",
    "sent",
    "delivered",
    "displayed",
    "failed",
    "revoking",
    "revoked",
    "sent-as-sms",
    "interworked",
]

Violation = Literal["lying_lock", "missing_lock", "silent_loss", "duplicate", "silent_downgrade"]
NeverWord = Literal[
    "lying_lock", "missing_lock", "silent_loss", "duplicate", "silent_downgrade", "plaintext", "sms", "failed"
]
VIOLATIONS: tuple[str, ...] = get_args(Violation)
NEVER: tuple[str, ...] = get_args(NeverWord)


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MessageExpectation(_Strict):
    """Of one message. Times count from when it was sent, on the simulation's clock."""

    sent_within_s: Seconds | None = Field(None, description="accepted by RCS or by the SMS centre, or further")
    delivered_within_s: Seconds | None = None
    displayed_within_s: Seconds | None = None
    failed_within_s: Seconds | None = None
    sent_as_sms_within_s: Seconds | None = Field(None, description="an SMS copy was accepted by the SMS centre")
    state: (
        Annotated[list[StateWord], BeforeValidator(_several, json_schema_input_type=list[StateWord] | StateWord)] | None
    ) = Field(None, description="one of these, now")
    transport: Literal["rcs", "sms"] | None = Field(None, description="what carried it, or carries it now")
    mode: Literal["pager", "session", "large"] | None = Field(None, description="mode of RCS")
    scheme: Literal["mls", "legacy", "none"] | None = Field(None, description="how it was sealed")
    label: str | None = Field(None, description="the label of this one message")
    reason: str | None = Field(None, description="why not by RCS: the phone's words, or their name in lower case")
    offers_sms: bool | None = Field(None, description='the phone asks "not delivered: send as text?"')
    shown: int | None = Field(None, ge=0, description="times that phones showed it as coming in")
    text: str | dict[PhoneName, str] | None = Field(
        None, description="on the screens of both sides now, or by phone: after edits; empty after a recall"
    )
    recalled: bool | dict[PhoneName, bool] | None = Field(
        None, description="both sides show it as recalled, or neither does; or by phone"
    )
    reactions: dict[PhoneName, str] | None = Field(
        None, description="emoji on it by phone, all of them, on the screens of both sides"
    )
    readers: list[str] | None = Field(None, description="exactly these could read it, by the octets")
    readers_include: list[str] = []
    readers_exclude: list[str] = []
    never: list[NeverWord] = Field([], description="until the scenario ends")


class ScreenLine(_Strict):
    """Something that a phone showed."""

    what: str = Field(description="message, sent, delivered, failed, label, tombstone, notice, invitation, typing …")
    text: str | None = Field(None, description="part of its text, label or reason")
    times: int | None = Field(None, ge=0, description="exactly so often; else once or more")


class TraceLines(_Strict):
    """Records of the trace, since the scenario began."""

    kind: Literal["message", "state", "shown", "fault", "error"] | None = None
    source: str | None = None
    target: str | None = None
    reference_point: str | None = None
    protocol: str | None = None
    contains: str = Field("", description="part of the summary")
    times: int | None = Field(None, ge=0)
    at_least: int | None = Field(None, ge=0)
    at_most: int | None = Field(None, ge=0)


PerPeer = dict[PhoneName, dict[PhoneName, str]]


class Expect(BaseModel):
    """Expectations: a message by its name, or one of the members here."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, MessageExpectation] = Field(init=False)

    within_s: Seconds = Field(0, description="how long what has no deadline of its own may take to come true")
    label: PerPeer | None = Field(None, description="of a phone's conversation with another")
    scheme: dict[PhoneName, dict[PhoneName, Literal["mls", "legacy", "none"]]] | None = None
    session: PerPeer | None = Field(None, description="state of the chat session; empty without one")
    typing: dict[PhoneName, dict[PhoneName, bool]] | None = Field(None, description="who sees whom typing")
    registered: dict[PhoneName, bool] | None = None
    same_security_code: list[list[PhoneName]] | None = Field(None, description="pairs that compare their codes")
    inbox: dict[PhoneName, list[str]] | None = Field(None, description="texts shown as coming in, all, in order")
    screen: dict[PhoneName, list[ScreenLine]] | None = None
    trace: list[TraceLines] | None = None

    @model_validator(mode="after")
    def _expects(self) -> Expect:
        if not self.model_fields_set - {"within_s"}:
            raise ValueError("nothing is expected")
        return self

    @property
    def messages(self) -> dict[str, MessageExpectation]:
        return dict(self.__pydantic_extra__)


SCENE: tuple[str, ...] = tuple(Expect.model_fields)
