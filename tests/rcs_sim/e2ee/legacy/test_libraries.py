"""The legacy scheme says what it lacks, and everything else does without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rcs_sim.cli import main
from rcs_sim.e2ee.legacy.libraries import LegacyUnavailable, has_legacy_libraries, require_legacy_libraries


def test_with_both_libraries_nothing_is_said() -> None:
    pytest.importorskip("x3dh")
    pytest.importorskip("doubleratchet")
    assert has_legacy_libraries()
    require_legacy_libraries()


def test_without_a_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rcs_sim.e2ee.legacy.libraries._LIBRARIES", ("no_such_library",))
    assert not has_legacy_libraries()
    with pytest.raises(LegacyUnavailable, match=r"needs no_such_library: .*rcs-sim\[legacy\]"):
        require_legacy_libraries()


def test_the_command_line_says_so_before_it_plays_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("rcs_sim.e2ee.legacy.libraries._LIBRARIES", ("no_such_library",))
    monkeypatch.setattr(sys, "argv", ["rcs-sim", "demo", "--legacy", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "rcs-sim[legacy]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["rcs_sim.client.phone", "rcs_sim.server.key_distribution_server"])
def test_phones_and_servers_load_no_library_of_the_legacy_scheme(module: str) -> None:
    program = f"import sys, {module}; print([n for n in ('x3dh', 'doubleratchet', 'xeddsa') if n in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
