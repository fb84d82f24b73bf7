"""A story is played, judged and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ims_core.trace import RecordKind, read_ndjson
from rcs_sim.scenario.story.changes import Change
from rcs_sim.scenario.story.player import network_of, play_story
from rcs_sim.scenario.story.reading import Fork, read_story
from tests.rcs_sim.scenario.story.stories import played, story, written

_SEND = "- alice: {send: {to: bob, text: one, as: m1}}"
_DELIVERED = f"{_SEND}\n- expect: {{m1: {{delivered_within_s: 5}}}}"


def test_a_story_whose_expectations_come_true_passes(tmp_path: Path) -> None:
    row = played(tmp_path, _DELIVERED).row
    assert (row.verdict, row.steps, row.failure) == ("pass", 2, None)
    (message,) = row.messages
    assert (message.name, message.sender, message.to, message.state) == ("m1", "alice", "bob", "delivered")
    assert message.shown == 1
    assert {"alice", "bob"} < set(message.readers)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another(tmp_path: Path) -> None:
    first, again, other = (played(tmp_path, _DELIVERED, seed=seed).row for seed in (7, 7, 8))
    assert first.trace_hash == again.trace_hash
    assert first.trace_hash != other.trace_hash


def test_the_trace_says_where_each_step_begins(tmp_path: Path) -> None:
    result = played(tmp_path, f"{_DELIVERED}\n- {{id: last, note: done}}")
    marks = [record for record in result.records if record.source == "scenario"]
    assert [mark.summary for mark in marks] == ["step 1: alice: send", "step 2: expect", "step 3: last (note): done"]
    assert all(mark.kind is RecordKind.STATE for mark in marks)
    result.write_trace(tmp_path / "a" / "b.rcstrace")
    with (tmp_path / "a" / "b.rcstrace").open(encoding="utf-8") as lines:
        assert len(list(read_ndjson(lines))) == result.row.records


def test_an_expectation_that_does_not_come_true_fails_with_all_that_explains_it(tmp_path: Path) -> None:
    row = played(tmp_path, f"{_SEND}\n- expect: {{m1: {{delivered_within_s: 0.01}}}}").row
    failure = row.failure
    assert row.verdict == "fail"
    assert failure is not None
    assert (failure.step, failure.place) == (2, f"{tmp_path / 'story.yaml'}:8:5")
    assert (failure.about, failure.expected) == ("message m1", "delivered within 0.01 s")
    assert failure.seen.startswith("queued by RCS at +0.000 s")
    assert failure.labels == {"alice": {"bob": "RCS"}, "bob": {}}
    assert "OPTIONS" in failure.ladder


def test_what_cannot_be_played_is_broken_not_failed(tmp_path: Path) -> None:
    row = played(tmp_path, "- alice: {swap_sim: '+12025550199'}").row
    assert row.verdict == "broken"
    assert row.failure is not None
    assert "red has no +12025550199" in row.failure.seen


def test_a_violation_that_is_to_be_found_and_is_not_fails_a_run(tmp_path: Path) -> None:
    row = played(tmp_path, _DELIVERED, "violations: [lying_lock]\n").row
    assert row.verdict == "fail"
    assert row.failure is not None
    assert (row.failure.about, row.failure.expected) == ("the oracle", "a finding of lying_lock")


def test_a_violation_of_the_oracle_fails_a_run_without_any_expectation(tmp_path: Path) -> None:
    """A short message that the SMS centre takes and loses: who sent it is not told."""
    steps = "- fault: {sms.lose: {probability: 1}}\n- alice: {sms: {to: bob, text: gone, as: m1}}\n- age: 1"
    row = played(tmp_path, steps).row
    assert row.verdict == "fail"
    assert row.failure is not None
    assert (row.failure.about, row.failure.expected) == ("the whole run", "no silent loss")
    assert row.failure.seen.startswith("silent loss: message m1, at ")
    assert [each.kind for each in row.violations] == ["silent_loss"]
    assert played(tmp_path, steps, "violations: silent_loss\n").row.verdict == "pass"


@pytest.mark.parametrize(("word", "verdict"), [("plaintext", "fail"), ("sms", "pass"), ("failed", "pass")])
def test_what_must_never_be_is_looked_for_at_the_end(tmp_path: Path, word: str, verdict: str) -> None:
    steps = f"{_SEND}\n- expect: {{m1: {{delivered_within_s: 5, never: [{word}]}}}}"
    assert played(tmp_path, steps).row.verdict == verdict
    assert played(tmp_path, _DELIVERED, f"never: {word}\n").row.verdict == verdict


def test_until_ends_after_that_step(tmp_path: Path) -> None:
    row = played(tmp_path, f"{_DELIVERED}\n- alice: power_off", until="1").row
    assert (row.verdict, row.steps, row.until) == ("pass", 1, "1")


def test_a_fork_is_the_same_until_it_is_different(tmp_path: Path) -> None:
    second = "- {id: second, bob: {send: {to: alice, text: two, as: m2}}}"
    steps = f"{_DELIVERED}\n{second}\n- expect: {{m2: {{sent_within_s: 9}}}}"
    path = written(tmp_path, steps)
    plain = play_story(read_story(path), 7)
    fork = Fork("second", (Change("phones.bob.device", "android"),))
    forked = play_story(read_story(path, fork=fork), 7)
    count = forked.row.fork_records
    assert count
    assert [record.to_json() for record in forked.records[:count]] == [each.to_json() for each in plain.records[:count]]
    assert forked.row.verdict == plain.row.verdict == "pass"
    modes = {name: [each.mode for each in run.row.messages] for name, run in (("plain", plain), ("forked", forked))}
    assert modes == {"plain": ["pager", "session"], "forked": ["pager", "pager"]}


def test_policies_are_changes_to_the_carriers(tmp_path: Path) -> None:
    more = "policy: {network_fallback: up-2.x, carrier: no-timer, carriers: {blue: {interworking: false}}}\n"
    carriers = network_of(story(tmp_path, "- bob: wipe", more)).carriers
    assert carriers["red"].changes == {"interworking": True, "interworking_after_s": 20, "revoke_timer_s": 0}
    assert carriers["blue"].changes == {"interworking": False, "interworking_after_s": 20, "revoke_timer_s": 0}


def test_a_hundred_days_pass_in_no_time(tmp_path: Path) -> None:
    row = played(tmp_path, "- bob: power_off\n- alice: power_off\n- age: 100").row
    assert row.verdict == "pass"
    assert row.simulated_s > 100 * 86_400


def test_a_story_on_the_real_clock_goes_over_sockets(tmp_path: Path) -> None:
    result = play_story(story(tmp_path, _DELIVERED), 7, is_real=True)
    assert (result.row.verdict, result.row.clock) == ("pass", "real")
    assert any(record.source_address.startswith("127.0.") for record in result.records)
