"""mls-rs as a stack to measure against."""

from __future__ import annotations

import pytest

from rcs_sim.bench.mls_rs import MlsRsMember, is_installed


@pytest.mark.skipif(not is_installed(), reason="agentvault-mls-rs-uniffi is not installed")
def test_its_members_read_and_follow_each_other() -> None:
    sender, reader = MlsRsMember("sender"), MlsRsMember("reader")
    reader.join(sender.create([reader.key_package()]))
    assert reader.receive(sender.seal(b"hello")).data == b"hello"
    reader.receive(sender.commit())
