"""What a test run tells at its end: how many entries of each outside vector file it has gone through."""

from __future__ import annotations

import re

import pytest

_COUNTED = re.compile(r"^\S+\.json: \d+ entries.*$", re.MULTILINE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeats the lines ``<file>: <number> entries`` that passed tests have printed, which pytest keeps to itself."""
    passed = terminalreporter.stats.get("passed", [])
    lines = sorted({line for report in passed for line in _COUNTED.findall(report.capstdout)})
    if lines:
        terminalreporter.section("outside vectors")
    for line in lines:
        terminalreporter.write_line(line)
