"""The pytest plugin, by tests that are run with it: in this process, on the virtual clock, with and without
pytest-asyncio."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import rcs_sim.pytest_plugin
import rcs_sim.scenario.simulation  # loaded once here: a run in this process forgets what it has imported itself

pytest_plugins = ["pytester"]

WITHOUT_ASYNCIO = ("-p", "no:asyncio", "-p", "no:xdist")
STRICT = ("--asyncio-mode=strict", "-p", "no:xdist")
AUTO = ("--asyncio-mode=auto", "-p", "no:xdist")
EITHER = [
    pytest.param(WITHOUT_ASYNCIO, id="alone"),
    pytest.param(STRICT, id="strict"),
    pytest.param(AUTO, id="auto"),
]

_IMPORT = re.compile(r"^\s*(?:import|from) pytest\b", re.MULTILINE)
_LEAN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

HELLO = """
async def test_hello(rcs_simulation, two_phones, operator_view):
    alice, bob = two_phones
    message = await alice.chat(bob).send("hello")
    await message.delivered(within_s=5)
    assert alice.chat(bob).label == "RCS · encrypted"
    assert rcs_simulation.oracle.readers(message) == {"alice", "bob"}
    assert operator_view.could_read(message) == set()
"""
READ_BY_ALL = """
import pytest

@pytest.mark.rcs(network="two-carriers-plain", seed=3)
async def test_hello(two_phones, operator_view):
    alice, bob = two_phones
    message = await alice.chat(bob).send("hello")
    await message.delivered(within_s=5)
    assert operator_view.could_read(message) == set()
"""
BARE = """
import asyncio, os, time
import pytest
"""


def ran(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    """The tests of *text*, run with warnings as errors."""
    pytester.makepyfile(test_it=BARE + text)
    asyncio_scope = () if "no:asyncio" in options else ("-o", "asyncio_default_fixture_loop_scope=function")
    return pytester.runpytest_inprocess("-W", "error", *_LEAN, *asyncio_scope, *options)


def traces(pytester: pytest.Pytester) -> list[Path]:
    return sorted(pytester.path.glob("rcs-sim-out/*.rcstrace"))


# ------------------------------------------------------------------------------------------------- one loop for a test


@pytest.mark.parametrize("options", EITHER)
def test_an_async_test_needs_no_further_set_up(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    ran(pytester, HELLO, *options).assert_outcomes(passed=1)
    assert traces(pytester) == []


ONE_LOOP = """
loops = []

@pytest.fixture
async def before(rcs_simulation):
    loops.append(asyncio.get_running_loop())
    await asyncio.sleep(86400)
    yield rcs_simulation.clock.now()
    loops.append(asyncio.get_running_loop())
    await asyncio.sleep(86400)

class TestInAClass:
    @pytest.fixture
    async def own(self, before):
        self.value = 5
        await asyncio.sleep(1)

    async def test_async(self, rcs_simulation, before, own):
        loops.append(asyncio.get_running_loop())
        assert rcs_simulation.clock.now() == before + 1
        assert self.value == 5

    def test_sync(self, rcs_simulation, before, own):
        first, body, last, own = loops
        assert first is body is last is not own
        assert rcs_simulation.clock.now() == before + 1

@pytest.mark.rcs
async def test_of_its_own_simulation():
    import rcs_sim
    async with rcs_sim.Simulation("two-carriers-plain") as sim:
        started = sim.clock.now()
        await asyncio.sleep(86400)
        assert sim.clock.now() == started + 86400
"""


@pytest.mark.parametrize("options", EITHER)
def test_fixtures_and_body_share_one_loop_on_simulated_time(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    ran(pytester, ONE_LOOP, *options).assert_outcomes(passed=3)


def test_async_fixtures_of_pytest_asyncio_run_on_the_loop_of_the_test(pytester: pytest.Pytester) -> None:
    text = """
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def carol(rcs_simulation):
            return await rcs_simulation.add_phone("carol")

        @pytest.mark.asyncio
        @pytest.mark.rcs(network="two-carriers-plain")
        async def test_it(carol):
            await carol.power_cycle()
            assert carol.is_registered
    """
    ran(pytester, _dedented(text), *STRICT).assert_outcomes(passed=1)


def test_a_fixture_that_is_on_another_loop_already_is_refused(pytester: pytest.Pytester) -> None:
    """As pytest-asyncio did it before 1.1: the test would wait for ever, or fail in ways that nobody understands."""
    text = """
        import functools

        def old_way(function):
            @functools.wraps(function)
            def on_another_loop(*args, **given):
                return asyncio.run(function(*args, **given))
            on_another_loop._force_asyncio_fixture = True
            return on_another_loop

        @pytest.fixture
        @old_way
        async def carol(rcs_simulation):
            return 1

        async def test_it(carol):
            pass
    """
    done = ran(pytester, _dedented(text), *WITHOUT_ASYNCIO)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["this pytest-asyncio has put *: use 1.1 or newer"])


def test_a_test_may_run_on_sockets_in_real_time(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.mark.rcs(network="two-carriers-plain", clock="real")
        async def test_it(rcs_simulation, two_phones, operator_view):
            assert rcs_simulation.carrier("red").acs_url.startswith("http://127.0.1.")
            alice, bob = two_phones
            message = await alice.chat(bob).send("hello")
            await message.delivered(within_s=20)
            assert operator_view.could_read(message) == {"red", "blue"}
    """
    ran(pytester, _dedented(text), *WITHOUT_ASYNCIO).assert_outcomes(passed=1)


