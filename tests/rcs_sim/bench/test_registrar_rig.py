"""What the rig does with runs that are not clean, and with peers that are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rcs_sim.bench.registrar_rig import RigRow, measure_beside_kamailio, write_users
from rcs_sim.bench.registrars import Registrar
from rcs_sim.bench.row import Measured, Unmeasured
from rcs_sim.bench.sipp import FailedCalls, SippResult
from tests.support.peers import require


def _rig(prepare: Callable[[Registrar, Path, int], Callable[[], SippResult]]) -> RigRow:
    return RigRow(row="r", what="w", times=2.0, subscribers=1, count=10, rate=100, prepare=prepare)


def test_the_users_are_written_as_sipp_reads_them(tmp_path: Path) -> None:
    lines = write_users(tmp_path / "users.csv", 5, 2).read_text().splitlines()
    assert lines[0] == "SEQUENTIAL"
    assert lines[1] == "user5;[authentication username=user5 password=bench]"
    assert len(lines) == 3


def test_without_sipp_the_row_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (row,) = measure_beside_kamailio(_rig(lambda *_: lambda: SippResult(1, 0, 1.0)), 1, lambda done, of: None)
    assert isinstance(row, Unmeasured)
    assert "sip-tester" in row.reason
    assert not row.is_broken


@pytest.mark.interop
def test_a_run_with_failed_calls_is_done_again_at_half_the_rate() -> None:
    require("sipp")
    rates: list[int] = []

    def prepare(registrar: Registrar, folder: Path, rate: int) -> Callable[[], SippResult]:
        rates.append(rate)
        if rate > 30:
            raise FailedCalls("too fast")
        return lambda: SippResult(10, 0, 0.5)

    (row,) = measure_beside_kamailio(_rig(prepare), 1, lambda done, of: None)
    assert isinstance(row, Measured)
    assert rates[:3] == [100, 50, 25]
    assert row.wall == "20/s driven"


@pytest.mark.interop
def test_the_run_with_the_fewest_retransmissions_counts_where_none_is_clean() -> None:
    require("sipp")

    def prepare(registrar: Registrar, folder: Path, rate: int) -> Callable[[], SippResult]:
        return lambda: SippResult(10, {100: 9, 50: 3, 25: 5}[rate], 1.0 if rate == 50 else 2.0)

    (row,) = measure_beside_kamailio(_rig(prepare), 1, lambda done, of: None)
    assert isinstance(row, Measured)
    assert row.details["retransmissions"] == 3
    assert row.wall == "10/s driven"


@pytest.mark.interop
def test_what_never_succeeds_is_given_up() -> None:
    require("sipp")

    def prepare(registrar: Registrar, folder: Path, rate: int) -> Callable[[], SippResult]:
        raise FailedCalls("never")

    with pytest.raises(FailedCalls, match="never"):
        measure_beside_kamailio(_rig(prepare), 1, lambda done, of: None)
