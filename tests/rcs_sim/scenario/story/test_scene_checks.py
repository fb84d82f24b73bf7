"""Expectations of labels, screens and the trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rcs_sim.scenario.story.stories import played

_SEND = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}\n"


@pytest.mark.parametrize(
    "expected",
    [
        "label: {alice: {bob: RCS}, bob: {alice: RCS}}",
        "scheme: {alice: {bob: none}}",
        "session: {alice: {bob: ''}}",
        "typing: {alice: {bob: false}}",
        "registered: {alice: true, bob: true}",
        "inbox: {alice: [], bob: [one]}",
        "screen: {alice: [{what: delivered, times: 1}, {what: label, text: RCS}]}",
        "screen: {alice: [{what: failed, times: 0}]}",
        "trace: [{protocol: SIP, source: red.ibcf, target: blue.ibcf, contains: MESSAGE, times: 1}]",
        "trace: [{kind: error, at_most: 0}, {kind: message, at_least: 5}, {reference_point: Gm}]",
    ],
)
def test_what_is_so_passes(tmp_path: Path, expected: str) -> None:
    row = played(tmp_path, f"{_SEND}- expect: {{{expected}}}").row
    assert row.verdict == "pass", row.failure


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("label: {alice: {bob: SMS}}", ("label of bob at alice", "SMS", "RCS")),
        ("scheme: {alice: {bob: mls}}", ("scheme with bob at alice", "mls", "none")),
        ("session: {alice: {bob: open}}", ("session with bob at alice", "open", "(none)")),
        ("typing: {alice: {bob: true}}", ("bob typing, at alice", "yes", "no")),
        ("registered: {alice: false}", ("alice registered", "no", "yes")),
        ("same_security_code: [[alice, bob]]", ("security code of alice and bob", "the same", "(None, None)")),
        ("inbox: {bob: [two]}", ("inbox of bob", "['two']", "['one']")),
        ("screen: {alice: [{what: failed}]}", ("screen of alice: failed", "at least 1 times", "0 times")),
        (
            "screen: {bob: [{what: message, text: one, times: 2}]}",
            ("screen of bob: message 'one'", "2 times", "1 times"),
        ),
        ("trace: [{protocol: FAX}]", ("trace: protocol=FAX", "at least 1 times", "0 times")),
        ("within_s: 2, label: {alice: {bob: SMS}}", ("label of bob at alice", "SMS within 2 s", "RCS")),
    ],
)
def test_what_is_not_is_told_with_what_was_seen(tmp_path: Path, expected: str, told: tuple[str, str, str]) -> None:
    row = played(tmp_path, f"{_SEND}- expect: {{{expected}}}").row
    assert row.verdict == "fail"
    assert row.failure is not None
    assert (row.failure.about, row.failure.expected, row.failure.seen) == told
