"""From files to stories: variants, changes, forks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ims_core.errors import ProfileError
from rcs_sim.scenario.story.changes import Change
from rcs_sim.scenario.story.reading import MAX_VARIANTS, Fork, read_stories, read_story
from tests.rcs_sim.scenario.story.stories import HEAD, story, written

_STEPS = "- {id: first, bob: wipe}\n- bob: power_on\n- bob: power_off"


def test_a_step_knows_where_it_is_written(tmp_path: Path) -> None:
    found = story(tmp_path, _STEPS)
    assert [(place.line, place.column) for place in found.places] == [(7, 5), (8, 5), (9, 5)]
    assert str(found.places[1]) == f"{tmp_path / 'story.yaml'}:8:5"
    assert [found.step_index(name) for name in ("first", "3")] == [0, 2]
    with pytest.raises(ProfileError, match="there is no 'last'; there are 1 to 3, or one of: first"):
        found.step_index("last")


def test_axes_of_paths_and_of_sets_of_changes_are_multiplied(tmp_path: Path) -> None:
    more = (
        "matrix:\n  phones.bob.device: [ios, android]\n"
        "  client:\n    - {name: asks, policy.client_fallback: ask}\n"
        "    - {policy.client_fallback: never, steps.first.bob: power_off}\n"
    )
    found = read_stories(written(tmp_path, _STEPS, more))
    assert [each.variant for each in found] == [
        "phones.bob.device=ios, client=asks",
        "phones.bob.device=ios, client=never",
        "phones.bob.device=android, client=asks",
        "phones.bob.device=android, client=never",
    ]
    assert [each.file.phones["bob"].device for each in found] == ["ios", "ios", "android", "android"]
    assert [each.file.policy.client_fallback for each in found] == ["ask", "never"] * 2
    assert found[1].file.steps[0].title == "first (bob: power_off)"
    path = tmp_path / "story.yaml"
    assert read_story(path, "phones.bob.device=ios, client=never") == found[1]
    with pytest.raises(
        ProfileError, match=r"there is no variant 'x'; there are: phones\.bob\.device=ios, client=asks; "
    ):
        read_story(path, "x")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("matrix: {phones.bob.device: [nokia]}\n", "there is no profile 'nokia'"),
        ("matrix: {phones.ben.device: [ios]}\n", r"phones\.ben|phones"),
        ("matrix: {steps.9.bob: [wipe]}\n", "there is no '9'"),
        ("matrix: {a: []}\n", "matrix"),
        ("matrix: {a: [{name: x}]}\n", r"6:14: matrix\.a\.0: no changes"),
        ("repeat: 0\n", r"6:9: repeat"),
        ("spec: 3\n", "6:7: spec"),
        ("never: [pain]\n", r"6:9: never\.0: 'pain' is not allowed; allowed: 'lying_lock'"),
        (
            "policy: {client_fallback: maybe}\n",
            r"6:27: .*'maybe' is not allowed; allowed: 'revoke-timer', 'ask'",
        ),
        ("slo: {speed: 1}\n", r"6:7: slo\.speed: not known here; allowed: delivered_ratio"),
    ],
)
def test_a_mistake_names_its_place_and_the_words_that_are_allowed(tmp_path: Path, more: str, text: str) -> None:
    if "ben" in more:  # a phone that the matrix makes up is one more phone
        assert [list(each.file.phones) for each in read_stories(written(tmp_path, _STEPS, more))] == [
            ["alice", "bob", "ben"]
        ]
        return
    with pytest.raises(ProfileError, match=text):
        read_stories(written(tmp_path, _STEPS, more))


def test_a_matrix_has_an_end(tmp_path: Path) -> None:
    values = ", ".join(map(str, range(200)))
    more = f"matrix: {{seed: [{values}], repeat: [{values}]}}\n".replace("[0,", "[1,")
    with pytest.raises(ProfileError, match=f"more than {MAX_VARIANTS} variants"):
        read_stories(written(tmp_path, _STEPS, more))


def test_changes_come_before_the_matrix(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS, "matrix: {phones.bob.device: [ios]}\n")
    (found,) = read_stories(path, [Change("phones.bob.device", "android"), Change("phones.alice.device", "ios")])
    assert (found.file.phones["bob"].device, found.file.phones["alice"].device) == ("ios", "ios")


@pytest.mark.parametrize("text", ["", "[]", "steps", "name: x", "name: x\nphones: {}\nsteps: []", "a: &a [*a]"])
def test_what_is_no_scenario_is_one_error_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match=r"story\.yaml"):
        read_stories(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.integers(0, 12), text=st.text("abe:-[]{}'\"#&*!|> \n\t0.", max_size=12))
def test_any_text_is_a_scenario_or_an_error_of_the_file(tmp_path: Path, line: int, text: str) -> None:
    steps = "steps:\n  - alice: {send: {to: bob, text: one, as: m1}}\n  - expect: {m1: {shown: 1}}\n"
    lines = f"{HEAD}{steps}".splitlines()
    lines[min(line, len(lines) - 1)] += text
    path = tmp_path / "any.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        read_stories(path)
    except ProfileError as error:
        told = error.file
    else:
        told = str(path)
    assert told.startswith(str(tmp_path)) or "profiles" in told


def test_a_fork_changes_steps_from_its_own_on_and_handsets(tmp_path: Path) -> None:
    path = written(tmp_path, _STEPS)
    fork = Fork("2", (Change("steps.3", {"bob": "wipe"}), Change("phones.bob.device", "android")))
    found = read_story(path, fork=fork)
    assert [step.title for step in found.file.steps] == ["first (bob: wipe)", "bob: power_on", "bob: wipe"]
    assert (found.fork_at, found.new_devices) == (1, (("bob", "android"),))
    assert found.file.phones["bob"].device == "ios"  # until then


@pytest.mark.parametrize(
    "change", [Change("steps.1", {"bob": "wipe"}), Change("seed", 3), Change("phones.bob.carrier", "red")]
)
def test_a_fork_does_not_change_what_was_before(tmp_path: Path, change: Change) -> None:
    with pytest.raises(ProfileError, match="a fork changes steps from its own on"):
        read_story(written(tmp_path, _STEPS), fork=Fork("2", (change,)))


@pytest.mark.parametrize("text", ["- alice: wipe\n- {age: 1}\n", "steps:\n  - alice: wipe\n  - age: 1\n"])
def test_a_fork_takes_steps_from_a_file(tmp_path: Path, text: str) -> None:
    inserted = tmp_path / "more.yaml"
    inserted.write_text(text, encoding="utf-8")
    found = read_story(written(tmp_path, _STEPS), fork=Fork("2", inserted=inserted))
    assert [step.title for step in found.file.steps][1:3] == ["alice: wipe", "age"]
    assert [Path(place.file).name for place in found.places] == [
        "story.yaml",
        "more.yaml",
        "more.yaml",
        *["story.yaml"] * 2,
    ]
    assert found.places[3].line == 8


@pytest.mark.parametrize("text", ["", "a: b", "- alice: fly", "- bobby: wipe"])
def test_a_mistake_in_the_inserted_file_is_told_as_one_of_it(tmp_path: Path, text: str) -> None:
    inserted = tmp_path / "more.yaml"
    inserted.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match=r"more\.yaml"):
        read_story(written(tmp_path, _STEPS), fork=Fork("2", inserted=inserted))


def test_a_network_file_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=str(tmp_path / "net.yaml")):
        read_stories(written(tmp_path, _STEPS, head=HEAD.replace("two-carriers-plain", "net.yaml")))
