"""Names that a scenario file uses: a wrong one is told with its place and with those that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from ims_core.errors import ProfileError
from rcs_sim.scenario.story.names import NameCheck, check_step_words
from rcs_sim.scenario.story.reading import read_stories
from rcs_sim.scenario.yaml_document import YamlDocument
from tests.rcs_sim.scenario.story.stories import story, written

_SEND = "- alice: {send: {to: bob, text: one, as: m1}}"


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ("- bobby: wipe", r"7:5: steps\.1\.bobby: no phone and no kind of step; allowed: alice, bob, expect"),
        ("- expct: {m1: {}}", r"7:5: steps\.1\.expct: no phone"),
        ("- expect: {m1: {shown: 1}}", r"7:14: steps\.1\.expect\.m1: no message sent before; allowed: within_s, label"),
        (f"{_SEND}\n- expect: {{m2: {{shown: 1}}}}", r"8:14: .*allowed: m1, within_s"),
        (
            "- alice: {send: {to: bop, text: a}}",
            r"7:24: steps\.1\.alice\.send\.to: 'bop' is no phone.*allowed: alice, bob",
        ),
        ("- alice: {send: {to: bob, text: a, as: label}}", r"'label' is taken"),
        (f"{_SEND}\n{_SEND}", r"8:\d+: .*'m1' is taken"),
        ("- alice: {read: bop}", r"'bop' is no phone"),
        ("- alice: {resend_as_sms: m1}", r"'m1' is no message sent before; allowed: \(none\)"),
        ("- alice: {reply: {to: m1, text: a}}", r"'m1' is no message sent before"),
        ("- alice: {react: {to: m1, emoji: 👍}}", r"'m1' is no message sent before"),
        ("- alice: {recall: m1}", r"'m1' is no message sent before"),
        (f"{_SEND}\n- alice: {{edit: {{message: m1, text: a, as: m1}}}}", r"'m1' is taken"),
        (f"{_SEND}\n- expect: {{m1: {{reactions: {{bop: 👍}}}}}}", r"'bop' is no phone"),
        (f"{_SEND}\n- expect: {{m1: {{text: {{bop: a}}}}}}", r"'bop' is no phone"),
        ("- alice: {swap_device: nokia}", r"there is no profile 'nokia' among the devices"),
        ("- alice: {swap_sim: {msisdn: '+12025550103', carrier: green}}", r"'green' is no carrier.*red, blue"),
        ("- alice: {add_device: bob}", r"'bob' is taken"),
        ("- alice: {add_device: expect}", r"'expect' is taken"),
        ("- fault: {net.los: {}}", r"7:13: .*'net\.los' is no fault; allowed: net\.loss"),
        ("- fault: {net.loss: {chance: 1}}", r"7:24: .*'chance' is no scope of net\.loss; allowed: "),
        ("- end_fault: moon.full", r"'moon\.full' is no fault; allowed: "),
        ("- operator_sms: {carrier: green, to: bob, text: a}", r"'green' is no carrier"),
        ("- operator_sms: {carrier: red, to: bop, text: a}", r"'bop' is no phone"),
        ("- expect: {label: {bop: {alice: RCS}}}", r"7:22: .*'bop' is no phone"),
        ("- expect: {label: {alice: {bop: RCS}}}", r"'bop' is no phone"),
        ("- expect: {registered: {bop: true}}", r"'bop' is no phone"),
        ("- expect: {same_security_code: [[alice, bop]]}", r"'bop' is no phone"),
        ("- expect: {same_security_code: [[alice]]}", r"two phones compare"),
        (f"{_SEND}\n- expect: {{m1: {{readers: [alice, green.pcscf]}}}}", r"'green\.pcscf' is no phone"),
        ("- {id: a, alice: wipe}\n- {id: a, alice: wipe}", r"there is a step 'a' already"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, steps: str, text: str) -> None:
    with pytest.raises(ProfileError, match=text):
        read_stories(written(tmp_path, steps))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("policy: {carriers: {green: {}}}\n", r"6:21: policy\.carriers\.green: 'green' is no carrier"),
        (
            "policy: {carriers: {red: {tempo: 3}}}\n",
            r"6:27: policy\.carriers\.red\.tempo: .*allowed: name",
        ),
        ("policy: {carriers: {red: {revoke_timer_s: -3}}}\n", r"6:43: policy\.carriers\.red\.revoke_timer_s"),
    ],
)
def test_changes_to_carriers_are_checked_too(tmp_path: Path, more: str, text: str) -> None:
    with pytest.raises(ProfileError, match=text):
        read_stories(written(tmp_path, "- bob: wipe", more))


def test_a_phone_that_was_added_is_a_phone(tmp_path: Path) -> None:
    steps = (
        "- alice: {add_device: {as: tablet}}\n- tablet: {send: {to: bob, text: a, as: m1}}\n- expect: {m1: {shown: 1}}"
    )
    assert story(tmp_path, steps).file.steps[1].actor == "tablet"


def test_a_phone_that_a_fault_adds_is_a_phone_if_it_is_named(tmp_path: Path) -> None:
    steps = "- fault: {device.add: {of: alice, as: tablet}}\n- tablet: {send: {to: bob, text: a}}"
    assert story(tmp_path, steps).file.steps[1].actor == "tablet"
    with pytest.raises(ProfileError, match="'bob' is taken"):
        story(tmp_path, "- fault: {device.add: {of: alice, as: bob}}")


def test_numbers_and_uris_need_no_phone(tmp_path: Path) -> None:
    steps = "- alice: {sms: {to: '+12025550144', text: a}}\n- alice: {send: {to: 'sip:carol@example.com', text: a}}"
    assert len(story(tmp_path, steps).file.steps) == 2


@pytest.mark.parametrize("plain", [[], {"steps": 1}, {"steps": [1]}, {"steps": [{"expect": 1}]}, None])
def test_a_file_of_another_shape_is_left_to_the_model(tmp_path: Path, plain: object) -> None:
    check_step_words(YamlDocument.read(written(tmp_path, "- bob: wipe")), plain)


def test_what_is_right_passes(tmp_path: Path) -> None:
    found = story(tmp_path, f"{_SEND}\n- expect: {{m1: {{readers: [alice, bob, red.pcscf]}}}}")
    NameCheck(YamlDocument.read(found.path), found.file, found.network).run()
