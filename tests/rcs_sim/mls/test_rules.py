"""Each rule that the engine refuses by has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]
_RULE = re.compile(r'"(ValSem\d{3}|VAL-\d{3})"')
_IN_TESTS = re.compile(r"valsem\d{3}|val-?\d{3}")
# The common vocabulary (ValSem002 to 011, 101 to 113, 200 to 209, 240 to 246, 300, 401 to 403). 246 is 010 of a joiner.
_VOCABULARY = (*range(2, 12), *range(101, 114), *range(200, 210), *range(240, 247), 300, *range(401, 404))


def rules() -> list[str]:
    """The rules that the engine refuses by."""
    found = (_RULE.findall(path.read_text(encoding="utf-8")) for path in (_ROOT / "rcs_sim" / "mls").glob("*.py"))
    return sorted({rule for each in found for rule in each})


def named_in_tests() -> set[str]:
    """The rules that are named in its tests, in one spelling."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != "test_rules.py"
    ]
    return {rule.replace("-", "") for text in texts for rule in _IN_TESTS.findall(text.lower())}


@pytest.mark.parametrize("rule", rules())
def test_a_rule_has_a_test(rule: str) -> None:
    assert rule.lower().replace("-", "") in named_in_tests()


def test_the_common_vocabulary_is_covered() -> None:
    known = {f"valsem{number:03}" for number in _VOCABULARY}
    assert known <= named_in_tests()
