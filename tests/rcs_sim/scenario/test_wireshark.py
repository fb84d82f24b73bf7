"""What Wireshark needs beside a capture: the script that ships, and key logs that only their owner reads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rcs_sim.mls.key_log import KEY_LOG_HEADER
from rcs_sim.scenario.wireshark import dissector_text, key_log_file, write_private


def test_the_dissector_ships_and_says_how_it_is_used() -> None:
    text = dissector_text()
    assert "-X lua_script:" in text
    assert 'Proto("rcc16"' in text


def test_a_key_log_is_its_owners_and_each_line_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mls.keylog"
    path.write_text("an older one that others may read")
    path.chmod(0o644)
    with key_log_file(path) as write:
        write("EPOCH 00 0 2 00")
        assert path.read_text() == f"{KEY_LOG_HEADER}\nEPOCH 00 0 2 00\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), key_log_file(tmp_path / "none" / "mls.keylog"):
        pass


def test_what_is_private_is_its_owners_even_where_another_file_was(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("an older one that others may read")
    path.chmod(0o644)
    write_private(path, "EPOCH")
    assert path.read_text() == "EPOCH\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
