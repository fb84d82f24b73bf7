"""The JSON that `rcs-sim run --json` and `rcs-sim scenarios --json` print. Forms in docs/formats.md."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "FailureDocument",
    "FindingDocument",
    "MessageDocument",
    "RunDocument",
    "RunRow",
    "ScenarioDocument",
    "ScenarioListDocument",
    "SloDocument",
]

VerdictWord = Literal["pass", "fail", "broken"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MessageDocument(_Document):
    """One message of a run, as its sender's phone has it at the end."""

    name: str
    sender: str = Field(alias="from")
    to: str
    text: str = Field(description="its first 200 characters")
    state: str
    transport: Literal["rcs", "sms"]
    mode: Literal["pager", "session", "large"] | None = Field(description="null if it did not go by RCS")
    scheme: Literal["mls", "legacy"] | None
    label: str
    reason: str | None = Field(description="why it was not, or not only, an RCS message")
    delivered_after_s: float | None = Field(description="simulated seconds; null if it was not delivered")
    shown: int = Field(ge=0, description="times that one phone showed it as coming in, at most")
    readers: list[str] = Field(description="who could read it, by the octets")
    history: str
    change: str | None = Field(None, description="+Reaction, -Reaction, Edit or Recall; null for a text")


class FindingDocument(_Document):
    """Something that must never be, or that was to be found and was not."""

    kind: str
    message: str
    phone: str
    why: str
    evidence: list[int] = Field(description="numbers of trace records")


class FailureDocument(_Document):
    """Where and why a run did not pass."""

    step: int | None = Field(description="number from 1; null before the first and after the last")
    step_id: str | None = None
    title: str
    place: str = Field(description="file:line:column")
    about: str
    expected: str
    seen: str
    labels: dict[str, dict[str, str]] = Field(description="of each phone's conversations, by peer")
    ladder: str = Field(description="the last lines of the ladder diagram")


class RunRow(_Document):
    """One run: a variant of a scenario with one seed."""

    name: str
    file: str
    variant: str = Field(description='point of the matrix; "" without one')
    seed: int
    repetition: int = Field(1, ge=1, description="of --repeat, from 1")
    clock: Literal["virtual", "real"]
    spec: list[str] = []
    verdict: VerdictWord
    steps: int = Field(ge=0, description="steps that were done")
    steps_total: int
    until: str | None = Field(None, description="step after which it stopped, as asked")
    fork: str | None = Field(None, description="step from which on it was different, as asked")
    failure: FailureDocument | None = None
    violations: list[FindingDocument] = Field([], description="what the oracle found, tolerated or not")
    messages: list[MessageDocument] = []
    simulated_s: float = Field(0, ge=0)
    wall_s: float = Field(0, ge=0)
    records: int = Field(0, ge=0, description="length of the trace")
    trace_hash: str = Field("", description="SHA-256 of the trace file, whether it is kept or not")
    fork_records: int | None = Field(None, description="records before the fork: the same as without it")
    trace: str | None = Field(None, description="the kept trace file")
    replay: str = Field("", description="the command that does exactly this again")


class SloDocument(_Document):
    """One threshold of a scenario, over all its runs."""

    file: str
    name: str
    slo: str
    threshold: float
    measured: float | None = Field(description="null if there was nothing to measure")
    verdict: VerdictWord


class RunDocument(_Document):
    """`rcs-sim run --json`."""

    verdict: VerdictWord
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    broken: int = Field(ge=0)
    wall_s: float = Field(ge=0)
    runs: list[RunRow]
    slo: list[SloDocument] = []
    disagreements: list[str] = Field([], description="runs of one seed that differ in verdict or in trace")


class ScenarioDocument(_Document):
    """One scenario file of the library."""

    id: str = Field(description="what `rcs-sim run` takes")
    name: str
    file: str
    spec: list[str]
    tags: list[str]
    network: str
    clock: Literal["virtual", "real"]
    variants: int
    repeat: int
    steps: int
    faults: list[str]


class ScenarioListDocument(_Document):
    """`rcs-sim scenarios --json`."""

    scenarios: list[ScenarioDocument]
