"""Expectations of messages: what is told when they do not come true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rcs_sim.scenario.story.stories import played

_SEND = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}\n"


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("displayed_within_s: 3", "displayed within 3 s"),
        ("failed_within_s: 3", "shown as failed within 3 s"),
        ("sent_as_sms_within_s: 3", "accepted as SMS within 3 s"),
        ("state: [sent, failed]", "state sent or failed"),
        ("transport: sms", "transport sms"),
        ("mode: session", "mode session"),
        ("scheme: mls", "scheme mls"),
        ("label: SMS", "label SMS"),
        ("reason: no_receipt", "reason 'no_receipt'"),
        ("offers_sms: true", "offers_sms True"),
        ("shown: 2", "shown 2"),
        ("text: two", "text 'two' at alice"),
        ("text: {bob: two}", "text 'two' at bob"),
        ("recalled: true", "recalled True at alice"),
        ("reactions: {bob: 👍}", "reactions {'bob': '👍'} at alice"),
        ("readers: [alice, bob]", "readers alice, bob"),
        ("readers_include: [red.smsc]", "red.smsc among the readers"),
        ("readers_exclude: [alice, red.pcscf]", "alice, red.pcscf not among the readers"),
    ],
)
def test_what_did_not_come_true_is_told_with_what_was_seen(tmp_path: Path, expected: str, told: str) -> None:
    row = played(tmp_path, f"{_SEND}- expect: {{m1: {{{expected}}}}}").row
    assert row.verdict == "fail"
    assert row.failure is not None
    assert (row.failure.about, row.failure.expected, row.failure.step) == ("message m1", told, 3)


@pytest.mark.parametrize(
    "expected",
    [
        "sent_within_s: 3",
        "state: delivered",
        "transport: rcs, mode: pager, scheme: none, label: RCS, offers_sms: false, shown: 1",
        "text: one, recalled: false, reactions: {}",
        "text: {bob: one}, recalled: {alice: false}",
        "reason: none",
        "reason: delivered by RCS",
        "readers_include: [alice, bob, red.pcscf], readers_exclude: [red.smsc]",
    ],
)
def test_what_is_so_passes_also_when_its_time_is_long_over(tmp_path: Path, expected: str) -> None:
    row = played(
        tmp_path, f"{_SEND}- age: {{minutes: 10}}\n- expect: {{m1: {{delivered_within_s: 5, {expected}}}}}"
    ).row
    assert row.verdict == "pass", row.failure


def test_a_deadline_that_was_missed_is_missed_however_late_it_is_looked_at(tmp_path: Path) -> None:
    row = played(tmp_path, f"{_SEND}- age: 1\n- expect: {{m1: {{delivered_within_s: 0.01}}}}").row
    assert row.verdict == "fail"


def test_times_are_those_of_the_simulation_whatever_a_phone_thinks(tmp_path: Path) -> None:
    steps = f"- fault: {{device.clock_skew: {{of: alice}}}}\n{_SEND}- end_fault: device.clock_skew"
    row = played(tmp_path, f"{steps}\n- expect: {{m1: {{delivered_within_s: 5, shown: 1}}}}").row
    assert row.verdict == "pass", row.failure
