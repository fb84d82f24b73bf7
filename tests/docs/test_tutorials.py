"""The tutorials are true: each command and each snippet of a page runs, in the order of the page, in a new folder.

Of a page run: the lines of its ``console`` blocks that begin with ``$``, as one script; those of a block that is marked
``background`` from there to the end of the page; Python blocks. A block after ``<!-- file: NAME -->`` is saved under
that name instead. A command that ends with ``# exit status N`` has to.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = sorted((_ROOT / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATUS = re.compile(r"(.*?)\s+# exit status (\d+)$")
_WINDOWS = ("wireshark",)  # programs that need a screen
_WITHIN_S = 400  # on a busy machine


def _commands(text: str) -> list[str]:
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith(_WINDOWS)]


def _in_background(command: str) -> list[str]:
    """Until its first line is in the file that it writes to; then the page goes on."""
    file = shlex.quote(shlex.split(command)[-1])
    return [f"{command} & pids+=($!)", f"until [ -s {file} ]; do kill -0 $!; sleep 0.1; done"]


def _checked(command: str) -> str:
    found = _STATUS.fullmatch(command)
    if found is None:
        return command
    return f"status=0; {found[1]} || status=$?; test $status = {found[2]}"


def _script(page: Path, folder: Path) -> str:
    """All of a page, what it says to save being saved."""
    lines = ["set -euo pipefail", "pids=()", 'ended() { kill -INT "${pids[@]}" && wait "${pids[@]}"; }']
    is_running = False
    for number, (name, language, mark, text) in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8"))):
        if name:
            (folder / name).write_text(text, encoding="utf-8")
        elif language == "python":
            (folder / f"snippet_{number}.py").write_text(text, encoding="utf-8")
            lines.append(f"python -W error snippet_{number}.py")
        elif language == "console" and mark == "background":
            lines += [line for command in _commands(text) for line in _in_background(command)]
            is_running = True
        elif language == "console":
            lines += [_checked(command) for command in _commands(text)]
    return "\n".join([*lines, *(["ended"] if is_running else [])])


def _sweep(group: int) -> None:
    """Whatever of the page is still running."""
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        return


@pytest.mark.slow
@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", "-c", _script(page, tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            said, _ = running.communicate(timeout=_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            pytest.fail(f"after {_WITHIN_S} s it still runs:\n{running.communicate()[0][-4000:]}")
        finally:
            _sweep(running.pid)
    assert running.returncode == 0, said[-6000:]
    assert "Traceback" not in said


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_a_page_has_commands_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert sum(len(_commands(body)) for _, language, _, body in _BLOCK.findall(text) if language == "console") > 3
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert all((page.parent / link).is_file() for link in links)


def test_the_example_of_the_page_about_pytest_runs(tmp_path: Path) -> None:
    page = (_ROOT / "docs" / "testing-with-pytest.md").read_text(encoding="utf-8")
    example = next(text for _, language, _, text in _BLOCK.findall(page) if language == "python")
    (tmp_path / "test_lock.py").write_text(example, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lock.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "2 passed" in done.stdout


def test_the_example_of_a_scenario_file_passes(tmp_path: Path) -> None:
    page = (_ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    example = next(text for _, language, _, text in _BLOCK.findall(page) if language == "yaml")
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    command = [sys.executable, "-m", "rcs_sim", "run", "example.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_list_of_scenarios_is_that_of_the_library() -> None:
    page = (_ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    listed: set[str] = set()
    for group, rows in re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL):
        listed |= {f"{group}/{name}" for name in re.findall(r"^\| ([\w-]+) \|", rows, re.MULTILINE)} - {
            f"{group}/scenario"
        }
    library = _ROOT / "profiles" / "scenarios"
    assert listed == {str(path.relative_to(library).with_suffix("")) for path in library.rglob("*.yaml")}
