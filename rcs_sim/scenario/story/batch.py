"""Many runs: what to play, in processes beside each other, and what runs of one seed have in common."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ims_core.errors import ProfileError, SimulatorError
from rcs_sim.scenario.story.changes import Change
from rcs_sim.scenario.story.player import play_story
from rcs_sim.scenario.story.reading import Fork, Story, read_stories, read_story
from rcs_sim.scenario.story.run_document import FailureDocument, RunRow

__all__ = ["RunOrder", "RunWishes", "disagreements", "orders_of", "play_order", "play_orders"]

MAX_RUNS = 100_000
TRACE_SUFFIX = ".rcstrace"
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")
_MAX_NAME = 120  # characters of a trace file's name


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWishes:
    """What the user asked for. *seed* None: what the files say. *trace* is where traces are kept whatever comes of the
    run: a file for a single run, a folder for several. *failed_folder* is for the traces of those that do not pass.
    *key_log*: beside every trace, what opens its sealed messages."""

    seed: int | None = None
    repeat: int = 1
    variants: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    fork: Fork | None = None
    until: str | None = None
    is_real: bool = False
    trace: Path | None = None
    failed_folder: Path = Path("rcs-sim-out")
    key_log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """One run, in the terms of whatever process plays it."""

    path: Path
    title: str
    variant: str
    seed: int
    repetition: int
    is_real: bool
    compares: str
    wishes: RunWishes
    trace: Path | None = None
    view: Path | None = None  # a second place for the trace, for whoever shows it afterwards
    names: tuple[str, ...] = field(default=())

    @property
    def replay(self) -> str:
        """The command that does exactly this again."""
        wishes = self.wishes
        path = str(self.path)
        words = ["rcs-sim", "run", f"./{path}" if path.startswith("-") else path, "--seed", str(self.seed)]
        if self.variant:
            words += ["--variant", self.variant]
        own = wishes.fork.changes if wishes.fork is not None else wishes.changes
        for change in own:
            words += ["--set", str(change)]
        if wishes.fork is not None:
            words += ["--fork", wishes.fork.step]
            if wishes.fork.inserted is not None:
                words += ["--insert", str(wishes.fork.inserted)]
        if wishes.until is not None:
            words += ["--until", wishes.until]
        if wishes.is_real:
            words.append("--real")
        return shlex.join(words)

    @property
    def file_name(self) -> str:
        """Of its trace: readable, and another one for every run of a batch."""
        parts = (*self.names, _UNSAFE.sub("_", self.variant), f"seed{self.seed}")
        again = f"-{self.repetition}" if self.wishes.repeat > 1 else ""
        name = "-".join(part for part in parts if part)
        if len(name) > _MAX_NAME:
            name = f"{name[:_MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        return name + again + TRACE_SUFFIX


def orders_of(paths: Sequence[Path], wishes: RunWishes) -> list[RunOrder]:
    """Every run of the files at *paths*: variants x seeds x repetitions. Raises ProfileError for the first mistake."""
    orders: list[RunOrder] = []
    for path in paths:
        stories = read_stories(path, wishes.changes, variants=wishes.variants, fork=wishes.fork)
        orders += [order for story in stories for order in _orders(story, wishes)]
        if len(orders) > MAX_RUNS:
            raise ProfileError(f"more than {MAX_RUNS} runs: fewer variants, or a smaller --repeat", file=str(path))
    if wishes.trace is None:
        return orders
    if len(orders) == 1:
        return [replace(orders[0], trace=wishes.trace)]
    return [replace(order, trace=wishes.trace / order.file_name) for order in orders]


def _orders(story: Story, wishes: RunWishes) -> Iterator[RunOrder]:
    file = story.file
    if wishes.until is not None:
        story.step_index(wishes.until)
    seeds = range(file.seed, file.seed + file.repeat) if wishes.seed is None else (wishes.seed,)
    if len(seeds) * wishes.repeat > MAX_RUNS:
        raise ProfileError(f"more than {MAX_RUNS} runs: a smaller --repeat", file=str(story.path))
    is_real = wishes.is_real or file.clock == "real"
    for seed in seeds:
        for repetition in range(1, wishes.repeat + 1):
            yield RunOrder(
                path=story.path,
                title=file.name,
                variant=story.variant,
                seed=seed,
                repetition=repetition,
                is_real=is_real,
                compares="verdict" if is_real else file.compares,
                wishes=wishes,
                names=(story.path.parent.name, story.path.stem),
            )


def play_order(order: RunOrder) -> RunRow:
    """Plays one run and keeps its trace if that is wanted. Raises nothing but what the disk refuses."""
    wishes = order.wishes
    try:
        story = read_story(order.path, order.variant, wishes.changes, fork=wishes.fork)
    except SimulatorError as error:  # it was right a moment ago
        return _broken(order, str(error))
    played = play_story(story, order.seed, is_real=wishes.is_real, until=wishes.until, with_keys=wishes.key_log)
    row = played.row.model_copy(
        update={
            "repetition": order.repetition,
            "replay": order.replay,
            "fork": None if wishes.fork is None else wishes.fork.step,
        }
    )
    if order.view is not None:
        played.write_trace(order.view)
    target = order.trace
    if target is None and row.verdict != "pass":
        target = wishes.failed_folder / order.file_name
    if target is None:
        return row
    played.write_trace(target)
    return row.model_copy(update={"trace": str(target)})


def _broken(order: RunOrder, why: str) -> RunRow:
    failure = FailureDocument(
        step=None,
        title="the start",
        place=str(order.path),
        about="the run",
        expected="to be played",
        seen=why,
        labels={},
        ladder="",
    )
    return RunRow(
        name=order.title,
        file=str(order.path),
        variant=order.variant,
        seed=order.seed,
        repetition=order.repetition,
        clock="real" if order.is_real else "virtual",
        verdict="broken",
        steps=0,
        steps_total=0,
        failure=failure,
        replay=order.replay,
    )


def play_orders(
    orders: Sequence[RunOrder], *, jobs: int | None = None, done: Callable[[RunRow], None] = lambda row: None
) -> list[RunRow]:
    """Plays all, *jobs* at a time (the processors of this machine), and tells each as it ends. Rows in order of
    *orders*. Runs on sockets go one at a time: they share the addresses."""
    workers = min(jobs or os.cpu_count() or 1, len(orders))
    if any(order.is_real for order in orders):
        workers = 1
    if workers <= 1:
        return [_told(play_order(order), done) for order in orders]
    rows: dict[int, RunRow] = {}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        for index, row in _results(pool, orders):
            rows[index] = _told(row, done)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C: once, and without those that wait
    return [rows[index] for index in range(len(orders))]


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """What is started meanwhile ignores Ctrl-C from its first moment: that is for the process that started it, which
    tells what is over and ends the others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _results(pool: ProcessPoolExecutor, orders: Sequence[RunOrder]) -> Iterator[tuple[int, RunRow]]:
    with _interrupts_ignored():
        waiting: dict[Future[RunRow], int] = {pool.submit(play_order, order): n for n, order in enumerate(orders)}
    while waiting:
        finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in finished:
            index = waiting.pop(future)
            try:
                yield index, future.result()
            except BrokenProcessPool:
                yield index, _broken(orders[index], "the process that played it ended: out of memory?")


def _told(row: RunRow, done: Callable[[RunRow], None]) -> RunRow:
    done(row)
    return row


def disagreements(orders: Sequence[RunOrder], rows: Sequence[RunRow]) -> list[str]:
    """Runs of one variant with one seed whose verdicts differ, or whose traces differ where these have to be equal."""
    groups: dict[tuple[Path, str, int], list[int]] = {}
    for index, order in enumerate(orders):
        groups.setdefault((order.path, order.variant, order.seed), []).append(index)
    found = []
    for (path, variant, seed), members in groups.items():
        name = f"{path}{f' [{variant}]' if variant else ''} with seed {seed}"
        verdicts = {(rows[n].verdict, rows[n].steps) for n in members}
        traces = {rows[n].trace_hash for n in members}
        if len(verdicts) > 1:
            counts = ", ".join(sorted({f"{verdict} after {steps} steps" for verdict, steps in verdicts}))
            found.append(f"{name}: verdicts differ: {counts}")
        elif len(traces) > 1 and orders[members[0]].compares == "trace":
            found.append(f"{name}: {len(traces)} different traces in {len(members)} runs")
    return found
