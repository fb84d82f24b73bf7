"""The scenario file (docs/formats.md): who is there, under which policies, what happens, what has to come of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rcs_sim.scenario.story.expectation_model import NeverWord, Violation
from rcs_sim.scenario.story.fallback_policies import CarrierPolicyName, ClientFallbackName, NetworkFallbackName
from rcs_sim.scenario.story.step_model import Step

__all__ = ["PhoneEntry", "PolicyEntry", "ScenarioFile", "SloEntry"]

PhoneKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Seconds = Annotated[float, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Words = Annotated[list[str], BeforeValidator(_several, json_schema_input_type=list[str] | str)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhoneEntry(_Strict):
    """One phone: the next free subscriber of its carrier, or *msisdn*."""

    device: str = "android"
    carrier: str = "red"
    msisdn: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{3,14}$")] | None = None
    client_fallback: ClientFallbackName | None = Field(None, description="of this phone, before that of `policy:`")
    reads_after_s: Seconds | None = Field(None, description="its user looks at new messages by himself")
    accepts_after_s: Seconds | None = Field(None, description="its user takes invitations by himself")
    is_on: bool = Field(True, description="switched on and registered before the first step")


class PolicyEntry(_Strict):
    """The fallback policy matrix, and more of the carriers."""

    network_fallback: NetworkFallbackName | None = None
    client_fallback: ClientFallbackName | None = None
    carrier: CarrierPolicyName | None = None
    carriers: dict[str, dict[str, Any]] = Field({}, description="members of carrier profiles; the last word")


class SloEntry(_Strict):
    """Thresholds over the messages of all runs of the scenario, matrix and repetitions together."""

    delivered_ratio: Ratio | None = Field(None, description="at least so many are delivered")
    delivered_p50_s: Seconds | None = Field(None, description="half of the deliveries take no longer")
    delivered_p95_s: Seconds | None = None
    delivered_max_s: Seconds | None = None
    fallback_ratio: Ratio | None = Field(None, description="at most so many are carried by SMS")
    failed_ratio: Ratio | None = Field(None, description="at most so many are shown as failed")
    encrypted_ratio: Ratio | None = Field(None, description="at least so many are sealed")


MatrixValue = str | int | float | bool | None | list[Any] | dict[str, Any]


class ScenarioFile(_Strict):
    """A story with its expectations."""

    name: str = Field(min_length=1)
    spec: Words = Field([], description="clauses that it is about, such as RCC.16 §8")
    description: str = ""
    tags: Words = []
    network: str = Field("two-carriers", description="network profile, or the path of a network file")
    clock: Literal["virtual", "real"] = "virtual"
    seed: int = 7
    phones: dict[PhoneKey, PhoneEntry] = Field(min_length=1)
    policy: PolicyEntry = PolicyEntry()
    matrix: dict[str, Annotated[list[MatrixValue], Field(min_length=1)]] = Field(
        {}, description="axes: a path into this file with its values, or a name with sets of changes by path"
    )
    repeat: int = Field(1, ge=1, le=10_000, description="seeds from `seed` on, one run each")
    slo: SloEntry | None = None
    never: Annotated[list[NeverWord], BeforeValidator(_several, json_schema_input_type=list[NeverWord] | NeverWord)] = (
        Field([], description="of any message, to the end")
    )
    violations: Annotated[
        list[Violation], BeforeValidator(_several, json_schema_input_type=list[Violation] | Violation)
    ] = Field([], description="what the oracle has to find; anything else that it finds fails the run")
    settles_within_s: Seconds = Field(
        60, le=864_000, description="time after the last step until every message is settled"
    )
    compares: Literal["trace", "verdict"] = Field(
        "trace", description="what runs of one seed have in common; verdict where a library draws randomness of its own"
    )
    steps: list[Step] = Field(min_length=1)
