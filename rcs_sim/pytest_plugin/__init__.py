"""pytest plugin: a simulated network, two phones and their operators as fixtures, on the virtual clock.

How an async test and its fixtures come to share one virtual loop: the plugin runs them itself. A test that carries the
marker ``rcs`` or takes ``rcs_simulation`` (itself, or through another fixture) has one `SimulatedTest` with one
`asyncio.Runner` on a `VirtualLoop`; the fixtures of this plugin, the test's own async fixtures of function scope, and
its body are run on it one after another. Simulated time stands still in between, so nothing passes unseen.

It is so, and not by a loop factory for pytest-asyncio, because that one asks for a factory for every test of a session
as soon as one plugin offers any, differently in each of its versions, and is not there in many projects. With it, in
strict and in auto mode, its own tests run as ever: of ours it sees functions that are not async any more.

Nothing of the simulator is imported before a test asks for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rcs_sim.pytest_plugin.failure_report import failure_sections
from rcs_sim.pytest_plugin.operator_view import OperatorView
from rcs_sim.pytest_plugin.own_modules import OwnModules
from rcs_sim.pytest_plugin.simulated_test import SimulatedTest, TwoPhones
from rcs_sim.pytest_plugin.trace_folder import Keeping, TraceFolder
from rcs_sim.pytest_plugin.wishes import FAULT, RCS, Wishes, WrongMarker, wishes_of

if TYPE_CHECKING:
    from ims_core.trace import ListSink
    from rcs_sim.scenario.simulation import Simulation

__all__ = [
    "OperatorView",
    "TwoPhones",
    "operator_view",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_fixture_setup",
    "pytest_pyfunc_call",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_runtest_teardown",
    "rcs_simulation",
    "two_phones",
]

_OWN_MODULES = OwnModules()
_SIMULATION = "rcs_simulation"
_FOLDER = pytest.StashKey[TraceFolder]()
_WISHES = pytest.StashKey[Wishes]()
_WRONG = pytest.StashKey[str]()
_TEST = pytest.StashKey[SimulatedTest]()
_BODY = pytest.StashKey[Any]()  # the function of the test, before any other plugin wraps it

_OLD_ASYNCIO = "this pytest-asyncio has put the async fixture on a loop of its own already: use 1.1 or newer"
_MARKERS = (
    "rcs(network=, devices=, carriers=, seed=, clock=, violations=, limit_s=, settle_s=): run it on the virtual clock, "
    "with this network and these phones; what the oracle finds fails it unless violations='allowed'",
    "fault(word, **scope): the fault holds while the body of the test runs; `rcs-sim faults` lists the words",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options ``--rcs-...``; called before any conftest can import the simulator."""
    _OWN_MODULES.go_first()
    group = parser.getgroup("rcs-sim", "RCS simulation")
    group.addoption(
        "--rcs-trace",
        choices=[each.value for each in Keeping],
        default=Keeping.RETAIN_ON_FAILURE.value,
        help="which tests leave a trace file: none, all, or those that fail (default: %(default)s)",
    )
    group.addoption(
        "--rcs-output", metavar="DIR", default="rcs-sim-out", help="folder for trace files (default: %(default)s)"
    )
    group.addoption("--rcs-seed", type=int, metavar="N", help="seed of every simulation, whatever its marker says")


def pytest_configure(config: pytest.Config) -> None:
    """Markers, and where traces go."""
    config.add_cleanup(_OWN_MODULES.leave)
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    folder = config.invocation_params.dir / config.getoption("rcs_output")
    config.stash[_FOLDER] = TraceFolder(folder, Keeping(config.getoption("rcs_trace")))


# ------------------------------------------------------------------------------------------------------------ fixtures


