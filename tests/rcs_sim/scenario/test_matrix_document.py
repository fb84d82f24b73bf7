"""The form of `rcs-sim matrix --json`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rcs_sim.scenario.documents import SCHEMAS
from rcs_sim.scenario.matrix_document import MatrixCell, MatrixDocument

CELL = MatrixCell(
    scenario="A story",
    file="story.yaml",
    first="ios",
    second="android",
    verdict="pass",
    label="RCS",
    why="",
    replays=["x"],
)


def test_it_has_a_schema_and_reads_back() -> None:
    document = MatrixDocument(verdict="pass", devices=["ios", "android"], cells=[CELL])
    assert SCHEMAS["matrix"].validate_python(document.model_dump()) == document


def test_what_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValidationError):
        MatrixCell.model_validate({**CELL.model_dump(), "colour": "green"})
    with pytest.raises(ValidationError):
        MatrixCell.model_validate({**CELL.model_dump(), "verdict": "maybe"})
