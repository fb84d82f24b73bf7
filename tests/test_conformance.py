"""docs/conformance.md promises nothing that the tree does not keep, and leaves nothing out."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")

_PATH = re.compile(r"`((?:ims_core|rcs_sim|profiles|tests|docs)/[\w./-]+)`")
_TEST = re.compile(r"`(tests/[\w./-]+\.py)::([\w:]+)`")
_ID = re.compile(r"[A-Z]\d\d")
_STATE = re.compile(r"done|(?:partial|later): .+")
_MARK = re.compile(r"\bDEVIATION:")
_CHOICE = re.compile(r"\(choice\b|\bchoice\)")

# How many statements the checklist has under each letter. Some numbers are not used.
_STATEMENTS = dict(C=13, R=15, D=8, P=7, S=15, F=5, I=11, M=10, G=15, T=9, L=12, N=5)


def section(title: str) -> str:
    """The text under a heading of the second level."""
    _, _, rest = PAGE.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Cells of every table row below a header."""
    found: list[list[str]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        is_head = number + 1 < len(lines) and lines[number + 1].startswith("|---")
        if line.startswith("| ") and not is_head:
            found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def statements() -> list[list[str]]:
    return [row for row in rows(section("Checklist")) if _ID.fullmatch(row[0])]


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """Names of the tests in a file, ``Class::name`` for those of a class."""
    names: set[str] = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            made = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {f"{node.name}::{each.name}" for each in made}
    return frozenset(name for name in names if name.rpartition("::")[2].startswith("test_"))


def marked(mark: re.Pattern[str]) -> Counter[str]:
    """How often *mark* stands in each module and profile."""
    counts: Counter[str] = Counter()
    for folder, pattern in (("ims_core", "*.py"), ("rcs_sim", "*.py"), ("profiles", "*.yaml")):
        for path in (ROOT / folder).rglob(pattern):
            found = len(mark.findall(path.read_text(encoding="utf-8")))
            if found:
                counts[str(path.relative_to(ROOT))] = found
    return counts


@pytest.mark.parametrize("path", sorted({*_PATH.findall(PAGE)}))
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", sorted({path for path, _ in _TEST.findall(PAGE)}))
def test_the_tests_that_are_named_exist(path: str) -> None:
    assert (ROOT / path).is_file()
    assert {name for other, name in _TEST.findall(PAGE) if other == path} <= names_of_tests(path)


def test_every_statement_of_the_checklist_has_one_row() -> None:
    ids = [row[0] for row in statements()]
    assert len(ids) == len(set(ids))
    assert Counter(id_[0] for id_ in ids) == _STATEMENTS


@pytest.mark.parametrize("row", statements(), ids=lambda row: row[0])
def test_a_row_says_where_and_what_is_done_is_tested(row: list[str]) -> None:
    state = row[-1]
    assert _STATE.fullmatch(state), "a state is done, partial: what is missing, or later: with what"
    if not state.startswith("later"):
        _, _, code, test, _ = row
        assert _PATH.search(code)
        assert _TEST.search(test)


@pytest.mark.parametrize("row", rows(section("Nodes")), ids=lambda row: row[0][:40])
def test_what_a_node_does_is_tested_where_it_is_called_done(row: list[str]) -> None:
    _, state, test = row
    assert _STATE.fullmatch(state)
    assert state != "done" or _TEST.search(test)


@pytest.mark.parametrize("title", ["MLS (RFC 9420)", "End-to-end encryption (RCC.16)", "Scenarios and faults"])
def test_what_is_called_done_or_partial_elsewhere_is_tested_too(title: str) -> None:
    found = rows(section(title))
    assert len(found) > 10
    for row in found:
        state, test = (row[-1], row[-2]) if _STATE.fullmatch(row[-1]) else (row[-2], row[-1])
        assert _STATE.fullmatch(state), row
        assert state != "done" or _TEST.search(test), row


def test_every_deviation_has_a_line() -> None:
    lines = Counter(path for row in rows(section("Deviations")) for path in _PATH.findall(row[-1]))
    assert lines == marked(_MARK)


def test_every_module_with_a_choice_has_a_line() -> None:
    listed = {path for row in rows(section("Choices")) for path in _PATH.findall(row[-1])}
    assert set(marked(_CHOICE)) <= listed
