"""The JSON of `rcs-sim matrix --json`. Form in docs/formats.md."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MatrixCell", "MatrixDocument"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MatrixCell(_Document):
    """One pair in one scenario."""

    scenario: str
    file: str
    first: str = Field(description="device of the scenario's first phone")
    second: str = Field(description="device of its second phone")
    verdict: Literal["pass", "fail", "broken"] = Field(description="the worst of its runs")
    label: str = Field(description='of the last message; "" if none was sent')
    why: str = Field(description='of the first run that did not pass; "" if all did')
    replays: list[str] = Field(description="the command of each run")


class MatrixDocument(_Document):
    """`rcs-sim matrix --json`."""

    verdict: Literal["pass", "fail", "broken"]
    devices: list[str]
    cells: list[MatrixCell]
