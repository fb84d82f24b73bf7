"""Rows of runs, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

from rcs_sim.scenario.story.run_document import FailureDocument, MessageDocument, RunRow

__all__ = ["failure", "message", "row"]


def message(**members: Any) -> MessageDocument:
    usual = {
        "name": "m1",
        "from": "alice",
        "to": "bob",
        "text": "one",
        "state": "delivered",
        "transport": "rcs",
        "mode": "pager",
        "scheme": None,
        "label": "RCS",
        "reason": None,
        "delivered_after_s": 1.0,
        "shown": 1,
        "readers": ["alice", "bob"],
        "history": "queued",
    }
    return MessageDocument.model_validate(usual | members)


def failure(**members: Any) -> FailureDocument:
    usual = {
        "step": 2,
        "title": "expect",
        "place": "s/a.yaml:8:5",
        "about": "message m1",
        "expected": "state delivered",
        "seen": "sent \x07 <b>",
        "labels": {"alice": {"bob": "RCS"}},
        "ladder": "alice → bob",
    }
    return FailureDocument.model_validate(usual | members)


def row(**members: Any) -> RunRow:
    usual = {
        "name": "A story",
        "file": "s/a.yaml",
        "variant": "",
        "seed": 7,
        "clock": "virtual",
        "spec": ["RCC.07 §3.2"],
        "verdict": "pass",
        "steps": 2,
        "steps_total": 2,
        "messages": [message()],
        "wall_s": 0.25,
        "trace_hash": "ab",
        "replay": "rcs-sim run s/a.yaml --seed 7",
    }
    return RunRow.model_validate(usual | members)
