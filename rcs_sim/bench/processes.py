"""Child processes of a measurement: started by module, told to end by the end of their input, and their CPU time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from ims_core.errors import SimulatorError

__all__ = ["BenchError", "Child", "cpu_s_of_tree", "python_child", "result_of_child", "running"]

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 10.0
_BREAK_OFF_WITHIN_S = 1.0  # after Ctrl-C
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SHOWN_OCTETS = 600  # of what a program printed, in an error


class BenchError(SimulatorError):
    """A measurement could not be set up or did not end as it must. The text says what happened."""


class Child:
    """A running program and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.process = process
        self._log = log  # its standard error
        self._output = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def printed(self) -> str:
        """The last of what went to standard error; for another's program, of all that it printed."""
        return _end_of(self._log)

    def read_json(self, within_s: float = _READY_WITHIN_S) -> dict[str, Any]:
        """The next line, which has to be a JSON object. Raises BenchError if none comes in time."""
        deadline = time.monotonic() + within_s
        while b"\n" not in self._output:
            self._read_some(deadline)
        line, _, self._output = self._output.partition(b"\n")
        try:
            value: dict[str, Any] = json.loads(line)
        except ValueError:
            raise BenchError(f"{self._name()} printed {line[:_SHOWN_OCTETS]!r} in place of JSON") from None
        return value

    def write_json(self, value: Any) -> None:
        """A line for its standard input. Raises BenchError if it has ended."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(value).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise BenchError(f"{self._name()} has ended: {self.printed}") from error

    def _read_some(self, deadline: float) -> None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise BenchError(f"{self._name()} did not answer in time")
        chunk = os.read(self.process.stdout.fileno(), 65536)
        if not chunk:
            status = self.process.wait(_STOP_WITHIN_S)
            raise BenchError(f"{self._name()} ended with status {status}: {self.printed}")
        self._output += chunk

    def _name(self) -> str:
        words = self.process.args
        return " ".join(map(str, words)) if isinstance(words, list | tuple) else str(words)


@contextmanager
def running(command: Sequence[str], *, cwd: Path | None = None, is_ours: bool = True) -> Iterator[Child]:
    """Runs *command* until the block ends. Raises BenchError if it cannot be started.

    Ours prints JSON, and ends when its input does. Another's prints what nobody reads, and is told to stop."""
    with TemporaryFile(prefix="rcs-sim-bench-") as log:
        output = subprocess.PIPE if is_ours else log
        try:
            process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=output, stderr=log, cwd=cwd)
        except OSError as error:
            raise BenchError(f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            yield Child(process, log)
        except BaseException:
            _stop(process, gently=False, within_s=_BREAK_OFF_WITHIN_S)  # what it measures is of no use any more
            raise
        else:
            _stop(process, gently=is_ours)


def python_child(module: str, *arguments: object) -> list[str]:
    """The command that runs one of our own modules in a process of its own."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def result_of_child(
    module: str, *arguments: object, within_s: float, on_run: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Runs a module to its end; gives the JSON object that it printed last. Raises BenchError.

    *on_run* hears of the objects before it, which tell how far the module is (``done``, ``of``)."""
    deadline = time.monotonic() + within_s
    with running(python_child(module, *arguments)) as child:
        while "done" in (found := child.read_json(deadline - time.monotonic())):
            if on_run is not None:
                on_run(found["done"], found["of"])
        return found


def _stop(process: subprocess.Popen[bytes], *, gently: bool, within_s: float = _STOP_WITHIN_S) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it has ended, and what was written last is not out yet
        process.stdin.close()
    try:
        if not gently:
            process.terminate()
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_WITHIN_S)
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _end_of(log: IO[bytes]) -> str:
    """The last of what a program printed."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _SHOWN_OCTETS))
    return log.read().decode(errors="replace").strip()


def cpu_s_of_tree(pid: int) -> float:
    """User and system time in seconds of a process and its living descendants, to the clock tick (10 ms as a rule)."""
    parents = dict(_processes())
    members = {pid}
    while True:
        found = {child for child, (parent, _) in parents.items() if parent in members}
        if found <= members:
            break
        members |= found
    return sum(ticks for each, (_, ticks) in parents.items() if each in members) / _TICKS_PER_S


def _processes() -> Iterator[tuple[int, tuple[int, int]]]:
    """Every process: its parent and its user and system time in ticks (proc(5), fields 4, 14 and 15 of stat)."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text()
        except OSError:  # it ended in the meantime
            continue
        fields = text.rpartition(")")[2].split()  # the name before it may hold anything
        yield int(folder.name), (int(fields[1]), int(fields[11]) + int(fields[12]))
