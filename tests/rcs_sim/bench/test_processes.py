"""Children start, answer, are counted and end."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from rcs_sim.bench.processes import BenchError, cpu_s_of_tree, python_child, result_of_child, running


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_child_says_one_json_object_a_line() -> None:
    with running(_python("print('{\"a\": 1}'); print('{\"a\": 2}')")) as child:
        assert [child.read_json()["a"], child.read_json()["a"]] == [1, 2]


def test_a_child_of_ours_ends_with_its_input() -> None:
    with running(_python("import sys; print('{}', flush=True); sys.stdin.read()")) as child:
        child.read_json()
        process = child.process
        assert process.poll() is None
    assert process.returncode == 0


def test_another_program_is_told_to_stop() -> None:
    with running(_python("import time; time.sleep(600)"), is_ours=False) as child:
        process = child.process
    assert process.returncode is not None
    assert process.returncode != 0


def test_a_child_that_fails_shows_its_last_words() -> None:
    with (
        running(_python("import sys; sys.exit('no such thing')")) as child,
        pytest.raises(BenchError, match="status 1: no such thing"),
    ):
        child.read_json()


def test_what_is_not_json_is_shown() -> None:
    with running(_python("print('hello')")) as child, pytest.raises(BenchError, match="hello"):
        child.read_json()


def test_a_silent_child_is_not_waited_for_longer_than_said() -> None:
    with (
        running(_python("import sys; sys.stdin.read()")) as child,
        pytest.raises(BenchError, match="did not answer in time"),
    ):
        child.read_json(within_s=0.05)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(BenchError, match="no-such-program cannot be started"), running(["no-such-program"]):
        pass


def test_the_module_that_runs_to_its_end_gives_its_last_object() -> None:
    found = result_of_child("rcs_sim.bench.memory_core", 2, within_s=60.0)
    assert set(found) == {"subscription_kb", "registration_kb"}


def test_progress_is_passed_on() -> None:
    heard: list[tuple[int, int]] = []
    result_of_child("rcs_sim.bench.memory_core", 2, within_s=60.0, on_run=lambda done, of: heard.append((done, of)))
    assert heard[-1] == (2, 2)


def test_the_command_runs_our_own_interpreter() -> None:
    assert python_child("a.b", 1, "x") == [sys.executable, "-m", "a.b", "1", "x"]


_BUSY = """
import sys, time
while time.process_time() < 0.3:
    pass
print("{}", flush=True)
sys.stdin.read()
"""


def test_the_time_of_children_counts() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BUSY!r}])"
    with running(_python(parent)) as child:
        child.read_json()
        assert cpu_s_of_tree(child.pid) >= 0.2


def test_a_process_that_is_gone_has_used_nothing() -> None:
    with subprocess.Popen(_python("pass")) as process:
        process.wait(10)
    assert cpu_s_of_tree(process.pid) == 0.0


def test_after_ctrl_c_nobody_waits_for_a_measurement() -> None:
    endless = _python("print('{}', flush=True)\nwhile True: pass")
    measurement = running(endless)
    child = measurement.__enter__()
    child.read_json()
    begun = time.monotonic()
    assert not measurement.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert child.process.returncode is not None
    assert time.monotonic() - begun < 5