@pytest.mark.parametrize("options", EITHER)
def test_tests_without_a_simulation_are_left_alone(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    text = """
        from ims_core.transport.virtual_loop import VirtualLoop

        def test_sync(tmp_path):
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
    """
    foreign = """
        @pytest.mark.asyncio
        async def test_async():
            assert not isinstance(asyncio.get_running_loop(), VirtualLoop)
    """
    has_asyncio = options is not WITHOUT_ASYNCIO
    done = ran(pytester, _dedented(text) + (_dedented(foreign) if has_asyncio else ""), *options)
    done.assert_outcomes(passed=2 if has_asyncio else 1)


def test_two_workers_share_the_tests_and_the_failure_comes_back_whole(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_one=HELLO, test_two=READ_BY_ALL)
    done = pytester.runpytest_subprocess("-p", "rcs_sim.pytest_plugin", "-p", "xdist", "-n2", *_LEAN)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*rcs-sim: ladder*", "alice with bob: RCS", "look at it: rcs-sim trace ladder *"])
    assert len(traces(pytester)) == 1


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("options", EITHER)
def test_a_failure_shows_ladder_labels_readers_and_the_trace(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    done = ran(pytester, READ_BY_ALL, *options)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            ">       assert operator_view.could_read(message) == set()",
            "*rcs-sim: ladder, the end of * records*",
            "from *.??? s after the beginning of the simulation:",
            "*MESSAGE sip:*",
            "*[[]shown[]] delivered*",
            "*rcs-sim: labels*",
            "alice with bob: RCS",
            "bob with alice: RCS",
            "*rcs-sim: readers*",
            "m1 alice → bob 'hello': RCS; delivered; readers: alice, *blue.pcscf*, bob, *red.pcscf*",
            "blue could read the only message",
            "*rcs-sim: trace*",
            "rcs-sim-out/*.rcstrace",
            "look at it: rcs-sim trace ladder rcs-sim-out/*.rcstrace",
            "run it again: pytest test_it.py::test_hello --rcs-seed 3",
        ]
    )
    assert "SimulatedTest" not in done.stdout.str()  # of our own frames nothing is shown


def test_the_command_in_a_failure_prints_the_whole_ladder(pytester: pytest.Pytester) -> None:
    done = ran(pytester, READ_BY_ALL, *WITHOUT_ASYNCIO)
    command = next(line for line in done.outlines if line.startswith("look at it: rcs-sim "))
    words = command.removeprefix("look at it: rcs-sim ").split()
    ladder = subprocess.run(
        [sys.executable, "-m", "rcs_sim", *words], cwd=pytester.path, capture_output=True, text=True, check=True
    )
    assert "REGISTER" in ladder.stdout


def test_a_lock_that_lies_fails_a_test_that_asserts_nothing(pytester: pytest.Pytester) -> None:
    done = ran(pytester, _violation(""), *WITHOUT_ASYNCIO)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        ["the oracle found what must never be:", "duplicate: m1 'hello' on bob: *records *", "*rcs-sim: ladder*"]
    )


def test_a_test_may_want_what_must_never_be(pytester: pytest.Pytester) -> None:
    text = _violation('@pytest.mark.rcs(violations="allowed")').replace("pass", "assert operator_view.violations")
    ran(pytester, text, *WITHOUT_ASYNCIO).assert_outcomes(passed=1)


def _violation(marker: str) -> str:
    """A test in which bob's phone says that it shows a message once more."""
    return f"""
from ims_core.trace import RecordKind

{marker}
async def test_it(rcs_simulation, two_phones, operator_view):
    alice, bob = two_phones
    message = await alice.chat(bob).send("hello")
    await message.delivered(within_s=5)
    shown = next(
        record for record in rcs_simulation._records.records
        if record.kind is RecordKind.SHOWN and record.source == "bob" and record.details["what"] == "message"
    )
    rcs_simulation.trace.record(
        at=rcs_simulation.clock.now(), kind=shown.kind, source="bob", summary=shown.summary, details=shown.details,
        imdn_message_id=shown.imdn_message_id, conversation_id=shown.conversation_id,
    )
    pass
"""


