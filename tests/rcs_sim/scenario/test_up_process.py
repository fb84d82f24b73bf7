"""`rcs-sim up` as a process of its own: what it prints, how it ends, what outlives it, why it cannot start."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import DevicePolicy, SignallingTransport
from rcs_sim.scenario.documents import schema_text
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.up import default_state_folder
from tests.support.peers import Program, network_file, program
from tests.support.real_phones import RealPhones, real_phones, received

_ENDS_WITHIN_S = 2.0
_ALICE, _AMY, _BOB = "+12025550101", "+12025550102", "+12025550152"
_ANDROID = load_device("android")
_OVER_UDP = replace(_ANDROID, registration=replace(_ANDROID.registration, transport=SignallingTransport.UDP))


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rcs_sim", "up", *arguments]


@contextmanager
def _up(folder: Path, *arguments: str) -> Iterator[tuple[Program, dict[str, Any]]]:
    with program(_command("--json", "--state", str(folder / "state"), *arguments), cwd=folder) as running:
        yield running, json.loads(running.expect_line('{"ready"'))


def _refused(folder: Path, *arguments: str, before: tuple[str, ...] = ()) -> str:
    """The one line that a start which cannot be says."""
    command = [*before, *_command(*arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


# ----------------------------------------------------------------------------------------------------- what it prints


def test_the_document_is_as_its_schema_says_and_names_everybody(tmp_path: Path) -> None:
    with _up(tmp_path, "--ports", "free", "--tls") as (_, document):
        jsonschema.validate(document, json.loads(schema_text("up")))
        red, blue = document["carriers"]["red"], document["carriers"]["blue"]
        assert {one["msisdn"] for one in red["subscribers"]} >= {_ALICE, "+12025550105", None}
        assert {one["auth"] for one in blue["subscribers"]} == {"MD5", "SHA-256", "AKAv1-MD5"}
        for carrier in (red, blue):
            assert carrier["acs_tls"].startswith("https://")
            for place in (carrier["pcscf"]["tcp"], carrier["pcscf"]["tls"], carrier["cs"]):
                host, _, port = place.rpartition(":")
                socket.create_connection((host, int(port)), 5).close()
        assert Path(document["ca"]).is_file()


def test_a_person_is_told_the_same(tmp_path: Path) -> None:
    command = _command("--ports", "free", "--state", str(tmp_path / "state"))
    with program(command, cwd=tmp_path) as running:
        shown = running.expect("Ctrl-C ends it")
        assert "P-CSCF UDP" in shown
        assert _ALICE in shown
        assert str(tmp_path) in shown.replace("\n", "")
        assert running.stop(signal.SIGINT) == 0


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    with _up(tmp_path, "--ports", "free", "--trace", "t.ndjson") as (running, _):
        assert stat.S_IMODE((tmp_path / "t.ndjson").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state" / "secret").stat().st_mode) == 0o600
        running.stop()


def test_the_state_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state_folder("two-carriers") == tmp_path / "rcs-sim" / "two-carriers"
    assert default_state_folder("nets/mine.yaml") == tmp_path / "rcs-sim" / "mine"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_state_folder("x") == tmp_path / ".local" / "state" / "rcs-sim" / "x"


# --------------------------------------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_within_two_seconds_also_with_phones_on(tmp_path: Path, how: signal.Signals) -> None:
    async with real_phones() as phones:
        with _up(tmp_path, "--ports", "free", "--trace", "t.ndjson") as (running, document):
            await phones.add("alice", document["carriers"]["red"], _ALICE)
            await phones.add("bob", document["carriers"]["blue"], _BOB)
            before = time.monotonic()
            assert running.stop(how) == 0
            assert time.monotonic() - before < _ENDS_WITHIN_S
            assert "Traceback" not in running.rest()
    lines = (tmp_path / "t.ndjson").read_text(encoding="utf-8").splitlines()
    schema = jsonschema.Draft202012Validator(json.loads(schema_text("trace")))
    assert len(lines) > 50
    for number, line in enumerate(lines, 1):
        record = json.loads(line)
        schema.validate(record)
        assert record["number"] == number


def test_it_ends_within_two_seconds_also_with_more_connections_than_files(lab: _Lab) -> None:
    """What cannot be served is closed, and nobody complains about each."""
    limited = ("bash", "-c", 'ulimit -n 300; exec "$@"', "limited")
    command = _command("--json", "--network", str(lab.network), "--state", "state")
    with ExitStack() as stack, program([*limited, *command], cwd=lab.folder) as running:
        red = json.loads(running.expect_line('{"ready"'))["carriers"]["red"]
        for place in (red["pcscf"]["tcp"], red["msrp"]):
            host, _, port = place.rpartition(":")
            for _ in range(250):
                stack.enter_context(socket.create_connection((host, int(port)), 5))
        before = time.monotonic()
        assert running.stop(signal.SIGINT) == 0
        assert time.monotonic() - before < _ENDS_WITHIN_S
        printed = running.rest()
    assert "connections are open: new ones are closed" in printed
    assert "Traceback" not in printed


# ----------------------------------------------------------------------------------------------------- what outlives it


class _Lab:
    """A network whose addresses stay the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = network_file(folder)

    @contextmanager
    def up(self, ends_by: signal.Signals = signal.SIGTERM) -> Iterator[dict[str, Any]]:
        with _up(self.folder, "--network", str(self.network)) as (running, document):
            yield document
            running.stop(ends_by)


