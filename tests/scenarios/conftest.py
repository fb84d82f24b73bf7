"""The traces of the scenario tests are read by others than their writer, module by module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.traces import check_all


@pytest.fixture(scope="module", autouse=True)
def _traces_are_good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    check_all(tmp_path_factory.mktemp("traces"))
