"""The JSON of `rcs-sim faults --json` takes what a kind says of itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from rcs_sim.scenario.faults.fault_document import FaultDocument
from rcs_sim.scenario.faults.registry import FAULTS


@pytest.mark.parametrize("word", sorted(FAULTS))
def test_every_word_has_its_document(word: str) -> None:
    document = FaultDocument.model_validate({**FAULTS[word].document(), "scenarios": []})
    assert document.word == word
    assert FaultDocument.model_validate_json(document.model_dump_json()) == document


def test_a_member_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError):
        FaultDocument.model_validate({**FAULTS["kds.down"].document(), "scenarios": [], "more": 1})
