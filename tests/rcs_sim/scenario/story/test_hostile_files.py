"""Scenario files that nobody should write: each is one line with file, line and column, exit status 2, no traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rcs_sim.cli import main
from tests.rcs_sim.scenario.story.stories import HEAD

_SEND = "steps:\n  - alice: {send: {to: bob, text: hi, as: m1}}\n"
_GOOD = HEAD + _SEND
_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)

_TEXTS: dict[str, tuple[str, str, str]] = {  # what it is: text, place, what is said
    "empty": ("", "1:1", "not a mapping"),
    "a comment": ("# nothing\n", "1:1", "not a mapping"),
    "null": ("~\n", "1:1", "not a mapping"),
    "a number": ("5\n", "1:1", "not a mapping"),
    "a list": ("- a\n", "1:1", "not a mapping"),
    "two documents": (f"{_GOOD}---\n{_GOOD}", "8:1", "another document"),
    "a tab": (_GOOD.replace("  - alice", "\t- alice"), "7:1", "cannot start any token"),
    "NUL": ("name: a\x00b\n", "1:8", "special characters are not allowed"),
    "a key twice": (f"{_GOOD}name: again\n", "8:1", "duplicate key"),
    "a phone twice": (HEAD.replace("  bob:", "  alice:") + _SEND, "5:3", "duplicate key"),
    "a step's word twice": (f"{HEAD}steps:\n  - {{alice: wipe, alice: wipe}}\n", "7:19", "duplicate key"),
    "deep lists": ("name: " + "[" * 3000, "1:56", "nested too deeply"),
    "deep mappings": ("name: " + "{a: " * 3000, "1:203", "nested too deeply"),
    "deep blocks": ("".join(" " * depth + "a:\n" for depth in range(2000)), "2000:2000", "nested too deeply"),
    "an alias bomb": (_BOMB, "2:8", "too many values"),
    "an alias of itself": ("&a\nname: x\nphones: *a\nsteps: [*a]\n", "3:9", "cannot be read"),
    "an unknown alias": ("name: *nothing\n", "1:7", "undefined alias"),
    "a tag of Python": ("name: !!python/object/apply:os.system [x]\nphones: {}\nsteps: []\n", "1:7", "valid string"),
    "octets as a name": (_GOOD.replace("A story", '!!binary "////"'), "1:7", "valid string"),
    "a lone surrogate": (_GOOD.replace("A story", '"\\ud800"'), "1:7", "valid string"),
    "a day that never was": (_GOOD.replace("A story", "2026-99-99"), "1:7", "month must be in 1..12"),
    "no number": (_GOOD.replace("A story", "+_"), "1:7", "not YAML"),
    "a number of 5000 digits": (f"{_GOOD}seed: {'9' * 5000}\n", "8:7", "not YAML"),
    "a key that is a number": (f"{_GOOD}5: x\n", "8:1", "not known here"),
    "a key that is a list": (f"{_GOOD}[a, b]: x\n", "8:1", "not known here"),
    "a key that is nothing": (f"{_GOOD}~: x\n", "8:1", "not known here"),
    "an unknown word": (f"{_GOOD}stepz: 1\n", "8:1", "not known here; allowed: name, spec"),
    "an unknown action": (f"{HEAD}steps:\n  - alice: {{sned: {{to: bob}}}}\n", "7:13", "allowed: send"),
    "a list as a name": (_GOOD.replace("A story", "[a]"), "1:7", "valid string"),
    "steps that are a mapping": (f"{HEAD}steps: {{a: b}}\n", "6:8", "valid list"),
    "a step that is nothing": (f"{HEAD}steps:\n  -\n", "7:4", "valid dictionary"),
    "a step of two": (f"{HEAD}steps:\n  - {{alice: wipe, bob: wipe}}\n", "7:5", "a step is one thing"),
    "days without end": (f"{HEAD}steps:\n  - age: {{days: .inf}}\n", "7:10", "more than 3650 days"),
    "days that are no number": (f"{HEAD}steps:\n  - age: {{days: .nan}}\n", "7:17", "greater than or equal to 0"),
    "days before": (f"{HEAD}steps:\n  - age: {{days: -5}}\n", "7:17", "greater than or equal to 0"),
    "runs without end": (f"{_GOOD}repeat: 99999999999\n", "8:9", "less than or equal to 10000"),
    "variants without end": (
        f"{_GOOD}matrix:\n" + "".join(f"  phones.bob.x{n}: [1, 2, 3, 4]\n" for n in range(12)),
        "9:3",
        "more than 10000 variants",
    ),
    "an unknown fault": (f"{HEAD}steps:\n  - fault: net.explode\n", "7:12", "is no fault; allowed: "),
    "a fault with a wrong number": (
        f"{HEAD}steps:\n  - fault: {{net.loss: {{rate: many}}}}\n",
        "7:30",
        "rate is a number from 0 to 1, not 'many'",
    ),
    "a fault of a phone that is not there": (
        f"{HEAD}steps:\n  - fault: {{net.loss: {{of: carl}}}}\n",
        "7:28",
        "'carl' is no phone of the scenario; allowed: alice, bob",
    ),
    "a fault of a carrier that is not there": (
        f"{HEAD}steps:\n  - fault: {{acs.disabled: {{carrier: green}}}}\n",
        "7:37",
        "'green' is no carrier of the network; allowed: red, blue",
    ),
    "a fault with a wrong word": (
        f"{HEAD}steps:\n  - fault: {{device.clock_skew: {{of: bob, ahead: perhaps}}}}\n",
        "7:49",
        "'perhaps' is no ahead; allowed: yes, no",
    ),
    "a fault with a mapping for a name": (
        f"{HEAD}steps:\n  - fault: {{net.loss: {{of: {{a: b}}}}}}\n",
        "7:28",
        "of is a phone of the simulation, not",
    ),
    "no such network": (_GOOD.replace("two-carriers-plain", "nowhere"), "2:10", "no profile 'nowhere'"),
    "itself as its network": (_GOOD.replace("two-carriers-plain", "hostile.yaml"), "2:1", "not known here"),
    "a device by a path": (_GOOD.replace("device: ios", "device: ../../etc/passwd"), "5:17", "cannot be read"),
    "a phone of two lines": (_GOOD.replace("bob", '"b o\\nb"'), "5:3", "should match pattern"),
    "a phone named as a kind of step": (_GOOD.replace("bob", "expect"), "5:3", "is taken"),
    "a message that nobody sent": (f"{_GOOD}  - expect: {{m9: {{shown: 1}}}}\n", "8:14", "no message sent before"),
    "an open quote": ('name: "abc\nphones: {', "2:10", "unexpected end of stream"),
    "YAML of another version": ("%YAML 9.9\n---\nname: x\n", "1:1", "incompatible YAML"),
}
_OCTETS: dict[str, tuple[bytes, str, str]] = {
    "UTF-16": (_GOOD.encode("utf-16"), "1:1", "not UTF-8"),
    "Latin-1": (_GOOD.replace("hi", "h\xe9").encode("latin-1"), "7:36", "not UTF-8"),
    "no text": (bytes(range(256)), "2:118", "not UTF-8"),
    "five million characters": (b'name: "' + b"x" * 5_000_000 + b'"', "1:1", "larger than"),
    **{what: (text.encode(), place, said) for what, (text, place, said) in _TEXTS.items()},
}


def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["rcs-sim", "run", *words, "-j", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize("what", _OCTETS)
def test_a_hostile_file_is_one_line_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, what: str
) -> None:
    octets, place, said = _OCTETS[what]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hostile.yaml").write_bytes(octets)
    status, output, errors = _run(monkeypatch, capsys, "hostile.yaml")
    assert (status, output) == (2, "")
    assert re.fullmatch(r"rcs-sim: hostile\.yaml:\d+:\d+: [^\n]+\n", errors), errors
    assert errors.startswith(f"rcs-sim: hostile.yaml:{place}: ")
    assert said in errors
    assert len(errors) < 1000


@pytest.mark.parametrize("text", [_GOOD, "\ufeff" + _GOOD, _GOOD.replace("\n", "\r\n"), _GOOD.replace("hi", "'🦄 \\'")])
def test_what_is_only_unusual_is_played(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story.yaml").write_bytes(text.encode())
    assert _run(monkeypatch, capsys, "story.yaml")[0] == 0


@pytest.mark.parametrize(("name", "said"), [("nowhere.yaml", "No such file"), ("\udcff.yaml", "No such file")])
def test_a_file_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, output, errors = _run(monkeypatch, capsys, name)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert said in errors