@pytest.fixture
def lab(tmp_path: Path) -> _Lab:
    return _Lab(tmp_path)


def _patient(device: DevicePolicy) -> DevicePolicy:
    """It does not take back what waits."""
    return replace(device, fallback=replace(device.fallback, revokes=False))


@asynccontextmanager
async def _three(document: dict[str, Any]) -> AsyncIterator[tuple[RealPhones, Phone, Phone, Phone]]:
    """Alice over TCP, Amy over UDP, Bob over TCP."""
    async with real_phones() as phones:
        red, blue = document["carriers"]["red"], document["carriers"]["blue"]
        alice = await phones.add("alice", red, _ALICE, _patient(_ANDROID))
        amy = await phones.add("amy", red, _AMY, _patient(_OVER_UDP))
        bob = await phones.add("bob", blue, _BOB, _patient(_ANDROID))
        assert [phone.is_registered for phone in (alice, amy, bob)] == [True] * 3
        yield phones, alice, amy, bob


@pytest.mark.parametrize("ends_by", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_keeps_credentials_registrations_and_what_waits(lab: _Lab, ends_by: signal.Signals) -> None:
    async with AsyncExitStack() as stack:
        with lab.up(ends_by) as first:
            phones, alice, amy, bob = await stack.enter_async_context(_three(first))
            await (await amy.chat(_ALICE).send("are you there?")).delivered(10)
            await bob.power_off()
            waiting = [await alice.chat(_BOB).send(f"waiting {number}") for number in range(3)]
            for message in waiting:
                await message.sent(10)
            await alice.power_off()
            registers = len(phones.messages("REGISTER", "amy"))
        with lab.up() as second:
            assert second == first
            await alice.power_on()
            assert alice.is_registered
            await (await alice.chat(_AMY).send("still reachable?")).delivered(10)
            assert (await received(amy, "still reachable?")).transport is MessageTransport.RCS
            assert len(phones.messages("REGISTER", "amy")) == registers
            await bob.power_on()
            for message in waiting:
                await message.delivered(15)
            arrived = [one.text for chat in bob.chats for one in chat.messages]
            assert arrived == ["waiting 0", "waiting 1", "waiting 2"]
            await stack.aclose()


async def test_a_phone_whose_connection_ended_with_the_process_gets_what_waits_when_it_registers(lab: _Lab) -> None:
    async with AsyncExitStack() as stack:
        with lab.up() as first:
            _, _, amy, bob = await stack.enter_async_context(_three(first))
            await bob.lose_power()
            message = await amy.chat(_BOB).send("over the restart")
        with lab.up():
            await bob.power_on()
            await message.delivered(30)
            assert message.state is MessageState.DELIVERED
            assert (await received(bob, "over the restart")).shown_count == 1
            await stack.aclose()


# ------------------------------------------------------------------------------------------------ why it cannot start


def test_a_port_in_use_is_named_with_what_to_do(lab: _Lab) -> None:
    host = next(line for line in lab.network.read_text().splitlines() if "addresses" in line).split()[1]
    with socket.create_server((host.replace(".0/24", ".12"), 5060)):
        said = _refused(lab.folder, "--network", str(lab.network), "--state", "state")
    assert "port 5060" in said
    assert "--ports free" in said


def test_a_state_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = _refused(tmp_path, "--ports", "free", "--state", str(tmp_path / "file" / "state"))
    assert "--state" in said
    assert str(tmp_path / "file" / "state") in said


def test_a_state_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    """Not even root may make a folder there."""
    said = _refused(tmp_path, "--ports", "free", "--state", "/proc/rcs-sim")
    assert "/proc/rcs-sim" in said


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """The largest file that this process may write is as large as what is left on a full disk."""
    limited = ("bash", "-c", 'ulimit -f 16; exec "$@"', "limited")
    said = _refused(tmp_path, "--ports", "free", "--state", "state", before=limited)
    assert "free space" in said


def test_a_trace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    said = _refused(tmp_path, "--ports", "free", "--state", "state", "--trace", "missing/t.ndjson")
    assert "missing/t.ndjson" in said
    assert "--trace" in said


def test_a_trace_on_a_full_disk_ends_and_the_network_goes_on(tmp_path: Path) -> None:
    with _up(tmp_path, "--ports", "free", "--trace", "/dev/full") as (running, document):
        command = [sys.executable, "-m", "rcs_sim", "phone", "--msisdn", _ALICE]
        command += ["--acs", document["carriers"]["red"]["acs"]]
        for _ in range(2):
            done = subprocess.run(
                command, cwd=tmp_path, input="/status\n", capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        assert running.stop() == 0
        printed = running.rest()
    assert "/dev/full cannot be written any more" in printed
    assert "Traceback" not in printed


def test_a_certificate_that_is_damaged_or_gone_is_named(tmp_path: Path) -> None:
    with _up(tmp_path, "--ports", "free", "--tls") as (running, document):
        running.stop()
    certificate = Path(document["ca"])
    certificate.write_text("no certificate")
    damaged = _refused(tmp_path, "--ports", "free", "--tls", "--state", "state")
    certificate.unlink()
    gone = _refused(tmp_path, "--ports", "free", "--tls", "--state", "state")
    for said in (damaged, gone):
        assert "ca.pem" in said


def test_a_store_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "red.sqlite").write_bytes(b"this is no database" * 100)
    assert "red.sqlite" in _refused(tmp_path, "--ports", "free", "--state", "state")


def test_two_networks_do_not_share_a_state(lab: _Lab) -> None:
    with lab.up():
        said = _refused(lab.folder, "--ports", "free", "--state", str(lab.folder / "state"))
    assert "state" in said


def test_addresses_that_this_machine_lacks_are_named(lab: _Lab) -> None:
    text = lab.network.read_text(encoding="utf-8")
    lab.network.write_text(re.sub(r"addresses: 127[.0-9]+", "addresses: 192.0.2.0", text), encoding="utf-8")
    assert "192.0.2" in _refused(lab.folder, "--network", str(lab.network), "--state", "state")


def test_a_mistake_in_a_carrier_profile_is_pointed_at(lab: _Lab) -> None:
    lab.network.write_text(lab.network.read_text().replace("profile: google-like", "profile: mine.yaml"))
    (lab.folder / "mine.yaml").write_text("name: mine\nsignalling: SIPoCarrierPigeon\n")
    said = _refused(lab.folder, "--network", str(lab.network), "--state", "state")
    assert "mine.yaml:2:13" in said
    assert "'SIPoUDP', 'SIPoTCP' or 'SIPoTLS'" in said
