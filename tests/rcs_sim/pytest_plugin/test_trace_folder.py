"""One trace file for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ims_core.trace import RecordKind, TraceRecord, read_ndjson
from rcs_sim.pytest_plugin.trace_folder import Keeping, TraceFolder

RECORD = TraceRecord(number=1, at=0.0, kind=RecordKind.STATE, source="alice", target="alice", summary="registered")
TEST = "tests/test_a.py::TestLock::test_it[ios-red/blue]"


@pytest.mark.parametrize(
    ("keeping", "has_failed", "is_kept"),
    [
        (Keeping.OFF, False, False),
        (Keeping.OFF, True, False),
        (Keeping.ON, False, True),
        (Keeping.ON, True, True),
        (Keeping.RETAIN_ON_FAILURE, False, False),
        (Keeping.RETAIN_ON_FAILURE, True, True),
    ],
)
def test_what_is_kept(keeping: Keeping, has_failed: bool, is_kept: bool, tmp_path: Path) -> None:
    folder = TraceFolder(tmp_path / "deep" / "down", keeping)
    file = folder.ended(TEST, [RECORD], has_failed=has_failed)
    assert (file is not None) is is_kept
    assert folder.file_of(TEST).exists() is is_kept
    if file is not None:
        assert list(read_ndjson(file.read_text().splitlines())) == [RECORD]


def test_a_test_that_passes_again_leaves_no_trace_of_its_failure(tmp_path: Path) -> None:
    folder = TraceFolder(tmp_path, Keeping.RETAIN_ON_FAILURE)
    assert folder.ended(TEST, [RECORD], has_failed=True) is not None
    folder.ended(TEST, [RECORD], has_failed=False)
    assert list(tmp_path.iterdir()) == []


def test_tests_with_like_names_have_files_of_their_own(tmp_path: Path) -> None:
    folder = TraceFolder(tmp_path, Keeping.ON)
    names = ["a/b.py::test", "a-b.py::test", "a b.py::test", "a.py::test[" + "x" * 500 + "]", "a.py::test[x]", "ü", "☃"]
    files = {folder.file_of(name) for name in names}
    assert len(files) == len(names)
    assert all(file.parent == tmp_path and len(file.name) < 160 and file.name.isascii() for file in files)