@pytest.fixture
def rcs_simulation(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A running `rcs_sim.Simulation`, as the marker ``rcs`` says."""
    with _test_of(request.node).simulating() as sim:
        yield sim


@pytest.fixture
def two_phones(request: pytest.FixtureRequest, rcs_simulation: Simulation) -> TwoPhones:
    """``alice, bob = two_phones``: registered phones, by default an Android-like one of red and an iOS-like one of
    blue."""
    test = _test_of(request.node)
    return test.run(test.two_phones(rcs_simulation))


@pytest.fixture
def operator_view(rcs_simulation: Simulation) -> OperatorView:
    """What the operators of the carriers could read so far."""
    return OperatorView(rcs_simulation)


def _test_of(node: pytest.Item) -> SimulatedTest:
    test = node.stash.get(_TEST, None)
    if test is None:
        pytest.fail("rcs_simulation cannot come late: take it, or two_phones, as an argument", pytrace=False)
    return test


# ---------------------------------------------------------------------------------------------------------- collection


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Reads the markers of the tests that will run. Raises UsageError that names each test with a wrong one; in a
    worker of pytest-xdist, which cannot say so, each of them is an error of its own."""
    wrong = []
    for item in items:
        try:
            _read_markers(item, config.getoption("rcs_seed"))
        except WrongMarker as error:
            item.stash[_WRONG] = str(error)
            wrong.append(f"{item.nodeid}: {error}")
    if wrong and not hasattr(config, "workerinput"):
        raise pytest.UsageError("\n".join(wrong))


def _read_markers(item: pytest.Item, seed: int | None) -> None:
    has_simulation = _SIMULATION in getattr(item, "fixturenames", ())
    has_fault = item.get_closest_marker(FAULT) is not None
    if has_simulation or has_fault or item.get_closest_marker(RCS) is not None:
        item.stash[_WISHES] = wishes_of(item, seed)
    if has_fault and not has_simulation:
        raise WrongMarker("the marker fault needs a simulation: take rcs_simulation or two_phones")


# ------------------------------------------------------------------------------------------------------- running a test


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The test gets its loop before its fixtures are made."""
    if _WRONG in item.stash:
        pytest.fail(item.stash[_WRONG], pytrace=False)
    if _WISHES in item.stash:
        item.stash[_TEST] = SimulatedTest(item.stash[_WISHES])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Async fixtures of our tests run on the loop of the test; other plugins see a function that is not async."""
    test = request.node.stash.get(_TEST, None)
    function = _bound(fixturedef.func, request)
    if test is None or fixturedef.scope != "function" or not _is_async(function):
        if test is not None and _is_async(inspect.unwrap(function)) and hasattr(function, "_force_asyncio_fixture"):
            pytest.fail(_OLD_ASYNCIO, pytrace=False)
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixturedef, "func", test.synchronous(function))
        return (yield)


def _bound(function: Any, request: pytest.FixtureRequest) -> Any:
    """A method of a test class, bound to the instance of this test, as pytest does it."""
    owner = getattr(function, "__self__", None)
    if request.instance is not None and inspect.ismethod(function) and isinstance(request.instance, type(owner)):
        return function.__func__.__get__(request.instance)
    return function


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remembers the body as its author wrote it: pytest-asyncio wraps it right after."""
    __tracebackhide__ = True
    if _TEST in item.stash and isinstance(item, pytest.Function):
        item.stash[_BODY] = item.obj
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Runs the body of our tests on their loop, within their faults, and lets the oracle judge."""
    __tracebackhide__ = True
    test = pyfuncitem.stash.get(_TEST, None)
    if test is None:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfuncitem, "obj", test.body(pyfuncitem.stash[_BODY]))
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """The loop ends after the last fixture."""
    try:
        return (yield)
    finally:
        if _TEST in item.stash:
            item.stash[_TEST].close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps the trace or not, and adds to a failed report what happened on the network."""
    report = yield
    test = item.stash.get(_TEST, None)
    if test is not None and test.sink is not None and (report.failed or call.when == "call"):
        try:
            trace = _kept_trace(item, test.sink, has_failed=report.failed)
        except OSError as error:
            trace = None
            report.sections.append(("rcs-sim: error", f"the trace could not be kept: {error}"))
        if report.failed:
            report.sections += failure_sections(test, item.nodeid, trace)
    return report


def _kept_trace(item: pytest.Item, sink: ListSink, *, has_failed: bool) -> Path | None:
    trace = item.config.stash[_FOLDER].ended(item.nodeid, sink.records, has_failed=has_failed)
    if trace is None:
        return None
    item.user_properties.append(("rcs_trace", str(trace)))
    start = item.config.invocation_params.dir
    return trace.relative_to(start) if trace.is_relative_to(start) else trace
