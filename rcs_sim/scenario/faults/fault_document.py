"""The JSON of `rcs-sim faults --json`; form in docs/formats.md."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FaultDocument", "FaultListDocument", "ScopeKeyDocument"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScopeKeyDocument(_Document):
    """One key of a scope."""

    name: str = Field(description="as YAML spells it; Python writes from_ and as_")
    type: Literal["phone", "carrier", "element", "place", "seconds", "ratio", "count", "number", "word", "text"]
    meaning: str
    words: list[str] | None = Field(None, description="all values there are")
    default: str | float | int | None = None
    required: bool = False


class FaultDocument(_Document):
    """One word of the vocabulary."""

    word: str
    meaning: str
    clause: str = Field(description="of the standard that says what should happen")
    reversal: str = Field(description="what is there when it has ended")
    reach: Literal["both", "links"] = Field(
        description="in memory and on sockets: elements and links; or what elements of this process send"
    )
    occasion: Literal["beginning", "each"] = Field(
        description="acts once, when it begins, and lasts; or each time that something happens within its scope"
    )
    scope: list[ScopeKeyDocument]
    example: str = Field(description="a step of a scenario file")
    python: str
    scenarios: list[str] = Field(description="those that ship and use it")


class FaultListDocument(_Document):
    """Every word, or the one that was asked for."""

    faults: list[FaultDocument]
