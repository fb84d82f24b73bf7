from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from rcs_sim.scenario.up import allow_many_connections


@pytest.fixture
def _few_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_few_files")
def test_a_network_takes_as_many_open_files_as_it_may_have() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_many_connections()
    soft, still = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert still == hard
    assert soft == (65_536 if hard == resource.RLIM_INFINITY else min(65_536, hard))
