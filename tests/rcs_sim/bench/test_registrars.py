"""Both registrars start on a free port and answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcs_sim.bench.processes import cpu_s_of_tree
from rcs_sim.bench.registrars import kamailio, own_scscf
from tests.support.peers import require


def test_ours_starts(tmp_path: Path) -> None:
    with own_scscf(tmp_path, 1) as registrar:
        assert registrar.port > 0
        assert cpu_s_of_tree(registrar.pid) > 0


@pytest.mark.interop
def test_kamailio_starts(tmp_path: Path) -> None:
    require("kamailio")
    with kamailio(tmp_path, 0) as registrar:
        assert registrar.port > 0
        assert cpu_s_of_tree(registrar.pid) >= 0
