"""Fixtures: one lab authority per module, one network of sockets per test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ims_core.transport.lab_ca import LabCa
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.virtual_loop import RealClock


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabCa:
    return LabCa(tmp_path_factory.mktemp("ca"))


@pytest_asyncio.fixture
async def network(authority: LabCa) -> AsyncIterator[SocketNetwork]:
    network = SocketNetwork(RealClock(), authority)
    yield network
    await network.close()
