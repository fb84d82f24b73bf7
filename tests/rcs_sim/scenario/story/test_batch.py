"""Many runs: which, in which processes, and whether they agree."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ims_core.errors import ProfileError
from rcs_sim.scenario.story.batch import RunWishes, disagreements, orders_of, play_order, play_orders
from rcs_sim.scenario.story.changes import Change
from rcs_sim.scenario.story.reading import Fork
from rcs_sim.scenario.story.run_document import RunRow
from rcs_sim.scenario.trace_views import key_log
from tests.rcs_sim.scenario.story.rows import row
from tests.rcs_sim.scenario.story.stories import HEAD, written

_STEPS = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}"
_FAILS = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 0.01}}"


def test_variants_seeds_and_repetitions_are_multiplied(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS, "matrix: {phones.bob.device: [ios, android]}\nseed: 20\nrepeat: 3\n")
    orders = orders_of([path], RunWishes(repeat=2))
    assert len(orders) == 12
    assert [(order.seed, order.repetition) for order in orders[:4]] == [(20, 1), (20, 2), (21, 1), (21, 2)]
    assert len({order.file_name for order in orders}) == 12
    assert {order.seed for order in orders_of([path], RunWishes(seed=5))} == {5}


def test_traces_of_one_run_go_to_a_file_and_of_several_to_a_folder(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS)
    (order,) = orders_of([path], RunWishes(trace=tmp_path / "t.rcstrace"))
    assert order.trace == tmp_path / "t.rcstrace"
    orders = orders_of([path], RunWishes(trace=tmp_path / "t", repeat=2))
    assert all(each.trace is not None and each.trace.parent == tmp_path / "t" for each in orders)
    done = play_order(order)
    assert done.trace == str(tmp_path / "t.rcstrace")
    assert (tmp_path / "t.rcstrace").read_text(encoding="utf-8").count("\n") == done.records


def test_a_key_log_lies_beside_the_trace_if_it_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS, head=HEAD.replace("-plain", ""))
    for wanted in (False, True):
        (order,) = orders_of([path], RunWishes(trace=tmp_path / f"{wanted}.rcstrace", key_log=wanted))
        assert play_order(order).verdict == "pass"
    assert not (tmp_path / "False.keylog").exists()
    assert "open 0 of" not in key_log(tmp_path / "True.rcstrace", None)
    assert (tmp_path / "False.rcstrace").read_bytes() == (tmp_path / "True.rcstrace").read_bytes()


def test_a_run_that_fails_keeps_its_trace_and_tells_how_to_do_it_again(tmp_path: Path) -> None:
    path = written(tmp_path, _FAILS, "matrix: {phones.bob.device: [ios, android]}\n")
    wishes = RunWishes(failed_folder=tmp_path / "out", changes=(Change("phones.alice.device", "ios"),))
    first, second = (play_order(order) for order in orders_of([path], wishes))
    assert first.verdict == second.verdict == "fail"
    assert first.trace is not None
    assert Path(first.trace).is_file()
    assert shlex.split(first.replay) == [
        *("rcs-sim", "run", str(path), "--seed", "7", "--variant", "phones.bob.device=ios"),
        *("--set", "phones.alice.device=ios"),
    ]
    (again,) = orders_of([path], RunWishes(seed=7, variants=("phones.bob.device=ios",), changes=wishes.changes))
    assert play_order(again).trace_hash == first.trace_hash


def test_the_command_for_a_fork_has_all_of_it(tmp_path: Path) -> None:
    path, more = written(tmp_path, _STEPS), tmp_path / "more.yaml"
    more.write_text("- bob: power_cycle\n", encoding="utf-8")
    fork = Fork("2", (Change("phones.bob.device", "android"),), more)
    (order,) = orders_of([path], RunWishes(fork=fork, until="2", is_real=True))
    assert shlex.split(order.replay)[5:] == [
        *("--set", "phones.bob.device=android", "--fork", "2", "--insert", str(more), "--until", "2", "--real")
    ]


def test_a_step_that_is_not_there_is_an_error_before_anything_is_played(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS)
    for wishes in (RunWishes(until="9"), RunWishes(fork=Fork("9")), RunWishes(variants=("x",))):
        with pytest.raises(ProfileError, match="there is no "):
            orders_of([path], wishes)


@pytest.mark.slow
def test_processes_beside_each_other_give_what_one_gives(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS, "repeat: 3\n")
    orders = orders_of([path], RunWishes(repeat=2))
    told: list[RunRow] = []
    rows = play_orders(orders, jobs=2, done=told.append)
    assert [(each.seed, each.repetition) for each in rows] == [(order.seed, order.repetition) for order in orders]
    assert len(told) == len(orders)
    assert disagreements(orders, rows) == []
    alone = [play_order(order).trace_hash for order in orders[::2]]
    assert [each.trace_hash for each in rows[::2]] == alone


def test_runs_of_one_seed_that_differ_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS)
    orders = orders_of([path], RunWishes(repeat=2))
    assert disagreements(orders, [row(), row()]) == []
    assert "2 different traces in 2 runs" in disagreements(orders, [row(), row(trace_hash="cd")])[0]
    assert (
        "verdicts differ: fail after 2 steps, pass after 2 steps"
        in disagreements(orders, [row(), row(verdict="fail")])[0]
    )
    path = written(tmp_path, _STEPS, "compares: verdict\n")
    assert disagreements(orders_of([path], RunWishes(repeat=2)), [row(), row(trace_hash="cd")]) == []
