"""The JSON that other programs read: `up --json`, `demo --json`, a trace line. Forms in docs/formats.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.scenario.faults.fault_document import FaultListDocument
from rcs_sim.scenario.matrix_document import MatrixDocument
from rcs_sim.scenario.model import CarrierProfile, NetworkFile
from rcs_sim.scenario.oracle_documents import OracleDocument, WhyDocument
from rcs_sim.scenario.story.run_document import RunDocument, ScenarioListDocument
from rcs_sim.scenario.story.scenario_file import ScenarioFile

__all__ = [
    "SCHEMAS",
    "CarrierDocument",
    "DemoDocument",
    "DemoRow",
    "DemoVerdict",
    "PcscfDocument",
    "SubscriberDocument",
    "TraceLine",
    "UpDocument",
    "schema_text",
    "write_schemas",
]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SubscriberDocument(_Document):
    """A subscriber with its secrets, as `rcs-sim up` hands them to whoever started it."""

    msisdn: str | None = Field(description="E.164 number; null for a plain SIP subscriber")
    imsi: str | None
    impu: str = Field(description="default public identity, a SIP URI")
    impi: str = Field(description="private identity, the Digest user name")
    service: Literal["rcs", "sip"]
    auth: Literal["MD5", "SHA-256", "AKAv1-MD5"]
    password: str | None = Field(description="Digest password; null for AKA")
    k: str | None = Field(description="32 hexadecimal digits; null for Digest")
    opc: str | None = Field(description="32 hexadecimal digits; null for Digest")


class PcscfDocument(_Document):
    """Where a UE registers: host:port for each transport that listens."""

    udp: str | None
    tcp: str | None
    tls: str | None


class CarrierDocument(_Document):
    """Endpoints and subscribers of one carrier. What is not built yet is null."""

    domain: str
    pcscf: PcscfDocument
    acs: str = Field(description="URL of the autoconfiguration server")
    acs_tls: str | None
    kds: str | None = Field(None, description="URL of the key distribution server; null where phones do not encrypt")
    content: str | None = None
    msrp: str | None = None
    msrp_tls: str | None = None
    smsc: str = Field(description="E.164 address of the SMS centre")
    cs: str = Field(description="host:port of the circuit-switched stand-in, for SMS without IMS")
    subscribers: list[SubscriberDocument]


class UpDocument(_Document):
    """The one line that `rcs-sim up --json` prints when everything listens."""

    ready: Literal[True] = True
    network: str
    state: str | None = Field(description="folder of the store; null if nothing is kept")
    ca: str | None = Field(description="certificate of the lab's authority; null without TLS")
    carriers: dict[str, CarrierDocument]


class DemoRow(_Document):
    """One message of the demo."""

    column: str
    id: str
    sender: str = Field(alias="from")
    to: str
    text: str
    transport: Literal["rcs", "sms", "none"] = Field(description="what carried the copy that the receiver saw")
    mode: Literal["pager", "session", "large"] | None = Field(
        None, description="mode of RCS that its sender used for that copy; null if it was no RCS"
    )
    label: str = Field(description="label of the message at the receiver")
    scheme: Literal["mls", "legacy"] | None = Field(None, description="how it was sealed; null if it was not")
    readers: list[str] = Field(
        default_factory=list, description="who could read it, by the octets of every hop: elements and phones"
    )
    fallback_reason: str | None = Field(None, description="why it was not, or not only, carried by RCS; null if it was")
    state: str = Field("", description="the last that its sender was told")
    delivered: bool
    displayed: bool
    duplicates: int = Field(ge=0, description="times shown beyond the first")
    wire_octets: int = Field(ge=0, description="octets on every link from sending until the message was settled")
    seconds: float = Field(ge=0, description="simulated seconds from sending until it was shown")
    reason: str | None = Field(description="why another transport than RCS was used; null if none was")


class DemoVerdict(_Document):
    """What the oracle says of one column."""

    violations: list[str] = Field(description="each with the message and the evidence; none in a good run")
    operators: dict[str, str] = Field(description="by carrier: one sentence on what its operator could read")


class DemoDocument(_Document):
    """`rcs-sim demo --json`."""

    seed: int
    columns: dict[str, list[DemoRow]]
    oracle: dict[str, DemoVerdict] = Field(default_factory=dict, description="by column")
    files: dict[str, str] = Field(default_factory=dict, description="what was written, by kind and column")


class TraceLine(_Document):
    """One line of a trace file. Members without a value are left out."""

    number: Annotated[int, Field(ge=1)]
    at: float = Field(description="seconds since 1970-01-01T00:00:00Z on the simulation's clock")
    kind: Literal["message", "state", "shown", "fault", "error"]
    source: str
    target: str
    reference_point: str = ""
    protocol: str = ""
    summary: str = ""
    raw: str = Field("", description="the message as it was on the wire, base64")
    transport: str = ""
    source_address: str = ""
    target_address: str = ""
    call_id: str | None = None
    conversation_id: str | None = None
    imdn_message_id: str | None = None
    group_id: str | None = None
    epoch: int | None = None
    details: dict[str, Any] = {}


SCHEMAS: Mapping[str, TypeAdapter[Any]] = {
    "carrier": TypeAdapter(CarrierProfile),
    "demo": TypeAdapter(DemoDocument),
    "device": TypeAdapter(DevicePolicy),
    "faults": TypeAdapter(FaultListDocument),
    "matrix": TypeAdapter(MatrixDocument),
    "network": TypeAdapter(NetworkFile),
    "oracle": TypeAdapter(OracleDocument),
    "run": TypeAdapter(RunDocument),
    "scenario": TypeAdapter(ScenarioFile),
    "scenarios": TypeAdapter(ScenarioListDocument),
    "trace": TypeAdapter(TraceLine),
    "up": TypeAdapter(UpDocument),
    "why": TypeAdapter(WhyDocument),
}


def schema_text(name: str) -> str:
    """JSON Schema (2020-12) of one form. Raises KeyError for an unknown *name*."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[name].json_schema(by_alias=True)}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> None:
    """Writes every schema to *folder*; the package carries them in rcs_sim/schemas."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCHEMAS:
        (folder / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")
