"""The tree keeps its shape: a test for each module, listed public names, files of a readable size, names that say
something, nothing of the machine it was written on."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("ims_core", "rcs_sim")
MAX_LINES = 600

# Modules without a test file of their own, and the one that exercises them. A module has its mirror
# (ims_core/wire/sip/uri.py: tests/ims_core/wire/sip/test_uri.py) or stands here.
COVERED_BY: dict[str, str] = {
    "ims_core/errors.py": "tests/ims_core/wire/sip/test_parser.py",
    "ims_core/store/deferred_messages.py": "tests/rcs_sim/server/test_deferred.py",
    "ims_core/store/memory.py": "tests/ims_core/store/test_stores.py",
    "ims_core/store/record_table.py": "tests/ims_core/store/test_stores.py",
    "ims_core/store/registered_devices.py": "tests/rcs_sim/server/test_deferred.py",
    "ims_core/transport/background.py": "tests/ims_core/test_core.py",
    "ims_core/transport/clock.py": "tests/ims_core/transport/test_virtual_loop.py",
    "ims_core/transport/http_memory.py": "tests/ims_core/transport/test_http.py",
    "ims_core/transport/http_sockets.py": "tests/ims_core/transport/test_http.py",
    "ims_core/transport/link.py": "tests/ims_core/transport/test_memory.py",
    "rcs_sim/__init__.py": "tests/conformance/test_messaging.py",
    "rcs_sim/__main__.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/pytest_plugin/__init__.py": "tests/rcs_sim/test_pytest_plugin.py",
    "rcs_sim/pytest_plugin/failure_report.py": "tests/rcs_sim/test_pytest_plugin.py",
    "rcs_sim/pytest_plugin/simulated_test.py": "tests/rcs_sim/test_pytest_plugin.py",
    "rcs_sim/scenario/annotator.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/demo.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/doctor.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/exported_pdu.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/lab.py": "tests/conformance/test_messaging.py",
    "rcs_sim/scenario/message_outcome.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/model.py": "tests/rcs_sim/scenario/test_loader.py",
    "rcs_sim/scenario/provisioning_source.py": "tests/conformance/test_messaging.py",
    "rcs_sim/scenario/simulation.py": "tests/conformance/test_messaging.py",
    "rcs_sim/scenario/subscribers.py": "tests/conformance/test_messaging.py",
    "rcs_sim/scenario/terminal_phone.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/trace_views.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/up.py": "tests/rcs_sim/test_cli.py",
    "rcs_sim/scenario/world.py": "tests/conformance/test_messaging.py",
}

FORBIDDEN_NAMES = frozenset(("util", "utils", "helper", "helpers", "manager", "managers", "common"))

# The names that a program may build on (style guide, section 12): whoever changes this list changes the interface.
PUBLIC_API = {"rcs_sim": ["Simulation", "run"]}

_SHIPPED = ("ims_core", "rcs_sim", "profiles", "tests", "docker", "examples", "docs", ".ci")
_MACHINE_PATH = re.compile(r"(?<![\w.~$})-])/(?:" + "|".join(("work", "root", "Users/[a-z]")) + r")(?:/|\b(?![-\w.]))")


def modules() -> list[Path]:
    """Every module of the product, relative to the root."""
    return sorted(path.relative_to(ROOT) for name in PRODUCT for path in (ROOT / name).rglob("*.py"))


def mirror(module: Path) -> Path:
    return Path("tests") / module.with_name(f"test_{module.name}")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def holds_code(module: Path) -> bool:
    """Whether there is anything to test: more than a docstring."""
    return not all(isinstance(node, ast.Expr) for node in tree(module).body)


@cache
def module_path(dotted: str) -> Path | None:
    base = Path(*dotted.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / path).is_file()), None)


@cache
def imported_names(path: Path) -> tuple[tuple[str, str], ...]:
    """Module and name of each ``from module import name``; the name is empty for ``import module``."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return tuple(found)


@cache
def reachable(start: Path) -> set[Path]:
    """The files that *start* loads, itself among them, as far as their import statements say."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for dotted, name in imported_names(path):
            if dotted.partition(".")[0] in (*PRODUCT, "tests"):
                target = module_path(f"{dotted}.{name}") if name else None
                target = target or module_path(dotted)
                waiting += [target] if target is not None else []
    return found


@cache
def listed(module: Path) -> list[str] | None:
    """``__all__`` of *module*, None without one."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def defined(module: Path) -> tuple[set[str], set[str]]:
    """Functions and classes of *module*, and every name that it binds at its top level."""
    made: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    for node in tree(module).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                made.add(name)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                bound |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return made, bound | made


def is_public(name: str) -> bool:
    return not name.startswith("_")


def shipped_files() -> list[Path]:
    """Text files of the project, without what tools and runs leave behind."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for name in _SHIPPED:
        found += [path for path in (ROOT / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path.relative_to(ROOT) for path in found)


def test_every_module_has_a_test() -> None:
    missing = [
        str(module)
        for module in modules()
        if holds_code(module) and not (ROOT / mirror(module)).is_file() and str(module) not in COVERED_BY
    ]
    assert not missing, "give them a test of their own, or name the one that covers them in COVERED_BY"


@pytest.mark.parametrize("module", sorted(COVERED_BY))
def test_the_test_that_covers_a_module_loads_it(module: str) -> None:
    assert (ROOT / module).is_file(), "it is gone: take it out of COVERED_BY"
    test = Path(COVERED_BY[module])
    assert (ROOT / test).is_file()
    assert Path(module) in reachable(test)


@pytest.mark.parametrize("module", [str(module) for module in modules() if module.name != "__main__.py"])
def test_public_names_are_listed(module: str) -> None:
    path = Path(module)
    if not holds_code(path):
        return
    names = listed(path)
    assert names is not None, "it has no __all__"
    made, bound = defined(path)
    assert len(set(names)) == len(names)
    assert set(names) <= bound, "__all__ names what is not there"
    assert {name for name in made if is_public(name)} <= set(names)


def test_no_module_takes_from_another_what_that_does_not_list() -> None:
    wrong = []
    for module in modules():
        for dotted, name in imported_names(module):
            source = module_path(dotted) if dotted.partition(".")[0] in PRODUCT and name else None
            if source is None or module_path(f"{dotted}.{name}") is not None:
                continue
            if name not in (listed(source) or ()):
                wrong.append(f"{module}: {name} of {dotted}")
    assert not wrong


@pytest.mark.parametrize("package", sorted(PUBLIC_API))
def test_the_interface_is_the_one_that_is_promised(package: str) -> None:
    assert listed(Path(package) / "__init__.py") == PUBLIC_API[package]


def test_no_file_is_too_long_to_read() -> None:
    long = {
        str(module): lines
        for module in modules()
        if (lines := (ROOT / module).read_text(encoding="utf-8").count("\n")) > MAX_LINES
    }
    assert not long


def test_module_names_say_what_is_in_them() -> None:
    words = {str(module): set(module.stem.split("_")) | set(module.parent.parts) for module in modules()}
    assert not {module: found for module, each in words.items() if (found := each & FORBIDDEN_NAMES)}


def test_nothing_names_the_machine_it_was_written_on() -> None:
    places = []
    for path in shipped_files():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        lines = enumerate(text.splitlines(), 1)
        places += [f"{path}:{number}: {line.strip()[:80]}" for number, line in lines if _MACHINE_PATH.search(line)]
    assert not places
