"""The JSON has the documented form, and the schema in the package is that of the code."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rcs_sim.scenario.documents import SCHEMAS
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_documents import OracleDocument, OracleViolation
from rcs_sim.scenario.oracle_rules import ViolationKind
from tests.support.oracle_traces import SealedConversation


def test_what_is_written_is_read_again() -> None:
    document = Oracle(SealedConversation().records).document()
    assert OracleDocument.model_validate(json.loads(document.model_dump_json(by_alias=True))) == document


def test_every_violation_has_a_word_in_the_form() -> None:
    for kind in ViolationKind:
        OracleViolation(violation=kind.value, message="m1", phone="alice", why="", evidence=[])
    with pytest.raises(ValidationError):
        OracleViolation.model_validate({"violation": "other", "message": "", "phone": "", "why": "", "evidence": []})


def test_both_forms_have_a_schema() -> None:
    assert {"oracle", "why"} <= set(SCHEMAS)
