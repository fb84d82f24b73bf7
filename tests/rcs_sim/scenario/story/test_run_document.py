"""The JSON of runs keeps to its schema."""

from __future__ import annotations

import json

import jsonschema

from rcs_sim.scenario.documents import schema_text
from rcs_sim.scenario.story.run_document import RunDocument
from tests.rcs_sim.scenario.story.rows import failure, row


def test_a_document_keeps_to_its_schema() -> None:
    rows = [row(), row(verdict="fail", failure=failure())]
    document = RunDocument(verdict="fail", passed=1, failed=1, broken=0, wall_s=0.5, runs=rows)
    jsonschema.validate(json.loads(document.model_dump_json(by_alias=True)), json.loads(schema_text("run")))
    assert RunDocument.model_validate_json(document.model_dump_json(by_alias=True)) == document