def test_a_test_that_waits_for_ever_ends_and_shows_where_it_waits(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.mark.rcs(limit_s=3600)
        async def test_it(rcs_simulation):
            await asyncio.get_running_loop().create_future()

        @pytest.mark.rcs(limit_s=3600)
        async def test_a_time_out_of_its_own(rcs_simulation):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60):
                    await asyncio.Event().wait()
    """
    done = ran(pytester, _dedented(text), *WITHOUT_ASYNCIO)
    done.assert_outcomes(failed=1, passed=1)
    done.stdout.fnmatch_lines(
        [
            ">       await asyncio.get_running_loop().create_future()",
            "*the test still runs after 3600 simulated seconds: *limit_s=36000*",
        ]
    )


def test_time_passes_before_the_oracle_judges_where_the_marker_says_so(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.fixture
        def minute(rcs_simulation):
            before = rcs_simulation.clock.now()
            yield
            assert rcs_simulation.clock.now() == before + 61

        @pytest.mark.rcs(settle_s=60)
        async def test_it(minute):
            await asyncio.sleep(1)
    """
    ran(pytester, _dedented(text), *WITHOUT_ASYNCIO).assert_outcomes(passed=1)


def test_a_fixture_that_fails_tells_of_the_network_too(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.fixture
        async def broken(two_phones):
            await two_phones.alice.chat(two_phones.bob).send("hello")
            raise ValueError("of the fixture")

        async def test_it(broken):
            pass
    """
    done = ran(pytester, _dedented(text), *WITHOUT_ASYNCIO)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*ValueError: of the fixture", "*rcs-sim: ladder*", "look at it: *"])


# ------------------------------------------------------------------------------------------------------------- options


def test_traces_of_failures_are_kept_until_the_test_passes(pytester: pytest.Pytester) -> None:
    ran(pytester, READ_BY_ALL, *WITHOUT_ASYNCIO)
    assert len(traces(pytester)) == 1
    ran(pytester, READ_BY_ALL.replace("== set()", ""), *WITHOUT_ASYNCIO).assert_outcomes(passed=1)
    assert traces(pytester) == []


def test_with_on_every_test_leaves_a_trace_and_equal_seeds_leave_equal_ones(pytester: pytest.Pytester) -> None:
    text = READ_BY_ALL.replace("== set()", "")
    options = ("--rcs-trace=on", "--rcs-output")
    for folder in ("a", "b"):
        ran(pytester, text, *WITHOUT_ASYNCIO, *options, folder).assert_outcomes(passed=1)
    ran(pytester, text, *WITHOUT_ASYNCIO, *options, "c", "--rcs-seed", "4").assert_outcomes(passed=1)
    first, second, other = (next((pytester.path / name).glob("*.rcstrace")).read_bytes() for name in "abc")
    assert first == second != other


def test_the_junit_file_names_the_trace(pytester: pytest.Pytester) -> None:
    ran(pytester, READ_BY_ALL, *WITHOUT_ASYNCIO, "--junitxml=junit.xml")
    report = pytester.path.joinpath("junit.xml").read_text(encoding="utf-8")
    assert f'<property name="rcs_trace" value="{traces(pytester)[0]}"' in report


def test_with_off_nothing_is_written(pytester: pytest.Pytester) -> None:
    done = ran(pytester, READ_BY_ALL, *WITHOUT_ASYNCIO, "--rcs-trace=off")
    done.stdout.fnmatch_lines(["not kept: --rcs-trace=retain-on-failure keeps it", "run it again: *"])
    assert not (pytester.path / "rcs-sim-out").exists()


def test_a_folder_that_cannot_be_written_is_told_and_hides_no_failure(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("taken").write_text("a file")
    done = ran(pytester, READ_BY_ALL, *WITHOUT_ASYNCIO, "--rcs-output", "taken")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["the trace could not be kept: *", "alice with bob: RCS"])


# ------------------------------------------------------------------------------------------------------------- markers


def test_the_marker_says_the_network_and_the_phones(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.mark.rcs(network="two-carriers-plain", devices={"bob": "strict-v3"}, carriers=["blue", "red"], seed=11)
        async def test_it(rcs_simulation, two_phones):
            assert (rcs_simulation.seed, rcs_simulation.network.name) == (11, "two-carriers-plain")
            assert [phone.config.policy.name for phone in two_phones] == ["android", "strict-v3"]
            assert rcs_simulation.carrier("blue").subscriber(two_phones.alice.number)
            assert rcs_simulation.carrier("red").subscriber(two_phones.bob.number)
    """
    ran(pytester, _dedented(text), *WITHOUT_ASYNCIO).assert_outcomes(passed=1)


def test_faults_hold_while_the_body_runs_and_no_longer(pytester: pytest.Pytester) -> None:
    text = """
        faults = []

        @pytest.fixture
        def around(rcs_simulation):
            assert rcs_simulation.faults.active == []
            yield
            assert rcs_simulation.faults.active == []

        @pytest.mark.rcs(network="two-carriers-plain")
        @pytest.mark.fault("net.latency", add_s=1.0, of="bob")
        @pytest.mark.fault("sms.lose")
        async def test_it(rcs_simulation, two_phones, around):
            assert [each.word for each in rcs_simulation.faults.active] == ["net.latency", "sms.lose"]
            alice, bob = two_phones
            message = await alice.chat(bob).send("hello")
            await message.delivered(within_s=30)
            assert message.history[-1].at - message.created_at > 2.0
    """
    ran(pytester, _dedented(text), *WITHOUT_ASYNCIO).assert_outcomes(passed=1)


def test_a_fault_of_what_is_not_there_fails_the_test_in_one_line(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.mark.fault("net.latency", add_s=1.0, of="carol")
        async def test_it(rcs_simulation):
            pass
    """
    done = ran(pytester, _dedented(text), *WITHOUT_ASYNCIO)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["the marker fault cannot be: net.latency: there is no of 'carol'; *"])


def test_wrong_markers_stop_the_run_and_are_all_named(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.mark.rcs(network="two-cariers")
        async def test_network(rcs_simulation): ...

        @pytest.mark.rcs(devices=["andriod", "ios"])
        async def test_device(two_phones): ...

        @pytest.mark.fault("sms.lost")
        async def test_fault(two_phones): ...

        @pytest.mark.fault("sms.lose")
        async def test_no_simulation(): ...

        def test_good(): ...
    """
    done = ran(pytester, _dedented(text), *WITHOUT_ASYNCIO)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        [
            "ERROR: test_it.py::test_network: there is no network 'two-cariers': did you mean 'two-carriers*'*",
            "test_it.py::test_device: there is no device 'andriod': did you mean 'android'*",
            "test_it.py::test_fault: there is no fault 'sms.lost': did you mean sms.lose*",
            "test_it.py::test_no_simulation: the marker fault needs a simulation: take rcs_simulation or two_phones",
        ]
    )


def test_markers_and_options_are_documented(pytester: pytest.Pytester) -> None:
    shown = ran(pytester, "", *WITHOUT_ASYNCIO, "--markers").stdout.str()
    assert "@pytest.mark.rcs(network=" in shown
    assert "@pytest.mark.fault(word" in shown
    ran(pytester, "", *WITHOUT_ASYNCIO, "--help").stdout.fnmatch_lines(["RCS simulation:", "*--rcs-trace={off,on,*"])


def test_a_simulation_that_comes_late_is_told_how_to_come_in_time(pytester: pytest.Pytester) -> None:
    text = """
        def test_it(request):
            request.getfixturevalue("rcs_simulation")
    """
    done = ran(pytester, _dedented(text), *WITHOUT_ASYNCIO)
    done.stdout.fnmatch_lines(["*take it, or two_phones, as an argument*"])


# ------------------------------------------------------------------------------------------------------------- the rest


def test_the_snippet_of_the_documentation_runs() -> None:
    async def main() -> None:
        async with rcs_sim.Simulation(network="two-carriers", seed=7) as sim:
            alice = await sim.add_phone("alice", device="android", carrier="red")
            bob = await sim.add_phone("bob", device="ios", carrier="blue")
            message = await alice.chat(bob).send("hello")
            await message.delivered(within_s=5)
            assert alice.chat(bob).label == "RCS · encrypted"
            assert sim.oracle.readers(message) == {"alice", "bob"}
            async with sim.fault("kds.down", carrier="blue"):
                ...

    rcs_sim.run(main, clock="virtual")


def test_only_the_plugin_needs_pytest_and_it_loads_no_simulator() -> None:
    code = """
        import sys, rcs_sim
        assert "pytest" not in sys.modules
        import rcs_sim.pytest_plugin
        heavy = [name for name in sys.modules if name.startswith(("ims_core", "rcs_sim.scenario", "rcs_sim.client"))]
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", _dedented(code)], check=True)
    package = Path(rcs_sim.__file__).parent
    modules = [path for path in package.rglob("*.py") if "pytest_plugin" not in path.parts]
    assert not [path for path in modules if _IMPORT.search(path.read_text(encoding="utf-8"))]


def _dedented(text: str) -> str:
    return textwrap.dedent(text)
