"""The MLS engine: messages, Commits and the size of a member, beside what their primitives take and other stacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcs_sim.bench.mls_message_load import MESSAGE_OCTETS
from rcs_sim.bench.mls_ts import find_node_modules, measure_ts_mls
from rcs_sim.bench.processes import result_of_child
from rcs_sim.bench.row import Measured, OnRun, Unmeasured, median

__all__ = ["measure_mls_commits", "measure_mls_members", "measure_mls_messages", "measure_mls_trees"]

_WITHIN_S = 600.0
_CERTIFICATE_OCTETS = 1700  # a chain of RCC.16
_MLS_RS = "mls-rs through UniFFI (agentvault-mls-rs-uniffi), suite 1"
_NO_MLS_RS = "agentvault-mls-rs-uniffi is not installed"
_NO_TS_MLS = "ts-mls is not installed"

_TIMES_PRIMITIVES = {"encrypt": 2.0, "decrypt": 1.7}
_TIMES_FASTER = {"encrypt": 3.0, "decrypt": 1.5}  # than mls-rs
_TIMES_FASTER_THAN_TS = 10.0
_PARTS = {"encrypt": "5 expansions, 2 AEADs, 1 signature", "decrypt": "5 expansions, 2 AEADs, 1 verification"}
_COMMIT_LIMITS = {"create": 1.0, "process": 2.0}  # times as fast as mls-rs
_GROWTH = 2.0
_JOIN_S = 1.0
_MEMORY_KIB = 150.0
_SERIALISED_KIB = 60.0

Result = Measured | Unmeasured
Figures = dict[str, dict[str, float]]


# --- messages ---------------------------------------------------------------------------------------------------------


def measure_mls_messages(repeat: int, on_run: OnRun, *, count: int = 2000) -> list[Result]:
    """*count* messages of each stack a run."""
    folder = find_node_modules()
    runs = []
    for number in range(repeat):
        figures = result_of_child("rcs_sim.bench.mls_message_load", count, within_s=_WITHIN_S)
        if folder is not None:
            figures["ts_mls"] = measure_ts_mls(folder, count // 4, MESSAGE_OCTETS)
        runs.append(figures)
        on_run(number + 1, repeat)
    found = _medians(runs)
    rows: list[Result] = []
    for verb in ("encrypt", "decrypt"):
        rows += [_beside_primitives(found, verb), _beside_mls_rs(found, verb), _beside_ts_mls(found, verb)]
    return rows


def _message_row(found: Figures, verb: str, times: float | None, peer: str, peer_value: float | None) -> Measured:
    ours = found["ours_2"][f"{verb}_us"]
    return Measured(
        row="mls-message",
        what=f"{verb} {MESSAGE_OCTETS} octets, suite 2",
        value=ours,
        unit="µs CPU",
        limit=None if times is None or peer_value is None else peer_value * times,
        peer=peer,
        peer_value=peer_value,
        method=f"octets to octets, all checks and the window; suite 1: {found['ours_1'][f'{verb}_us']:.0f} µs",
        details=found,
    )


def _beside_primitives(found: Figures, verb: str) -> Measured:
    return _message_row(found, verb, _TIMES_PRIMITIVES[verb], _PARTS[verb], found["primitives_2"][f"{verb}_us"])


def _beside_mls_rs(found: Figures, verb: str) -> Measured:
    if "mls_rs" not in found:
        return _message_row(found, verb, None, _NO_MLS_RS, None)
    return _message_row(found, verb, 1 / _TIMES_FASTER[verb], _MLS_RS, found["mls_rs"][f"{verb}_us"])


def _beside_ts_mls(found: Figures, verb: str) -> Measured:
    if "ts_mls" not in found:
        return _message_row(found, verb, None, _NO_TS_MLS, None)
    return _message_row(found, verb, 1 / _TIMES_FASTER_THAN_TS, "ts-mls in Node.js", found["ts_mls"][f"{verb}_us"])


# --- Commits ----------------------------------------------------------------------------------------------------------


def measure_mls_commits(repeat: int, on_run: OnRun, *, members: int = 100, samples: int = 15) -> list[Result]:
    """*samples* Commits of each stack a run, in a group of *members* that was just made."""
    runs = []
    for number in range(repeat):
        runs.append(result_of_child("rcs_sim.bench.mls_commit_load", members, samples, within_s=_WITHIN_S))
        on_run(number + 1, repeat)
    found = _medians(runs)
    return [_commit_row(found, verb, members, samples) for verb in ("create", "process")]


def _commit_row(found: Figures, verb: str, members: int, samples: int) -> Measured:
    theirs = found["mls_rs"][f"{verb}_ms"] if "mls_rs" in found else None
    return Measured(
        row="mls-commit",
        what=f"{verb} a Commit on a fresh tree of {members}, suite 1",
        value=found["ours_1"][f"{verb}_ms"],
        unit="ms CPU",
        limit=None if theirs is None else theirs / _COMMIT_LIMITS[verb],
        peer=_NO_MLS_RS if theirs is None else _MLS_RS,
        peer_value=theirs,
        method=f"{samples} members all over the tree; suite 2: {found['ours_2'][f'{verb}_ms']:.3g} ms",
        details=found,
    )


def measure_mls_trees(
    repeat: int, on_run: OnRun, *, small: int = 100, large: int = 1000, samples: int = 9
) -> list[Result]:
    """Commits where every node has a key, in a *small* and a *large* group, and joining the large one."""
    runs = []
    for number in range(repeat):
        runs.append(result_of_child("rcs_sim.bench.mls_tree_load", small, large, samples, within_s=_WITHIN_S))
        on_run(number + 1, repeat)
    found = _medians(runs)
    rows: list[Result] = [_growth_row(found, verb, small, large) for verb in ("create", "process")]
    return [*rows, _join_row(found, large)]


def _growth_row(found: Figures, verb: str, small: int, large: int) -> Measured:
    below = found[str(small)][f"{verb}_ms"]
    return Measured(
        row="mls-tree",
        what=f"{verb} a Commit on a populated tree of {large}, suite 2",
        value=found[str(large)][f"{verb}_ms"],
        unit="ms CPU",
        limit=_GROWTH * below,
        peer=f"ours with {small} members",
        peer_value=below,
        method="every node of the tree has a key, so the cost grows with the height",
        details=found,
    )


def _join_row(found: Figures, large: int) -> Measured:
    return Measured(
        row="mls-tree",
        what=f"join a group of {large}, suite 2",
        value=found["join"]["cpu_s"],
        unit="s CPU",
        limit=_JOIN_S,
        wall=f"{found['join']['wall_s']:.3g} s",
        method="a Welcome with the tree inside; every leaf and parent hash verified, in one thread",
        details=found,
    )


# --- the size of a member ---------------------------------------------------------------------------------------------


def measure_mls_members(repeat: int, on_run: OnRun, *, members: int = 100) -> list[Result]:
    """One run: memory does not vary as time does."""
    basic = result_of_child("rcs_sim.bench.mls_member_memory", members, 0, within_s=_WITHIN_S)
    on_run(1, 2)
    x509 = result_of_child("rcs_sim.bench.mls_member_memory", members, _CERTIFICATE_OCTETS, within_s=_WITHIN_S)
    on_run(2, 2)
    return [
        *_member_rows("basic credentials", basic, members, (_MEMORY_KIB, _SERIALISED_KIB)),
        *_member_rows(f"X.509 credentials of {_CERTIFICATE_OCTETS} octets", x509, members, (None, None)),
    ]


def _member_rows(
    leaves: str, found: dict[str, Any], members: int, limits: tuple[float | None, float | None]
) -> Sequence[Measured]:
    kinds = (("in memory", "later_kib", "joined_kib"), ("serialised", "later_serialised_kib", "joined_serialised_kib"))
    return [
        Measured(
            row="mls-member",
            what=f"one member of {members} {kind}, {leaves}",
            value=found[later],
            unit="KiB",
            limit=limit,
            method=f"after as many epochs as it keeps; just joined: {found[joined]:.0f} KiB; suite 2; one run",
            details=found,
        )
        for (kind, later, joined), limit in zip(kinds, limits, strict=True)
    ]


def _medians(runs: Sequence[dict[str, dict[str, float]]]) -> Figures:
    """Of each figure over the runs."""
    return {
        stack: {name: median([run[stack][name] for run in runs]) for name in figures}
        for stack, figures in runs[0].items()
    }
