"""`rcs-sim phone` by pipes: what a person, or a script, types and reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rcs_sim.scenario.terminal_phone import PhoneOptions
from tests.support.peers import Program, program, rcs_sim_up

_ALICE, _AMY, _BOB, _BEN = "+12025550101", "+12025550102", "+12025550152", "+12025550153"
Start = Callable[..., Program]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with rcs_sim_up(tmp_path_factory.mktemp("network")) as (_, document):
        yield document["carriers"]


def _arguments(network: dict[str, Any], carrier: str, msisdn: str, *more: str) -> list[str]:
    home = network[carrier]
    known = ["--msisdn", msisdn, "--acs", home["acs"], "--cs", home["cs"], "--smsc", home["smsc"]]
    return [sys.executable, "-m", "rcs_sim", "phone", *known, *more]


@pytest.fixture
def start(network: dict[str, Any], tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as running:

        def run(carrier: str, msisdn: str, *more: str) -> Program:
            return running.enter_context(program(_arguments(network, carrier, msisdn, *more), cwd=tmp_path))

        yield run


def _piped(network: dict[str, Any], typed: str, *more: str, carrier: str = "red", msisdn: str = _AMY) -> list[str]:
    done = subprocess.run(
        _arguments(network, carrier, msisdn, *more),
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_two_people_talk_in_two_terminals(start: Start) -> None:
    alice, bob = start("red", _ALICE), start("blue", _BOB, "--device", "ios", "--json")
    alice.expect(f"[status] registered as {_ALICE}")
    bob.expect('"registered": true')
    alice.say(f"/to {_BOB}")
    alice.say("hello from a terminal 👋")
    bob.expect("hello from a terminal 👋")
    alice.expect("[delivered]")
    bob.say(f"/to {_ALICE}")
    bob.say("/read")
    alice.expect("[displayed]")
    bob.say("/type")
    alice.expect("[typing]")
    bob.say("/unlock")
    alice.expect("[tombstone]")
    bob.say("/sms by short message")
    alice.expect("by short message")
    bob.say("/quit")
    alice.say("/quit")
    assert alice.process.wait(10) == 0
    assert bob.process.wait(10) == 0
    lines = [json.loads(line) for line in bob.rest().splitlines()]
    assert all({"at", "what"} <= set(line) for line in lines)
    assert next(line for line in lines if line["what"] == "message")["direction"] == "in"
    assert "Traceback" not in alice.rest()


def test_messages_are_answered_reacted_to_edited_and_taken_back(start: Start) -> None:
    alice, bob = start("red", _ALICE), start("blue", _BOB)
    alice.expect(f"[status] registered as {_ALICE}")
    bob.expect("[status] registered")
    alice.say(f"/to {_BOB}")
    alice.say("/react 👍")
    alice.expect("[error] terminal: there is no such message")
    alice.say("meet at eight")
    bob.expect("meet at eight")
    bob.say(f"/to {_ALICE}")
    bob.say("/react 👍👍")
    bob.expect("[error] a reaction is exactly one emoji")
    bob.say("/react 👍")
    alice.expect("[change] +12025550152 +Reaction “meet at eight”: 👍")
    bob.say("/unreact")
    alice.expect("-Reaction “meet at eight”: 👍")
    bob.say("/reply at nine is better")
    alice.expect("at nine is better")
    alice.say("/edit meet at nine")
    bob.expect("Edit “meet at eight”: meet at nine")
    bob.say("/react 🎉")
    alice.expect("+Reaction “meet at eight”: 🎉")
    bob.say("/show")
    bob.expect(f"[line] {_ALICE} peer: meet at nine (edited) 🎉")
    bob.expect(f"[line] {_ALICE} me: at nine is better")
    alice.say("/recall")
    bob.expect("Recall “meet at eight”")
    for phone in (alice, bob):
        phone.say("/quit")
        assert phone.process.wait(10) == 0


def test_a_lock_is_shown_compared_given_up_and_taken_back(start: Start) -> None:
    alice, ben = start("red", _ALICE), start("blue", _BEN, "--device", "ios")
    alice.expect(f"[status] registered as {_ALICE}")
    ben.expect("[status] registered")
    for one, peer in ((alice, _BEN), (ben, _ALICE)):
        one.say(f"/to {peer}")
    alice.say("behind a lock")
    ben.expect("behind a lock")
    alice.expect("[delivered]")
    for one, peer in ((alice, _BEN), (ben, _ALICE)):
        one.say("/lock")
        one.expect(f"[lock] {peer} RCS · encrypted by mls, security code (simulator's) ")
    alice.say("/unlock")
    alice.expect(f"[tombstone] {_BEN} encryption ended")
    ben.expect(f"[tombstone] {_ALICE} encryption ended")
    ben.say("/lock")
    ben.expect(f"[lock] {_ALICE} RCS\n")
    ben.say("/relock")
    alice.expect(f"[label] {_BEN} RCS\n[label] {_BEN} RCS · encrypted mls")
    for one in (alice, ben):
        one.say("/quit")
        assert one.process.wait(10) == 0


def test_a_long_text_opens_a_session_which_is_shown_and_can_be_left(start: Start) -> None:
    alice, bob = start("red", _AMY), start("blue", _BOB)
    alice.expect(f"[status] registered as {_AMY}")
    bob.expect("[status] registered")
    alice.say(f"/to {_BOB}")
    alice.say("a long text " * 300)
    bob.expect("a long text " * 299)
    alice.expect("[delivered]")
    alice.say("/status")
    alice.expect(f"session with {_BOB}: open")
    bob.say(f"/to {_AMY}")
    bob.say("/leave")
    bob.say("/status")
    bob.expect(f"[status] registered as {_BOB}\n")
    for one in (alice, bob):
        one.say("/quit")
        assert one.process.wait(10) == 0


def test_what_comes_from_a_pipe_is_sent_before_the_phone_goes_off(network: dict[str, Any], start: Start) -> None:
    bob = start("blue", _BOB)
    bob.expect("[status] registered")
    shown = _piped(network, f"/to {_BOB}\nfirst\nsecond\n")
    assert f"[status] registered as {_AMY}" in shown
    assert bob.expect("second").index("first") < bob.expect("second").index("second")


def test_a_mistake_is_told_and_nothing_ends(network: dict[str, Any]) -> None:
    shown = _piped(network, "hello\n/nonsense\n/to nobody at all\n/airplane on\n/airplane off\n/help\n/status\n")
    errors = [line for line in shown if line.startswith("[error]")]
    assert len(errors) == 3
    assert "/to NUMBER" in errors[0]
    assert "/nonsense" in errors[1]
    assert any("/quit" in line for line in shown)
    assert shown[-1].startswith("[status] registered")


def test_a_phone_with_aka_needs_its_secrets(network: dict[str, Any]) -> None:
    aka = next(one for one in network["red"]["subscribers"] if one["auth"] == "AKAv1-MD5")
    shown = _piped(network, "/status\n", "--k", aka["k"], "--opc", aka["opc"], msisdn=aka["msisdn"])
    assert f"[status] registered as {aka['msisdn']}" in shown


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (("--k", "abc"), "--k"),
        (("--opc", "00"), "--opc"),
        (("--cs", "nowhere"), "--cs"),
        (("--ca", "missing.pem"), "missing.pem"),
        (("--device", "missing.yaml"), "missing.yaml"),
        (("--msisdn", "nobody"), "--msisdn"),
        (("--acs", "nowhere"), "--acs"),
        (("--acs", "ftp://127.0.0.1/"), "--acs"),
        (("--acs", "http://127.0.0.1:port/"), "--acs"),
        (("--enrichment", "//x"), "--enrichment"),
    ],
)
def test_an_option_that_cannot_be_is_named(tmp_path: Path, more: tuple[str, ...], word: str) -> None:
    command = [sys.executable, "-m", "rcs_sim", "phone", "--msisdn", _ALICE, "--acs", "http://127.0.0.1:9/", *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, input="", check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_network_the_phone_says_so_and_status_1_tells_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rcs_sim", "phone", "--msisdn", _ALICE, "--acs", "http://127.0.0.1:9/"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, input="", check=False)
    assert done.returncode == 1
    assert "not registered" in done.stdout
    assert done.stderr == ""


def test_commands_from_a_file_or_none_at_all_are_obeyed_and_then_the_phone_goes_off(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rcs_sim", "phone", "--msisdn", _ALICE, "--acs", "http://127.0.0.1:9/"]
    script = tmp_path / "typed"
    script.write_text("/status\n")
    for source, said in ((Path(os.devnull), 1), (script, 2)):
        with source.open() as typed:
            done = subprocess.run(command, stdin=typed, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.count("[status] not registered") == said


def test_secrets_are_not_shown_by_repr() -> None:
    options = PhoneOptions(msisdn=_ALICE, acs="http://x/", device="android", host="127.0.0.1", k="0" * 31 + "1")
    assert "0" * 31 not in repr(options)
