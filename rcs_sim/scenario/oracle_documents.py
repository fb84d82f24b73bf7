"""The JSON of `rcs-sim trace oracle` and `rcs-sim why`. Forms in docs/formats.md."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "OracleDisplay",
    "OracleDocument",
    "OracleHop",
    "OracleOutsider",
    "OracleRow",
    "OracleViolation",
    "WhyDocument",
    "WhyMessage",
    "WhyStep",
]

ViolationWord = Literal["lying lock", "missing lock", "silent loss", "duplicate", "silent downgrade"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OracleHop(_Document):
    """One passage of a message over one link."""

    record: int = Field(description="number of the record")
    at: float
    source: str
    target: str
    reference_point: str
    protocol: str
    transport: str = Field(description="UDP, TCP or TLS; with TLS nobody but the two ends sees the octets")
    verdict: Literal["readable", "sealed", "undecided"]
    how: str = Field(description="encoding of a readable text, media type of a sealed one, or what is not clear")
    octets: int = Field(ge=0, description="of the content; 0 if the text stood somewhere else")


class OracleDisplay(_Document):
    """How one phone shows a message at the end."""

    phone: str
    label: str
    scheme: str | None = Field(description="mls or legacy; null without a lock")
    lock: bool
    record: int = Field(description="what says so")
    times: int = Field(ge=0, description="how often it was shown")


class OracleRow(_Document):
    """One message of a user."""

    id: str = Field(description="m1, m2, ... in the order of sending")
    message_id: str
    sender: str = Field(alias="from", description='name of the phone; "" for somebody who is no phone of the trace')
    to: str = Field(description="number that it went to")
    text: str
    change: str | None = Field(None, description="+Reaction, -Reaction, Edit or Recall; null for a text")
    about: str | None = Field(None, description="m1, m2, ...: what it changes; its id if that is no message here")
    at: float
    label: str = Field(description="on the first phone that showed it; on its sender's if none did")
    scheme: str | None
    mark: str = Field(description='last tick that its sender saw; "" while it waits')
    readers: list[str] = Field(description="who could read it: the elements that saw it, and the phones of its ends")
    verdict: Literal["readable", "sealed", "undecided", "not sent"]
    pending: bool = Field(description="on its way still when the trace ended")
    displays: list[OracleDisplay]
    metadata: dict[str, list[str]] = Field(description="what each element learned without reading it")
    hops: list[OracleHop]


class OracleOutsider(_Document):
    """One message between clients that are no phones of the trace: what they show nobody tells."""

    message_id: str = Field(description='imdn.Message-ID; "" without one')
    sender: str = Field(alias="from", description='bare digits; "" where the octets do not say it')
    to: str = Field(description="bare digits, likewise")
    at: float
    media_type: str = Field(description="of the content, or SMS")
    text: str = Field(description='what stands in clear; "" if it is sealed')
    verdict: Literal["readable", "sealed", "undecided"]
    readers: list[str] = Field(description="who could read it: the elements that saw it")
    records: list[int] = Field(description="numbers of the records that carried it")


class OracleViolation(_Document):
    """Something that must not happen."""

    violation: ViolationWord
    message: str = Field(description="m1, m2, ...")
    phone: str
    why: str
    evidence: list[int] = Field(description="numbers of records")


class OracleDocument(_Document):
    """`rcs-sim trace oracle --json`."""

    records: int
    missing: list[tuple[int, int]] = Field(
        default_factory=list, description="first and last number of each run of records that the trace does not have"
    )
    messages: list[OracleRow]
    violations: list[OracleViolation]
    operators: dict[str, str] = Field(description="by carrier: one sentence on what its operator could read")
    outside: list[OracleOutsider] = Field(
        default_factory=list, description="messages between clients that are no phones of the trace"
    )


class WhyStep(_Document):
    """One gate that a message passed, or did not."""

    gate: str
    outcome: Literal["passed", "stopped", "note"]
    says: str
    record: int | None = Field(description="number of the record that shows it; null for what never happened")
    at: float | None
    element: str


class WhyMessage(_Document):
    """The chain of one message. The answers are null where there is nothing to answer."""

    id: str
    message_id: str
    sender: str = Field(alias="from")
    to: str
    text: str
    change: str | None = Field(None, description="+Reaction, -Reaction, Edit or Recall; null for a text")
    about: str | None = Field(None, description="m1, m2, ...: what it changes")
    label: str
    scheme: str | None
    verdict: str = Field(description="one sentence: what became of it")
    no_lock: str | None = Field(description="why it has no lock")
    fell_back: str | None = Field(description="why it did not go as RCS")
    failed: str | None = Field(description="why it failed or was lost")
    steps: list[WhyStep]


class WhyDocument(_Document):
    """`rcs-sim why --json`."""

    messages: list[WhyMessage]
