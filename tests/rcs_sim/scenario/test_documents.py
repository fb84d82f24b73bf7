"""The JSON Schemas in the package are those of the code, and real documents match them."""

from __future__ import annotations

import json
from importlib import resources

import jsonschema
import pytest

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.documents import SCHEMAS, schema_text


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_schema_in_the_package_is_the_one_of_the_code(name: str) -> None:
    packaged = resources.files("rcs_sim") / "schemas" / f"{name}.schema.json"
    assert packaged.read_text(encoding="utf-8") == schema_text(name)
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))


def test_a_trace_line_matches_its_schema() -> None:
    record = TraceRecord(
        number=1,
        at=1.0,
        kind=RecordKind.MESSAGE,
        source="alice",
        target="red.pcscf",
        raw=b"\x00",
        call_id="c",
        details={"a": [1]},
    )
    jsonschema.validate(json.loads(record.to_json()), json.loads(schema_text("trace")))
